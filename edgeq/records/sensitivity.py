"""What a sensitivity analysis found out; pure records, JSON in and out."""

from __future__ import annotations

from edgeq.records.accuracy import Interval
from edgeq.records.record import Record


class Loss(Record):
    """How far a quantized model is from the float one, on the same images.

    `snr_db` is that of the head's outputs, None where they are equal. The drops of AP have their
    95% paired bootstrap interval, and are None where AP was not measured.
    """

    snr_db: float | None
    mask_ap_drop: Interval | None = None
    box_ap_drop: Interval | None = None


class LayerSensitivity(Record):
    """One layer: `alone` it is quantized alone, `all_but` everything is but it (None: not asked).

    `rank` 1 loses most alone; `all_but_rank` 1 is the one whose leaving out gains most.
    """

    node: str
    op_type: str
    macs_share: float
    rank: int
    alone: Loss
    all_but_rank: int | None = None
    all_but: Loss | None = None


class FloatLayer(Record):
    """A compute-heavy node that stays float anyway, and why."""

    node: str
    op_type: str
    macs_share: float
    reason: str


class Sensitivity(Record):
    """The layers of a model, those that lose most first.

    `images` of `images_asked` were compared; `scored_images` were scored against `labels`. The
    Spearman correlation is that of the ranking by SNR with the drop of mask AP (1 is the same
    order), over the `correlated` layers of which both are known.
    """

    recipe: str
    model: str
    target: str
    images: int
    images_asked: int
    labels: str
    scored_images: int
    complete: bool
    everything: Loss
    layers: tuple[LayerSensitivity, ...]
    stays_float: tuple[FloatLayer, ...]
    spearman: float | None
    correlated: int

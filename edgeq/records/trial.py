"""What one way to quantize came to."""

from __future__ import annotations

from typing import Any, Literal

from edgeq.records.accuracy import Agreement, Interval
from edgeq.records.record import Record

Arithmetic = Literal["float", "simulated", "device"]
"""In which a plan was run: its weights in float, its simulation, the engine that it is for."""


class Trial(Record):
    """What one way to quantize came to; drops are float minus int8 on the same images.

    `changes` are the keys of the recipe that differ from the one that was given, with their values.
    `final` says that these are the evaluation images, not those that choices are made on,
    `own_labels` that nobody annotated them, so that AP is of the float model's own detections. All
    figures are means over the `arithmetics`; `agreement` is None where float finds nothing.
    """

    stage: str
    name: str
    final: bool = False
    changes: dict[str, Any]
    mask_ap: float | None
    box_ap: float | None
    mask_ap_drop: Interval | None
    box_ap_drop: Interval | None
    agreement: Agreement | None = None
    arithmetics: tuple[Arithmetic, ...] = ()
    own_labels: bool = False
    layers_quantized: int
    layers_float: int
    artifact: str
    seconds: float


def lost(trial: Trial) -> str:
    """How far a trial agrees with float, and what AP it lost, in words; a gain has a plus."""
    found = []
    if trial.agreement is not None:
        mask, box = trial.agreement.mask.estimate, trial.agreement.box.estimate
        found.append(f"agreement {mask:.4f}/{box:.4f}")
    if not trial.own_labels or trial.agreement is None:
        drops = ("mask", trial.mask_ap_drop), ("box", trial.box_ap_drop)
        found += [f"{kind} AP {-drop.estimate:+.4f}" for kind, drop in drops if drop]
    return ", ".join(found) or "nothing"

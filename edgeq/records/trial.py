"""What one way to quantize came to."""

from __future__ import annotations

from typing import Any, Literal

from edgeq.records.accuracy import Agreement, Interval
from edgeq.records.record import Record

Arithmetic = Literal["float", "simulated", "device"]
"""In which a plan was run: its weights in float, its simulation, the engine that it is for."""


class LatencyRatio(Record):
    """How long an inference takes on the target, as a multiple of what it takes as tuning began.

    Measured in turns with that, over `pairs` of inferences. A plan that quantizes the same nodes,
    with weights of the same granularity, is the same graph, other numbers in it: it has the ratio
    that was measured of those, and exactly 1 where they are those that tuning began with (`pairs`
    is 0 then).
    """

    estimate: float
    low: float
    high: float
    confidence: float = 0.95
    pairs: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether it is of the graph that tuning began with."""
        return not self.pairs


class Trial(Record):
    """What one way to quantize came to; drops are float minus int8 on the same images.

    `changes` are the keys of the recipe that differ from the one that was given, with their values.
    `final` says that these are the evaluation images, not those that choices are made on,
    `own_labels` that nobody annotated them, so that AP is of the float model's own detections. All
    figures are means over the `arithmetics`; `agreement` is None where float finds nothing.
    `latency` is None where it was not measured, `seconds` are those of a clock on the wall.
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
    latency: LatencyRatio | None = None
    seconds: float

    @property
    def is_weights_alone(self) -> bool:
        """Whether all but its weights was in float, which is no plan that a target could run."""
        return self.arithmetics == ("float",)


def disagreement(trial: Trial) -> float:
    """What trials are ordered by: how far the worse of mask and box is from agreement."""
    return 1.0 if trial.agreement is None else 1 - trial.agreement.worse[1].estimate


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


def slowed(trial: Trial) -> str:
    """What a trial takes on the target, in words."""
    found = trial.latency
    if found is None:
        return "latency not measured"
    if found.is_exact:
        return "latency as at the start"
    return f"latency {found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}] of the start's"

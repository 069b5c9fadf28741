"""What one way to quantize came to."""

from __future__ import annotations

from typing import Any

from edgeq.records.accuracy import Interval
from edgeq.records.record import Record


class Trial(Record):
    """What one way to quantize came to; drops are float minus int8 on the same images.

    `changes` are the keys of the recipe that differ from the one that was given, with their values.
    `final` says that these are the evaluation images, not those that choices are made on.
    """

    stage: str
    name: str
    final: bool = False
    changes: dict[str, Any]
    mask_ap: float | None
    box_ap: float | None
    mask_ap_drop: Interval | None
    box_ap_drop: Interval | None
    layers_quantized: int
    layers_float: int
    artifact: str
    seconds: float


def lost(trial: Trial) -> str:
    """What a trial lost against float, in words; what it gained has a plus."""
    drops = ("mask", trial.mask_ap_drop), ("box", trial.box_ap_drop)
    return (
        ", ".join(f"{kind} AP {-drop.estimate:+.4f}" for kind, drop in drops if drop) or "nothing"
    )

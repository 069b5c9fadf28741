"""Trials as they would come out, for what is said and decided of them."""

from __future__ import annotations

from typing import Any

from edgeq.records.accuracy import Agreement, Interval
from edgeq.records.trial import LatencyRatio, Trial


def interval(estimate: float, half: float = 0.01) -> Interval:
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half, resamples=9)


def latency(estimate: float, half: float = 0.01) -> LatencyRatio:
    return LatencyRatio(
        estimate=estimate, low=estimate - half, high=estimate + half, pairs=40 * (estimate != 1)
    )


def trial(agreed: float = 0.9, took: LatencyRatio | None = None, **changes: Any) -> Trial:
    told: dict[str, Any] = {
        "stage": "partial",
        "name": "1 layer in float",
        "changes": {},
        "mask_ap": 0.25,
        "box_ap": 0.3,
        "mask_ap_drop": interval(0.004),
        "box_ap_drop": interval(0.006),
        "agreement": Agreement(mask=interval(agreed + 0.02), box=interval(agreed)),
        "arithmetics": ("simulated", "device"),
        "layers_quantized": 60,
        "layers_float": 2,
        "artifact": "a" * 64,
        "latency": took,
        "seconds": 1.0,
    }
    return Trial(**{**told, **changes})

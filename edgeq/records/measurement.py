"""What a bench on a device measured: raw samples and their conditions."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from edgeq.records.record import Record

Stage = Literal["preprocess", "inference", "postprocess"]


def percentile(samples: tuple[int, ...], q: float) -> float:
    """The nearest-rank `q`-th percentile (0 < q <= 100), in the unit of the samples."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return float(ordered[max(0, math.ceil(len(ordered) * q / 100) - 1)])


class Power(Record):
    """Means over the timed part in mW, and the energy of one inference in mJ.

    `total_mw` is the sum of `total_rails`, `idle_mw` the same before the engine was loaded.
    `energy_mj` is (total - idle) * duration / inferences, `energy_with_idle_mj` is
    total * duration / inferences.
    """

    source: str
    rails_mw: dict[str, float]
    total_rails: tuple[str, ...]
    total_mw: float | None
    idle_mw: float | None
    energy_mj: float | None
    energy_with_idle_mj: float | None
    samples: int


class Measurement(Record):
    """One bench on one device: raw samples, memory, and the conditions they were taken under."""

    preprocess_ns: tuple[int, ...]
    inference_ns: tuple[int, ...]
    postprocess_ns: tuple[int, ...]
    load_ns: int
    first_inference_ns: int
    warmup_count: int
    duration_ns: int
    throughput_per_s: float
    threads: int
    rss_before_load_bytes: int
    rss_after_load_bytes: int
    peak_rss_bytes: int
    peak_rss_source: str
    environment_before: dict[str, Any]
    environment_warm: dict[str, Any] = Field(default_factory=dict)
    environment_after: dict[str, Any]
    power_mode: str | None = None
    power: Power | None = None
    power_missing: str = ""
    gpu_hz: int | None = None
    gpu_ns: tuple[int, ...] = ()
    """by the GPU's own clock, without the copies; empty where there is none"""
    engine_facts: dict[str, Any] | None = None
    """what an engine says of itself: TensorRT memory, layers and the time of each, LiteRT what ran
    outside of XNNPACK"""
    memory_available_before_load_bytes: int | None = None
    memory_available_after_load_bytes: int | None = None
    memory_available_lowest_bytes: int | None = None
    unstable: tuple[str, ...] = ()
    emulated: bool = False

    def samples_ns(self, stage: Stage) -> tuple[int, ...]:
        """The raw latency samples of one stage."""
        return {
            "preprocess": self.preprocess_ns,
            "inference": self.inference_ns,
            "postprocess": self.postprocess_ns,
        }[stage]

    def latency_ms(self, q: float, stage: Stage = "inference") -> float:
        """The `q`-th percentile of one stage's latency, in milliseconds."""
        return percentile(self.samples_ns(stage), q) / 1e6

"""What a bench on a device measured: raw samples and their conditions."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgeq.records.answers import BenchEnvironment, EngineFacts, LiteRtFacts
from edgeq.records.limits import Count, Duration, Finite, Positive, Text, Word
from edgeq.records.record import Record
from edgeq.significance import percentiles

Stage = Literal["preprocess", "inference", "postprocess", "frame"]
"""`frame` is the whole of one pass: the other three together."""


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

    source: Text
    rails_mw: dict[Word, Finite]
    total_rails: tuple[Word, ...]
    total_mw: Finite | None
    idle_mw: Finite | None
    energy_mj: Finite | None
    energy_with_idle_mj: Finite | None
    samples: Count


class LeftOut(Record):
    """What was measured and does not count, as something disturbed it: contention, heat, clocks.

    `reasons` has how many stretches each kind of reason is to blame for.
    """

    stretches: Count = 0
    samples: Count = 0
    duration_ns: Count = 0
    reasons: dict[Word, Count] = Field(default_factory=dict)


class Minute(Record):
    """One minute of a long run before what is timed.

    `reasons` are the kinds of what disturbed the device or slowed it down.
    """

    passes: Count
    median_ns: Duration
    p99_ns: Duration
    frame_median_ns: Duration
    hottest_c: Finite | None
    slowest_khz: Count | None
    reasons: tuple[Word, ...]


class StreamRun(Record):
    """Frames of so many streams side by side, each with so many threads, within `duration_ns`.

    0 streams are a pipeline: the next frame is prepared while the engine runs, and a frame's time
    is that from one to the next.
    """

    streams: Count
    threads: Count
    frame_ns: tuple[tuple[Duration, ...], ...]
    duration_ns: Duration
    reasons: tuple[Text, ...] = ()
    """what disturbed it, so that its figures are of no use"""

    @property
    def frames_per_s(self) -> float:
        """Of all streams together."""
        return sum(map(len, self.frame_ns)) * 1e9 / self.duration_ns

    def p99_bound_ms(self) -> float | None:
        """What the slowest stream's 99th percentile is at most; None for too few frames."""
        found = [percentiles.bound(frames, 99) for frames in self.frame_ns]
        known = [ns for ns in found if ns is not None]
        return max(known) / 1e6 if known and len(known) == len(found) else None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.frame_ns) != max(1, self.streams) or not all(self.frame_ns):
            raise ValueError(f"there are frames of {len(self.frame_ns)} streams of {self.streams}")
        if any(sum(frames) > self.duration_ns for frames in self.frame_ns):
            raise ValueError("duration_ns is less than what was measured in it")
        return self


def _environment(found: dict[str, Any]) -> dict[str, Any]:
    BenchEnvironment.model_validate(found)
    return found


Conditions = Annotated[dict[str, Any], AfterValidator(_environment)]


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    (LiteRtFacts if "delegate" in found else EngineFacts).model_validate(found)
    return found


class Measurement(Record):
    """One bench on one device: raw samples, memory, and the conditions they were taken under.

    What only a report shows of conditions and engine is kept as it was told, and looked at as the
    types of records/answers.py.
    """

    preprocess_ns: tuple[Count, ...]
    inference_ns: tuple[Duration, ...]
    postprocess_ns: tuple[Count, ...]
    load_ns: Count
    first_inference_ns: Count
    warmup_count: Count
    duration_ns: Count
    """of what counts"""
    throughput_per_s: Positive
    threads: Count
    rss_before_load_bytes: Count
    rss_after_load_bytes: Count
    peak_rss_bytes: Count
    peak_rss_source: Word
    environment_before: Conditions
    environment_warm: Conditions = Field(default_factory=dict)
    environment_after: Conditions
    power_mode: Word | None = None
    power: Power | None = None
    power_missing: Text = ""
    gpu_hz: Count | None = None
    gpu_ns: tuple[Count, ...] = ()
    """by the GPU's own clock, without the copies; empty where there is none"""
    engine_facts: Annotated[dict[str, Any], AfterValidator(_facts)] | None = None
    """what an engine says of itself: TensorRT memory, layers and the time of each, LiteRT what ran
    outside of XNNPACK"""
    memory_available_before_load_bytes: Count | None = None
    memory_available_after_load_bytes: Count | None = None
    memory_available_lowest_bytes: Count | None = None
    left_out: LeftOut = LeftOut()
    soak: tuple[Minute, ...] = ()
    streams: tuple[StreamRun, ...] = ()
    unstable: tuple[Text, ...] = ()
    emulated: bool = False

    def samples_ns(self, stage: Stage) -> tuple[int, ...]:
        """The raw latency samples of one stage; those of a frame are sums of one pass each."""
        if stage == "frame":
            passes = zip(self.preprocess_ns, self.inference_ns, self.postprocess_ns, strict=True)
            return tuple(map(sum, passes))
        return {
            "preprocess": self.preprocess_ns,
            "inference": self.inference_ns,
            "postprocess": self.postprocess_ns,
        }[stage]

    def latency_ms(self, q: float, stage: Stage = "inference") -> float:
        """The `q`-th percentile of one stage's latency, in milliseconds."""
        return percentile(self.samples_ns(stage), q) / 1e6

    def bound_ms(self, q: float, stage: Stage = "inference") -> float | None:
        """What that percentile is at most, with 99% confidence; None for too few samples."""
        found = percentiles.bound(self.samples_ns(stage), q)
        return None if found is None else found / 1e6

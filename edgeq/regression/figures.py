"""What a test tells beside passing: figures of the run and of its comparison, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.records.comparison import Comparison
    from edgeq.records.health import Health
    from edgeq.records.measurement import Measurement, Stage
    from edgeq.records.report import Report

Figure = tuple[str, float | str]
"""The unit ends a name: `_ms`, `_bytes`, `_mj`; an AP has none."""
UNITS = {"ms": "_ms", "bytes": "_bytes", "mJ": "_mj", "AP": ""}


def of_report(report: Report) -> Iterator[Figure]:
    """The device's figures; those that were not measured are left out."""
    device = report.column("device")
    measured = device.measurement if device else None
    if measured is not None:
        yield from of_measurement(measured)
    yield "size_bytes", report.artifact_bytes
    accuracy = device.accuracy if device else None
    if device is not None and accuracy is not None:
        drops = {"mask": device.mask_ap_drop, "box": device.box_ap_drop}
        for kind, scored in (("mask", accuracy.mask), ("box", accuracy.box)):
            if scored.ap is not None:
                yield f"{kind}_ap", scored.ap
            drop = drops[kind]
            if drop is not None:
                yield f"{kind}_ap_drop", drop.estimate
        if device.agreement is not None:
            yield "mask_agreement", device.agreement.mask.estimate
            yield "box_agreement", device.agreement.box.estimate


def of_measurement(measured: Measurement) -> Iterator[Figure]:
    """Times, memory and energy of one bench; of an unstable one no times.

    Where the board is emulated that stands beside them.
    """
    passes = {len(measured.preprocess_ns), len(measured.inference_ns), len(measured.postprocess_ns)}
    stages: tuple[Stage, ...] = ("inference", "frame") if len(passes) == 1 else ("inference",)
    yield "unstable", float(bool(measured.unstable))
    yield "emulated", float(measured.emulated)
    # Of an unstable measurement there are no times, here as in the report.
    for stage in () if measured.unstable else stages:
        for q in (50, 90, 99):
            # Of a tail that too few samples tell there is no figure.
            if q == 50 or measured.bound_ms(q, stage) is not None:
                yield f"{stage}_p{q}_ms", measured.latency_ms(q, stage)
    yield "peak_memory_bytes", measured.peak_rss_bytes
    if measured.power is not None and measured.power.energy_mj is not None:
        yield "energy_mj", measured.power.energy_mj


def of_comparison(found: Comparison) -> Iterator[Figure]:
    """Of each metric what B is, both figures, and the change with its interval."""
    for one in found.metrics:
        name = f"compare_{one.metric.lower().replace(' ', '_')}"
        yield f"{name}_outcome", one.outcome
        for side, value in (("baseline", one.a), ("candidate", one.b)):
            if value is not None:
                yield f"{name}_{side}{UNITS[one.unit]}", value
        if one.change is not None:
            yield f"{name}_change", one.change.estimate
            yield f"{name}_change_low", one.change.low
            yield f"{name}_change_high", one.change.high


def of_health(found: Health) -> Iterator[Figure]:
    """How the board did with its gold artifact, and where that usually lies."""
    yield "gold_outcome", "cannot tell" if found.doubt else "same"
    if found.unstable:
        return
    for name, one in found.figures.items():
        yield f"gold_{name}_ms", one.measured_ms
        for end, value in zip(("low", "high"), one.usual_ms or (), strict=False):
            yield f"gold_{name}_{end}_ms", value


def _power(report: Report) -> str | None:
    device = report.column("device")
    measured = device.measurement if device else None
    if measured is not None and measured.power is not None:
        return None
    return (measured.power_missing if measured else "") or "no rails can be read there"


def _latency(report: Report) -> str | None:
    device = report.column("device")
    emulated = device and device.measurement and device.measurement.emulated
    return "the board is emulated, and its times say nothing of a real one" if emulated else None


def _accuracy(report: Report) -> str | None:
    device = report.column("device")
    return None if device and device.accuracy else "the recipe has no annotated images to evaluate"


FEATURES: dict[str, Callable[[Report], str | None]] = {
    "power": _power,
    "latency": _latency,
    "accuracy": _accuracy,
}
"""What a mark `edgeq_feature` may ask for: why a run lacks it, or None."""

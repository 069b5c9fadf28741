"""The gates of the recipe against what was measured: one verdict each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeq.measurement import (
    Column,
    Divergence,
    Interval,
    Measurement,
    Speedup,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeq.recipe import Gates

_PERCENTILES = (50, 90, 99)


def judge(
    gates: Gates,
    columns: Sequence[Column],
    artifact_bytes: int,
    divergence: Divergence | None,
    speedup: Speedup | None = None,
) -> tuple[Verdict, ...]:
    """A verdict for every gate that the recipe sets, in the order of the recipe's fields.

    Only the device's own figures pass or fail a gate. Latency and memory of an unstable
    measurement, and latency of an emulated device, are never judged: the reason says why.
    """
    device = next((column for column in columns if column.name == "device"), None)
    verdicts = _verdicts(gates, device, artifact_bytes, divergence)
    limit = gates.int8_speedup_over_fp16
    gained = [] if limit is None else [_gain(limit, speedup, columns)]
    return (*verdicts, *gained)


def _verdicts(
    gates: Gates, device: Column | None, artifact_bytes: int, divergence: Divergence | None
) -> Iterator[Verdict]:
    measurement = device.measurement if device else None
    if gates.mask_ap_drop is not None:
        drop = device.mask_ap_drop if device else None
        yield _drop("mask_ap_drop", gates.mask_ap_drop, drop, device)
    if gates.box_ap_drop is not None:
        drop = device.box_ap_drop if device else None
        yield _drop("box_ap_drop", gates.box_ap_drop, drop, device)
    limits_ms = (gates.latency_p50_ms, gates.latency_p90_ms, gates.latency_p99_ms)
    for percentile, limit_ms in zip(_PERCENTILES, limits_ms, strict=True):
        if limit_ms is not None:
            yield _latency(percentile, limit_ms, measurement)
    if gates.peak_memory_bytes is not None:
        yield _memory(gates.peak_memory_bytes, measurement)
    if gates.artifact_bytes is not None:
        yield _at_most("artifact_bytes", gates.artifact_bytes, artifact_bytes)
    if gates.divergence_mask_ap is not None:
        yield _divergence_mask_ap(gates.divergence_mask_ap, divergence)
    if gates.divergence_snr_db is not None:
        yield _divergence_snr(gates.divergence_snr_db, divergence)


def _drop(gate: str, limit: float, drop: Interval | None, device: Column | None) -> Verdict:
    if drop is None:
        reason = "no device was measured" if device is None else "there is no accuracy to compare"
        return _not_measured(gate, limit, reason)
    verdict = _at_most(gate, limit, drop.estimate)
    if not drop.low <= limit <= drop.high:
        return verdict
    reason = (
        f"not resolved: the limit lies inside the {drop.confidence:.0%} interval, "
        f"{drop.low:.4f} to {drop.high:.4f}; more images narrow it"
    )
    return verdict.model_copy(update={"reason": reason})


def _latency(percentile: int, limit_ms: float, measurement: Measurement | None) -> Verdict:
    gate = f"latency_p{percentile}_ms"
    if measurement is None:
        return _not_measured(gate, limit_ms, "no device was measured")
    if measurement.emulated:
        return _not_measured(gate, limit_ms, "emulated")
    latency_ms = measurement.latency_ms(percentile)
    if math.isnan(latency_ms):
        return _not_measured(gate, limit_ms, "no inference was timed")
    return _stable(_at_most(gate, limit_ms, latency_ms), measurement)


def _memory(limit_bytes: int, measurement: Measurement | None) -> Verdict:
    gate = "peak_memory_bytes"
    if measurement is None:
        return _not_measured(gate, limit_bytes, "no device was measured")
    return _stable(_at_most(gate, limit_bytes, measurement.peak_rss_bytes), measurement)


def _gain(limit: float, speedup: Speedup | None, columns: Sequence[Column]) -> Verdict:
    gate = "int8_speedup_over_fp16"
    both = [c.measurement for c in columns if c.name in ("fp16", "device") and c.measurement]
    if speedup is None:
        return _not_measured(gate, limit, "the device has no fp16 engine to compare with")
    if any(measurement.emulated for measurement in both):
        return _not_measured(gate, limit, "emulated")
    status: Status = "passed" if speedup.ratio >= limit else "failed"
    verdict = Verdict(gate=gate, limit=limit, measured=speedup.ratio, status=status)
    for measurement in both:
        verdict = _stable(verdict, measurement)
    return verdict


def _divergence_mask_ap(limit: float, divergence: Divergence | None) -> Verdict:
    gate = "divergence_mask_ap"
    if divergence is None or divergence.mask_ap is None:
        return _not_measured(gate, limit, "simulation and device were not both scored")
    return _at_most(gate, limit, abs(divergence.mask_ap))


def _divergence_snr(limit_db: float, divergence: Divergence | None) -> Verdict:
    gate = "divergence_snr_db"
    if divergence is None or not divergence.snr_db:
        return _not_measured(gate, limit_db, "raw outputs of the device were not compared")
    worst_db, output = min(
        (math.inf if snr_db is None else snr_db, name) for name, snr_db in divergence.snr_db.items()
    )
    if math.isinf(worst_db):
        return Verdict(
            gate=gate, limit=limit_db, measured=None, status="passed", reason="bit for bit equal"
        )
    status: Status = "passed" if worst_db >= limit_db else "failed"
    return Verdict(
        gate=gate, limit=limit_db, measured=worst_db, status=status, reason=f"output '{output}'"
    )


def _at_most(gate: str, limit: float, measured: float) -> Verdict:
    status: Status = "passed" if measured <= limit else "failed"
    return Verdict(gate=gate, limit=limit, measured=measured, status=status)


def _stable(verdict: Verdict, measurement: Measurement) -> Verdict:
    """The verdict, withdrawn when the measurement behind it was not steady."""
    if not measurement.unstable:
        return verdict
    reason = "; ".join(measurement.unstable)
    return verdict.model_copy(update={"status": "unstable", "reason": reason})


def _not_measured(gate: str, limit: float, reason: str) -> Verdict:
    return Verdict(gate=gate, limit=limit, measured=None, status="not measured", reason=reason)

"""Under what a device was measured, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeq.records.measurement import Measurement
from edgeq.report.figures import left_out


def conditions(measured: Measurement) -> Iterator[tuple[str, str]]:
    """Under what it was measured, as far as the device tells."""
    passes = f"{len(measured.inference_ns)} in {measured.duration_ns / 1e9:.1f} s"
    yield "passes", f"{passes}, after {measured.warmup_count} to warm up"
    yield "threads", str(measured.threads)
    if measured.power_mode:
        yield "power mode", measured.power_mode
    if measured.left_out.stretches:
        yield "left out", left_out(measured)
    moments = (
        ("before", measured.environment_before),
        ("warm", measured.environment_warm),
        ("after", measured.environment_after),
    )
    for label, read in (("temperature", _hottest), ("clock", _slowest)):
        told = [f"{name} {text}" for name, found in moments if (text := read(found))]
        yield label, ", ".join(told) or "not told by the device"


def _hottest(found: dict[str, Any]) -> str:
    """The hottest sensor of a reading of the surroundings; empty where none was read."""
    zones = [zone for zone in found.get("zones") or () if isinstance(zone, dict)]
    known = [c for zone in zones if isinstance(c := zone.get("temperature_c"), int | float)]
    return f"{max(known):.0f} C" if known else ""


def _slowest(found: dict[str, Any]) -> str:
    """The slowest core's clock; empty where none was read."""
    clocks = found.get("frequencies_khz")
    known = [k for k in clocks.values() if isinstance(k, int)] if isinstance(clocks, dict) else []
    return f"{min(known) / 1e6:.2f} GHz" if known else ""

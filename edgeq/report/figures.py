"""Figures as text: one way to write each unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeq.agent.measure.soak import SLOWED
from edgeq.records.measurement import percentile
from edgeq.significance import percentiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgeq.records.accuracy import Interval
    from edgeq.records.measurement import Measurement, Minute, StreamRun
    from edgeq.spec.gates import Gate, Unit

_SETTLED = 0.03
NOT_MEASURED = "not measured"
UNSTABLE = "unstable"
NOT_APPLICABLE = ""
NOTHING = "-"


def average_precision(value: float | None) -> str:
    """AP, or a difference of two, to four decimals; a dash where nothing is annotated."""
    # Nothing lost has no sign.
    return NOTHING if value is None else f"{round(value, 4) + 0.0:.4f}"


def interval(value: Interval) -> str:
    """The two ends of an interval of AP."""
    return f"{value.low:z.4f} to {value.high:z.4f}"


def counted(count: int, noun: str) -> str:
    """So many of something, in the plural where there is not one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def three_digits(value: float) -> str:
    """A positive figure to three significant digits or to the unit, never in exponent form."""
    if math.isnan(value):
        return NOT_MEASURED
    rounded = float(f"{value:.3g}")  # 9.996 becomes 10.0, not 10.00
    decimals = 2 - math.floor(math.log10(rounded)) if rounded > 0 else 0
    return f"{value:.{min(max(decimals, 0), 4)}f}"


def tail(samples_ns: Sequence[int], q: float) -> str:
    """A percentile in ms with what it is at most by 99%; where they are too few, how few."""
    if not samples_ns:
        return NOT_MEASURED
    bound_ns = percentiles.bound(samples_ns, q)
    if bound_ns is None:
        return f"unresolved: {len(samples_ns)} of {percentiles.needed(q)}"
    figure = three_digits(percentile(tuple(samples_ns), q) / 1e6)
    return f"{figure} (<= {three_digits(bound_ns / 1e6)})"


def left_out(measurement: Measurement) -> str:
    """How much of a measurement does not count, and what disturbed it."""
    found = measurement.left_out
    reasons = ", ".join(f"{kind} in {count}" for kind, count in found.reasons.items())
    return (
        f"{found.duration_ns / 1e9:.1f} s with {found.samples} inferences, "
        f"in {found.stretches} stretches that were disturbed ({reasons}); measured again"
    )


def mebibytes(value_bytes: float) -> str:
    """A size in MiB, without the unit."""
    return three_digits(value_bytes / 2**20)


def snr_by_part(snr_db: Mapping[str, float | None]) -> str:
    """The ratio of each part of a model's outputs."""
    return ", ".join(
        f"{name} " + ("equal" if ratio is None else f"{ratio:.1f} dB")
        for name, ratio in snr_db.items()
    )


_WRITTEN: dict[Unit, Callable[[float], str]] = {
    "AP": average_precision,
    "share": average_precision,
    "score": lambda value: f"{value:.3f}",
    "ms": lambda value: f"{three_digits(value)} ms",
    "bytes": lambda value: f"{mebibytes(value)} MiB",
    "dB": lambda value: f"{value:.1f} dB",
    "ratio": lambda value: f"{value:.2f}",
}


def gate_figure(gate: Gate | None, value: float | None) -> str:
    """A gate's limit or measured figure in its unit; of a gate that is no more, the number."""
    if value is None:
        return NOTHING
    return f"{value:g}" if gate is None else _WRITTEN[gate.unit](value)


def soaked(minutes: Sequence[Minute]) -> str:
    """A long run in a sentence: where it began, where it ended, and when it was slowed down."""
    first, last = minutes[0], minutes[-1]
    said = f"{len(minutes)} min: median {three_digits(first.median_ns / 1e6)} ms at first, "
    said += f"{three_digits(last.median_ns / 1e6)} ms at last"
    hot = [minute.hottest_c for minute in minutes if minute.hottest_c is not None]
    if hot:
        said += f"; {hot[0]:.0f} C, then up to {max(hot):.0f} C"
    slowed = [n for n, minute in enumerate(minutes, 1) if {*minute.reasons} & {*SLOWED}]
    said += f"; slowed down from minute {slowed[0]} on" if slowed else "; not slowed down"
    if len(minutes) > 1 and abs(last.median_ns / minutes[-2].median_ns - 1) > _SETTLED:
        said += "; still changing at the end, which a longer run would show"
    return said


def streams(run: StreamRun) -> str:
    """Frames a second of one arrangement, and how slow the rarely slow frame of a stream is."""
    named = f"{run.streams} streams" if run.streams > 1 else "1 stream"
    each = f"{run.threads} threads each" if run.threads > 1 else "1 thread each"
    name = f"{named}, {each}" if run.streams else "pipeline"
    if run.reasons:
        return f"{name}: {UNSTABLE}: {run.reasons[0]}"
    rate = f"{name}: {three_digits(run.frames_per_s)} frames/s"
    if not run.streams:
        return rate
    bound_ms = run.p99_bound_ms()
    if bound_ms is None:
        fewest = min(map(len, run.frame_ns))
        return f"{rate}, p99 unresolved: {fewest} of {percentiles.needed(99)} frames"
    return f"{rate}, p99 at most {three_digits(bound_ms)} ms"

"""Figures as text: one way to write each unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.measurement import Interval

NOT_MEASURED = "not measured"
UNSTABLE = "unstable"
NOT_APPLICABLE = ""
NOTHING = "-"


def average_precision(value: float | None) -> str:
    """AP, or a difference of two, to four decimals; a dash where nothing is annotated."""
    return NOTHING if value is None else f"{value:.4f}"


def interval(value: Interval) -> str:
    """The two ends of an interval of AP."""
    return f"{value.low:.4f} to {value.high:.4f}"


def three_digits(value: float) -> str:
    """A positive figure to three significant digits or to the unit, never in exponent form."""
    if math.isnan(value):
        return NOT_MEASURED
    rounded = float(f"{value:.3g}")  # 9.996 becomes 10.0, not 10.00
    decimals = 2 - math.floor(math.log10(rounded)) if rounded > 0 else 0
    return f"{value:.{min(max(decimals, 0), 4)}f}"


def mebibytes(value_bytes: float) -> str:
    """A size in MiB, without the unit."""
    return three_digits(value_bytes / 2**20)


def gate_figure(gate: str, value: float | None) -> str:
    """A gate's limit or measured figure in the unit that its name ends with."""
    if value is None:
        return NOTHING
    if gate.endswith("_ms"):
        return f"{three_digits(value)} ms"
    if gate.endswith("_bytes"):
        return f"{mebibytes(value)} MiB"
    if gate.endswith("_db"):
        return f"{value:.1f} dB"
    if gate == "int8_speedup_over_fp16":
        return f"{value:.2f}"
    return average_precision(value)

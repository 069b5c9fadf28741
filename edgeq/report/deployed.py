"""Rows of accuracy at the score from which on the user's application keeps a detection."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from edgeq.report.figures import NOT_APPLICABLE, NOT_MEASURED, average_precision, interval
from edgeq.report.rows import Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeq.records.accuracy import Deployed, Interval
    from edgeq.records.report import Column


def _of(get: Callable[[Deployed], str], against_float: bool, column: Column) -> str:
    if against_float and column.name == "float":
        return NOT_APPLICABLE
    return get(column.deployed) if column.deployed else NOT_MEASURED


def _figure(kind: str, name: str) -> tuple[Row, Row]:
    def value(deployed: Deployed) -> str:
        return average_precision(getattr(getattr(deployed, kind), name))

    def drop(deployed: Deployed) -> str:
        return _interval(getattr(getattr(deployed, kind), f"{name}_drop"))

    label = "F1" if name == "f1" else name
    return (
        Row(f"{kind} {label}", partial(_of, value, False)),
        Row("  95% of its drop", partial(_of, drop, True)),
    )


def _interval(found: Interval | None) -> str:
    return NOT_MEASURED if found is None else interval(found)


def _shift(deployed: Deployed) -> str:
    shift = deployed.score_shift
    return NOT_MEASURED if shift is None else f"{shift.estimate:+z.3f}"


def _back(deployed: Deployed) -> str:
    """Rounded down, so that what is read here does give the recall back."""
    back = deployed.recall_threshold
    return "none" if back is None else f"{math.floor(back * 1000) / 1000:.3f}"


DEPLOYED = Section(
    "at the deploy threshold",
    (
        Row("deploy threshold", partial(_of, lambda d: f"{d.threshold:g}", False)),
        *(
            row
            for kind in ("mask", "box")
            for name in ("precision", "recall", "f1")
            for row in _figure(kind, name)
        ),
        Row("score shift, median", partial(_of, _shift, True)),
        Row("  95% interval", partial(_of, lambda d: _interval(d.score_shift), True)),
        Row("  objects compared", partial(_of, lambda d: f"{d.matched} of {d.matched_of}", True)),
        Row("threshold for recall", partial(_of, _back, True)),
    ),
)

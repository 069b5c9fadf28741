"""The rows of the report's main table: a label and the text for one column of the report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgeq.report.figures import (
    NOT_APPLICABLE,
    NOT_MEASURED,
    UNSTABLE,
    average_precision,
    interval,
    mebibytes,
    tail,
    three_digits,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeq.records.accuracy import Accuracy, Interval
    from edgeq.records.measurement import Measurement, Stage
    from edgeq.records.report import Column


@dataclass(frozen=True)
class Row:
    """One row: `cell` writes it for a column that was measured."""

    label: str
    cell: Callable[[Column], str]


@dataclass(frozen=True)
class Section:
    """Rows that belong together; written as `name` alone where none of them was measured."""

    name: str
    rows: tuple[Row, ...]


def _of_accuracy(get: Callable[[Accuracy], float | None], column: Column) -> str:
    return average_precision(get(column.accuracy)) if column.accuracy else NOT_MEASURED


def _of_measurement(get: Callable[[Measurement], str], column: Column) -> str:
    return get(column.measurement) if column.measurement else NOT_MEASURED


def _of_interval(
    get: Callable[[Column], Interval | None],
    write: Callable[[Interval], str],
    column: Column,
) -> str:
    if column.name == "float":
        return NOT_APPLICABLE
    found = get(column)
    return NOT_MEASURED if found is None else write(found)


def _estimate(found: Interval) -> str:
    return average_precision(found.estimate)


def _latency(stage: Stage, q: float, measurement: Measurement) -> str:
    return UNSTABLE if measurement.unstable else tail(measurement.samples_ns(stage), q)


def _if_stable(value: float, measurement: Measurement) -> str:
    """No figure rather than a wrong one; the raw samples are in the report's JSON all the same."""
    return UNSTABLE if measurement.unstable else three_digits(value)


def _conditions(measurement: Measurement) -> str:
    names = ["emulated"] * measurement.emulated + ["unstable"] * bool(measurement.unstable)
    return ", ".join(names) or "stable"


def _accuracy(label: str, get: Callable[[Accuracy], float | None]) -> Row:
    return Row(label, partial(_of_accuracy, get))


def _measured(label: str, get: Callable[[Measurement], str]) -> Row:
    return Row(label, partial(_of_measurement, get))


def _against_float(label: str, get: Callable[[Column], Interval | None]) -> tuple[Row, Row]:
    return (
        Row(label, partial(_of_interval, get, _estimate)),
        Row("  95% interval", partial(_of_interval, get, interval)),
    )


def _latencies(stage: Stage) -> tuple[Row, ...]:
    return tuple(_measured(f"{stage} p{q}, ms", partial(_latency, stage, q)) for q in (50, 90, 99))


SECTIONS = (
    Section(
        "accuracy",
        (
            _accuracy("mask AP", lambda accuracy: accuracy.mask.ap),
            _accuracy("  at IoU 0.50", lambda accuracy: accuracy.mask.ap50),
            _accuracy("  small", lambda accuracy: accuracy.mask.small),
            _accuracy("  medium", lambda accuracy: accuracy.mask.medium),
            _accuracy("  large", lambda accuracy: accuracy.mask.large),
            *_against_float("mask AP drop", lambda column: column.mask_ap_drop),
            _accuracy("box AP", lambda accuracy: accuracy.box.ap),
            *_against_float("box AP drop", lambda column: column.box_ap_drop),
            *_against_float("mask agreement", lambda c: c.agreement.mask if c.agreement else None),
            *_against_float("box agreement", lambda c: c.agreement.box if c.agreement else None),
        ),
    ),
    Section(
        "latency",
        (
            _measured("conditions", _conditions),
            *_latencies("inference"),
            *_latencies("preprocess"),
            *_latencies("postprocess"),
            *_latencies("frame"),
            _measured("inferences timed", lambda m: str(len(m.inference_ns))),
            _measured("throughput, 1/s", lambda m: _if_stable(m.throughput_per_s, m)),
            _measured("load, ms", lambda m: three_digits(m.load_ns / 1e6)),
        ),
    ),
    Section(
        "memory",
        (
            _measured("memory unloaded, MiB", lambda m: mebibytes(m.rss_before_load_bytes)),
            _measured("memory loaded, MiB", lambda m: mebibytes(m.rss_after_load_bytes)),
            _measured("memory peak, MiB", lambda m: mebibytes(m.peak_rss_bytes)),
        ),
    ),
    Section(
        "model size",
        (
            Row(
                "model size, MiB",
                lambda column: (
                    NOT_MEASURED if column.model_bytes is None else mebibytes(column.model_bytes)
                ),
            ),
        ),
    ),
)

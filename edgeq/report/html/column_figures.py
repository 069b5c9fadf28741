"""The figures of a column: what is shown of each, what bounds it, and why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from edgeq.records.accuracy import Interval
from edgeq.records.measurement import Stage
from edgeq.records.report import Column, Report
from edgeq.report.figures import (
    NOT_MEASURED,
    UNSTABLE,
    average_precision,
    interval,
    mebibytes,
    three_digits,
)
from edgeq.report.html.numbers import Cell
from edgeq.report.money import Costs, costs, written
from edgeq.significance import percentiles

Kind = Literal["mask", "box"]


@dataclass(frozen=True)
class Figure:
    """One figure as it is shown: `text`, and under it what bounds it; else why there is none.

    `number` is the figure itself, `most` what it is at most, `span` its own interval and `lost`
    that of what is lost against float.
    """

    text: str
    unit: str = ""
    beneath: str = ""
    is_known: bool = True
    number: float | None = None
    most: float | None = None
    span: Interval | None = None
    lost: Interval | None = None


@dataclass(frozen=True)
class FigureKind:
    """A figure that every column may have; `beneath` says what stands under it."""

    label: str
    beneath: str
    of: Callable[[Column], Figure]

    def in_column(self, column: Column | None) -> Figure:
        """That of a column, or that it was not measured at all."""
        return _none() if column is None else self.of(column)


def figure_kinds(report: Report) -> Iterator[FigureKind]:
    """What a report has figures of, in the order in which they are read."""
    lost = "lost against float (95%)"
    yield FigureKind("mask AP", lost, partial(_ap, "mask"))
    yield FigureKind("box AP", lost, partial(_ap, "box"))
    if any(column.agreement for column in report.columns):
        beneath = "AP against what float finds (95%)"
        yield FigureKind("agreement of masks", beneath, partial(_agreement, "mask"))
        yield FigureKind("agreement of boxes", beneath, partial(_agreement, "box"))
    deployed = next((column.deployed for column in report.columns if column.deployed), None)
    if deployed is not None:
        yield FigureKind(f"F1 of masks at {deployed.threshold:g}", lost, _f1)
    yield FigureKind("frame", "median; p90 is at most", partial(_latency, "frame"))
    yield FigureKind("engine", "median; p90 is at most", partial(_latency, "inference"))
    yield FigureKind("memory", "peak of the process", _memory)
    yield FigureKind("model", "the file", _size)
    yield FigureKind("energy", "an inference, idle taken off", _energy)
    if (prices := report.prices) is not None:
        for cost in costs(prices):
            yield FigureKind(cost.name, cost.per, partial(_cost, cost, prices.currency))


HEADS = ("figure", "column", "value", "unit", "low", "high", "at most", "remark")


def cells(label: str, column: str, figure: Figure) -> Iterator[tuple[Cell, ...]]:
    """A figure as rows of a table of numbers, a column for each of `HEADS`."""
    span, why = figure.span, "" if figure.is_known else f"{figure.text} {figure.beneath}".strip()
    ends = (span.low, span.high) if span else (None, None)
    yield label, column, figure.number, figure.unit, *ends, figure.most, why
    if (lost := figure.lost) is not None:
        yield f"{label} lost", column, lost.estimate, "", lost.low, lost.high, None, ""


def _none(why: str = NOT_MEASURED, beneath: str = "") -> Figure:
    return Figure(why, beneath=beneath, is_known=False)


def _ap(kind: Kind, column: Column) -> Figure:
    if column.accuracy is None:
        return _none()
    ap = column.accuracy.mask.ap if kind == "mask" else column.accuracy.box.ap
    if ap is None:
        return _none(average_precision(ap), "nothing is annotated")
    drop = column.mask_ap_drop if kind == "mask" else column.box_ap_drop
    return Figure(average_precision(ap), beneath=_drop(drop), number=ap, lost=drop)


def _agreement(kind: Kind, column: Column) -> Figure:
    if column.name == "float":
        return _none("1 by definition")
    if column.agreement is None:
        return _none()
    found = column.agreement.mask if kind == "mask" else column.agreement.box
    text, ends = average_precision(found.estimate), f"({interval(found)})"
    return Figure(text, beneath=ends, number=found.estimate, span=found)


def _drop(drop: Interval | None) -> str:
    return f"{drop.estimate:z.4f} ({interval(drop)})" if drop else ""


def _f1(column: Column) -> Figure:
    at = column.deployed.mask if column.deployed else None
    if at is None or at.f1 is None:
        return _none()
    return Figure(
        average_precision(at.f1), beneath=_drop(at.f1_drop), number=at.f1, lost=at.f1_drop
    )


def _latency(stage: Stage, column: Column) -> Figure:
    measured = column.measurement
    if measured is None or not measured.samples_ns(stage):
        return _none(beneath=column.unmeasured)
    if measured.unstable:
        return _none(UNSTABLE)
    bound_ms, median_ms = measured.bound_ms(90, stage), measured.latency_ms(50, stage)
    if bound_ms is None:
        count, needed = len(measured.inference_ns), percentiles.needed(90)
        beneath = f"p90 unresolved: {count} passes, {needed} would tell"
    else:
        beneath = f"≤ {three_digits(bound_ms)}"
    beneath += ", emulated" if measured.emulated else ""
    return Figure(three_digits(median_ms), "ms", beneath, number=median_ms, most=bound_ms)


def _memory(column: Column) -> Figure:
    measured = column.measurement
    return _none() if measured is None else _in_mebibytes(measured.peak_rss_bytes)


def _size(column: Column) -> Figure:
    return _none() if column.model_bytes is None else _in_mebibytes(column.model_bytes)


def _in_mebibytes(size_bytes: int) -> Figure:
    return Figure(mebibytes(size_bytes), "MiB", number=size_bytes / 2**20)


def _energy(column: Column) -> Figure:
    measured = column.measurement
    power = measured.power if measured else None
    if measured is None or power is None or power.energy_mj is None:
        return _none()
    if measured.unstable:
        return _none(UNSTABLE)
    if power.energy_mj <= 0:
        return _none("not resolved", "no more than when idle")
    beneath = "emulated" if measured.emulated else ""
    return Figure(three_digits(power.energy_mj), "mJ", beneath, number=power.energy_mj)


def _cost(cost: Costs, currency: str, column: Column) -> Figure:
    text, measured = written(cost, column), column.measurement
    if text in (NOT_MEASURED, UNSTABLE) or measured is None:
        return _none(text)
    return Figure(text, currency, cost.said(measured), number=cost.amount(measured))

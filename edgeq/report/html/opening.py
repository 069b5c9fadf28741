"""The head of the page: the verdict in words, then what was measured, column beside column."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from edgeq.records.accuracy import Interval
from edgeq.records.measurement import Measurement, Stage
from edgeq.records.report import Column, ColumnName, Report, Verdict
from edgeq.report.figures import (
    NOT_MEASURED,
    UNSTABLE,
    average_precision,
    gate_figure,
    interval,
    mebibytes,
    three_digits,
)
from edgeq.report.html.numbers import Numbers
from edgeq.report.money import Costs, costs, written
from edgeq.report.outcome import TITLES, Ending, outcome
from edgeq.report.terminal.report import remarks
from edgeq.significance import percentiles
from edgeq.spec.gates import all_gates

_ALWAYS = ("float", "simulated", "device")


@dataclass(frozen=True)
class Figure:
    """One figure: the number, and under it what bounds it; without a number why there is none."""

    value: str
    unit: str = ""
    beneath: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class FigureRow:
    """A figure of every column."""

    label: str
    beneath: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class GateRow:
    """A gate, its limit, what was measured, and how that went."""

    gate: str
    limit: str
    measured: str
    status: str
    reason: str


@dataclass(frozen=True)
class OpeningView:
    """What a reader sees first."""

    ending: Ending
    words: str
    sentences: tuple[str, ...]
    columns: tuple[tuple[ColumnName, str, str], ...]
    rows: tuple[FigureRow, ...]
    gates: tuple[GateRow, ...]
    remarks: tuple[tuple[str, str], ...]
    numbers: Numbers


def opening_view(report: Report) -> OpeningView:
    """The verdict, and the figures of all columns."""
    ending, words = outcome(report.verdicts)
    names = [name for name in TITLES if name in _ALWAYS or report.column(name)]
    columns = [report.column(name) for name in names]
    rows = tuple(
        FigureRow(label, beneath, tuple(_of(figure, column) for column in columns))
        for label, beneath, figure in _rows(report)
    )
    heads = ("figure", *(text for name in names for text in (TITLES[name], f"{name}: bounds")))
    cells = tuple(
        (row.label, *(cell for one in row.figures for cell in (one.value, one.beneath)))
        for row in rows
    )
    return OpeningView(
        ending=ending,
        words=words,
        sentences=tuple(_sentences(report)),
        columns=tuple(
            (name, TITLES[name], column.where if column else NOT_MEASURED)
            for name, column in zip(names, columns, strict=True)
        ),
        rows=rows,
        gates=tuple(_gate(verdict) for verdict in report.verdicts),
        remarks=tuple(remarks(report)),
        numbers=Numbers(heads, cells),
    )


def _gate(verdict: Verdict) -> GateRow:
    gate = all_gates().get(verdict.gate)
    bound = "at least" if gate and gate.at_least else "at most"
    limit = f"{bound} {gate_figure(gate, verdict.limit)}"
    measured = gate_figure(gate, verdict.measured)
    return GateRow(verdict.gate, limit, measured, verdict.status, verdict.reason)


def _sentences(report: Report) -> Iterator[str]:
    """What it comes to, for who reads no tables."""
    device = report.column("device")
    reference = report.column("float")
    if device and device.accuracy and reference and reference.accuracy and device.mask_ap_drop:
        yield _kept(device, reference.accuracy.mask.ap, device.mask_ap_drop)
    elif device:
        yield "Accuracy was not measured: the recipe evaluates no images."
    if device and device.measurement:
        yield from _speed(report, device.measurement)
    layers = report.layers_quantized + report.layers_float
    yield f"{report.layers_quantized} of {layers} layers with weights compute in int8."


def _kept(device: Column, float_ap: float | None, drop: Interval) -> str:
    ap = device.accuracy.mask.ap if device.accuracy else None
    said = f"On the device mask AP is {average_precision(ap)}, float has "
    said += f"{average_precision(float_ap)}: "
    if drop.low > 0:
        return f"{said}a loss of {drop.estimate:.4f} (95%: {interval(drop)})."
    if drop.high < 0:
        return f"{said}a gain of {-drop.estimate:.4f} (the loss, 95%: {interval(drop)})."
    return f"{said}no difference that these images can tell from chance (95%: {interval(drop)})."


def _speed(report: Report, measured: Measurement) -> Iterator[str]:
    if measured.emulated:
        yield "The device is emulated: its latency says nothing about a real one."
        return
    if measured.unstable:
        yield f"Latency could not be measured: {measured.unstable[0]}."
        return
    frame = measured.latency_ms(50, "frame") if measured.postprocess_ns else math.nan
    whole = "" if math.isnan(frame) else f"A whole frame takes {three_digits(frame)} ms, of which "
    engine = f"the engine takes {three_digits(measured.latency_ms(50))} ms (medians)"
    found = report.speedup or report.gain
    beside = "fp16" if report.speedup else "float in the same engine"
    fast = "" if found is None else f", {found.ratio:.2f} times as fast as {beside}"
    said = f"{whole}{engine}{fast}."
    yield said[0].upper() + said[1:]


def _of(figure: Callable[[Column], Figure], column: Column | None) -> Figure:
    return Figure(NOT_MEASURED, is_known=False) if column is None else figure(column)


def _rows(report: Report) -> Iterator[tuple[str, str, Callable[[Column], Figure]]]:
    yield "mask AP", "lost against float (95%)", partial(_ap, "mask")
    yield "box AP", "lost against float (95%)", partial(_ap, "box")
    if any(column.agreement for column in report.columns):
        beneath = "AP against what float finds (95%)"
        yield "agreement of masks", beneath, partial(_agreement, "mask")
        yield "agreement of boxes", beneath, partial(_agreement, "box")
    deployed = next((column.deployed for column in report.columns if column.deployed), None)
    if deployed is not None:
        yield f"F1 of masks at {deployed.threshold:g}", "lost against float (95%)", _f1
    yield "frame", "median; p90 is at most", partial(_latency, "frame")
    yield "engine", "median; p90 is at most", partial(_latency, "inference")
    yield "memory", "peak of the process", _memory
    yield "model", "the file", _size
    yield "energy", "an inference, idle taken off", _energy
    if (prices := report.prices) is not None:
        for cost in costs(prices):
            yield cost.name, cost.per, partial(_cost, cost, prices.currency)


def _cost(cost: Costs, currency: str, column: Column) -> Figure:
    text = written(cost, column)
    is_known = text not in (NOT_MEASURED, UNSTABLE)
    return Figure(text, currency if is_known else "", is_known=is_known)


def _ap(kind: str, column: Column) -> Figure:
    if column.accuracy is None:
        return Figure(NOT_MEASURED, is_known=False)
    ap = column.accuracy.mask.ap if kind == "mask" else column.accuracy.box.ap
    drop = column.mask_ap_drop if kind == "mask" else column.box_ap_drop
    return Figure(average_precision(ap), "", _drop(drop))


def _agreement(kind: Literal["mask", "box"], column: Column) -> Figure:
    if column.name == "float":
        return Figure("", beneath="1 by definition")
    if column.agreement is None:
        return Figure(NOT_MEASURED, is_known=False)
    found = column.agreement.mask if kind == "mask" else column.agreement.box
    return Figure(average_precision(found.estimate), "", f"({interval(found)})")


def _drop(drop: Interval | None) -> str:
    return f"{drop.estimate:.4f} ({interval(drop)})" if drop else ""


def _f1(column: Column) -> Figure:
    at = column.deployed.mask if column.deployed else None
    if at is None or at.f1 is None:
        return Figure(NOT_MEASURED, is_known=False)
    return Figure(average_precision(at.f1), "", _drop(at.f1_drop))


def _latency(stage: Stage, column: Column) -> Figure:
    measured = column.measurement
    if measured is None or not measured.samples_ns(stage):
        return Figure(NOT_MEASURED, is_known=False, beneath=column.unmeasured)
    if measured.unstable:
        return Figure(UNSTABLE, is_known=False)
    bound_ms = measured.bound_ms(90, stage)
    if bound_ms is None:
        count, needed = len(measured.inference_ns), percentiles.needed(90)
        beneath = f"unresolved: {count} of {needed}"
    else:
        beneath = f"≤ {three_digits(bound_ms)}"
    emulated = ", emulated" if measured.emulated else ""
    return Figure(three_digits(measured.latency_ms(50, stage)), "ms", beneath + emulated)


def _memory(column: Column) -> Figure:
    measured = column.measurement
    if measured is None:
        return Figure(NOT_MEASURED, is_known=False)
    return Figure(mebibytes(measured.peak_rss_bytes), "MiB")


def _size(column: Column) -> Figure:
    if column.model_bytes is None:
        return Figure(NOT_MEASURED, is_known=False)
    return Figure(mebibytes(column.model_bytes), "MiB")


def _energy(column: Column) -> Figure:
    power = column.measurement.power if column.measurement else None
    if power is None or power.energy_mj is None:
        return Figure(NOT_MEASURED, is_known=False)
    return Figure(three_digits(power.energy_mj), "mJ")

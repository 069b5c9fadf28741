"""The head of the page: the verdict in words, then what was measured, column beside column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgeq.records.accuracy import Interval
from edgeq.records.measurement import Measurement
from edgeq.records.report import Column, ColumnName, Report, Verdict
from edgeq.report.figures import (
    NOT_MEASURED,
    average_precision,
    counted,
    gate_figure,
    interval,
    three_digits,
)
from edgeq.report.html.column_figures import HEADS, Figure, cells, figure_kinds
from edgeq.report.html.numbers import Numbers
from edgeq.report.outcome import TITLES, Ending, outcome
from edgeq.report.speedup import is_steady
from edgeq.report.terminal.report import remarks
from edgeq.spec.gates import all_gates

_ALWAYS = ("float", "simulated", "device")


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
        FigureRow(kind.label, kind.beneath, tuple(kind.in_column(column) for column in columns))
        for kind in figure_kinds(report)
    )
    numbers = tuple(
        one
        for row in rows
        for name, figure in zip(names, row.figures, strict=True)
        for one in cells(row.label, name, figure)
    )
    return OpeningView(
        ending=ending,
        words=words + _unjudged(report),
        sentences=tuple(_sentences(report)),
        columns=tuple(
            (name, TITLES[name], column.where if column else NOT_MEASURED)
            for name, column in zip(names, columns, strict=True)
        ),
        rows=rows,
        gates=tuple(_gate(verdict) for verdict in report.verdicts),
        remarks=tuple(remarks(report)),
        numbers=Numbers(HEADS, numbers),
    )


def _gate(verdict: Verdict) -> GateRow:
    gate = all_gates().get(verdict.gate)
    bound = "at least" if gate and gate.at_least else "at most"
    limit = f"{bound} {gate_figure(gate, verdict.limit)}"
    measured = gate_figure(gate, verdict.measured)
    return GateRow(verdict.gate, limit, measured, verdict.status, verdict.reason)


def _unjudged(report: Report) -> str:
    """What the large words leave open, so that nobody takes them for more."""
    device = report.column("device")
    measured = device.measurement if device else None
    if measured is None:
        return " Latency was not measured."
    if measured.emulated:
        return " Latency was not measured: the device is emulated."
    return " Latency was not measured: it was unstable." if measured.unstable else ""


def _sentences(report: Report) -> Iterator[str]:
    """What it comes to, for who reads no tables."""
    device, reference = report.column("device"), report.column("float")
    if device and reference:
        yield _accurate(device, reference)
    if device and device.measurement:
        yield from _speed(report, device.measurement)
    layers = report.layers_quantized + report.layers_float
    verb = "computes" if layers == 1 else "compute"
    yield f"{report.layers_quantized} of {counted(layers, 'layer')} with weights {verb} in int8."


def _accurate(device: Column, reference: Column) -> str:
    if device.accuracy is None or reference.accuracy is None:
        return "Accuracy was not measured: the recipe evaluates no images."
    if "mask" in reference.doubtful:
        return f"What is lost cannot be told: {reference.doubt}."
    if device.mask_ap_drop is not None:
        return _kept(device, reference.accuracy.mask.ap, device.mask_ap_drop)
    said = "There is no AP of masks, as none is annotated in these images"
    if device.agreement is None:
        return f"{said}."
    found = device.agreement.mask
    agreed = f"agreement with what float finds is {found.estimate:.4f}"
    return f"{said}; {agreed} (95%: {interval(found)})."


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
    is_told = found is not None and is_steady(report, "fp16" if report.speedup else "float")
    fast = f", {found.ratio:.2f} times as fast as {beside}" if found and is_told else ""
    said = f"{whole}{engine}{fast}."
    yield said[0].upper() + said[1:]

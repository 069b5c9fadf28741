"""The report for a terminal: what was lost, what it costs, and what that means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.report.board import board_remarks, board_sections
from edgeq.report.deployed import DEPLOYED
from edgeq.report.figures import (
    NOT_APPLICABLE,
    NOT_MEASURED,
    UNSTABLE,
    counted,
    gate_figure,
    left_out,
    mebibytes,
    snr_by_part,
    soaked,
    streams,
)
from edgeq.report.money import money, priced
from edgeq.report.outcome import TITLES, Ending, outcome
from edgeq.report.rows import SECTIONS
from edgeq.report.speedup import explanation, frames, is_steady, worth
from edgeq.report.terminal.classes import class_table
from edgeq.spec.gates import all_gates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeq.records.report import Divergence, Report, Verdict, VerdictStatus
    from edgeq.report.rows import Section

_ALWAYS = ("float", "simulated", "device")
_STYLES: dict[Ending, str] = {
    "passed": "green",
    "failed": "bold red",
    "not judged": "yellow",
    "nothing judged": "",
}
_WORDS: dict[VerdictStatus, tuple[str, str]] = {
    "passed": ("PASS", "green"),
    "failed": ("FAIL", "bold red"),
    "not judged": ("NOT JUDGED", "bold red"),
    "unstable": ("UNSTABLE", "yellow"),
    "not measured": ("NOT MEASURED", "yellow"),
}


def render(report: Report) -> RenderableType:
    """The whole report; readable from 80 columns on and without colour."""
    parts: list[RenderableType] = [_header(report), _figures(report)]
    classes = class_table(report)
    if classes is not None:
        parts.append(classes)
    if report.verdicts:
        parts.append(_verdicts(report.verdicts))
    said = list(remarks(report))
    if said:
        parts.append(_listed(said))
    parts.append(_outcome(report.verdicts))
    return Group(parts[0], *(piece for part in parts[1:] for piece in ("", part)))


def _header(report: Report) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, value in (
        ("recipe", report.recipe),
        ("target", report.target),
        ("device", report.device),
        ("artifact", f"{report.artifact_id[:12]}, {_size(report)}"),
        *_calibrated(report),
        ("layers", f"{report.layers_quantized} int8, {report.layers_float} float"),
        *((f"{column.name} on", column.where) for column in report.columns),
    ):
        grid.add_row(label, Text(value))
    return grid


def _calibrated(report: Report) -> Iterator[tuple[str, str]]:
    if report.calibration is not None:
        yield "calibrated on", counted(report.calibration.images, "image")


def _size(report: Report) -> str:
    size = f"{mebibytes(report.artifact_bytes)} MiB"
    reference = report.column("float")
    if reference is None or not reference.model_bytes:
        return size
    share = report.artifact_bytes / reference.model_bytes
    return f"{size}, {share:.0%} of the float model's {mebibytes(reference.model_bytes)} MiB"


def _figures(report: Report) -> RenderableType:
    names = [name for name in TITLES if name in _ALWAYS or report.column(name) is not None]
    columns = [report.column(name) for name in names]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(TITLES[name], justify="right")
    for section in _sections(report):
        rows = [
            (
                row.label,
                [NOT_MEASURED if column is None else row.cell(column) for column in columns],
            )
            for row in section.rows
        ]
        if all(text in (NOT_MEASURED, NOT_APPLICABLE) for _, cells in rows for text in cells):
            rows = [(section.name, [NOT_MEASURED] * len(columns))]
        for label, cells in rows:
            table.add_row(label, *(Text(text) for text in cells))
        table.add_section()
    return table


def _sections(report: Report) -> Iterator[Section]:
    accuracy, *rest = SECTIONS
    yield accuracy
    if any(column.deployed for column in report.columns):
        yield DEPLOYED
    yield from (*rest, *board_sections(report.columns))
    if report.prices:
        yield money(report.prices)


def _verdicts(verdicts: Sequence[Verdict]) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("gate", "limit", "measured", "verdict"):
        table.add_column(title, justify="right" if title in ("limit", "measured") else "left")
        table.columns[-1].no_wrap = True
    known = all_gates()
    for verdict in verdicts:
        gate = known.get(verdict.gate)
        bound = "at least " if gate is not None and gate.at_least else "at most "
        table.add_row(
            verdict.gate,
            bound + gate_figure(gate, verdict.limit),
            gate_figure(gate, verdict.measured),
            Text(*_WORDS[verdict.status]),
        )
    return table


def remarks(report: Report) -> Iterator[tuple[str, str]]:
    """Label and text of what the figures alone do not say."""
    for reason, gates in _reasons(report.verdicts).items():
        yield ", ".join(gates), reason
    for column in report.columns:
        if column.doubt and not any(v.status == "not judged" for v in report.verdicts):
            yield column.name, column.doubt
        for reason in column.measurement.unstable if column.measurement else ():
            yield f"unstable ({column.name})", reason
        if column.measurement and column.measurement.left_out.stretches:
            yield f"left out ({column.name})", left_out(column.measurement)
        if column.measurement and column.measurement.soak:
            yield f"long run ({column.name})", soaked(column.measurement.soak)
        for run in column.measurement.streams if column.measurement else ():
            yield f"throughput ({column.name})", streams(run)
        if column.measurement and column.measurement.emulated:
            yield f"emulated ({column.name})", "these latencies say nothing about a real device"
        yield from board_remarks(column)
        if column.unmeasured:
            yield f"not measured ({column.name})", column.unmeasured
    if report.divergence is not None:
        yield "device against simulation", _divergence(report.divergence)
    if report.speedup is not None:
        found = report.speedup
        steady = is_steady(report, "fp16")
        words = f"{found.ratio:.2f} times as fast" if steady else UNSTABLE
        for sentence in (words, *((*frames(found), *explanation(found)) if steady else ())):
            yield "int8 against fp16", sentence
    if report.gain is not None:
        both = [report.column(name) for name in ("float", "device")]
        measurements = [c.measurement for c in both if c and c.measurement]
        if any(m.emulated for m in measurements):
            sentences = ["not compared: emulated"]
        elif is_steady(report, "float"):
            sentences = [*worth(report.gain), *frames(report.gain)]
        else:
            sentences = [UNSTABLE]
        for sentence in sentences:
            yield "int8 against float", sentence
    if report.prices is not None:
        yield "prices", priced(report.prices)
    for note in report.notes:
        yield "note", note


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Each reason once, with the gates it stands for; the reasons of 'unstable' come later."""
    gates: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.reason and verdict.status != "unstable":
            gates.setdefault(verdict.reason, []).append(verdict.gate)
    return gates


def _divergence(divergence: Divergence) -> str:
    parts = []
    if divergence.mask_ap is not None:
        parts.append(f"mask AP {-divergence.mask_ap:+z.4f}")
    parts += [snr_by_part(divergence.snr_db)] if divergence.snr_db else []
    if divergence.lacking:
        parts.append(f"{divergence.lacking:.1%} of the detections on one side only")
    return ", ".join(parts) or NOT_MEASURED


def _listed(said: Sequence[tuple[str, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for label, text in said:
        grid.add_row("-", Text(f"{label}: {text}"))
    return grid


def _outcome(verdicts: Sequence[Verdict]) -> Text:
    """The last line: how it ended, in words."""
    ending, words = outcome(verdicts)
    return Text(f"{ending.upper()}: {words}", style=_STYLES[ending])

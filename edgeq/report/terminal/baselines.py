"""Baselines for a terminal: one, or all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edgeq.report.figures import NOTHING, average_precision, mebibytes, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edgeq.records.baseline import KeptBaseline
    from edgeq.records.report import Report

_FIGURES = ("inference p50, ms", "peak memory, MiB", "mask AP", "size, MiB")


def one(found: KeptBaseline) -> RenderableType:
    """A baseline: its run, its figures, and where its artifact is."""
    report = found.baseline.report
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    rows = [
        ("baseline", found.baseline.name),
        ("run", f"{report.id}, {report.created_at:%Y-%m-%d %H:%M} UTC"),
        ("recipe", report.recipe),
        ("target", f"{report.target} ({report.device})"),
        ("artifact", f"{report.artifact_id[:12]}, {found.artifact}"),
        *zip(_FIGURES, _figures(report), strict=True),
        ("note", found.note),
    ]
    for label, text in rows:
        if text:
            grid.add_row(label, Text(text))
    return grid


def table(found: Sequence[KeptBaseline]) -> RenderableType:
    """All baselines, a line each."""
    if not found:
        return Text("there are no baselines; say: edgeq baseline set NAME --run ID")
    grid = Table(box=None, header_style="", pad_edge=False)
    for title in ("name", "run", "target", "device", "artifact", *_FIGURES):
        grid.add_column(title, overflow="fold")
    for kept in found:
        report = kept.baseline.report
        named = (kept.baseline.name, report.id, report.target, report.device, kept.artifact)
        grid.add_row(*map(Text, (*named, *_figures(report))))
    return grid


def _figures(report: Report) -> tuple[str, ...]:
    device = report.column("device")
    measured = device.measurement if device else None
    accuracy = device.accuracy if device else None
    latency = measured.latency_ms(50) if measured else math.nan
    return (
        NOTHING if math.isnan(latency) else three_digits(latency),
        mebibytes(measured.peak_rss_bytes) if measured else NOTHING,
        average_precision(accuracy.mask.ap if accuracy else None),
        mebibytes(report.artifact_bytes),
    )

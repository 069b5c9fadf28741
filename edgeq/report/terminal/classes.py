"""Mask AP by class: all of them where they are few, else those that lost most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from edgeq.report.figures import average_precision

if TYPE_CHECKING:
    from edgeq.records.report import Column, Report

_FEW = 10
_WORST = 5


def class_table(report: Report) -> Table | None:
    """A table of mask AP by class, None when no column was scored."""
    scored = [column for column in report.columns if column.accuracy is not None]
    if not scored:
        return None
    names = sorted({name for column in scored for name in _by_class(column)})
    drops = _drops(scored)
    if len(names) <= _FEW:
        title = "class, mask AP"
    elif drops:
        names = sorted(drops, key=lambda name: -drops[name])[:_WORST]
        title = f"class, mask AP ({len(names)} largest drops of {len(drops)})"
    else:
        return None
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title)
    for column in scored:
        table.add_column(column.name, justify="right")
    table.add_column("drop", justify="right")
    for name in names:
        cells = [average_precision(_by_class(column).get(name)) for column in scored]
        table.add_row(Text(name), *cells, average_precision(drops.get(name)))
    return table


def _by_class(column: Column) -> dict[str, float | None]:
    return column.accuracy.mask.by_class if column.accuracy else {}


def _drops(scored: list[Column]) -> dict[str, float]:
    """Float minus the column nearest to the device, of the classes annotated in both."""
    by_name = {column.name: _by_class(column) for column in scored}
    reference = by_name.get("float", {})
    other = by_name.get("device") or by_name.get("simulated") or {}
    pairs = {name: (value, other.get(name)) for name, value in reference.items()}
    return {
        name: before - after
        for name, (before, after) in pairs.items()
        if before is not None and after is not None
    }

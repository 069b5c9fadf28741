"""The figures as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figure import Figure

_HEADER = ("part", "figure", "measured", "limit", "verdict", "note")
_SIGNS = {"at most": "<=", "at least": ">="}
_DIGITS = {"x": 2, "MiB": 0, "%": 2, "dB": 1, "s": 2, "ms": 1}


def render(figures: Sequence[Figure]) -> str:
    """One line a figure, columns aligned, the part named on its first line only."""
    rows = [_HEADER]
    part = ""
    for figure in figures:
        rows.append((figure.part if figure.part != part else "", *_cells(figure)))
        part = figure.part
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    limit = figure.limit
    allowed = f"{_SIGNS[limit.kind]} {_number(limit.bound, figure.unit)}" if limit else ""
    allowed += f" ({limit.cpu})" if limit and limit.cpu else ""
    measured = "-" if figure.value is None else _number(figure.value, figure.unit)
    return figure.name, measured, allowed, figure.verdict, figure.note


def _number(value: float, unit: str) -> str:
    digits = _DIGITS.get(unit, 2)
    return f"{value:.{digits}f}" if unit == "x" else f"{value:.{digits}f} {unit}"

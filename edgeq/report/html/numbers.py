"""The numbers behind a chart or a table: to read, to hear, and to take away as CSV."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass

Cell = str | int | float | None
_SMALL = 5e-4


@dataclass(frozen=True)
class Numbers:
    """A table: the heads of its columns, and its rows."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def shown(self) -> tuple[tuple[tuple[str, bool], ...], ...]:
        """The rows as text, to four digits, each cell with whether its column is of numbers."""
        columns = zip(*self.rows, strict=True)
        numeric = [any(isinstance(cell, int | float) for cell in column) for column in columns]
        return tuple(
            tuple((_text(cell), numeric[place]) for place, cell in enumerate(row))
            for row in self.rows
        )

    @property
    def csv(self) -> str:
        """A link to the whole as CSV, every number in full."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(map(_harmless, self.heads))
        writer.writerows([[_harmless(cell) for cell in row] for row in self.rows])
        return data_link(text.getvalue(), "text/csv")


def data_link(text: str, kind: str) -> str:
    """A text as a link that holds it."""
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if not isinstance(cell, float):
        return str(cell)
    # APs beside each other, with as many decimals as the terminal has.
    return f"{cell:.4f}" if _SMALL <= abs(cell) < 1 or cell == 0 else f"{cell:.4g}"


def _harmless(cell: Cell) -> Cell:
    """A spreadsheet takes a text that begins so for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell

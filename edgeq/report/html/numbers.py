"""The numbers behind a chart or a table: to read, to hear, and to take away as CSV."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True)
class Numbers:
    """A table: the heads of its columns, and its rows."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def shown(self) -> tuple[tuple[str, ...], ...]:
        """The rows as text, to four digits."""
        return tuple(tuple(_text(cell) for cell in row) for row in self.rows)

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
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _harmless(cell: Cell) -> Cell:
    """A spreadsheet takes a text that begins so for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell

"""Rows of intervals, of mask and box beside each other: one way to quantize a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeq.report.html.drawing import DEVICE, INK, LOST, SIMULATED, Caption, Chart, draw
from edgeq.report.html.numbers import Cell, Numbers

if TYPE_CHECKING:
    from edgeq.records.accuracy import Interval

_LONGEST = 30
_KINDS = (("mask", DEVICE, "D", -0.14), ("box", SIMULATED, "s", 0.14))


@dataclass(frozen=True)
class Span:
    """A row: what it is called, and its intervals as far as they are known."""

    label: str
    mask: Interval | None
    box: Interval | None
    is_chosen: bool = False

    def of(self, kind: str) -> Interval | None:
        """The interval of a kind."""
        return self.mask if kind == "mask" else self.box


@dataclass(frozen=True)
class LimitLine:
    """A line across all rows of a kind's colour, or of none's; and what it is."""

    value: float
    label: str
    kind: str = ""


def spans_chart(
    caption: Caption, axis: str, rows: Sequence[Span], limits: Sequence[LimitLine] = ()
) -> Chart:
    """The rows from top to bottom; the chosen one's name is in bold."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for kind, colour, marker, shift in _KINDS:
            known = [
                (place + shift, one) for place, row in enumerate(rows) if (one := row.of(kind))
            ]
            for place, one in known:
                axes.hlines(place, one.low, one.high, color=colour, linewidth=1.4)
            at = [one.estimate for _, one in known], [place for place, _ in known]
            axes.plot(*at, marker, color=colour, label=kind, linestyle="none", markersize=4.5)
        for limit in limits:
            colour = {kind: hue for kind, hue, *_ in _KINDS}.get(limit.kind, LOST)
            axes.axvline(limit.value, color=colour, linestyle="--", label=limit.label, linewidth=1)
        axes.set_yticks(range(len(rows)), [shortened(row.label) for row in rows])
        for row, label in zip(rows, axes.get_yticklabels(), strict=True):
            label.set_color(INK)
            label.set_fontweight("bold" if row.is_chosen else "normal")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(axis)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(loc="outside upper left", ncols=2 + min(len(limits), 2), borderpad=0)

    return draw(caption, 1.05 + 0.24 * len(rows), paint)


def spans_numbers(first: str, rows: Sequence[Span]) -> Numbers:
    """The rows as a table: estimates, and the ends of their intervals."""
    heads = (first, *(f"{kind}{part}" for kind, *_ in _KINDS for part in ("", " low", " high")))
    return Numbers(
        heads,
        tuple(
            (row.label, *(cell for kind, *_ in _KINDS for cell in ends(row.of(kind))))
            for row in rows
        ),
    )


def ends(found: Interval | None) -> tuple[Cell, Cell, Cell]:
    """An interval as three cells of a table."""
    return (None, None, None) if found is None else (found.estimate, found.low, found.high)


def shortened(name: str, longest: int = _LONGEST) -> str:
    """A name that fits beside a chart; names differ at their ends as at their beginnings."""
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}…{name[-half:]}"

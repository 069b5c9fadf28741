"""How B stands to A, metric by metric: intervals beside what may be worse, as a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeq.errors import listed
from edgeq.report.html.drawing import FOUND, INK, LINE, LOST, SOFT, Caption, Chart, draw
from edgeq.report.html.numbers import Cell, Numbers
from edgeq.report.html.spans import shortened

if TYPE_CHECKING:
    from edgeq.records.comparison import Compared, Comparison
    from edgeq.significance.outcome import Outcome

_STROKES: dict[Outcome, tuple[str, str]] = {
    "worse": (LOST, "X"),
    "better": (FOUND, "o"),
    "same": (INK, "s"),
    "cannot tell": (SOFT, "^"),
}
_NAMED = 4
_FAR = 10
"""Times the widest limit: from there on the limits would be too narrow to be seen."""


@dataclass(frozen=True)
class ForestRow:
    """One metric on one board; everything in percent, or in points of AP."""

    label: str
    board: str
    metric: str
    low: float
    estimate: float
    high: float
    limit: float
    outcome: Outcome


def forest_charts(boards: Sequence[Comparison]) -> tuple[Chart, ...]:
    """Costs in percent of A, and AP in its own unit; no chart of what could not be compared."""
    metrics = list(dict.fromkeys(one.metric for board in boards for one in board.metrics))
    found = [
        (one.unit == "AP", _row(board, one, len(boards) > 1))
        for metric in metrics
        for board in boards
        for one in board.metrics
        if one.metric == metric and one.change is not None
    ]
    costs = [row for is_ap, row in found if not is_ap]
    points = [row for is_ap, row in found if is_ap]
    charts = []
    if costs:
        charts.append(_forest("costs", "Time, memory, energy, size", "% of A", costs, False))
    if points:
        charts.append(_forest("points", "Accuracy", "AP", points, True))
    return tuple(charts)


def _row(board: Comparison, one: Compared, is_one_of_many: bool) -> ForestRow:
    assert one.change is not None
    factor = 1.0 if one.unit == "AP" else 100.0
    return ForestRow(
        label=f"{one.metric}, {board.device}" if is_one_of_many else one.metric,
        board=board.device,
        metric=one.metric,
        low=factor * one.change.low,
        estimate=factor * one.change.estimate,
        high=factor * one.change.high,
        limit=factor * one.limit,
        outcome=one.outcome,
    )


def _forest(
    name: str, title: str, unit: str, rows: Sequence[ForestRow], is_lower_worse: bool
) -> Chart:
    """In all of them worse is to the right; a bar behind each is within its limit."""
    widest = max(row.limit for row in rows)
    farthest = max(abs(end) for row in rows for end in (row.low, row.high))
    is_far = widest > 0 and farthest > _FAR * widest
    turned = " The axis is turned round, so that worse is to the right here too." * is_lower_worse
    far = " Beyond the limits the scale is logarithmic." * is_far
    said = "; ".join(
        f"{outcome}: {listed(named, _NAMED)}"
        for outcome in _STROKES
        if (named := [row.label for row in rows if row.outcome == outcome])
    )
    caption = Caption(
        name=f"forest-{name}",
        title=title,
        description="B against A, with the interval that the verdict goes by. Within the bar a "
        "change counts as none; worse is to the right of it."
        f"{turned}{far} {said[:1].upper()}{said[1:]}.",
        numbers=_numbers(unit, rows),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        shown: set[Outcome] = set()
        for place, row in enumerate(rows):
            axes.barh(place, 2 * row.limit, left=-row.limit, height=0.62, color=LINE, alpha=0.55)
            colour, marker = _STROKES[row.outcome]
            label = None if row.outcome in shown else row.outcome
            shown.add(row.outcome)
            axes.hlines(place, row.low, row.high, color=colour, linewidth=1.8)
            axes.plot([row.estimate], [place], marker, color=colour, label=label, markersize=6)
        axes.axvline(0, color=INK, linewidth=0.8)
        if is_far:
            axes.set_xscale("symlog", linthresh=2 * widest)
        reach = 1.12 * max(farthest, widest)
        axes.set_xlim(*((reach, -reach) if is_lower_worse else (-reach, reach)))
        axes.set_yticks(range(len(rows)), [shortened(row.label) for row in rows])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(f"B against A, {unit}; to the right worse")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(loc="outside upper left", ncols=4, borderpad=0)

    return draw(caption, 1.05 + 0.34 * len(rows), paint)


def _numbers(unit: str, rows: Sequence[ForestRow]) -> Numbers:
    heads = ("metric", "board", f"change, {unit}", "low", "high", "limit", "B is")
    cells: tuple[tuple[Cell, ...], ...] = tuple(
        (row.metric, row.board, row.estimate, row.low, row.high, row.limit, row.outcome)
        for row in rows
    )
    return Numbers(heads, cells)

"""The history of a recipe on a board, for a terminal."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.report.figures import (
    NOTHING,
    average_precision,
    counted,
    mebibytes,
    three_digits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgeq.records.history import History, HistoryUnit, Series

_WRITTEN: dict[HistoryUnit, tuple[str, Callable[[float], str]]] = {
    "ms": (", ms", three_digits),
    "bytes": (", MiB", mebibytes),
    "AP": ("", average_precision),
}
_LATEST = 5
_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 40


def render(found: History) -> RenderableType:
    """A line for each figure, and under it what changed where."""
    where = f"{found.recipe} for {found.target} on {found.device}"
    head = Text(f"{where}: {counted(found.runs, 'run')}")
    table = Table(box=None, header_style="", pad_edge=False)
    for title in ("", "runs", f"median of the last {_LATEST}", "changes", "oldest to newest"):
        table.add_column(title, no_wrap=True)
    for one in found.series:
        unit, write = _WRITTEN[one.unit]
        last = write(median(one.values[-_LATEST:])) if one.values else NOTHING
        words = (one.metric + unit, str(len(one.values)), last, str(len(one.changes)))
        table.add_row(*map(Text, (*words, bars(one.values))))
    lines = [f"newest runs: {', '.join(_newest(found))}"] if found.series else []
    lines += [line for one in found.series for line in _changes(one)]
    few = {one.note for one in found.series if one.note}
    if found.emulated:
        lines.append("emulated: these times say nothing about a real device")
    return Group(head, Text(), table, Text(), *map(Text, (*lines, *sorted(few), *found.notes)))


def _newest(found: History) -> Sequence[str]:
    """The ids of the last runs, which `edgeq report` and baselines ask for."""
    every = max((one.runs for one in found.series), key=len)
    return every[: -_LATEST - 1 : -1]


def bars(values: Sequence[float]) -> str:
    """The newest values as a row of bars, from the lowest to the highest of them."""
    shown = values[-_WIDEST:]
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    if span == 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in shown)


def _changes(one: Series) -> Iterator[str]:
    unit, write = _WRITTEN[one.unit]
    for change in one.changes:
        yield (
            f"{one.metric}{unit}: {write(change.before)} to {write(change.after)} from run "
            f"{change.run} on, {change.created_at:%Y-%m-%d %H:%M} UTC (chance {change.p:.2g})"
        )
        for difference in change.differs:
            yield f"  {difference}"
        if not change.differs:
            yield "  nothing that edgeq knows of is different"

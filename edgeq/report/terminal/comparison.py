"""A comparison for a terminal: both figures of each metric, the change, and what that says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.report.figures import average_precision, mebibytes, three_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeq.records.comparison import Change, Compared, Comparison
    from edgeq.significance.outcome import Outcome

_WORDS: dict[Outcome, tuple[str, str]] = {
    "better": ("BETTER", "green"),
    "worse": ("WORSE", "bold red"),
    "same": ("SAME", ""),
    "cannot tell": ("CANNOT TELL", "yellow"),
}
_WRITTEN: dict[str, tuple[str, Callable[[float], str]]] = {
    "ms": (", ms", three_digits),
    "bytes": (", MiB", mebibytes),
    "mJ": (", mJ", three_digits),
    "AP": ("", average_precision),
}


def render(found: Comparison) -> RenderableType:
    """The whole comparison; readable from 80 columns on and without colour."""
    parts: list[RenderableType] = [_header(found), _table(found)]
    remarks = list(_remarks(found))
    if remarks:
        grid = Table.grid(padding=(0, 1))
        for remark in remarks:
            grid.add_row("-", Text(remark))
        parts.append(grid)
    parts.append(_last_line(found))
    return Group(parts[0], *(piece for part in parts[1:] for piece in ("", part)))


def change_text(one: Compared) -> tuple[str, str]:
    """The change of a metric and its interval, in percent or in AP; of an exact one no interval."""
    if one.change is None:
        return "-", ""
    change = one.change
    write = _points if one.unit == "AP" else _percent
    if change.low == change.high:
        return write(change.estimate), "exact"
    return write(change.estimate), f"{write(change.low)} to {write(change.high)}"


def title_text(one: Compared) -> str:
    """A metric with its unit."""
    return one.metric + _WRITTEN[one.unit][0]


def figure_text(one: Compared, value: float | None) -> str:
    """A figure of one side in its unit."""
    return "-" if value is None else _WRITTEN[one.unit][1](value)


def limit_text(one: Compared) -> str:
    """How much worse B may be."""
    return f"-{one.limit:g}" if one.unit == "AP" else f"+{one.limit:.1%}"


def interval_title(found: Comparison) -> str:
    """What heads the column of intervals."""
    sure: list[Change] = [one.change for one in found.metrics if one.change is not None]
    return f"{sure[0].confidence:.0%} interval" if sure else "interval"


def _percent(value: float) -> str:
    return f"{value:+z.1%}"  # z: what is rounded to zero is not below it


def _points(value: float) -> str:
    return f"{value:+z.4f}"


def _header(found: Comparison) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, side in (("A", found.a), ("B", found.b)):
        what = side.artifact_id[:12]
        named = "" if side.named == what else f"{side.named}, "
        grid.add_row(label, Text(f"{named}{what}, {side.engine}"))
    grid.add_row("target", Text(found.target))
    grid.add_row("device", Text(found.device))
    much = f"{found.pairs} pairs of inferences in {found.measured_s:.0f} s"
    grid.add_row("measured", Text(f"{much}, both loaded {found.reloads} times"))
    return grid


def _table(found: Comparison) -> RenderableType:
    # One column apart: an interval of AP and its verdict leave no more of 80.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("", no_wrap=True)
    for title in ("A", "B", "B to A", interval_title(found), "limit"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for one in found.metrics:
        figures = [figure_text(one, value) for value in (one.a, one.b)]
        words = (title_text(one), *figures, *change_text(one), limit_text(one))
        table.add_row(*words, Text(*_WORDS[one.outcome]))
    return table


def _remarks(found: Comparison) -> Iterator[str]:
    for one in found.metrics:
        if one.reason:
            yield f"{one.metric}: {one.reason}"
    if found.emulated:
        yield "emulated: these times say nothing about a real device"
    if found.agreed:
        yield found.agreed
    yield from found.differences
    yield from found.notes


def _last_line(found: Comparison) -> Text:
    words = []
    for outcome in ("worse", "cannot tell", "better", "same"):
        named = [one.metric for one in found.metrics if one.outcome == outcome]
        if named:
            words.append(f"{_WORDS[outcome][0]} {', '.join(named)}")
    return Text("B: " + "; ".join(words) + ".")

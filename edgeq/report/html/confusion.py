"""What is taken for what: the confusion of masks, whole where the classes are few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgeq.records.insight import ColumnInsight, Insight
from edgeq.report.html.numbers import Numbers

_MOST_CLASSES = 12
_MOST_ROWS = 15
Shade = Literal["right", "wrong", "unshaded"]


@dataclass(frozen=True)
class ConfusionCell:
    """How often, of how many of that row in tenths, and how much more often than in float.

    What is right, what is wrong and what is no share of instances are of a `shade` each.
    """

    count: int
    tenths: int
    more: int
    shade: Shade


@dataclass(frozen=True)
class ConfusionRow:
    """What became of the instances of one class."""

    name: str
    cells: tuple[ConfusionCell, ...]


@dataclass(frozen=True)
class ConfusionView:
    """The matrix where the classes are few, and what is mistaken most often in any case."""

    names: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]
    numbers: Numbers
    most: Numbers


def confusion_view(insight: Insight, device: ColumnInsight) -> ConfusionView:
    """Of the device, beside the reference."""
    both = insight.reference, device
    background = _background(both)
    before, after = (_counts(column, background) for column in both)
    pairs = sorted({*before, *after})
    order = [one.name for one in insight.reference.mask.by_class]
    found = {name for pair in pairs for name in pair}
    names = [name for name in order if name in found]
    names += [*sorted(found - {*names, background}), background]
    numbers = Numbers(
        ("annotated", "found as", "float", "device"),
        tuple((*pair, before.get(pair, 0), after.get(pair, 0)) for pair in pairs),
    )
    wrong = sorted(
        (pair for pair in pairs if pair[0] != pair[1]),
        key=lambda pair: (-abs(after.get(pair, 0) - before.get(pair, 0)), -after.get(pair, 0)),
    )
    most = Numbers(
        ("annotated", "found as", "float", "device", "change"),
        tuple(
            (*pair, old, new, f"{new - old:+d}")
            for pair in wrong[:_MOST_ROWS]
            for old, new in [(before.get(pair, 0), after.get(pair, 0))]
        ),
    )
    if len(names) > _MOST_CLASSES + 1:
        return ConfusionView((), (), numbers, most)
    rows = []
    for annotated in names:
        counts = {name: after.get((annotated, name), 0) for name in names}
        total = sum(counts.values()) or 1
        cells = []
        for name, count in counts.items():
            shade: Shade = "right" if name == annotated else "wrong"
            if annotated == background:
                shade = "unshaded"
            more = count - before.get((annotated, name), 0)
            cells.append(ConfusionCell(count, round(10 * count / total), more, shade))
        rows.append(ConfusionRow(annotated, tuple(cells)))
    return ConfusionView(tuple(names), tuple(rows), numbers, most)


def _background(columns: Iterable[ColumnInsight]) -> str:
    """What is not annotated, or not found, by a name that no class has."""
    pairs = [(one.annotated, one.found) for column in columns for one in column.confusion]
    name = "(background)"
    while any(name in pair for pair in pairs):
        name = f"({name})"
    return name


def _counts(column: ColumnInsight, background: str) -> dict[tuple[str, str], int]:
    def named(category: str | None) -> str:
        return background if category is None else category

    return {(named(one.annotated), named(one.found)): one.count for one in column.confusion}

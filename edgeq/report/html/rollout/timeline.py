"""Waves on a time line, from the events of a roll-out."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeq.records.rollout import AGAINST
from edgeq.report.html.drawing import FOUND, INK, LINE, LOST, SIMULATED, SOFT, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers

if TYPE_CHECKING:
    from edgeq.records.rollout import RolloutEvent, RolloutStatus

_MOST_POINTS = 150
_MOST_MARKS = 6
_NEAR = 0.15
"""Of the whole time: words for what is nearer lie over each other."""
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Standing:
    """How many devices of a wave had come how far at a time, in seconds from the beginning."""

    at_s: float
    healthy: int
    bad: int
    troubled: int


def standings(found: RolloutStatus, events: Sequence[RolloutEvent], wave: int) -> list[Standing]:
    """From the first event of a wave to the last one."""
    kinds: dict[str, str] = {}
    counts: Counter[str] = Counter()
    told = []
    for event in sorted(events, key=lambda one: one.at):
        if event.device is None or event.wave != wave:
            continue
        kind = _kind(event)
        counts[kinds.get(event.device, "")] -= 1
        counts[kind] += 1
        kinds[event.device] = kind
        told.append(Standing(_seconds(found, event.at), *(counts[one] for one in _KINDS)))
    return told


_KINDS = ("healthy", "bad", "troubled")


def _kind(event: RolloutEvent) -> str:
    if event.state == "healthy":
        return "healthy"
    if event.failure in AGAINST and event.state in ("failed", "rolling back", "rolled back"):
        return "bad"
    return "troubled" if event.state in ("failed", "deferred", "rolled back") else ""


def timeline_chart(found: RolloutStatus, events: Sequence[RolloutEvent]) -> Chart | None:
    """How the devices of each wave came along; None where nothing happened yet."""
    all_told = [standings(found, events, n) for n in range(len(found.waves))]
    waves = [(n, name, _thinned(all_told[n])) for n, name in enumerate(found.waves)]
    begun = [(n, name, told) for n, name, told in waves if told]
    if not begun:
        return None
    sizes = {n: sum(one.wave == n for one in found.devices) for n, _, _ in begun}
    whole = [event for event in events if event.device is None]
    last_s = max(_seconds(found, event.at) for event in events)
    unit, factor = _unit(last_s)
    rows = tuple(
        (name, one.at_s * factor, one.healthy, one.bad, one.troubled)
        for _, name, told in begun
        for one in told
    )
    ends = "; ".join(f"{name}: {told[-1].healthy} of {sizes[n]}" for n, name, told in begun)
    marks = _marks(whole)
    said = ", ".join(
        f"{event.state} at {_seconds(found, event.at) * factor:.3g}" for event in marks
    )
    caption = Caption(
        name="timeline",
        title="Waves on a time line",
        description="Each band is a wave, from its first event to its last, and as high as all of "
        f"its devices. It fills as they are healthy ({ends}); bad ones lie on top of those, then "
        f"those in trouble. The roll-out in {unit}: {said or 'nothing else was told of it'}.",
        numbers=Numbers(("wave", unit, *_KINDS), rows),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, (n, _, told) in enumerate(begun):
            floor, size = place + 0.4, max(1, sizes[n])
            at = [one.at_s * factor for one in told]
            span = max(told[-1].at_s - told[0].at_s, 0.004 * last_s) * factor
            axes.barh(place, span, left=at[0], height=0.8, color=LINE, alpha=0.45)
            below = [0.0] * len(at)
            for kind, colour in zip(_KINDS, (FOUND, LOST, SIMULATED), strict=True):
                is_there = any(getattr(one, kind) for *_, rest in begun for one in rest)
                label = kind if place == 0 and is_there else None
                above = [
                    level + 0.8 * getattr(one, kind) / size
                    for level, one in zip(below, told, strict=True)
                ]
                low, high = ([floor - level for level in levels] for levels in (below, above))
                axes.fill_between(
                    [*at, last_s * factor],
                    [*low, low[-1]],
                    [*high, high[-1]],
                    step="post",
                    color=colour,
                    alpha=0.75,
                    linewidth=0,
                    label=label,
                )
                below = above
        for at_s, words in _beside(found, marks, last_s):
            axes.axvline(at_s * factor, color=SOFT, linestyle=":", linewidth=1)
            axes.annotate(
                words,
                (at_s * factor, -0.6),
                (0, 3),
                textcoords="offset points",
                annotation_clip=False,
                ha="right" if at_s > last_s / 2 else "left",
                color=INK,
                fontsize=8,
            )
        axes.set_yticks(range(len(begun)), [name for _, name, _ in begun])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.set_ylim(len(begun) - 0.4, -0.6)
        axes.set_xlim(0, max(last_s * factor * 1.02, 1e-9))
        axes.set_xlabel(f"{unit} since it was begun")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside upper left", ncols=len(_KINDS), borderpad=0)

    return draw(caption, 1.2 + 0.62 * len(begun), paint)


def _marks(whole: Sequence[RolloutEvent]) -> list[RolloutEvent]:
    """What was told of the whole, as far as it changed; the last of many."""
    changed = [
        event
        for before, event in zip((None, *whole), whole, strict=False)
        if before is None or before.state != event.state
    ]
    return changed[-_MOST_MARKS:]


def _beside(
    found: RolloutStatus, marks: Sequence[RolloutEvent], last_s: float
) -> list[tuple[float, str]]:
    """When, and the words for it: those that would lie over each other are one."""
    groups: list[tuple[float, str]] = []
    for event in marks:
        at_s = _seconds(found, event.at)
        if groups and at_s - groups[-1][0] < _NEAR * last_s:
            groups[-1] = groups[-1][0], f"{groups[-1][1]}, {event.state}"
        else:
            groups.append((at_s, event.state))
    return groups


def _thinned(told: Sequence[Standing]) -> list[Standing]:
    """So many that a chart of thousands of devices is no larger than one of a few."""
    step = max(1, -(-len(told) // _MOST_POINTS))
    kept = list(told[::step])
    return kept if not told or kept[-1] is told[-1] else [*kept, told[-1]]


def _seconds(found: RolloutStatus, at: datetime.datetime) -> float:
    return max(0.0, (at - found.created_at).total_seconds())


def _unit(seconds: float) -> tuple[str, float]:
    if seconds > 2 * _HOUR_S:
        return "hours", 1 / _HOUR_S
    return ("minutes", 1 / 60) if seconds > 120 else ("seconds", 1.0)

"""The devices of a roll-out: how many are in which state, what it costs them, who is far off."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from edgeq.errors import listed
from edgeq.records.rollout import DEVICE_STATES, WORKING
from edgeq.report.html.drawing import (
    CHANGED,
    DEVICE,
    FOUND,
    INK,
    LINE,
    LOST,
    SIMULATED,
    SOFT,
    Caption,
    Chart,
    draw,
)
from edgeq.report.html.numbers import Cell, Numbers
from edgeq.significance.outliers import outliers

if TYPE_CHECKING:
    from edgeq.records.rollout import DeviceProgress, DeviceState, RolloutStatus

_COLOURS: dict[str, str] = {
    "healthy": FOUND,
    "failed": LOST,
    "rolled back": CHANGED,
    "deferred": SIMULATED,
    "soaking": DEVICE,
    "at work": SOFT,
    "pending": LINE,
}
_LEGIBLE = 0.07
_DOTS = ((False, SOFT, "o"), (True, LOST, "X"))
_MOST_DOTS = 200
_NAMED = 4
_WHICH = 8
_ADDRESS = re.compile(r"^\S+@\S+: ")
_UNITS = r"%|(?:ms|s|[KMG]iB|[kMG]B|bytes|C|dB|mJ|m?W|[kMG]?Hz|frames|images|of)\b"
_FIGURE = rf"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?= ?(?:{_UNITS}))"
_OF_ONE_DEVICE = re.compile(rf"{_ADDRESS.pattern}|\b[0-9a-f]{{12,64}}\b|{_FIGURE}")
"""What is another one for each device: figures, but no gate, status or version."""


@dataclass(frozen=True)
class FarDevice:
    """A device whose change lies far from the others'."""

    device: str
    wave: str
    metric: str
    change: float


def states_chart(found: RolloutStatus) -> Chart:
    """A bar for each wave, of its devices by state."""
    exact = [
        Counter(one.state for one in found.devices if one.wave == wave)
        for wave in range(len(found.waves))
    ]
    counts = [_grouped(states) for states in exact]
    shown = [name for name in _COLOURS if any(count[name] for count in counts)]
    said = "; ".join(
        f"{wave}: {', '.join(f'{count[name]} {name}' for name in shown if count[name])}"
        for wave, count in zip(found.waves, counts, strict=True)
    )
    caption = Caption(
        name="states",
        title="Devices by wave and state",
        description=f"{said}.",
        numbers=Numbers(
            ("wave", *DEVICE_STATES),
            tuple(
                (wave, *(states[state] for state in DEVICE_STATES))
                for wave, states in zip(found.waves, exact, strict=True)
            ),
        ),
    )
    most = max((sum(count.values()) for count in counts), default=1)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        left = [0] * len(counts)
        for name in shown:
            widths = [count[name] for count in counts]
            axes.barh(
                range(len(counts)), widths, left=left, height=0.5, color=_COLOURS[name], label=name
            )
            for place, width in enumerate(widths):
                if width > _LEGIBLE * most:
                    at = (left[place] + width / 2, place - 0.29)
                    axes.annotate(str(width), at, ha="center", color=INK, fontsize=8.5)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(counts)), found.waves)
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.set_ylim(len(counts) - 0.4, -0.7)
        axes.set_xlabel("devices")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(length=0)
        if shown:
            figure.legend(loc="outside upper left", ncols=4, borderpad=0)

    return draw(caption, 1.25 + 0.5 * len(counts), paint)


def changes_chart(found: RolloutStatus) -> Chart | None:
    """What the release costs against the one before, device by device; None where not measured."""
    changes = _changes(found)
    if not changes:
        return None
    far = far_devices(found)
    said = ", ".join(
        f"{metric} {median(one for _, one in known):+z.1f}%" for metric, known in changes.items()
    )
    who = list(dict.fromkeys(one.device for one in far))
    names = f" Far from the others: {listed(who, _NAMED)}." if who else ""
    is_each = len(found.devices) <= _MOST_DOTS
    each = "Each mark is a device" if is_each else "The marks are devices far from the others"
    caption = Caption(
        name="changes",
        title="What it costs against the release before",
        description=f"{each}, in percent of what it took before; thick where half of all lie, and "
        f"the median: {said}.{names}",
        numbers=Numbers(
            ("metric", "devices", "least, %", "a quarter, %", "median, %", "three, %", "most, %"),
            tuple((metric, len(known), *_spread(known)) for metric, known in changes.items()),
        ),
    )
    named = {(one.metric, one.device) for one in far}

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, (metric, known) in enumerate(changes.items()):
            least, low, middle, high, most = _spread(known)
            axes.hlines(place + 0.2, least, most, color=DEVICE, linewidth=1)
            axes.hlines(place + 0.2, low, high, color=DEVICE, linewidth=5)
            axes.plot([middle], [place + 0.2], "D", color=INK, markersize=5)
            for is_far, colour, marker in _DOTS[not is_each :]:
                dots = [one for name, one in known if ((metric, name) in named) == is_far]
                # Those that lie together stand above each other.
                heights = [place - 0.06 - 0.05 * (n % 5) for n in range(len(dots))]
                axes.plot(dots, heights, marker, color=colour, markersize=4.5, alpha=0.7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(changes)), list(changes))
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.set_ylim(len(changes) - 0.4, -0.6)
        axes.set_xlabel("% more than with the release before")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)

    return draw(caption, 0.8 + 0.62 * len(changes), paint)


def far_devices(found: RolloutStatus) -> tuple[FarDevice, ...]:
    """Those whose change lies far from the others', the farthest first."""
    waves = {one.device: found.waves[one.wave] for one in found.devices}
    far = [
        FarDevice(known[at][0], waves[known[at][0]], metric, known[at][1])
        for metric, known in _changes(found).items()
        for at in outliers([one for _, one in known])
    ]
    return tuple(sorted(far, key=lambda one: -abs(one.change)))


def failures(found: RolloutStatus) -> Numbers:
    """Every reason with how many devices have it, what speaks against the release first.

    Reasons that differ in figures, addresses and ids are one, told as the first device has it.
    """
    by_reason: dict[tuple[bool, str, str, str], list[DeviceProgress]] = defaultdict(list)
    for one in found.devices:
        if one.reason:
            about = _OF_ONE_DEVICE.sub("", one.reason)
            by_reason[not one.is_bad, one.failure or "", one.state, about].append(one)
    rows: list[tuple[Cell, ...]] = [
        (
            _ADDRESS.sub("", same[0].reason),
            kind or "-",
            state,
            len(same),
            listed([one.device for one in same], _WHICH),
        )
        for (_, kind, state, _), same in sorted(
            by_reason.items(), key=lambda item: (item[0][0], -len(item[1]), item[0])
        )
    ]
    heads = ("reason, as the first has it", "says something of", "state", "devices", "which")
    return Numbers(heads, tuple(rows))


def _changes(found: RolloutStatus) -> dict[str, list[tuple[str, float]]]:
    """Percent by metric, device by device."""
    changes: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for one in found.devices:
        for metric, loss in one.losses.items():
            changes[metric].append((one.device, 100 * expm1(loss)))
    return dict(changes)


def _spread(known: Sequence[tuple[str, float]]) -> tuple[float, ...]:
    """Least, a quarter, the median, three quarters, most."""
    values = sorted(one for _, one in known)
    inner = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return (values[0], *inner, values[-1])


def _grouped(states: Counter[DeviceState]) -> Counter[str]:
    """The states in which something is done to a device are one."""
    groups: Counter[str] = Counter()
    for state, count in states.items():
        groups["at work" if state in WORKING else state] += count
    return groups

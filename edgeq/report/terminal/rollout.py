"""Roll-outs for a terminal: the plan, an event, how one stands, the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import expm1
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.errors import listed
from edgeq.records.rollout import DEVICE_STATES

if TYPE_CHECKING:
    from edgeq.records.rollout import DeviceProgress, RolloutEvent, RolloutPlan, RolloutStatus

_NAMED = 6


def render(found: RolloutPlan) -> RenderableType:
    """Who goes when, then what is found when, then what is not."""
    waves = Table(box=None, header_style="", pad_edge=False)
    for title in ("", "devices", "in all", "who"):
        waves.add_column(title, justify="left" if title in ("", "who") else "right")
    for wave in found.waves:
        who = listed(wave.devices, _NAMED)
        waves.add_row(*map(Text, (wave.name, str(len(wave.devices)), str(wave.boards), who)))
    table = Table(box=None, header_style="", pad_edge=False)
    titles = (
        "spoilt",
        "in the canary",
        *(f"stopped by end of {wave.name}" for wave in found.waves),
    )
    for title in (*titles, "devices that have it then"):
        table.add_column(title, justify="right")
    for one in found.odds:
        median = "goes on" if one.median_boards is None else str(one.median_boards)
        figures = map(percent, (one.seen_by_canary, *one.stopped_by))
        table.add_row(*map(Text, (percent(one.bad_share), *figures, median)))
    lines = (
        f"Where {percent(found.tolerated)} of the devices are bad for reasons of their own, it is "
        f"stopped with a probability of {percent(found.false_stops)}.",
        "spoilt: devices that a release makes worse; in the canary: the probability that one of "
        "them is there; devices that have it when it is stopped: at the median.",
    )
    return Group(waves, Text(), table, Text(), *map(Text, lines))


def percent(share: float) -> str:
    """A probability or share, where what is nearly all or nothing is not said to be it."""
    if 0 < share < 0.001:
        return "<.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{share * 100:.3g}%"


def event_text(event: RolloutEvent) -> str:
    """One line: when, who, what, why."""
    who = event.device or "roll-out"
    failure = f" ({event.failure})" if event.failure else ""
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.at:%H:%M:%S} {who}: {event.state}{failure}{reason}"


def list_text(found: Sequence[RolloutStatus]) -> RenderableType:
    """Roll-outs, a line each."""
    if not found:
        return Text("there are no roll-outs in the store")
    table = Table("id", "begun, UTC", "state", "recipe", "fleet", box=None, header_style="")
    for one in found:
        begun = f"{one.created_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(Text, (one.id, begun, one.state, one.recipe, one.fleet)))
    return table


def status_text(found: RolloutStatus) -> RenderableType:
    """How it stands: devices by wave and state, what it costs them, who is bad or in trouble."""
    states = [state for state in DEVICE_STATES if any(d.state == state for d in found.devices)]
    beside = [f"{name}, to the one before" for name in _TIMES]
    table = Table("", *states, *beside, box=None, header_style="", pad_edge=False)
    for number, wave in enumerate(found.waves):
        devices = [device for device in found.devices if device.wave == number]
        counts = Counter(device.state for device in devices)
        cells = [str(counts[state] or "-") for state in states]
        table.add_row(*map(Text, (wave, *cells, *(_spread(devices, m) for m in _TIMES))))
    lines = [f"{found.state}: {found.reason}" if found.reason else found.state]
    return Group(_head(found), table, *map(Text, (*_troubled(found), *lines)))


_TIMES = ("inference", "frame")


def _head(found: RolloutStatus) -> RenderableType:
    lines = [f"roll-out {found.id} of {found.recipe} to {found.fleet}"]
    if found.held is not None:
        since = f"{found.held.since:%Y-%m-%d %H:%M:%S}"
        until = f"{found.held.until:%H:%M:%S}"
        lines.append(f"{found.held.by}, since {since} UTC, heard of until {until}")
    return Group(*map(Text, lines))


def _spread(devices: Sequence[DeviceProgress], metric: str) -> str:
    """How much more it takes than the release before: median, and from the least to the most."""
    found = sorted(expm1(device.losses[metric]) for device in devices if metric in device.losses)
    if not found:
        return "not measured"
    return f"{median(found):+z.1%} ({found[0]:+z.1%} to {found[-1]:+z.1%})"


def _troubled(found: RolloutStatus) -> Iterator[str]:
    """Devices with a reason, those first that speak against the release."""
    named = [device for device in found.devices if device.reason]
    named.sort(key=lambda device: not device.is_bad)
    for device in named[:_NAMED_FAILURES]:
        kind = f" ({device.failure})" if device.failure else ""
        yield f"{device.device}: {device.state}{kind}: {device.reason}"
    if len(named) > _NAMED_FAILURES:
        yield f"and {len(named) - _NAMED_FAILURES} more"


_NAMED_FAILURES = 20

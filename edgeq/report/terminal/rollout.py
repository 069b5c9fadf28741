"""The plan of a roll-out, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.errors import listed

if TYPE_CHECKING:
    from edgeq.records.rollout import RolloutPlan

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

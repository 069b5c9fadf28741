"""Power on the board's rails, and the energy of one inference."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from ..system.reading import Reader
from .rails import Meter, Rails, ina3221, total_rails
from .sampling import Point, mean_over_time
from .tegrastats import tegrastats

IDLE_S = 2.0
MIN_READABLE = 0.9
TOO_FEW = "the rails could not be read all the while"

Looks = Sequence["tuple[int, Rails]"]


class PowerUse(NamedTuple):
    """Means over the timed part, in mW, and the energy of one inference, in mJ.

    `total_mw` is the sum of `total_rails`, `idle_mw` the same before the engine was loaded.
    `energy_mj` is what the inferences add to that: (total - idle) * duration / inferences;
    `energy_with_idle_mj` is total * duration / inferences. None where a part of it is not known.
    """

    source: str
    rails_mw: dict[str, float]
    total_rails: tuple[str, ...]
    total_mw: float | None
    idle_mw: float | None
    energy_mj: float | None
    energy_with_idle_mj: float | None
    samples: int


def find_meter(reader: Reader) -> Meter | None:
    """What measures power here; None, with a note named 'power', where nothing does."""
    return ina3221(reader) or tegrastats(reader)


def power(
    source: str, idle: Looks, timed: Looks, duration_ns: int, inferences: int
) -> PowerUse | None:
    """The power during the timed part of `duration_ns`, against that of idle looks.

    None when the rails could not be read in a tenth of the looks or more.
    """
    idle, read = _readable(idle), _readable(timed)
    if not read or not inferences or len(read) <= MIN_READABLE * len(timed):
        return None
    names = [name for name in read[0][1] if all(name in rails for _, rails in read)]
    total = total_rails(names)
    total_mw, idle_mw = _mean_mw(read, total), _mean_mw(idle, total)
    added_mw = None if total_mw is None or idle_mw is None else total_mw - idle_mw
    return PowerUse(
        source=source,
        rails_mw={name: _mean_mw(read, (name,)) or 0.0 for name in names},
        total_rails=total,
        total_mw=total_mw,
        idle_mw=idle_mw,
        energy_mj=_energy_mj(added_mw, duration_ns, inferences),
        energy_with_idle_mj=_energy_mj(total_mw, duration_ns, inferences),
        samples=len(read),
    )


def _readable(looks: Looks) -> Looks:
    return [(at_ns, rails) for at_ns, rails in looks if rails]


def _mean_mw(looks: Looks, names: tuple[str, ...]) -> float | None:
    if not names or any(name not in rails for _, rails in looks for name in names):
        return None
    return mean_over_time([Point(at_ns, sum(rails[n] for n in names)) for at_ns, rails in looks])


def _energy_mj(mean_mw: float | None, duration_ns: int, inferences: int) -> float | None:
    return None if mean_mw is None else mean_mw * (duration_ns / 1e9) / inferences

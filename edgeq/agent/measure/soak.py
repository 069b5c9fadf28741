"""A long run before what is timed: minute by minute, until the device is as hot as it gets."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import TYPE_CHECKING, Callable, NamedTuple, Sequence

from .stability import disturbances

if TYPE_CHECKING:
    from ..system.environment import Environment

MINUTE_S = 60.0
SLOWED = ("frequency", "temperature", "throttled")
"""Kinds of reasons that a device gives when it is as hot as it gets: what is timed behind it."""


class MinuteRun(NamedTuple):
    """One minute of it; None of what the device does not tell.

    `reasons` are the kinds of what disturbed it or slowed it down: contention, throttled ...
    """

    passes: int
    median_ns: int
    p99_ns: int
    frame_median_ns: int
    hottest_c: float | None
    slowest_khz: int | None
    reasons: list[str]


def soak(
    take: Callable[[int], tuple[int, int]],
    look: Callable[[], Environment],
    threads: int,
    seconds: float,
    progress: Callable[[float], None],
    minute_s: float,
) -> list[MinuteRun]:
    """Make passes for so long; `take` gets their number, and gives ns of inference and of frame."""
    minutes: list[MinuteRun] = []
    start_s, number = time.monotonic(), 0
    warm = before = look()
    while time.monotonic() - start_s < seconds:
        end_s = min(start_s + seconds, time.monotonic() + minute_s)
        taken: list[tuple[int, int]] = []
        while not taken or time.monotonic() < end_s:
            taken.append(take(number))
            number += 1
            progress(min(time.monotonic() - start_s, seconds))
        after = look()
        kinds = [r.split(":")[0] for r in disturbances(warm, before, after, threads)]
        minutes.append(_minute(taken, after, list(dict.fromkeys(kinds))))
        before = after
    return minutes


def _minute(taken: Sequence[tuple[int, int]], after: Environment, reasons: list[str]) -> MinuteRun:
    inference_ns = sorted(ns for ns, _ in taken)
    hot = [zone.temperature_c for zone in after.zones if zone.temperature_c is not None]
    return MinuteRun(
        passes=len(taken),
        median_ns=int(median(inference_ns)),
        p99_ns=inference_ns[math.ceil(len(inference_ns) * 0.99) - 1],
        frame_median_ns=int(median(ns for _, ns in taken)),
        hottest_c=max(hot, default=None),
        slowest_khz=min(after.frequencies_khz.values(), default=None),
        reasons=reasons,
    )

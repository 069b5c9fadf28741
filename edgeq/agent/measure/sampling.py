"""Figures that are read again and again while something else runs, and their mean over time."""

from __future__ import annotations

import threading
import time
from typing import Callable, Generic, NamedTuple, Sequence, TypeVar

INTERVAL_S = 0.05

_Value = TypeVar("_Value")


class Point(NamedTuple):
    """A figure at a time of the clock that the samples of latency have, too."""

    monotonic_ns: int
    value: float


class Sampler(Generic[_Value]):
    """Reads `look` when entered, every 50 ms in a thread, and when left; `looks` are dated."""

    def __init__(self, look: Callable[[], _Value], interval_s: float = INTERVAL_S) -> None:
        self.looks: list[tuple[int, _Value]] = []
        self._look = look
        self._interval_s = interval_s
        self._done = threading.Event()
        # A daemon: a job that is told to end must not wait for it.
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler[_Value]:
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._take()

    def _run(self) -> None:
        while not self._done.wait(self._interval_s):
            self._take()

    def _take(self) -> None:
        # Reading a sensor takes milliseconds: its figure is that of the middle.
        start_ns = time.perf_counter_ns()
        value = self._look()
        self.looks.append(((start_ns + time.perf_counter_ns()) // 2, value))


def mean_over_time(points: Sequence[Point]) -> float | None:
    """The mean of a figure that runs straight from point to point (trapezoidal rule).

    Points come late when the device is busy, so that each counts for the time around it.
    """
    if not points:
        return None
    span_ns = points[-1].monotonic_ns - points[0].monotonic_ns
    if span_ns <= 0:
        return sum(point.value for point in points) / len(points)
    area, before = 0.0, points[0]
    for point in points[1:]:
        area += (before.value + point.value) / 2 * (point.monotonic_ns - before.monotonic_ns)
        before = point
    return area / span_ns

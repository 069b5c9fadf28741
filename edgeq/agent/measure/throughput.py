"""Frames a second: of a pipeline that prepares the next meanwhile, and of several streams."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, NamedTuple, Sequence

FRAMES_S = 10.0
"""Of each arrangement."""


class Frames(NamedTuple):
    """What the frames of each stream took, one list a stream, within `duration_ns` in all."""

    frame_ns: list[list[int]]
    duration_ns: int


def side_by_side(streams: Sequence[Callable[[int], Any]], seconds: float) -> Frames:
    """Each stream in a thread of its own, called with the number of its frame; until time is up.

    What goes wrong in one of them is raised here, when all have ended.
    """
    start_s = time.monotonic()
    ready = threading.Barrier(len(streams))
    taken: list[list[int]] = [[] for _ in streams]
    wrong: list[BaseException] = []

    def run(stream: Callable[[int], Any], frames: list[int]) -> None:
        ready.wait()
        try:
            while time.monotonic() - start_s < seconds or not frames:
                begin_ns = time.perf_counter_ns()
                stream(len(frames))
                frames.append(time.perf_counter_ns() - begin_ns)
        except BaseException as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in zip(streams, taken)]
    begin_ns = time.perf_counter_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return Frames(taken, time.perf_counter_ns() - begin_ns)


def pipelined(prepare: Callable[[int], Any], rest: Callable[[Any], Any], seconds: float) -> Frames:
    """Frames of which the next is prepared while the rest is done of the one before.

    A frame's time is that from one to the next, which is what a pipeline gives.
    """
    prepared: queue.Queue[Any] = queue.Queue(maxsize=1)
    over = threading.Event()

    def feed() -> None:
        number = 0
        try:
            while not over.is_set():
                prepared.put((prepare(number), None))
                number += 1
        except BaseException as exc:
            prepared.put((None, exc))

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    taken: list[int] = []
    start_ns = before_ns = time.perf_counter_ns()
    try:
        while before_ns - start_ns < seconds * 1e9 or not taken:
            ready, wrong = prepared.get()
            if wrong is not None:
                raise wrong
            rest(ready)
            now_ns = time.perf_counter_ns()
            taken.append(now_ns - before_ns)
            before_ns = now_ns
    finally:
        over.set()
        while thread.is_alive():
            # It may wait for room for the frame that nobody takes any more.
            try:
                prepared.get(timeout=0.05)
            except queue.Empty:
                thread.join(0.05)
    return Frames([taken], before_ns - start_ns)

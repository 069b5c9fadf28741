"""Frames a second, of work whose time is known."""

from __future__ import annotations

import threading
import time

import pytest

from edgeq.agent.measure.throughput import pipelined, side_by_side


def nap(seconds: float, ready: int = 0) -> int:
    time.sleep(seconds)
    return ready


def test_a_pipeline_prepares_the_next_frame_meanwhile() -> None:
    found = pipelined(lambda n: nap(0.02, n), lambda ready: nap(0.02), 0.6)
    (frames,) = found.frame_ns
    # One after the other there would be 15 of them in this time.
    assert len(frames) > 18
    assert sum(frames) <= found.duration_ns


def test_streams_run_side_by_side() -> None:
    found = side_by_side([lambda n: nap(0.02)] * 3, 0.3)
    assert len(found.frame_ns) == 3
    assert all(len(frames) > 5 for frames in found.frame_ns)
    assert all(ns >= 20_000_000 for frames in found.frame_ns for ns in frames)
    assert all(sum(frames) <= found.duration_ns for frames in found.frame_ns)


def broken(number: int) -> None:
    if number == 2:
        raise ValueError("frame 2")


def test_what_goes_wrong_comes_out_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ValueError, match="frame 2"):
        side_by_side([broken, lambda n: nap(0.01)], 0.1)
    with pytest.raises(ValueError, match="frame 2"):
        pipelined(broken, lambda ready: None, 5.0)
    with pytest.raises(ValueError, match="frame 2"):
        pipelined(lambda n: n, broken, 5.0)
    assert threading.active_count() == before

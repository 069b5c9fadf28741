"""What a roll-out costs the controller's machine: each step in the journal, and looking at it.

Devices are names whose outcomes are given; controller, journal and store are the real ones.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator

from benchmarks.figure import Figure, at_most
from benchmarks.looks import drawn
from edgeq.spec.strategy import Strategy
from edgeq.store import open_store, rollouts
from tests.rollout.pretended import World, begin, controller

PART = "rollouts"
DEVICES = int(os.environ.get("ROLLOUT_DEVICES", "10000"))
CANARY = 5
DRAWN = 1000
NOISE = (0.01, 0.02, 0.05)
"""Of a load's log ratio on one board."""
SLOWER = (0.0, 0.05, 0.10, 0.15, 0.20)


def measure() -> Iterator[Figure]:
    """What finds a slower board, CPU of this process a step, the time that `status` takes."""
    options = Strategy().board.options
    for noise in NOISE:
        for slower in SLOWER:
            worse = [drawn(slower, noise, seed, options).worse for seed in range(DRAWN)]
            name = f"bad, {slower:.0%} slower, loads differ by {noise:.0%}"
            limit = None if slower else at_most(1.0)
            yield Figure(PART, name, 100 * sum(worse) / DRAWN, "%", limit, f"{DRAWN} drawn")
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/store.sqlite")
        lease = begin(store, [CANARY, DEVICES // 10, DEVICES - DEVICES // 10 - CANARY])
        before = time.process_time()
        steps = 0
        for event in controller(store, lease, Strategy(), World({})).run():
            steps += event.device is not None
        spent = time.process_time() - before
        found = rollouts.status(store, lease.rollout)
        assert (found.state, len(found.devices)) == ("done", DEVICES), found.reason
        started = time.perf_counter()
        rollouts.status(store, lease.rollout)
        looked = time.perf_counter() - started
    note = f"{DEVICES} devices, {steps} steps"
    yield Figure(PART, "CPU a step", 1e3 * spent / steps, "ms", at_most(1.0), note)
    yield Figure(PART, "status", looked, "s", at_most(2.0), note)

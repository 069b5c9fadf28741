"""What a roll-out costs the controller's machine: each step in the journal, and looking at it.

Devices are names whose outcomes are given; controller, journal and store are the real ones.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator

from benchmarks.figure import Figure, at_most
from edgeq.spec.strategy import Strategy
from edgeq.store import open_store, rollouts
from tests.rollout.pretended import World, begin, controller

PART = "rollouts"
DEVICES = int(os.environ.get("ROLLOUT_DEVICES", "10000"))
CANARY = 5


def measure() -> Iterator[Figure]:
    """CPU of this process a step, and the time that `status` takes."""
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

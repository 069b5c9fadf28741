"""What a roll-out costs the controller's machine: each step in the journal, and looking at it.

Devices are names whose outcomes are given; controller, journal and store are the real ones.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, at_most
from benchmarks.looks import drawn
from edgeq.device.ssh import config as ssh_config
from edgeq.spec.destination import parse
from edgeq.spec.fleet import file as fleets
from edgeq.spec.strategy import Strategy
from edgeq.store import open_store, rollouts
from tests.rollout.pretended import World, begin, controller

PART = "rollouts"
DEVICES = int(os.environ.get("ROLLOUT_DEVICES", "10000"))
CANARY = 5
FLEET = 1000
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
    with tempfile.TemporaryDirectory() as folder:
        yield from _found(Path(folder))


def _found(folder: Path) -> Iterator[Figure]:
    """What it takes to know where a thousand devices are."""
    places = {f"cam{n}": f"10.0.{n // 250}.{n % 250}" for n in range(FLEET)}
    file = folder / "fleet.yaml"
    file.write_text(
        "defaults: {target: raspberry-pi-5}\ndevices:\n"
        + "".join(f"  {n}: {{address: {n}, labels: {{row: '{n[-1]}'}}}}\n" for n in places)
    )
    used = time.process_time()
    assert len(fleets.load(file).devices) == FLEET
    seconds = time.process_time() - used
    yield Figure(PART, "fleet.yaml of 1,000 devices", seconds, "s", at_most(1.0), "CPU")
    config = folder / "config"
    blocks = (f"Host {n}\n HostName {at}\n User pi\n Port 22\n" for n, at in places.items())
    config.write_text("".join(blocks))
    used = time.process_time()
    for name, place in places.items():
        assert ssh_config.resolve(name, parse(name), [config]).host == place
    each = (time.process_time() - used) / FLEET
    name = "the way to one of 1,000 hosts of ssh_config"
    yield Figure(PART, name, 1e3 * each, "ms", at_most(25.0), "CPU")

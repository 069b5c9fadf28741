"""Boards that are names, whose outcomes are given: what the controller makes of them.

The journal, the lease and the rules are the real ones.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeq.device.connection import Address
from edgeq.records.rollout import DeviceProgress, DeviceState, FailureClass, RolloutEvent
from edgeq.rollout.controller import Controller
from edgeq.spec import target as targets
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Strategy
from edgeq.store import rollouts
from edgeq.store.journal import RolloutJournal
from edgeq.store.rollouts import Lease, PlannedDevice
from edgeq.store.runs import Store

Fate = Literal[
    "well", "bad", "trouble", "away", "bad later", "trouble later", "lost later", "stuck"
]
"""What comes of a try: away is put off, what is later is found at the end of its soak,
stuck cannot go back."""
NEW, OLD = "b" * 64, "a" * 64
ON_THE_WAY: tuple[DeviceState, ...] = ("checking", "pushing", "verifying", "measuring")
_FAILED: dict[Fate, FailureClass] = {"bad": "model", "bad later": "model", "trouble": "board"}


@dataclass
class World:
    """What boards run, and what becomes of those that are touched; it outlives controllers.

    `fates` has what comes of each try of a device, in order; the last one goes on for ever.
    """

    fates: Mapping[str, Sequence[Fate]]
    loss: float = 0.0
    runs: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: OLD))
    tries: Counter[str] = field(default_factory=Counter)
    before_step: Callable[[str, DeviceState], None] = lambda *_: None
    """is called before a board does what its state says"""

    def fate(self, name: str) -> Fate:
        """What comes of a device now."""
        known = self.fates.get(name, ("well",))
        return known[min(self.tries[name], len(known)) - 1]


class Pretended:
    """Steps of a controller without boards."""

    def __init__(self, journal: RolloutJournal, world: World, strategy: Strategy) -> None:
        self.journal = journal
        self.world = world
        self.strategy = strategy

    def install(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        name = device.name
        if row.state != "activating":
            self.world.tries[name] += 1
            fate = self.world.fate(name)
            for state in ON_THE_WAY:
                row = self._to(row, state)
                if state == "checking" and fate == "away":
                    reason = "does not answer"
                    return self._to(row, "deferred", failure="transient", reason=reason)
            if fate in ("bad", "trouble"):
                return self._to(row, "failed", failure=_FAILED[fate], reason=f"is {fate}")
            losses = {"inference": self.world.loss, "frame": self.world.loss}
            before = self.world.runs[name]
            now = datetime.datetime.now(datetime.UTC)
            if before == NEW == row.artifact_id:
                before = str(row.before)
            given = {"before": before, "artifact_id": NEW, "losses": losses, "soaks_until": now}
            row = self._to(row, "activating", **given)
        self.world.runs[name] = NEW
        if self.strategy.soak is None:
            return self._to(row, "healthy")
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.strategy.soak)
        return self._to(row, "soaking", soaks_until=until)

    def look_again(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        fate = self.world.fate(device.name)
        if fate == "lost later":
            return self._to(row, "soaking", failure="transient", reason="does not answer")
        if fate == "trouble later":
            return self._to(row, "failed", failure="board", reason="has no disk left")
        if fate != "bad later":
            return self._to(row, "healthy")
        row = self._to(row, "rolling back", failure="model", reason="is bad by now")
        self.world.runs[device.name] = OLD
        return self._to(row, "rolled back", soaks_until=None)

    def go_back(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
        row = self._to(row, "rolling back")
        if self.world.fate(device.name) == "stuck":
            return self._to(row, "rolling back", failure="transient", reason="does not answer")
        self.world.runs[device.name] = OLD
        return self._to(row, "rolled back", soaks_until=None)

    def _to(self, row: DeviceProgress, state: DeviceState, **changed: object) -> DeviceProgress:
        row = self.journal.move(row, state, **changed)
        self.world.before_step(row.device, state)
        return row


def planned(waves: Sequence[int]) -> list[PlannedDevice]:
    """As many devices a wave."""
    numbers = [number for number, count in enumerate(waves) for _ in range(count)]
    return [PlannedDevice(f"cam{i}", f"pi@cam{i}:~/edgeq", n) for i, n in enumerate(numbers)]


def begin(store: Store, waves: Sequence[int], holder: str = "anna@here, process 1") -> Lease:
    """Write a roll-out down."""
    names = ", ".join(f'"{"canary" if n == 0 else f"wave {n}"}"' for n in range(len(waves)))
    plan = f'{{"waves": [{names}]}}'
    return rollouts.begin(store, "recipe.yaml", "fleet.yaml", plan, planned(waves), holder)


def controller(store: Store, lease: Lease, strategy: Strategy, world: World) -> Controller:
    """Whose boards are pretended."""
    target = targets.load("local")
    rows = rollouts.status(store, lease.rollout).devices
    devices = {row.device: FleetDevice(row.device, target, None) for row in rows}
    return Controller(
        store, lease, devices, strategy, lambda journal: Pretended(journal, world, strategy)
    )


def states(events: Iterable[RolloutEvent]) -> dict[str, list[str]]:
    """The states that each device went through, by name; those of the whole under ''."""
    found: dict[str, list[str]] = {}
    for event in events:
        found.setdefault(event.device or "", []).append(event.state)
    return found

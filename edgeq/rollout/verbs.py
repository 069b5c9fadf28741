"""What a user asks of roll-outs: begin one, go on with it, stop it, take it back, look at it.

for event in edgeq.start_rollout("recipe.yaml", "fleet.yaml"):
    print(event.device, event.state)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from edgeq.artifact import signing
from edgeq.device.device import who_is_here
from edgeq.errors import InputError
from edgeq.records.rollout import (
    BACKWARD,
    UNFINISHED,
    RolloutEvent,
    RolloutPlan,
    RolloutState,
    RolloutStatus,
)
from edgeq.rollout.board import Boards
from edgeq.rollout.controller import Controller
from edgeq.rollout.paces import Paces
from edgeq.rollout.plan import plan_rollout
from edgeq.rollout.work import Work
from edgeq.spec import strategy as strategies
from edgeq.spec.fleet import file as fleets
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Strategy
from edgeq.store import open_store, rollouts
from edgeq.store.rollouts import Lease, PlannedDevice
from edgeq.store.runs import Store


@dataclass(frozen=True)
class Rollout:
    """A roll-out that this process works on, for as long as its events are asked for."""

    id: str
    controller: Controller

    def __iter__(self) -> Iterator[RolloutEvent]:
        return self.controller.run()


def start_rollout(
    recipe: str | Path,
    fleet: str | Path,
    strategy: str | Path | Strategy | None = None,
    on: str = "all",
    store: str | None = None,
    sign: Path | None = None,
    allow_downgrade: bool = False,
) -> Rollout:
    """Check a recipe, a fleet and a strategy, and write the roll-out of them down.

    It is worked on while its events are asked for; devices are touched by nothing else. A signed
    release takes the place of one that the store saw later only if you `allow_downgrade`. Raises
    InputError(s) with all that is wrong before anything is written or touched, and where a device
    is in another roll-out that has not ended.
    """
    wanted = _strategy(strategy)
    plan = plan_rollout(fleet, wanted, on)
    devices = _devices(plan)
    work = _work(Path(recipe), wanted, sign)
    read = work.check(device.target for device in devices.values())
    shelf = open_store(store)
    written = {
        "waves": [wave.name for wave in plan.waves],
        "strategy": wanted.model_dump(mode="json"),
        "sign": None if sign is None else str(sign.resolve()),
        "read_sha256": read,
        "allow_downgrade": allow_downgrade,
    }
    planned = [
        PlannedDevice(name, place_of(devices[name]), number)
        for number, wave in enumerate(plan.waves)
        for name in wave.devices
    ]
    lease = rollouts.begin(
        shelf,
        str(Path(recipe).resolve()),
        str(Path(fleet).resolve()),
        json.dumps(written),
        planned,
        who_is_here(),
    )
    return _rollout(shelf, lease, devices, wanted, work, allow_downgrade)


def check_rollout(
    recipe: str | Path,
    fleet: str | Path,
    strategy: str | Path | Strategy | None = None,
    on: str = "all",
    sign: Path | None = None,
) -> None:
    """Check all that `start_rollout` checks; nothing is written, and no device is asked."""
    wanted = _strategy(strategy)
    devices = _devices(plan_rollout(fleet, wanted, on))
    _work(Path(recipe), wanted, sign).check(device.target for device in devices.values())


def resume_rollout(rollout: str, store: str | None = None) -> Rollout:
    """Go on with a roll-out that is paused, waits, or whose controller is gone.

    Raises InputError while somebody works on it, where it has ended, and where recipe or fleet are
    no longer what they were.
    """
    return _taken(open_store(store), rollout, UNFINISHED)


def retry_rollout(rollout: str, store: str | None = None) -> Rollout:
    """Begin the devices anew that failed or were put off. Raises InputError as `resume_rollout`."""
    shelf = open_store(store)
    states: tuple[RolloutState, ...] = ("running", "paused", "waiting", "stopped", "done")
    return _taken(shelf, rollout, states, again=("failed", "deferred", "rolled back"))


def roll_back_rollout(rollout: str, store: str | None = None) -> Rollout:
    """Give every device that has the release the one before it back; twice is once."""
    shelf = open_store(store)
    return _taken(shelf, rollout, get_args(RolloutState), becomes="rolling back")


def rollout_status(rollout: str, store: str | None = None) -> RolloutStatus:
    """How a roll-out stands, by its id or the beginning of it. Raises InputError."""
    return rollouts.status(open_store(store), rollout)


def list_rollouts(store: str | None = None) -> list[RolloutStatus]:
    """The newest roll-outs first, without their devices."""
    return rollouts.newest(open_store(store))


def pause_rollout(rollout: str, store: str | None = None) -> RolloutStatus:
    """Have nothing more begun; devices at work are finished. Raises InputError if it has ended."""
    return rollouts.ask(open_store(store), rollout, "pause")


def abort_rollout(rollout: str, store: str | None = None) -> RolloutStatus:
    """End it where it stands; devices keep what they have. Raises InputError if it has ended."""
    return rollouts.ask(open_store(store), rollout, "abort")


def approve_rollout(rollout: str, store: str | None = None) -> RolloutStatus:
    """Let the wave begin that waits. Raises InputError where none does."""
    return rollouts.approve(open_store(store), rollout)


def place_of(device: FleetDevice) -> str:
    """Where a device is, whatever it is called: the same for everybody who may work on it."""
    way = f" by {device.jump}" if device.jump not in (None, "none") else ""
    return f"{device.address or 'this machine'}{way}:{device.target.root}"


def _taken(
    store: Store,
    rollout: str,
    states: Sequence[RolloutState],
    becomes: RolloutState | None = None,
    again: Sequence[str] = (),
) -> Rollout:
    """A roll-out that becomes this controller's; what it needs is read before that."""
    known = rollouts.status(store, rollout)
    if known.state not in states:
        remedy = "see: edgeq rollout status"
        raise InputError(store.where, f"roll-out {known.id} is {known.state}", remedy)
    written = json.loads(rollouts.plan_of(store, known.id))
    wanted = Strategy.model_validate(written["strategy"])
    fleet = fleets.load(known.fleet)
    there = {device.name: device for device in fleet.devices}
    lacking = [row.device for row in known.devices if row.device not in there]
    if lacking:
        what = f"has no device '{lacking[0]}' any more, which is in roll-out {known.id}"
        raise InputError(known.fleet, what, "put it back, or begin another roll-out")
    devices = {row.device: there[row.device] for row in known.devices}
    moved = [row for row in known.devices if place_of(devices[row.device]) != row.place]
    if moved:
        where = place_of(devices[moved[0].device])
        what = f"device '{moved[0].device}' is at {where}, and was at {moved[0].place}"
        remedy = f"put it back: roll-out {known.id} has begun with it"
        raise InputError(known.fleet, what, remedy)
    sign = None if written["sign"] is None else Path(written["sign"])
    state = becomes or (known.state if known.state in BACKWARD else "running")
    work = _work(Path(known.recipe), wanted, sign)
    # Going back needs nothing of the recipe, which may be another one by then.
    if state not in BACKWARD:
        read = work.check(device.target for device in devices.values())
        if read != written["read_sha256"]:
            what = (
                f"is not what it was when roll-out {known.id} began, or its model or images are "
                "not, or edgeq is another one, or a package that it builds with"
            )
            remedy = "put them back, or abort this and begin another one"
            raise InputError(known.recipe, what, remedy)
    lease = rollouts.take(store, known.id, who_is_here(), state, states)
    if again:
        names = [row.device for row in known.devices if row.state in again]
        rollouts.send_back(store, lease, names)
    for row in known.devices:
        if row.reference is not None:
            work.references.keep(row.reference.artifact_id, row.reference)
    allow_downgrade = written.get("allow_downgrade", False)
    return _rollout(store, lease, devices, wanted, work, allow_downgrade)


def _rollout(
    store: Store,
    lease: Lease,
    devices: Mapping[str, FleetDevice],
    strategy: Strategy,
    work: Work,
    allow_downgrade: bool,
) -> Rollout:
    steps = partial(
        Boards,
        store=store,
        work=work,
        strategy=strategy,
        paces=Paces(strategy.rate),
        allow_downgrade=allow_downgrade,
    )
    return Rollout(lease.rollout, Controller(store, lease, devices, strategy, steps))


def _strategy(strategy: str | Path | Strategy | None) -> Strategy:
    if strategy is None:
        return Strategy()
    return strategy if isinstance(strategy, Strategy) else strategies.load(Path(strategy))


def _devices(plan: RolloutPlan) -> dict[str, FleetDevice]:
    known = {device.name: device for device in fleets.load(plan.fleet).devices}
    return {name: known[name] for wave in plan.waves for name in wave.devices}


def _work(recipe: Path, strategy: Strategy, sign: Path | None) -> Work:
    if strategy.signed and sign is None:
        what = "the strategy has signed releases only, and no key is named"
        raise InputError("--sign", what, "name the SSH key to sign with")
    if sign is not None:
        signing.signature(b"", sign)
    return Work(recipe, sign)

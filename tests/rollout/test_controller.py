"""What the controller makes of boards whose outcomes are given; journal and store are real."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeq.device.connection import HERE, Address
from edgeq.errors import DeviceError, EdgeqError, InputError
from edgeq.records.rollout import (
    BACKWARD,
    ENDED,
    WORKING,
    DeviceProgress,
    RolloutState,
    RolloutStatus,
)
from edgeq.rollout.controller import Controller
from edgeq.spec import target as targets
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Approval, Canary, StopAt, Strategy
from edgeq.store import open_store, rollouts
from edgeq.store.journal import RolloutJournal
from edgeq.store.runs import Store

from .pretended import NEW, OLD, Fate, Pretended, World, begin, controller, states

INSTALLED = ["checking", "pushing", "verifying", "measuring", "activating", "healthy"]
QUICK = Strategy(canary=Canary(count=2))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")


def worked(
    store: Store, waves: list[int], strategy: Strategy, world: World
) -> tuple[RolloutStatus, dict[str, list[str]]]:
    """A roll-out from its beginning to where it ends."""
    lease = begin(store, waves)
    seen = states(controller(store, lease, strategy, world).run())
    return rollouts.status(store, lease.rollout), seen


def fates(count: int, *bad: int, fate: Fate = "bad") -> dict[str, list[Fate]]:
    """Which of so many devices are bad."""
    return {f"cam{number}": [fate] for number in range(count) if number in bad}


def test_waves_follow_each_other(store: Store) -> None:
    order: list[str] = []
    world = World({}, before_step=lambda name, state: order.append(name))
    status, seen = worked(store, [2, 3, 5], QUICK, world)
    assert (status.state, status.exit_code) == ("done", 0)
    assert seen == {**{f"cam{n}": INSTALLED for n in range(10)}, "": ["done"]}
    firsts = [order.index(f"cam{n}") for n in range(10)]
    lasts = [len(order) - order[::-1].index(f"cam{n}") for n in range(10)]
    assert max(lasts[:2]) <= min(firsts[2:]) and max(lasts[2:5]) <= min(firsts[5:])
    assert rollouts.events(store, status.id)[-1][1].state == "done"


def test_two_bad_ones_of_a_canary_of_five_stop_it(store: Store) -> None:
    status, seen = worked(store, [5, 50], Strategy(), World(fates(55, 1, 3)))
    assert (status.state, status.exit_code) == ("stopped", 1)
    assert "2 of 5 devices are bad" in status.reason and "cam" in status.reason
    assert len(seen) == 6
    # One alone does not, nor does trouble of their own.
    status, seen = worked(store, [5, 5], Strategy(), World(fates(10, 1)))
    assert (status.state, status.exit_code) == ("done", 1)
    trouble = World(fates(10, 1, fate="trouble"))
    assert worked(store, [5, 5], Strategy(), trouble)[0].exit_code == 3


def test_bad_ones_behind_the_canary_stop_it_in_the_middle_of_a_wave(store: Store) -> None:
    world = World(fates(205, *range(5, 205, 3)))
    status, seen = worked(store, [5, 200], Strategy(at_once=4), world)
    assert status.state == "stopped" and len(seen) < 60
    assert not any(device.state in WORKING for device in status.devices)


@pytest.mark.parametrize("then", ["halt", "roll-back-wave", "roll-back-all"])
def test_what_follows_a_stop(store: Store, then: str) -> None:
    strategy = Strategy(canary=Canary(count=3), stop=StopAt.model_validate({"then": then}))
    world = World(fates(23, *range(4, 23, 2)))
    status, seen = worked(store, [3, 20], strategy, world)
    assert status.state == "stopped" and "devices are bad" in status.reason
    canary = {world.runs[f"cam{n}"] for n in range(3)}
    wave = {world.runs[name] for name in seen if name and int(name[3:]) > 2}
    assert canary == ({OLD} if then == "roll-back-all" else {NEW})
    assert wave == ({OLD, NEW} if then == "halt" else {OLD})
    assert seen[""] == ["stopping", "stopped"]


def test_all_a_little_slower_is_found_by_their_mean(store: Store) -> None:
    waves = [5, 10, 20]
    status, _ = worked(store, waves, Strategy(), World({}, loss=0.05))
    assert status.state == "stopped"
    assert "inference is +5.1% on average of 5 devices (limit +2%)" in status.reason
    assert worked(store, waves, Strategy(), World({}, loss=0.015))[0].state == "done"


def test_canary_that_tells_nothing_goes_no_further(store: Store) -> None:
    away = World(fates(4, 0, 1, fate="away"))
    status, seen = worked(store, [2, 2], QUICK, away)
    assert status.state == "stopped" and "no device of the canary told anything" in status.reason
    assert set(seen) == {"cam0", "cam1", ""}


def test_many_in_trouble_are_a_reason_to_look_and_then_it_goes_on(store: Store) -> None:
    world = World(fates(12, 3, 4, 5, fate="trouble"))
    lease = begin(store, [2, 5, 5])
    list(controller(store, lease, QUICK, world).run())
    status = rollouts.status(store, lease.rollout)
    assert (status.state, status.exit_code) == ("paused", 4)
    assert "wave 1: 3 of 5 devices are in trouble (limit 20%); cam" in status.reason
    lease = rollouts.take(store, lease.rollout, "ben")
    seen = states(controller(store, lease, QUICK, world).run())
    assert set(seen) == {*(f"cam{n}" for n in range(7, 12)), ""}
    assert rollouts.status(store, lease.rollout).state == "done"


def test_who_is_away_is_tried_again_at_the_end(store: Store) -> None:
    world = World({"cam3": ["away", "well"], "cam4": ["away"]})
    status, seen = worked(store, [2, 10], QUICK, world)
    assert seen["cam3"] == ["checking", "deferred", *INSTALLED]
    assert seen["cam4"] == ["checking", "deferred"] * 2
    assert (status.state, status.exit_code) == ("done", 3)


def test_end_of_a_wave_is_looked_at_by_who_goes_on(store: Store) -> None:
    """Killed between the last device of the canary and what it means."""
    lease = begin(store, [5, 5])
    world = World(fates(10, 0, 1))
    with RolloutJournal(store, lease) as journal:
        steps = Pretended(journal, world, Strategy())
        target = targets.load("local")
        for row in rollouts.status(store, lease.rollout).devices[:5]:
            steps.install(row, FleetDevice(row.device, target, None), HERE)
    run_out(store, lease.rollout)
    lease = rollouts.take(store, lease.rollout, "ben")
    assert states(controller(store, lease, Strategy(), world).run()) == {"": ["stopped"]}


def test_who_failed_in_its_soak_goes_back_with_the_others(store: Store) -> None:
    strategy = Strategy(canary=Canary(count=2), soak=0.05)
    lease = begin(store, [2])
    world = World({"cam1": ["trouble later"]})
    states(controller(store, lease, strategy, world).run())
    status = rollouts.status(store, lease.rollout)
    assert [row.state for row in status.devices] == ["healthy", "failed"]
    assert world.runs == {"cam0": NEW, "cam1": NEW}
    lease = rollouts.take(store, lease.rollout, "ben", "rolling back", get_args(RolloutState))
    seen = states(controller(store, lease, strategy, world).run())
    assert seen["cam1"] == seen["cam0"] == ["rolling back", "rolled back"]
    assert world.runs == {"cam0": OLD, "cam1": OLD}


def test_canary_that_was_paused_is_judged_all_the_same(store: Store) -> None:
    lease = begin(store, [5, 5])
    world = World(fates(10, 0, 1))

    def hold(name: str, state: str) -> None:
        if (name, state) == ("cam4", "measuring"):
            rollouts.ask(store, lease.rollout, "pause")
            wait_for_beats(store, lease.rollout)

    world.before_step = hold
    seen = states(controller(store, lease, Strategy(), world).run())
    assert seen[""] == ["paused"] and seen["cam4"] == INSTALLED and seen["cam0"][-1] == "failed"
    world.before_step = lambda *_: None
    lease = rollouts.take(store, lease.rollout, "ben")
    seen = states(controller(store, lease, Strategy(), world).run())
    status = rollouts.status(store, lease.rollout)
    assert status.state == "stopped" and not any(name in seen for name in ("cam5", "cam9"))


def test_boards_that_are_lost_in_their_soak_are_no_good_sign(store: Store) -> None:
    world = World(fates(7, 0, 1, fate="lost later"))
    strategy = Strategy(canary=Canary(count=2), soak=0.05)
    status, seen = worked(store, [2, 5], strategy, world)
    assert status.state == "stopped" and "no device of the canary told" in status.reason
    assert set(seen) == {"cam0", "cam1", ""}
    assert all(row.state == "soaking" and row.is_in_trouble for row in status.devices[:2])


def test_going_back_waits_for_no_hour_and_is_not_paused(store: Store) -> None:
    lease = begin(store, [2, 4])
    world = World({})
    states(controller(store, lease, QUICK, world).run())
    assert set(world.runs.values()) == {NEW}
    lease = rollouts.take(store, lease.rollout, "ben", "rolling back", get_args(RolloutState))
    with pytest.raises(InputError, match="goes on to its end"):
        rollouts.ask(store, lease.rollout, "pause")
    now = datetime.datetime.now()
    first, last = (f"{(now + datetime.timedelta(hours=by)):%H}:00" for by in (3, 5))
    closed = QUICK.model_copy(update={"windows": (f"{first}-{last}",), "at_once": 1})
    run = controller(store, lease, closed, world).run()
    for event in run:
        if event.state == "rolled back":
            break
    run.close()
    # Interrupted, it is gone on with in the same direction.
    assert rollouts.status(store, lease.rollout).state == "rolling back"
    lease = rollouts.take(store, lease.rollout, "ben", "rolling back")
    states(controller(store, lease, closed, world).run())
    assert rollouts.status(store, lease.rollout).state == "rolled back"
    assert set(world.runs.values()) == {OLD}


def test_boards_that_cannot_be_taken_back_are_said(store: Store) -> None:
    lease = begin(store, [2, 2])
    world = World({"cam2": ["well"]})
    states(controller(store, lease, QUICK, world).run())
    world.fates = {"cam2": ["stuck"]}
    lease = rollouts.take(store, lease.rollout, "ben", "rolling back", get_args(RolloutState))
    states(controller(store, lease, QUICK, world).run())
    status = rollouts.status(store, lease.rollout)
    assert (status.state, status.exit_code) == ("rolling back", 4)
    assert status.reason == "1 device could not be finished, resume it later: cam2"
    world.fates = {}
    lease = rollouts.take(store, lease.rollout, "ben", "rolling back")
    states(controller(store, lease, QUICK, world).run())
    assert rollouts.status(store, lease.rollout).state == "rolled back"
    assert set(world.runs.values()) == {OLD}


def test_why_it_stopped_is_told_when_all_went_back(store: Store) -> None:
    lease = begin(store, [5, 2])
    strategy = Strategy(canary=Canary(count=5), stop=StopAt(then="roll-back-all"))
    world = World({"cam0": ["stuck"], "cam3": ["bad"], "cam4": ["bad"]})
    for _ in range(2):
        states(controller(store, lease, strategy, world).run())
        status = rollouts.status(store, lease.rollout)
        assert status.state == "stopping" and status.reason.startswith("2 of ")
        assert status.reason.count("could not be finished, resume it later: cam0") == 1
        lease = rollouts.take(store, lease.rollout, "ben", "stopping")
    world.fates = {}
    states(controller(store, lease, strategy, world).run())
    after = rollouts.status(store, lease.rollout)
    assert after.state == "stopped" and status.reason.startswith(f"{after.reason}; so far: ")
    assert set(world.runs.values()) == {OLD}


def test_approving_twice_approves_one_wave(store: Store) -> None:
    strategy = Strategy(canary=Canary(count=2), approval=Approval(by="person"))
    lease = begin(store, [2, 2, 2])
    waits = 0
    for event in controller(store, lease, strategy, World({})).run():
        if event.state == "waiting":
            waits += 1
            assert rollouts.approve(store, lease.rollout).approved == waits
            assert rollouts.approve(store, lease.rollout).approved == waits
    assert waits == 2


def test_command_that_is_not_there_approves_nothing(store: Store) -> None:
    approval = Approval(by="command", command=("no-such-program",))
    strategy = Strategy(canary=Canary(count=2), approval=approval)
    status, _ = worked(store, [2, 2], strategy, World({}))
    assert status.state == "paused" and "no-such-program cannot be started" in status.reason


def test_bad_at_the_end_of_its_soak_counts(store: Store) -> None:
    world = World(fates(12, 0, 1, fate="bad later"))
    status, seen = worked(store, [2, 10], Strategy(canary=Canary(count=2), soak=0.1), world)
    assert seen["cam0"][-3:] == ["soaking", "rolling back", "rolled back"]
    assert status.state == "stopped"
    assert "every device of the canary that told anything is bad; cam0: is bad" in status.reason
    assert world.runs == {"cam0": OLD, "cam1": OLD}


def test_paused_one_begins_nothing_more_and_is_gone_on_with(store: Store) -> None:
    strategy = Strategy(canary=Canary(count=2), at_once=1)
    lease = begin(store, [2, 10])
    world = World({})

    def pause(name: str, state: str) -> None:
        if (name, state) == ("cam4", "checking"):
            rollouts.ask(store, lease.rollout, "pause")
            wait_for_beats(store, lease.rollout)

    world.before_step = pause
    states(controller(store, lease, strategy, world).run())
    status = rollouts.status(store, lease.rollout)
    assert (status.state, status.reason, status.exit_code) == ("paused", "as asked for", 4)
    assert [device.state for device in status.devices] == ["healthy"] * 5 + ["pending"] * 7
    world.before_step = lambda *_: None
    lease = rollouts.take(store, lease.rollout, "ben")
    assert len(states(controller(store, lease, strategy, world).run())) == 8
    assert rollouts.status(store, lease.rollout).state == "done"


def test_wave_waits_for_who_has_to_approve_it(store: Store) -> None:
    strategy = Strategy(canary=Canary(count=2), approval=Approval(by="person"))
    lease = begin(store, [2, 2])
    with pytest.raises(InputError, match="waits for no approval"):
        rollouts.approve(store, lease.rollout)
    touched: set[str | None] = set()
    for event in controller(store, lease, strategy, World({})).run():
        if event.state == "waiting":
            assert touched == {"cam0", "cam1"} and f"approve {lease.rollout}" in event.reason
            rollouts.approve(store, lease.rollout)
        touched.add(event.device)
    assert len(touched) == 5 and rollouts.status(store, lease.rollout).state == "done"


@pytest.mark.parametrize(("code", "state"), [(0, "done"), (7, "paused")])
def test_command_that_approves_is_told_how_it_stands(
    store: Store, tmp_path: Path, code: int, state: str
) -> None:
    seen = tmp_path / "seen.json"
    program = f"import sys, pathlib; pathlib.Path({str(seen)!r}).write_text(sys.stdin.read())"
    command = (sys.executable, "-c", f"{program}; sys.exit({code})")
    approval = Approval(by="command", command=command)
    strategy = Strategy(canary=Canary(count=2), approval=approval)
    status, _ = worked(store, [2, 2], strategy, World({}))
    told = RolloutStatus.model_validate(json.loads(seen.read_text()))
    assert [device.state for device in told.devices] == ["healthy"] * 2 + ["pending"] * 2
    assert status.state == state
    assert code == 0 or "wave 1 is not approved" in status.reason


def test_devices_are_begun_in_their_hours_only(store: Store) -> None:
    now = datetime.datetime.now()
    first, last = (f"{(now + datetime.timedelta(hours=by)):%H}:00" for by in (3, 5))
    strategy = Strategy(canary=Canary(count=2), windows=(f"{first}-{last}",))
    lease = begin(store, [2, 2])
    abort = threading.Timer(0.5, rollouts.ask, (store, lease.rollout, "abort"))
    abort.start()
    assert states(controller(store, lease, strategy, World({})).run()) == {"": ["aborted"]}


def test_who_stops_asking_has_it_paused(store: Store) -> None:
    lease = begin(store, [2, 10])
    run = controller(store, lease, Strategy(canary=Canary(count=2), at_once=1), World({})).run()
    for event in run:
        if event.device == "cam2":
            break
    run.close()
    status = rollouts.status(store, lease.rollout)
    assert (status.state, status.reason) == ("paused", "its controller was interrupted")
    assert not any(device.state in WORKING for device in status.devices)


def test_controller_whose_roll_out_was_taken_over_writes_nothing_more(store: Store) -> None:
    world = World({})
    lease = begin(store, [2, 10])
    late = threading.Event()

    def hang(name: str, state: str) -> None:
        if (name, state) == ("cam1", "measuring") and threading.current_thread().name != "ours":
            late.wait(30.0)

    world.before_step = hang
    first = controller(store, lease, QUICK, world)
    failed: list[BaseException] = []

    def run_first() -> None:
        try:
            list(first.run())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run_first)
    thread.start()
    while rollouts.status(store, lease.rollout).devices[1].state != "measuring":
        pass
    with pytest.raises(InputError, match=r"anna@here, process 1 has worked on roll-out \w+ since"):
        rollouts.take(store, lease.rollout, "ben")
    run_out(store, lease.rollout)
    taken = rollouts.take(store, lease.rollout, "ben")
    assert taken.generation > lease.generation
    world.before_step = lambda *_: None
    list(controller(store, taken, QUICK, world).run())
    late.set()
    thread.join()
    assert isinstance(failed[0], DeviceError) and "ben took it over" in str(failed[0])
    assert rollouts.status(store, lease.rollout).state == "done"


def wait_for_beats(store: Store, rollout: str) -> None:
    """Until the controller's heart has looked at what is wanted, since this was called."""
    seen: set[datetime.datetime] = set()
    while len(seen) < 3:  # one may have begun before
        held = rollouts.status(store, rollout).held
        assert held is not None
        seen.add(held.until)
        time.sleep(0.05)


def run_out(store: Store, rollout: str) -> None:
    """Let a lease end."""
    from edgeq.store.schema import RolloutRow

    with store.writing() as session:
        row = session.get(RolloutRow, rollout)
        assert row is not None
        row.held_until = row.held_since


def test_two_roll_outs_share_no_device(store: Store) -> None:
    lease = begin(store, [2, 2])
    with pytest.raises(InputError, match=r"which has 3 of these devices \(cam0, cam1, cam2\)"):
        begin(store, [3])
    run_out(store, lease.rollout)
    with pytest.raises(InputError, match=r"is running.*resume"):
        begin(store, [1])
    assert rollouts.ask(store, lease.rollout, "abort").state == "aborted"
    begin(store, [1])
    with pytest.raises(InputError, match="is aborted"):
        rollouts.ask(store, lease.rollout, "pause")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the controller runs after it."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_controller_that_dies_anywhere_is_gone_on_with_to_the_same_end(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    waves = [2, chance.randint(1, 4), chance.randint(1, 4)]
    given_fates: dict[str, list[Fate]] = {
        f"cam{n}": [chance.choice(("well", "well", "well", "bad", "trouble", "bad later"))]
        for n in range(sum(waves))
    }
    then = chance.choice(("halt", "roll-back-wave", "roll-back-all"))
    strategy = Strategy(
        canary=Canary(count=2),
        at_once=chance.randint(1, 3),
        soak=chance.choice((None, 0.01)),
        stop=StopAt.model_validate({"then": then, "trouble": "99%"}),
    )
    store = open_store(f"sqlite:///{tmp_path / uuid.uuid4().hex}.sqlite")
    undisturbed = World(given_fates)
    expected, _ = worked(store, waves, strategy.model_copy(update={"at_once": 1}), undisturbed)
    if expected.state == "stopped" and strategy.at_once > 1:
        strategy = strategy.model_copy(update={"at_once": 1})  # who is begun beside is by chance
    world = World(given_fates)
    lease = begin(store, waves)
    finished: set[str] = set()
    for _ in range(20):
        left = chance.randint(1, 30)

        def die(name: str, state: str, finished: set[str] = finished) -> None:
            nonlocal left
            assert name not in finished or state in ("rolling back", "rolled back")
            left -= 1
            if left <= 0:
                raise Killed

        world.before_step = die
        seen = []
        try:
            seen = list(controller(store, lease, strategy, world).run())
        except EdgeqError as error:
            assert isinstance(error.__cause__, Killed), error
        status = rollouts.status(store, lease.rollout)
        if seen and status.state in ("done", "stopped"):
            break
        finished = {row.device for row in status.devices if row.state in ENDED}
        run_out(store, lease.rollout)
        lease = rollouts.take(store, lease.rollout, "ben", _goes_on(status))
    assert status.state == expected.state
    assert [row.state for row in status.devices] == [row.state for row in expected.devices]
    assert dict(world.runs) == dict(undisturbed.runs)


def _goes_on(status: RolloutStatus) -> RolloutState:
    return status.state if status.state in BACKWARD else "running"


def test_passphrase_is_asked_for_once_over_all_waves_by_who_wants_the_events(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, asked = tmp_path / "key", []

    def ask(prompt: str) -> str:
        asked.append((prompt, threading.current_thread() is threading.main_thread()))
        return "open sesame"

    class LoggedIn(Pretended):
        """Boards behind a key that has a passphrase."""

        def install(self, row: DeviceProgress, device: FleetDevice, at: Address) -> DeviceProgress:
            assert at.shared is not None and at.shared.ask is not None
            unlock = at.shared.ask

            def opened() -> None:
                unlock(f"Passphrase of {key}: ")

            at.shared.key(key, opened)
            return super().install(row, device, at)

    terminal, end = os.openpty()
    monkeypatch.setattr(getpass, "getpass", ask)
    lease, world = begin(store, [2, 3]), World({})
    devices = {f"cam{n}": FleetDevice(f"cam{n}", targets.load("local"), None) for n in range(5)}
    with os.fdopen(end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        works = Controller(store, lease, devices, QUICK, lambda j: LoggedIn(j, world, QUICK))
        assert states(works.run())[""] == ["done"]
    os.close(terminal)
    assert asked == [(f"Passphrase of {key}: ", True)]


def at_the_first_bad_one(then: str, at_once: int) -> Strategy:
    """A strategy that stops there."""
    stop = {"tolerated": "1%", "feared": "50%", "false_stops": "50%", "then": then}
    return Strategy(canary=Canary(count=2), at_once=at_once, stop=StopAt.model_validate(stop))


@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize("then", ["halt", "roll-back-all"])
def test_reason_to_stop_outlives_the_controller_that_found_it(
    store: Store, then: str, at_work: bool
) -> None:
    """Whatever else was at work is found to be well, which would have made it go on."""
    strategy = at_the_first_bad_one(then, at_once=3 if at_work else 1)
    fates: dict[str, list[Fate]] = {f"cam{n}": ["well"] for n in range(8)}
    world = World({**fates, "cam2": ["bad"]})
    lease, died = begin(store, [2, 6]), threading.Event()

    def wait_until(happened: Callable[[RolloutStatus], bool]) -> None:
        last = time.monotonic() + 10.0
        while not happened(rollouts.status(store, lease.rollout)) and time.monotonic() < last:
            time.sleep(0.01)

    def die(name: str, state: str) -> None:
        if at_work and (name, state) == ("cam3", "measuring"):
            wait_until(lambda status: status.state == "stopping")
        if at_work and (name, state) == ("cam4", "measuring"):
            wait_until(lambda status: status.devices[3].state == "healthy")
            died.set()
        if not at_work and (name, state) == ("cam2", "failed"):
            died.set()
        if died.is_set():
            raise Killed

    world.before_step = die
    with pytest.raises(EdgeqError):
        list(controller(store, lease, strategy, world).run())
    world.before_step = lambda *_: None
    run_out(store, lease.rollout)
    left = rollouts.status(store, lease.rollout)
    lease = rollouts.take(store, lease.rollout, "ben", _goes_on(left))
    seen = states(controller(store, lease, strategy, world).run())
    assert not [name for name, own in seen.items() if name and "checking" in own]
    status = rollouts.status(store, lease.rollout)
    assert status.state == "stopped" and "1 of " in status.reason
    assert world.runs["cam0"] == (OLD if then == "roll-back-all" else NEW)
    # Whoever was free may have begun one more before that was heard.
    assert world.runs["cam2"] == world.runs["cam7"] == OLD


def test_interrupt_while_it_stops_keeps_the_reason(store: Store) -> None:
    world, late = World(fates(5, 2)), threading.Event()

    def wait(name: str, state: str) -> None:
        if (name, state) == ("cam3", "measuring"):
            late.wait(30.0)

    world.before_step = wait
    lease = begin(store, [2, 3])
    run = controller(store, lease, at_the_first_bad_one("roll-back-all", 3), world).run()
    while next(run).state != "stopping":
        pass
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt())
    late.set()
    status = rollouts.status(store, lease.rollout)
    assert status.state == "stopping" and not status.is_worked_on
    assert "1 of " in status.reason and "its controller was interrupted" in status.reason

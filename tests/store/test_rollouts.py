"""The journal of roll-outs in both databases, written by the controller itself."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import sqlalchemy

from edgeq.errors import DeviceError, InputError
from edgeq.records.rollout import DeviceProgress
from edgeq.spec.strategy import Canary, Strategy
from edgeq.store import open_store, rollouts
from edgeq.store.ages import first_seen
from edgeq.store.journal import RolloutJournal

from ..rollout.pretended import NEW, World, begin, controller, states
from .reports import report

QUICK = Strategy(canary=Canary(count=2))


def test_what_happens_is_there_for_others_to_read(store_url: str) -> None:
    store = open_store(store_url)
    lease = begin(store, [2, 6])
    events = list(controller(store, lease, QUICK, World({"cam5": ["trouble"]})).run())
    other = open_store(store_url)
    status = rollouts.status(other, lease.rollout[:5])
    assert [device.state for device in status.devices].count("healthy") == 7
    failed = status.devices[5]
    assert (failed.state, failed.failure, failed.reason) == ("failed", "board", "is trouble")
    first = status.devices[0]
    assert (first.artifact_id, first.tries, first.losses) == (
        NEW,
        0,
        {"inference": 0.0, "frame": 0.0},
    )
    kept = [event for _, event in rollouts.events(other, lease.rollout)]
    assert sorted(kept, key=str) == sorted(events, key=str)
    middle = rollouts.events(other, lease.rollout)[9][0]
    assert len(rollouts.events(other, lease.rollout, middle)) == len(kept) - 10
    [listed] = rollouts.newest(other)
    assert (listed.id, listed.state, listed.devices) == (lease.rollout, "done", ())


def test_lease_is_one_controllers_and_generations_grow(store_url: str) -> None:
    store = open_store(store_url)
    lease = begin(store, [2])
    with pytest.raises(InputError, match="anna@here, process 1 has worked on roll-out"):
        rollouts.take(store, lease.rollout, "ben")
    with pytest.raises(InputError, match="there is no roll-out 'zz'"):
        rollouts.take(store, "zz", "ben")
    with RolloutJournal(store, lease) as journal:
        rows = rollouts.status(store, lease.rollout).devices
        row = journal.move(rows[0], "checking")
        journal.settle("paused", release=True)
        taken = rollouts.take(store, lease.rollout, "ben")
        assert taken.generation > lease.generation
        for write in (lambda: journal.move(row, "pushing"), journal.beat):
            with pytest.raises(DeviceError, match="ben took it over") as caught:
                write()
            assert caught.value.kind == "superseded"
    assert rollouts.status(store, lease.rollout).devices[0].state == "checking"


def test_lease_that_was_given_back_is_not_taken_again_by_a_late_beat(store_url: str) -> None:
    store = open_store(store_url)
    lease = begin(store, [1])
    with RolloutJournal(store, lease) as journal:
        journal.settle("paused", release=True)
        journal.beat()
        assert not rollouts.status(store, lease.rollout).is_worked_on
    rollouts.take(store, lease.rollout, "ben")
    with pytest.raises(DeviceError, match="was left by this controller"):
        journal.beat()


def test_roll_out_that_has_ended_is_not_taken_while_another_has_its_devices(store_url: str) -> None:
    store = open_store(store_url)
    first = begin(store, [2])
    with RolloutJournal(store, first) as journal:
        journal.settle("done", release=True)
    begin(store, [3])
    with pytest.raises(InputError, match="which has 2 of these devices"):
        rollouts.take(store, first.rollout, "ben", "rolling back", ("done",))
    with pytest.raises(InputError, match="is done"):
        rollouts.take(store, first.rollout, "ben")


def test_step_from_a_state_that_it_is_not_in_is_refused(store_url: str) -> None:
    store = open_store(store_url)
    with RolloutJournal(store, begin(store, [1])) as journal:
        [row] = rollouts.status(store, journal.lease.rollout).devices
        after = journal.move(row, "checking", tries=1)
        with pytest.raises(DeviceError, match="is checking, and was pending"):
            journal.move(row, "deferred")
        journal.move(after, "pushing", before="a" * 64)
    [row] = rollouts.status(store, journal.lease.rollout).devices
    assert (row.state, row.tries, row.before) == ("pushing", 1, "a" * 64)
    assert len(rollouts.events(store, journal.lease.rollout)) == 2


def test_moments_come_back_as_they_were(store_url: str) -> None:
    store = open_store(store_url)
    until = datetime.datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=datetime.UTC)
    with RolloutJournal(store, begin(store, [1])) as journal:
        [row] = rollouts.status(store, journal.lease.rollout).devices
        after: DeviceProgress = journal.move(row, "soaking", soaks_until=until)
    assert rollouts.status(store, journal.lease.rollout).devices == (after,)


def test_server_that_drops_every_connection_in_the_middle_is_waited_for(
    store_url: str, request: pytest.FixtureRequest
) -> None:
    if store_url.startswith("sqlite"):
        return  # a file drops nobody
    store = open_store(store_url)
    lease = begin(store, [2, 4])
    dropped = []

    def drop(name: str, state: str) -> None:
        if state == "verifying" and name in ("cam0", "cam3"):
            engine = sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool)
            end = (
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            with engine.connect() as connection:
                dropped.append(connection.execute(sqlalchemy.text(end)).scalar_one())

    world = World({}, before_step=drop)
    seen = states(controller(store, lease, QUICK, world).run())
    assert sum(dropped) >= 2
    assert rollouts.status(store, lease.rollout).state == "done"
    expected = ["checking", "pushing", "verifying", "measuring", "activating", "healthy"]
    assert seen == {**{f"cam{n}": expected for n in range(6)}, "": ["done"]}
    assert len(rollouts.events(store, lease.rollout)) == 6 * len(expected) + 1


def test_report_waits_for_a_server_that_takes_nobody_for_a_moment(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        return  # a file is always there
    store = open_store(store_url)
    url = sqlalchemy.make_url(store_url)
    name, other = url.database, url.set(database="postgres")
    engine = sqlalchemy.create_engine(other, isolation_level="AUTOCOMMIT")

    def allow(whether: bool) -> None:
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        with engine.connect() as connection:
            text = f"ALTER DATABASE {name} ALLOW_CONNECTIONS {whether}"
            connection.execute(sqlalchemy.text(text))
            connection.execute(sqlalchemy.text(end))

    made, tries = report("first"), 0

    def add() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            allow(True)
        store.add(made)

    with RolloutJournal(store, begin(store, [1])) as journal:
        allow(False)
        journal.patiently(add)
        assert tries == 2
    assert store.report(made.id) == made
    engine.dispose()


def test_release_is_as_old_as_the_first_deploy_or_roll_out_that_had_it(store_url: str) -> None:
    store = open_store(store_url)
    lease = begin(store, [1])
    assert first_seen(store, NEW, besides="") is None
    states(controller(store, lease, QUICK, World({})).run())
    begun = rollouts.status(store, lease.rollout).created_at
    assert first_seen(store, NEW, besides="") == begun
    assert first_seen(store, NEW, besides=lease.rollout) is None
    for number, days in enumerate((1, 3, 2)):
        at = begun - datetime.timedelta(days=days)
        made = report(f"run {number}", created_at=at)
        store.add(made)
    assert made.artifact_id != NEW
    assert first_seen(store, made.artifact_id, "") == begun - datetime.timedelta(days=3)


def test_store_that_can_be_written_no_more_ends_the_controller(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    lease = begin(store, [2, 4])

    def fill(name: str, state: str) -> None:
        if (name, state) == ("cam1", "verifying"):
            with store.writing() as session:
                full = "CREATE TRIGGER full BEFORE UPDATE ON edgeq_rollout_devices BEGIN "
                full += "SELECT RAISE(ABORT, 'database or disk is full'); END"
                session.connection().exec_driver_sql(full)

    world = World({}, before_step=fill)
    with pytest.raises(InputError, match=r"store\.sqlite: database or disk is full"):
        list(controller(store, lease, QUICK, world).run())
    # Nothing was done that is not written down.
    rows = {row.device: row.state for row in rollouts.status(store, lease.rollout).devices}
    switched = {name for name, release in world.runs.items() if release == NEW}
    assert all(rows[name] in ("activating", "healthy") for name in switched)
    assert rows["cam1"] == "verifying" and rows["cam5"] == "pending"

"""The journal of a roll-out, for the controller that has its lease.

Each step is written down before it is taken, and only while nobody else took the roll-out over:
both are one transaction. Many threads write; what waits together is written together.
"""

from __future__ import annotations

import datetime
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from sqlalchemy import Connection, bindparam, exc, insert, select, update

from edgeq.agent.errors import SUPERSEDED
from edgeq.errors import DeviceError, InputError
from edgeq.records.rollout import (
    DeviceProgress,
    DeviceState,
    RolloutEvent,
    RolloutState,
)
from edgeq.store.rollouts import LEASE_S, Lease
from edgeq.store.runs import Store
from edgeq.store.schema import RolloutDeviceRow, RolloutEventRow, RolloutRow

T = TypeVar("T")
_MOST_TOGETHER = 500
_AGAIN_S = 0.5
_FIELDS = (
    "state",
    "updated_at",
    "failure",
    "reason",
    "before",
    "artifact_id",
    "soaks_until",
    "tries",
)
_MOVE = (
    update(RolloutDeviceRow)
    .where(
        RolloutDeviceRow.rollout_id == bindparam("in_rollout"),
        RolloutDeviceRow.device == bindparam("of_device"),
        RolloutDeviceRow.state == bindparam("from_state"),
    )
    .values({name: bindparam(name) for name in (*_FIELDS, "losses_json", "reference_json")})
)
"""Made once, as there are thousands of steps."""


class Orders(NamedTuple):
    """What others want of the controller."""

    wanted: str
    approved: int


class _Move(NamedTuple):
    before: DeviceProgress
    after: DeviceProgress


class _Task(NamedTuple, Generic[T]):
    """What is written for somebody who waits: a move, with others, or what `write` does."""

    write: Callable[[Connection], T] | None
    done: Future[T]
    move: _Move | None = None


class RolloutJournal:
    """One controller's hand in the store, until it is closed; `settle` gives the lease back.

    Every method raises DeviceError (superseded) once another controller took the roll-out over,
    and InputError when the database refuses, for as long as a lease where it may come back.
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self.lease = lease
        self.events: SimpleQueue[RolloutEvent] = SimpleQueue()
        self._queue: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._asking = threading.Lock()
        self._is_closed = False
        self._is_released = False
        self._writer = threading.Thread(target=self._write, name="edgeq-journal", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._asking:
            self._is_closed = True
            self._queue.put(None)
        self._writer.join()

    def move(self, device: DeviceProgress, state: DeviceState, **changed: Any) -> DeviceProgress:
        """Write down that a device goes on to another state; returns when that lasts."""
        now = datetime.datetime.now(datetime.UTC)
        after = device.model_copy(update={"state": state, "updated_at": now, **changed})
        one = _Move(device, after)
        self._ask(None, one)
        self.events.put(self._event(after))
        return after

    def settle(self, state: RolloutState, reason: str = "", release: bool = False) -> None:
        """Write down how the whole stands, and give the lease back with `release`."""
        event = RolloutEvent(
            rollout=self.lease.rollout,
            at=datetime.datetime.now(datetime.UTC),
            state=state,
            reason=reason,
        )

        def write(connection: Connection) -> None:
            values: dict[str, Any] = {"state": state, "reason": reason}
            if release:
                values["held_until"] = event.at
            connection.execute(self._mine(update(RolloutRow)).values(**values))
            self._append(connection, [event])

        self._is_released = self._is_released or release
        self._ask(write)
        self.events.put(event)

    def beat(self) -> Orders:
        """Keep the lease, and hear what is wanted."""
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LEASE_S)

        def write(connection: Connection) -> Orders:
            if not self._is_released:
                connection.execute(self._mine(update(RolloutRow)).values(held_until=until))
            query = select(RolloutRow.wanted, RolloutRow.approved)
            return Orders(*connection.execute(self._mine(query)).one())

        return self._ask(write)

    def _mine(self, statement: Any) -> Any:
        return statement.where(RolloutRow.id == self.lease.rollout)

    def _event(self, device: DeviceProgress) -> RolloutEvent:
        assert device.updated_at is not None
        return RolloutEvent(
            rollout=self.lease.rollout,
            at=device.updated_at,
            state=device.state,
            device=device.device,
            wave=device.wave,
            failure=device.failure,
            reason=device.reason,
        )

    def _append(self, connection: Connection, events: Sequence[RolloutEvent]) -> None:
        rows = [
            {"rollout_id": one.rollout, "at": one.at, "event_json": one.model_dump_json()}
            for one in events
        ]
        connection.execute(insert(RolloutEventRow), rows)

    def _ask(self, write: Callable[[Connection], T] | None, move: _Move | None = None) -> T:
        task = _Task(write, Future[T](), move)
        with self._asking:
            if self._is_closed:
                what = f"roll-out {self.lease.rollout} was left by this controller"
                raise DeviceError(self._store.where, what, "resume it", kind=SUPERSEDED)
            self._queue.put(task)
        return task.done.result()

    # Everything below runs in the writer's thread.

    def _write(self) -> None:
        is_over = False
        while not is_over:
            waiting = [self._queue.get()]
            while not self._queue.empty() and len(waiting) < _MOST_TOGETHER:
                waiting.append(self._queue.get())
            is_over = None in waiting
            tasks = [task for task in waiting if task is not None]
            moves = [task.move for task in tasks if task.move is not None]
            together = partial(self._move_all, moves=moves)
            self._do(together, [task.done for task in tasks if task.move is not None])
            for task in tasks:
                if task.write is not None:
                    self._do(task.write, [task.done])
        self._disconnect()

    def _do(self, write: Callable[[Connection], Any], whose: Sequence[Future[Any]]) -> None:
        if not whose:
            return
        try:
            result = self._transact(write)
        except BaseException as error:  # whose it is hears of it
            for one in whose:
                one.set_exception(error)
        else:
            for one in whose:
                one.set_result(result)

    def _move_all(self, connection: Connection, moves: Sequence[_Move]) -> None:
        happened = []
        for one in moves:
            after = one.after
            values: dict[str, Any] = {name: getattr(after, name) for name in _FIELDS}
            values |= {
                "in_rollout": self.lease.rollout,
                "of_device": after.device,
                "from_state": one.before.state,
                "losses_json": json.dumps(after.losses),
                "reference_json": after.reference.model_dump_json() if after.reference else None,
            }
            if connection.execute(_MOVE, values).rowcount == 1:
                happened.append(self._event(after))
                continue
            # It may have been written, and the answer lost.
            query = select(RolloutDeviceRow.state, RolloutDeviceRow.updated_at).where(
                RolloutDeviceRow.rollout_id == self.lease.rollout,
                RolloutDeviceRow.device == after.device,
            )
            there = connection.execute(query).one_or_none()
            if there is None or tuple(there) != (after.state, after.updated_at):
                state = there.state if there else "not in it any more"
                what = f"device {after.device} is {state}, and was {one.before.state}"
                remedy = "see who changes it: edgeq rollout status"
                raise DeviceError(self._store.where, what, remedy, kind=SUPERSEDED)
        if happened:
            self._append(connection, happened)

    def _transact(self, write: Callable[[Connection], T]) -> T:
        """One transaction while the lease is ours; tried again while a server restarts."""

        def once() -> T:
            with self._store.reporting():
                return self._once(write)

        return self.patiently(once)

    def patiently(self, act: Callable[[], T]) -> T:
        """What `act` does in the store, again and again while a server restarts; any thread may."""
        last = time.monotonic() + LEASE_S
        while True:
            try:
                return act()
            except InputError as error:
                if not self._may_come_back(error) or time.monotonic() > last:
                    raise
                time.sleep(_AGAIN_S)

    def _once(self, write: Callable[[Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._store.connection()
        try:
            with self._store.begun(self._connection):
                self._require_lease(self._connection)
                return write(self._connection)
        except exc.DBAPIError:
            self._disconnect()
            raise

    def _require_lease(self, connection: Connection) -> None:
        # Who takes over waits until this is written.
        query = select(RolloutRow.generation, RolloutRow.holder, RolloutRow.held_since)
        there = connection.execute(self._mine(query).with_for_update(read=True)).one_or_none()
        if there is None or there.generation != self.lease.generation:
            who = f"{there.holder} took it over" if there else "it is not there any more"
            what = f"roll-out {self.lease.rollout} is no longer this controller's: {who}"
            raise DeviceError(self._store.where, what, "leave it to them", kind=SUPERSEDED)

    def _may_come_back(self, error: InputError) -> bool:
        is_server = not self._store.is_file
        return is_server and isinstance(error.__cause__, exc.OperationalError | exc.InterfaceError)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except exc.DBAPIError:
                connection.invalidate()

"""Roll-outs in the store: begun, taken over, asked for, and how they stand."""

from __future__ import annotations

import datetime
import json
import time
import uuid
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from edgeq.errors import InputError
from edgeq.records.rollout import (
    BACKWARD,
    UNFINISHED,
    DeviceProgress,
    Held,
    Reference,
    RolloutEvent,
    RolloutState,
    RolloutStatus,
)
from edgeq.store.runs import Store
from edgeq.store.schema import RolloutDeviceRow, RolloutEventRow, RolloutRow

LEASE_S = 60.0
"""After which a controller that is not heard any more has none of its roll-out."""
# any constant of our own: those who begin at the same time wait for each other
_BEGINNING_LOCK = 0x65646766
_SHOWN = 5


class PlannedDevice(NamedTuple):
    """A device that is to have the release; `place` says where it is, whatever it is called."""

    device: str
    place: str
    wave: int


class Lease(NamedTuple):
    """A roll-out that this controller works on, and nobody else while it is heard."""

    rollout: str
    generation: int


def begin(
    store: Store,
    recipe: str,
    fleet: str,
    plan_json: str,
    devices: Sequence[PlannedDevice],
    holder: str,
) -> Lease:
    """Write a roll-out down before anything of it is done, and take it.

    Raises InputError where a device is in another one that has not ended.
    """
    now = datetime.datetime.now(datetime.UTC)
    made = uuid.uuid4().hex[:12]
    with store.writing() as session:
        _alone(session)
        _require_free(store, session, {one.place for one in devices})
        generation = _next_generation(session)
        session.add(
            RolloutRow(
                id=made,
                created_at=now,
                recipe=recipe,
                fleet=fleet,
                state="running",
                reason="",
                wanted="run",
                approved=0,
                generation=generation,
                holder=holder,
                held_since=now,
                held_until=now + datetime.timedelta(seconds=LEASE_S),
                plan_json=plan_json,
            )
        )
        session.flush()
        rows = [
            {
                "rollout_id": made,
                "device": one.device,
                "place": one.place,
                "position": position,
                "wave": one.wave,
                "state": "pending",
                "tries": 0,
                "reason": "",
                "losses_json": "{}",
            }
            for position, one in enumerate(devices)
        ]
        session.execute(insert(RolloutDeviceRow), rows)
    return Lease(made, generation)


def take(
    store: Store,
    rollout: str,
    holder: str,
    state: RolloutState = "running",
    allowed: Sequence[RolloutState] = UNFINISHED,
) -> Lease:
    """Take a roll-out over from whoever had it; from now on they can write nothing.

    Raises InputError while somebody works on it, who is named; where it is in none of the states
    `allowed`, and where a device is in another one that has not ended.
    """
    now = datetime.datetime.now(datetime.UTC)
    with store.writing() as session:
        _alone(session)
        row = _row(store, session, rollout)
        held = _held(row)
        if held is not None and held.until > now:
            raise InputError(store.where, _at_work(row.id, held), "wait, or: edgeq rollout pause")
        if row.state not in allowed:
            what = f"roll-out {row.id} is {row.state}"
            raise InputError(store.where, what, "see: edgeq rollout status")
        places = select(RolloutDeviceRow.place).where(RolloutDeviceRow.rollout_id == row.id)
        _require_free(store, session, set(session.scalars(places)), row.id)
        row.generation = _next_generation(session)
        row.holder, row.held_since = holder, now
        row.held_until = now + datetime.timedelta(seconds=LEASE_S)
        row.reason = row.reason if state in BACKWARD else ""
        row.state, row.wanted = state, "run"
        return Lease(row.id, row.generation)


def ask(store: Store, rollout: str, wanted: Literal["pause", "abort"]) -> RolloutStatus:
    """Ask a roll-out's controller to begin nothing more; where nobody works on it, it is so now.

    Raises InputError for one that has ended.
    """
    now = datetime.datetime.now(datetime.UTC)
    with store.writing() as session:
        row = _row(store, session, rollout)
        if wanted == "pause" and row.state in BACKWARD:
            what = f"roll-out {row.id} is {row.state}, which goes on to its end"
            raise InputError(store.where, what, "wait, or resume it where nobody is at work")
        if row.state not in UNFINISHED and not (wanted == "abort" and row.state == "stopped"):
            raise InputError(store.where, f"roll-out {row.id} is {row.state}", "begin another one")
        held = _held(row)
        row.wanted = wanted
        if held is None or held.until <= now:
            row.state = "paused" if wanted == "pause" else "aborted"
            row.reason = "as asked for, with nobody at work"
        found = row.id
    return status(store, found)


def approve(store: Store, rollout: str) -> RolloutStatus:
    """Let the wave that waits begin. Raises InputError where none does."""
    with store.writing() as session:
        row = _row(store, session, rollout)
        if row.state != "waiting":
            what = f"roll-out {row.id} is {row.state}, and waits for no approval"
            raise InputError(store.where, what, "see: edgeq rollout status")
        # The wave that waits is the first in which nothing was begun; twice is once.
        begun = select(func.max(RolloutDeviceRow.wave)).where(
            RolloutDeviceRow.rollout_id == row.id, RolloutDeviceRow.state != "pending"
        )
        row.approved = max(row.approved, (session.scalar(begun) or 0) + 1)
        found = row.id
    return status(store, found)


def status(store: Store, rollout: str) -> RolloutStatus:
    """A roll-out with its devices, by its id or the beginning of it. Raises InputError."""
    with store.reading() as session:
        row = _row(store, session, rollout)
        query = (
            select(RolloutDeviceRow)
            .where(RolloutDeviceRow.rollout_id == row.id)
            .order_by(RolloutDeviceRow.position)
        )
        # Columns, not objects: a fleet has thousands.
        columns = session.execute(query.with_only_columns(*RolloutDeviceRow.__table__.columns))
        devices = tuple(_progress(dict(one)) for one in columns.mappings())
        return _status(row, devices)


def newest(store: Store, limit: int = 20) -> list[RolloutStatus]:
    """The newest roll-outs first, without their devices."""
    query = select(RolloutRow).order_by(RolloutRow.created_at.desc()).limit(limit)
    with store.reading() as session:
        return [_status(row, ()) for row in session.scalars(query)]


def plan_of(store: Store, rollout: str) -> str:
    """What was planned, as it was written down. Raises InputError."""
    with store.reading() as session:
        return _row(store, session, rollout).plan_json


def events(store: Store, rollout: str, after: int = 0) -> list[tuple[int, RolloutEvent]]:
    """What happened behind a number, with the number of each, in order."""
    query = (
        select(RolloutEventRow.sequence, RolloutEventRow.event_json)
        .where(RolloutEventRow.rollout_id == rollout, RolloutEventRow.sequence > after)
        .order_by(RolloutEventRow.sequence)
    )
    with store.reading() as session:
        rows = session.execute(query).all()
    return [(number, RolloutEvent.model_validate_json(line)) for number, line in rows]


def send_back(store: Store, lease: Lease, devices: Sequence[str]) -> None:
    """Have devices begun anew which failed, were put off or went back."""
    mine = select(RolloutRow.generation).where(RolloutRow.id == lease.rollout).scalar_subquery()
    with store.writing() as session:
        for name in devices:
            session.execute(
                update(RolloutDeviceRow)
                .where(
                    RolloutDeviceRow.rollout_id == lease.rollout,
                    RolloutDeviceRow.device == name,
                    mine == lease.generation,
                )
                .values(state="pending", tries=0, failure=None, reason="", losses_json="{}")
            )


def _require_free(store: Store, session: Session, places: set[str], own: str = "") -> None:
    """InputError where one of these places is in another roll-out that has not ended."""
    query = select(RolloutRow).where(RolloutRow.state.in_(UNFINISHED), RolloutRow.id != own)
    for row in session.scalars(query):
        theirs = select(RolloutDeviceRow.place, RolloutDeviceRow.device).where(
            RolloutDeviceRow.rollout_id == row.id
        )
        shared = [device for place, device in session.execute(theirs) if place in places]
        if not shared:
            continue
        held, now = _held(row), datetime.datetime.now(datetime.UTC)
        names = ", ".join(shared[:_SHOWN]) + (", ..." if len(shared) > _SHOWN else "")
        if held is not None and held.until > now:
            what = f"{_at_work(row.id, held)}, which has {len(shared)} of these devices ({names})"
            raise InputError(store.where, what, "wait until it has ended")
        what = f"roll-out {row.id}, which has {len(shared)} of these devices, is {row.state}"
        remedy = f"edgeq rollout resume {row.id}, or abort it"
        raise InputError(store.where, f"{what} ({names})", remedy)


def _at_work(rollout: str, held: Held) -> str:
    return f"{held.by} has worked on roll-out {rollout} since {held.since:%Y-%m-%d %H:%M:%S} UTC"


def _next_generation(session: Session) -> int:
    """A number above all before it: of this store, and of others that boards may have met.

    Milliseconds, as boards have no other store in common than time.
    """
    newest_one = session.scalar(select(func.max(RolloutRow.generation))) or 0
    return max(int(newest_one) + 1, time.time_ns() // 1_000_000)


def _alone(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _BEGINNING_LOCK})


def _row(store: Store, session: Session, rollout: str) -> RolloutRow:
    query = select(RolloutRow).where(RolloutRow.id.startswith(rollout, autoescape=True))
    rows = session.scalars(query.order_by(RolloutRow.id).limit(_SHOWN + 1)).all()
    rows = [row for row in rows if row.id == rollout] or rows
    if not rows or not rollout:
        raise InputError(
            store.where, f"there is no roll-out '{rollout}'", "see: edgeq rollout list"
        )
    if len(rows) > 1:
        names = ", ".join(row.id for row in rows[:_SHOWN])
        raise InputError(store.where, f"'{rollout}' may be {names}", "write more of the id")
    return rows[0]


def _held(row: RolloutRow) -> Held | None:
    if row.holder is None or row.held_since is None or row.held_until is None:
        return None
    return Held(
        by=row.holder, since=row.held_since, until=row.held_until, generation=row.generation
    )


def _status(row: RolloutRow, devices: tuple[DeviceProgress, ...]) -> RolloutStatus:
    return RolloutStatus.model_validate(
        {
            "id": row.id,
            "created_at": row.created_at,
            "recipe": row.recipe,
            "fleet": row.fleet,
            "state": row.state,
            "reason": row.reason,
            "wanted": row.wanted,
            "approved": row.approved,
            "waves": tuple(json.loads(row.plan_json)["waves"]),
            "held": _held(row),
            "devices": devices,
        }
    )


def _progress(row: dict[str, object]) -> DeviceProgress:
    reference, losses = row.pop("reference_json"), row.pop("losses_json")
    fields = {name: row[name] for name in DeviceProgress.model_fields if name in row}
    return DeviceProgress.model_validate(
        {
            **fields,
            "losses": json.loads(str(losses)),
            "reference": Reference.model_validate_json(str(reference)) if reference else None,
        }
    )

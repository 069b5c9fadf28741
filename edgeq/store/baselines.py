"""Which run is meant by a baseline's name."""

from __future__ import annotations

import datetime
import difflib

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from edgeq.errors import InputError
from edgeq.records.baseline import Baseline
from edgeq.records.report import Report
from edgeq.store.runs import Store
from edgeq.store.schema import BaselineRow, Run

_SHOWN = 10


def keep(store: Store, name: str, report: Report, replace: bool = False) -> Baseline:
    """Name a run of the store, whole or not at all.

    Raises InputError where the name is taken and not to be replaced, or the database refuses.
    """
    moment = datetime.datetime.now(datetime.UTC)
    with store.writing() as session:
        known = session.get(BaselineRow, name)
        if known is not None and not replace:
            what = f"baseline '{name}' is run {known.run_id} already"
            raise InputError(store.where, what, "say --replace, or choose another name")
        session.merge(
            BaselineRow(
                name=name, created_at=moment, run_id=report.id, artifact_id=report.artifact_id
            )
        )
    return Baseline(name=name, created_at=moment, report=report)


def find(store: Store, name: str) -> Baseline | None:
    """The baseline of that name, None without one."""
    with store.reading() as session:
        found = session.get(BaselineRow, name)
        return None if found is None else _read(store, session, found)


def named(store: Store, name: str) -> Baseline:
    """The baseline of that name; InputError that lists what there is."""
    found = find(store, name)
    if found is None:
        names = [one.name for one in every(store)]
        raise InputError(store.where, f"there is no baseline '{name}'", known(names, name))
    return found


def every(store: Store) -> list[Baseline]:
    """All baselines by name; the store's `notes` tell of those whose run cannot be read."""
    with store.reading() as session:
        rows = session.scalars(select(BaselineRow).order_by(BaselineRow.name)).all()
        found = []
        for row in rows:
            try:
                found.append(_read(store, session, row))
            except InputError as error:
                store.notes.append(f"baseline '{row.name}' was passed over: {error}")
        return found


def artifact_ids(store: Store) -> set[str]:
    """The artifacts that baselines name."""
    with store.reading() as session:
        return set(session.scalars(select(BaselineRow.artifact_id)))


def remove(store: Store, name: str) -> None:
    """Forget a name; the run stays. InputError where there is none."""
    with store.writing() as session:
        gone = session.scalars(
            delete(BaselineRow).where(BaselineRow.name == name).returning(BaselineRow.name)
        ).all()
    if not gone:
        names = [one.name for one in every(store)]
        raise InputError(store.where, f"there is no baseline '{name}'", known(names, name))


def known(names: list[str], name: str) -> str:
    """What to say to somebody who named a baseline that there is not."""
    if not names:
        return "there are none yet: edgeq baseline set NAME --run ID"
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{hint}there are {', '.join(names[:_SHOWN])}{more}"


def _read(store: Store, session: Session, row: BaselineRow) -> Baseline:
    run = session.scalars(select(Run).where(Run.id == row.run_id)).one_or_none()
    if run is None:
        what = f"run {row.run_id} of baseline '{row.name}' is gone"
        raise InputError(store.where, what, f"edgeq baseline rm {row.name}")
    report = store.read(run.id, run.report_json)
    return Baseline(name=row.name, created_at=row.created_at, report=report)

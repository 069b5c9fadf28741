"""Appending reports, trials and comparisons, and finding them again."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import URL, Connection, Engine, exc, select
from sqlalchemy.orm import Session

from edgeq.errors import InputError
from edgeq.records.comparison import Comparison
from edgeq.records.record import Record
from edgeq.records.report import Report
from edgeq.records.trial import Trial
from edgeq.store.connection import connect, default_url, parse, place, reported
from edgeq.store.schema import ComparisonRow, Run, TrialRow, begin_writing, prepare

_MATCHES_SHOWN = 5
R = TypeVar("R", bound=Record)


class Store:
    """The reports of all runs; several processes may use one store at the same time.

    `notes` gathers which rows were passed over, as nobody can read them.
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url
        self.where = place(url)
        self.notes: list[str] = []

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, kept whole or not at all. InputError when the database refuses."""
        with reported(self._url), Session(self._engine) as session, session.begin():
            begin_writing(session)
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session to ask questions in. InputError when the database refuses."""
        with reported(self._url), Session(self._engine) as session:
            yield session

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine, and no server that may come back."""
        return self._engine.dialect.name == "sqlite"

    def connection(self) -> Connection:
        """A connection to keep, for who writes again and again."""
        return self._engine.connect()

    @contextmanager
    def begun(self, connection: Connection) -> Iterator[None]:
        """A transaction of a kept connection. Raises what the driver does."""
        with connection.begin():
            if self.is_file:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield

    def reporting(self) -> AbstractContextManager[None]:
        """Where errors of the database become InputError."""
        return reported(self._url)

    def add(self, report: Report) -> None:
        """Append a report, whole or not at all.

        Raises InputError when its id is there already or the database refuses.
        """
        self._append(row(report), f"report {report.id}")

    def add_comparison(self, found: Comparison) -> None:
        """Append a comparison, whole or not at all. Raises InputError as `add`."""
        made = ComparisonRow(
            id=found.id,
            created_at=found.created_at,
            recipe=found.recipe,
            target=found.target,
            device=found.device,
            a_artifact_id=found.a.artifact_id,
            b_artifact_id=found.b.artifact_id,
            exit_code=found.exit_code,
            emulated=found.emulated,
            comparison_json=found.model_dump_json(),
        )
        self._append(made, f"comparison {found.id}")

    def comparisons(
        self, target: str | None = None, device: str | None = None, limit: int | None = 50
    ) -> list[Comparison]:
        """The newest comparisons first, of one target or device; `notes` names bad ones."""
        query = select(ComparisonRow.id, ComparisonRow.comparison_json)
        if target is not None:
            query = query.where(ComparisonRow.target == target)
        if device is not None:
            query = query.where(ComparisonRow.device == device)
        newest = ComparisonRow.created_at.desc(), ComparisonRow.sequence.desc()
        with self.reading() as session:
            rows = session.execute(query.order_by(*newest).limit(limit)).all()
        read = (self.kept(Comparison, f"comparison {id_}", text) for id_, text in rows)
        return [found for found in read if found]

    def add_trial(self, trial: Trial, recipe: str, model_sha256: str, target: str) -> None:
        """Append a trial, whole or not at all. Raises InputError when the database refuses."""
        made = TrialRow(
            created_at=datetime.datetime.now(datetime.UTC),
            recipe=recipe,
            model_sha256=model_sha256,
            target=target,
            stage=trial.stage,
            name=trial.name,
            final=trial.final,
            artifact_id=trial.artifact,
            mask_ap_drop=trial.mask_ap_drop.estimate if trial.mask_ap_drop else None,
            box_ap_drop=trial.box_ap_drop.estimate if trial.box_ap_drop else None,
            trial_json=trial.model_dump_json(),
        )
        with self.writing() as session:
            session.add(made)

    def trials(
        self, model_sha256: str | None = None, target: str | None = None, limit: int | None = 200
    ) -> list[Trial]:
        """The newest trials first, of one model or target where given; `notes` names bad ones."""
        query = select(TrialRow.sequence, TrialRow.trial_json)
        if model_sha256 is not None:
            query = query.where(TrialRow.model_sha256 == model_sha256)
        if target is not None:
            query = query.where(TrialRow.target == target)
        query = query.order_by(TrialRow.created_at.desc(), TrialRow.sequence.desc()).limit(limit)
        with self.reading() as session:
            rows = [(f"trial {number}", text) for number, text in session.execute(query)]
        return [trial for name, text in rows if (trial := self.kept(Trial, name, text))]

    def recipes(self, target: str) -> list[str]:
        """What the recipes of a target's runs are called, each once."""
        query = select(Run.recipe).where(Run.target == target).distinct().order_by(Run.recipe)
        with self.reading() as session:
            return list(session.scalars(query))

    def reports(
        self,
        model_sha256: str | None = None,
        target: str | None = None,
        device: str | None = None,
        limit: int | None = 50,
        recipes: Sequence[str] | None = None,
        artifact_id: str | None = None,
    ) -> list[Report]:
        """The newest reports first, of one model, target, device or artifact.

        With `recipes` of those alone. `notes` names bad ones.
        """
        query = select(Run.id, Run.report_json)
        if artifact_id is not None:
            query = query.where(Run.artifact_id == artifact_id)
        if model_sha256 is not None:
            query = query.where(Run.model_sha256 == model_sha256)
        if target is not None:
            query = query.where(Run.target == target)
        if device is not None:
            query = query.where(Run.device == device)
        if recipes is not None:
            query = query.where(Run.recipe.in_(recipes))
        query = query.order_by(Run.created_at.desc(), Run.sequence.desc()).limit(limit)
        with self.reading() as session:
            rows = session.execute(query).all()
        return [kept for id_, text in rows if (kept := self.kept(Report, f"report {id_}", text))]

    def report(self, prefix: str) -> Report:
        """The report whose id is or begins with `prefix`; InputError unless there is just one."""
        query = select(Run.id, Run.report_json).where(Run.id.startswith(prefix, autoescape=True))
        with self.reading() as session:
            rows = session.execute(query.order_by(Run.id).limit(_MATCHES_SHOWN + 1)).all()
        rows = [found for found in rows if found.id == prefix] or rows
        if not rows or not prefix:
            remedy = "a deploy ends with its id, and edgeq history lists the newest"
            raise InputError(self.where, f"there is no report '{prefix}'", remedy)
        if len(rows) > 1:
            names = ", ".join(found.id for found in rows[:_MATCHES_SHOWN])
            more = ", ..." if len(rows) > _MATCHES_SHOWN else ""
            what = f"report '{prefix}' may be {names}{more}"
            raise InputError(self.where, what, "write more of the id")
        return self.read(rows[0].id, rows[0].report_json)

    def _append(self, made: Run | ComparisonRow, name: str) -> None:
        try:
            with self.writing() as session:
                session.add(made)
        except InputError as error:
            if isinstance(error.__cause__, exc.IntegrityError):
                what = f"{name} is in the store already"
                raise InputError(self.where, what, "run again to get a new one") from error
            raise

    def kept(self, kind: type[R], name: str, text: str) -> R | None:
        """The record in a row; None for one that cannot be read, which must not hide the others."""
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            note = f"{name} in {self.where} was passed over, as it cannot be read: {where}: "
            self.notes.append(note + first["msg"])
            return None

    def read(self, id_: str, text: str) -> Report:
        """The report of a row; InputError where this edgeq cannot read it."""
        try:
            return Report.model_validate_json(text)
        except ValidationError as error:
            what = f"report {id_} has a form that this edgeq cannot read"
            raise InputError(self.where, what, "read it with the edgeq that wrote it") from error


def open_store(url: str | None = None) -> Store:
    """The store at a SQLAlchemy URL, made where there is none.

    Without a URL it is EDGEQ_STORE, else `store.sqlite` in EDGEQ_HOME (default ~/.edgeq).
    Raises InputError for a URL, driver, server, file or schema that edgeq cannot use.
    """
    parsed = parse(url or default_url())
    engine = connect(parsed)
    with reported(parsed):
        prepare(engine, place(parsed))
    return Store(engine, parsed)


def row(report: Report) -> Run:
    """The row of a report."""
    device = report.column("device")
    accuracy = device.accuracy if device else None
    measurement = device.measurement if device else None
    latency_p50_ms = measurement.latency_ms(50) if measurement else math.nan
    return Run(
        id=report.id,
        created_at=report.created_at,
        recipe=report.recipe,
        model_sha256=report.model_sha256,
        target=report.target,
        device=report.device,
        artifact_id=report.artifact_id,
        exit_code=report.exit_code,
        mask_ap=accuracy.mask.ap if accuracy else None,
        latency_p50_ms=None if math.isnan(latency_p50_ms) else latency_p50_ms,
        peak_memory_bytes=measurement.peak_rss_bytes if measurement else None,
        emulated=measurement.emulated if measurement else False,
        report_json=report.model_dump_json(),
    )

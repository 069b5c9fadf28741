"""The tables of the store, and their version."""

from __future__ import annotations

import datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Engine, String, Text, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from edgeq.errors import InputError
from edgeq.store import ownership

SCHEMA_VERSION = 5
"""2 added the trials, 3 comparisons and baselines, 4 the health of boards, 5 roll-outs; tables that
an older edgeq made are kept, those that lack are added."""

# any constant of our own: those who create the tables at the same time wait for each other
_CREATION_LOCK = 0x65646765


class Utc(TypeDecorator[datetime.datetime]):
    """A moment, kept as UTC without a zone: SQLite has no type that remembers one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        """The moment in UTC; one without a zone is taken for UTC."""
        if value is None or value.tzinfo is None:
            return value
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        """The moment with its zone, UTC."""
        return value if value is None else value.replace(tzinfo=datetime.UTC)


class Base(DeclarativeBase):
    """Base of the tables."""


class SchemaVersion(Base):
    """One row: the version of the tables beside it."""

    __tablename__ = "edgeq_schema"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Run(Base):
    """One report: the columns that queries ask for, and the whole of it as JSON."""

    __tablename__ = "edgeq_runs"

    sequence: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc, index=True)
    recipe: Mapped[str] = mapped_column(Text)
    model_sha256: Mapped[str] = mapped_column(String(64), index=True)
    target: Mapped[str] = mapped_column(Text, index=True)
    device: Mapped[str] = mapped_column(Text, index=True)
    artifact_id: Mapped[str] = mapped_column(Text)
    exit_code: Mapped[int]
    mask_ap: Mapped[float | None]
    latency_p50_ms: Mapped[float | None]
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    emulated: Mapped[bool]
    report_json: Mapped[str] = mapped_column(Text)


class TrialRow(Base):
    """One trial of tuning: the columns that queries ask for, and the whole of it as JSON."""

    __tablename__ = "edgeq_trials"

    sequence: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc, index=True)
    recipe: Mapped[str] = mapped_column(Text)
    model_sha256: Mapped[str] = mapped_column(String(64), index=True)
    target: Mapped[str] = mapped_column(Text, index=True)
    stage: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    final: Mapped[bool]
    artifact_id: Mapped[str] = mapped_column(Text)
    mask_ap_drop: Mapped[float | None]
    box_ap_drop: Mapped[float | None]
    trial_json: Mapped[str] = mapped_column(Text)


class ComparisonRow(Base):
    """One comparison: the columns that queries ask for, and the whole of it as JSON."""

    __tablename__ = "edgeq_comparisons"

    sequence: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc, index=True)
    recipe: Mapped[str | None] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text, index=True)
    device: Mapped[str] = mapped_column(Text, index=True)
    a_artifact_id: Mapped[str] = mapped_column(Text)
    b_artifact_id: Mapped[str] = mapped_column(Text)
    exit_code: Mapped[int]
    emulated: Mapped[bool]
    comparison_json: Mapped[str] = mapped_column(Text)


class BaselineRow(Base):
    """A name for a run."""

    __tablename__ = "edgeq_baselines"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc)
    run_id: Mapped[str] = mapped_column(String(64))
    artifact_id: Mapped[str] = mapped_column(Text)


class HealthRow(Base):
    """How a board did with its gold artifact: what queries ask for, and the whole as JSON."""

    __tablename__ = "edgeq_health"

    sequence: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc, index=True)
    target: Mapped[str] = mapped_column(Text)
    device: Mapped[str] = mapped_column(Text, index=True)
    workload: Mapped[str] = mapped_column(String(64), index=True)
    is_usual: Mapped[bool]
    health_json: Mapped[str] = mapped_column(Text)


class RolloutRow(Base):
    """A roll-out: what it is, how it stands, and who works on it."""

    __tablename__ = "edgeq_rollouts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime.datetime] = mapped_column(Utc, index=True)
    recipe: Mapped[str] = mapped_column(Text)
    fleet: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20), index=True)
    reason: Mapped[str] = mapped_column(Text)
    wanted: Mapped[str] = mapped_column(String(20))
    approved: Mapped[int]
    generation: Mapped[int] = mapped_column(BigInteger)
    holder: Mapped[str | None] = mapped_column(Text)
    held_since: Mapped[datetime.datetime | None] = mapped_column(Utc)
    held_until: Mapped[datetime.datetime | None] = mapped_column(Utc)
    plan_json: Mapped[str] = mapped_column(Text)


class RolloutDeviceRow(Base):
    """A device of a roll-out. `place` is where it is, whatever a fleet calls it."""

    __tablename__ = "edgeq_rollout_devices"

    rollout_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(200), primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    position: Mapped[int]
    wave: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    tries: Mapped[int]
    failure: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    before: Mapped[str | None] = mapped_column(Text)
    artifact_id: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime.datetime | None] = mapped_column(Utc)
    soaks_until: Mapped[datetime.datetime | None] = mapped_column(Utc)
    losses_json: Mapped[str] = mapped_column(Text)
    reference_json: Mapped[str | None] = mapped_column(Text)


class RolloutEventRow(Base):
    """Something that happened in a roll-out."""

    __tablename__ = "edgeq_rollout_events"

    sequence: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime.datetime] = mapped_column(Utc)
    event_json: Mapped[str] = mapped_column(Text)


def prepare(engine: Engine, where: str) -> None:
    """Make the tables that are missing.

    Raises InputError when a newer edgeq made them, or another program; or when they are damaged.
    """
    ownership.check(engine, where, Base.metadata)
    version = 0
    if inspect(engine).has_table(SchemaVersion.__tablename__):
        with Session(engine) as session:
            version = session.scalar(select(SchemaVersion.version)) or 0
    if version <= SCHEMA_VERSION:
        ownership.check_columns(engine, where, Base.metadata)
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:  # readers do not wait for a writer
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    if version < SCHEMA_VERSION:
        version = _create(engine)
    if version > SCHEMA_VERSION:
        what = f"was written by a newer edgeq (schema {version}, this one knows {SCHEMA_VERSION})"
        raise InputError(where, what, "update edgeq, or name another store in EDGEQ_STORE")


def _create(engine: Engine) -> int:
    """All tables and the version in one transaction, alone: a killed one leaves nothing.

    The version that is there then: somebody newer may have been faster.
    """
    with Session(engine) as session, session.begin():
        begin_writing(session)
        if engine.dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
        ownership.mark(session.connection())
        Base.metadata.create_all(session.connection())
        known = session.scalar(select(SchemaVersion))
        if known is not None and known.version >= SCHEMA_VERSION:
            return int(known.version)
        if known is not None:
            session.delete(known)
            session.flush()
        session.add(SchemaVersion(version=SCHEMA_VERSION))
    return SCHEMA_VERSION


def begin_writing(session: Session) -> None:
    """Take SQLite's write lock now: a transaction that read first could not wait for it."""
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql("BEGIN IMMEDIATE")

"""How boards did with their gold artifacts."""

from __future__ import annotations

from sqlalchemy import select

from edgeq.records.health import Health
from edgeq.store.runs import Store
from edgeq.store.schema import HealthRow

LONGEST = 50


def keep(store: Store, found: Health) -> None:
    """Append one. Raises InputError when the database refuses."""
    made = HealthRow(
        created_at=found.created_at,
        target=found.target,
        device=found.device,
        workload=found.workload,
        health_json=found.model_dump_json(),
    )
    with store.writing() as session:
        session.add(made)


def every(store: Store, device: str, workload: str | None = None) -> list[Health]:
    """The newest of one board, or of one workload there, the latest first.

    The store's `notes` name those that cannot be read.
    """
    query = select(HealthRow.sequence, HealthRow.health_json).where(HealthRow.device == device)
    if workload is not None:
        query = query.where(HealthRow.workload == workload)
    query = query.order_by(HealthRow.created_at.desc(), HealthRow.sequence.desc()).limit(LONGEST)
    with store.reading() as session:
        rows = [(f"health {number}", text) for number, text in session.execute(query)]
    return [found for name, text in rows if (found := store.kept(Health, name, text))]

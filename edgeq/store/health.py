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
        is_usual=not found.doubt,
        health_json=found.model_dump_json(),
    )
    with store.writing() as session:
        session.add(made)


def usual(store: Store, device: str, workload: str) -> list[Health]:
    """The newest of one board with one workload, the latest first, without those in doubt.

    The store's `notes` name those that cannot be read.
    """
    query = select(HealthRow.sequence, HealthRow.health_json).where(
        HealthRow.device == device, HealthRow.workload == workload, HealthRow.is_usual
    )
    query = query.order_by(HealthRow.created_at.desc(), HealthRow.sequence.desc()).limit(LONGEST)
    with store.reading() as session:
        rows = [(f"health {number}", text) for number, text in session.execute(query)]
    return [found for name, text in rows if (found := store.kept(Health, name, text))]

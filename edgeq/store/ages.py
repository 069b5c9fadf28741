"""How old releases are, as far as a store knows them."""

from __future__ import annotations

import datetime

from sqlalchemy import func, select

from edgeq.store.runs import Store
from edgeq.store.schema import RolloutDeviceRow, RolloutRow, Run


def first_seen(store: Store, artifact_id: str, besides: str) -> datetime.datetime | None:
    """When an artifact was first deployed or rolled out, `besides` in that roll-out; None: never.

    Raises InputError when the database refuses.
    """
    runs = select(func.min(Run.created_at)).where(Run.artifact_id == artifact_id)
    devices = (
        select(func.min(RolloutRow.created_at))
        .join(RolloutDeviceRow, RolloutDeviceRow.rollout_id == RolloutRow.id)
        .where(RolloutDeviceRow.artifact_id == artifact_id, RolloutRow.id != besides)
    )
    with store.reading() as session:
        found = [session.scalar(runs), session.scalar(devices)]
    return min((moment for moment in found if moment is not None), default=None)

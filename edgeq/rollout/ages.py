"""Whether a release is older than the one that it would take the place of."""

from __future__ import annotations

import datetime
from functools import partial

from edgeq.errors import DeviceError
from edgeq.rollout.failures import DOWNGRADE
from edgeq.rollout.once import Proven
from edgeq.store.ages import first_seen
from edgeq.store.journal import RolloutJournal
from edgeq.store.runs import Store


class Ages:
    """The ages of releases, for one roll-out; any thread may ask.

    A signature says who released it and not when, so an old release that is signed is as good as a
    new one for a device; what the store has seen tells them apart.
    """

    def __init__(self, store: Store, journal: RolloutJournal) -> None:
        self._store = store
        self._journal = journal
        self._seen: Proven[str, datetime.datetime | None] = Proven()

    def require_newer(self, artifact_id: str, before: str | None, address: str) -> None:
        """DeviceError (downgrade) where both are known and the one before is newer."""
        if before in (None, artifact_id):
            return
        new, old = self._of(artifact_id), self._of(str(before))
        if new is None or old is None or new >= old:
            return
        what = (
            f"it runs {str(before)[:12]}, first seen {old:%Y-%m-%d %H:%M}, and would get the older "
            f"{artifact_id[:12]}, first seen {new:%Y-%m-%d %H:%M}"
        )
        remedy = "if that is meant, begin a roll-out with --allow-downgrade"
        raise DeviceError(address, what, remedy, kind=DOWNGRADE)

    def _of(self, artifact_id: str) -> datetime.datetime | None:
        ask = partial(first_seen, self._store, artifact_id, besides=self._journal.lease.rollout)
        return self._seen.get(artifact_id, partial(self._journal.patiently, ask))[0]

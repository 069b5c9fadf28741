"""How boards did with their gold artifacts, in the store."""

from __future__ import annotations

from edgeq.records.health import HealthFigure
from edgeq.store import open_store
from edgeq.store.health import LONGEST, keep, usual

from ..records.test_health import HASH, health


def test_a_board_that_stays_off_does_not_become_usual(store_url: str) -> None:
    store = open_store(store_url)
    good = health(HealthFigure(measured_ms=10.0))
    off = health(HealthFigure(measured_ms=14.0, usual_ms=(9.5, 10.5), earlier=6))
    for found in (*[good] * 6, *[off] * LONGEST, health(good.figures["inference"], "drift")):
        keep(store, found)
    assert usual(store, "local", HASH) == [good] * 6
    assert usual(store, "barn-2", HASH) == usual(store, "local", "b" * 64) == []

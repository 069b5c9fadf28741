from __future__ import annotations

import datetime

import pytest

from edgeq.errors import InputError
from edgeq.store import open_store

from .comparisons import comparison
from .reports import NOON


def test_comparisons_come_back_newest_first_by_target_and_device(store_url: str) -> None:
    store = open_store(store_url)
    first = comparison("aa")
    second = comparison("bb", NOON + datetime.timedelta(hours=1), "jetson-orin", "barn-08")
    for one in (second, first):
        store.add_comparison(one)

    store = open_store(store_url)
    assert store.comparisons() == [second, first]
    assert store.comparisons(target="jetson-orin") == store.comparisons(device="barn-08")
    assert store.comparisons(device="barn-07") == [first]
    assert store.comparisons(limit=1) == [second]


def test_comparison_is_kept_once(store_url: str) -> None:
    store = open_store(store_url)
    store.add_comparison(comparison("aa"))
    with pytest.raises(InputError, match="comparison aa is in the store already"):
        store.add_comparison(comparison("aa"))

from __future__ import annotations

import pytest
from sqlalchemy import text

from edgeq.errors import InputError
from edgeq.store import baselines, open_store
from edgeq.store.connection import connect, parse
from edgeq.store.schema import SCHEMA_VERSION, BaselineRow, ComparisonRow

from .comparisons import comparison
from .reports import report


def test_baseline_is_the_run_that_it_names(store_url: str) -> None:
    store = open_store(store_url)
    for id_ in ("aa", "bb"):
        store.add(report(id_))
    made = baselines.keep(store, "main", report("aa"))

    store = open_store(store_url)
    assert baselines.named(store, "main") == made
    assert made.report == report("aa")
    assert baselines.find(store, "other") is None
    assert baselines.artifact_ids(store) == {"c" * 64}


def test_taken_name_is_replaced_when_told_to(store_url: str) -> None:
    store = open_store(store_url)
    for id_ in ("aa", "bb"):
        store.add(report(id_))
    baselines.keep(store, "main", report("aa"))
    with pytest.raises(InputError, match="baseline 'main' is run aa already; say --replace"):
        baselines.keep(store, "main", report("bb"))
    assert baselines.named(store, "main").report.id == "aa"
    baselines.keep(store, "main", report("bb"), replace=True)
    assert [found.report.id for found in baselines.every(store)] == ["bb"]


def test_unknown_names_say_what_there_is(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(InputError, match="no baseline 'main'; there are none yet: edgeq baseline"):
        baselines.named(store, "main")
    store.add(report("aa"))
    for name in ("main", "release-1"):
        baselines.keep(store, name, report("aa"))
    with pytest.raises(InputError, match=r"did you mean 'main'\? there are main, release-1"):
        baselines.remove(store, "mian")
    baselines.remove(store, "main")
    assert [found.name for found in baselines.every(store)] == ["release-1"]
    assert [found.id for found in store.reports()] == ["aa"]


def test_bad_run_hides_no_other_baseline(store_url: str) -> None:
    store = open_store(store_url)
    for id_ in ("aa", "bb"):
        store.add(report(id_))
        baselines.keep(store, f"of-{id_}", report(id_))
    with connect(parse(store_url)).begin() as connection:
        connection.execute(text("UPDATE edgeq_runs SET report_json = '{}' WHERE id = 'aa'"))
    assert [found.name for found in baselines.every(store)] == ["of-bb"]
    assert "baseline 'of-aa' was passed over" in store.notes[0]


def test_store_of_schema_2_gets_comparisons_and_baselines(store_url: str) -> None:
    open_store(store_url).add(report("aa"))
    with connect(parse(store_url)).begin() as connection:
        for table in (ComparisonRow, BaselineRow):
            connection.execute(text(f"DROP TABLE {table.__tablename__}"))
        connection.execute(text("UPDATE edgeq_schema SET version = 2"))

    store = open_store(store_url)
    baselines.keep(store, "main", report("aa"))
    store.add_comparison(comparison())

    assert [found.id for found in store.reports()] == ["aa"]
    with connect(parse(store_url)).begin() as connection:
        versions = connection.execute(text("SELECT version FROM edgeq_schema")).all()
    assert versions == [(SCHEMA_VERSION,)]

from __future__ import annotations

from sqlalchemy import text

from edgeq.records.accuracy import Interval
from edgeq.records.trial import Trial
from edgeq.store import open_store
from edgeq.store.connection import connect, parse
from edgeq.store.schema import SCHEMA_VERSION, TrialRow

from .reports import report


def trial(name: str, drop: float | None = 0.004) -> Trial:
    interval = None if drop is None else Interval(estimate=drop, low=0, high=0.01, resamples=9)
    return Trial(
        stage="calibrator",
        name=name,
        changes={"quantize.exclude": ["a"]},
        mask_ap=0.25,
        box_ap=0.3,
        mask_ap_drop=interval,
        box_ap_drop=None,
        layers_quantized=3,
        layers_float=1,
        artifact="c" * 64,
        seconds=1.5,
    )


def test_trials_come_back_newest_first_by_model_and_target(store_url: str) -> None:
    store = open_store(store_url)
    first, second = trial("max"), trial("mse", None)
    store.add_trial(first, "pig.yaml", "b" * 64, "local")
    store.add_trial(second, "pig.yaml", "b" * 64, "jetson-orin")

    assert open_store(store_url).trials() == [second, first]
    assert store.trials(target="local") == [first]
    assert store.trials(model_sha256="d" * 64) == []
    assert store.trials(limit=1) == [second]


def test_store_of_an_older_edgeq_gets_what_it_lacks_and_keeps_the_rest(store_url: str) -> None:
    kept = report("0123abcd")
    open_store(store_url).add(kept)
    with connect(parse(store_url)).begin() as connection:
        connection.execute(text(f"DROP TABLE {TrialRow.__tablename__}"))
        connection.execute(text("UPDATE edgeq_schema SET version = 1"))

    store = open_store(store_url)
    store.add_trial(trial("max"), "pig.yaml", "b" * 64, "local")

    assert store.reports() == [kept]
    assert store.trials() == [trial("max")]
    with connect(parse(store_url)).begin() as connection:
        versions = connection.execute(text("SELECT version FROM edgeq_schema")).all()
    assert versions == [(SCHEMA_VERSION,)]

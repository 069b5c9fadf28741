"""The page of a tuning: met or missed, what each trial and stage came to, and why."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from edgeq.errors import InputError
from edgeq.records.tuning import Tuning
from edgeq.report.html.tuning.charts import tuning_charts
from edgeq.report.html.tuning.page import render_tuning_html, write_tuning_html

from .elements import (
    EVIL,
    Elements,
    require_charts_are_told,
    require_no_foreign_element,
)
from .records import tried, tuned


def rows(page: Elements, name: str) -> list[dict[str, str]]:
    """The rows of a table that can be taken away."""
    return list(csv.DictReader(io.StringIO(page.links()[name])))


def test_it_says_whether_the_contract_is_met_and_what_decided() -> None:
    page = Elements(render_tuning_html(tuned()))

    text = " ".join(page.text.split())
    assert "Contract met" in text and "2 layers in float: agreement 0.9260/0.9060" in text
    assert "latency 1.034 [1.024, 1.044] of the start's" in text
    assert "Decided by agreement: for AP to tell, about 4300 images like these are needed" in text
    assert "The tuned recipe is recipes/pig-tuned.yaml" in text
    assert "percentile 99.99 agrees best: 0.872." in text
    require_charts_are_told(page, {"agreement", "latency", "lost"})
    assert Tuning.model_validate_json(page.links()["tuning.json"]) == tuned()


def test_what_is_missed_says_what_it_would_take() -> None:
    missed = tuned(met=False, needed=("more time (--budget)",), largest_latency=None)

    text = Elements(render_tuning_html(missed)).text

    assert "Contract missed" in text and "more time (--budget)" in text
    assert "times the latency of the recipe as it was" not in text


def test_every_stage_and_trial_can_be_taken_away_in_full() -> None:
    found = tuned()

    page = Elements(render_tuning_html(found))

    stages = rows(page, "stages.csv")
    assert [one["stage"] for one in stages] == [one.name for one in found.stages]
    assert stages[3]["latency"] == "1.034" and stages[0]["latency"] == ""
    assert stages[0]["its best"] == "per-channel, with all else in float"
    assert [float(one["agreement, box"]) for one in rows(page, "trials.csv")] == [
        one.agreement.box.estimate for one in found.trials if one.agreement
    ]


def test_latency_is_drawn_of_plans_that_were_measured_alone() -> None:
    unknown = tried("repair", "more", 0.8)
    found = tuned(trials=(*tuned().trials, unknown))

    [latency] = [one for one in tuning_charts(found) if one.name == "latency"]

    assert len(latency.numbers.rows) == 7
    assert "Not measured: 1 of 8 trials." in latency.description


def test_of_one_graph_there_is_one_latency_and_no_chart_of_it() -> None:
    same = tuple(one for one in tuned().trials if one.latency is None or one.latency.is_exact)

    names = [one.name for one in tuning_charts(tuned(trials=same, best=same[0]))]

    assert names == ["agreement", "lost"]


def test_without_latency_it_is_said_why() -> None:
    bare = tuple(one.model_copy(update={"latency": None}) for one in tuned().trials)
    found = tuned(trials=bare, best=bare[-1], unmeasured="no board was named")

    page = Elements(render_tuning_html(found))

    assert set(page.charts) == {"agreement", "lost"}
    assert "Latency was not measured: no board was named." in page.text


def test_of_many_trials_the_best_are_drawn_and_all_are_in_the_numbers() -> None:
    more = tuple(tried("partial", f"layer {n}", 0.5 + n / 1000) for n in range(60))
    found = tuned(trials=(*more, *tuned().trials))

    [chart] = [one for one in tuning_charts(found) if one.name == "agreement"]

    assert len(chart.numbers.rows) == 68
    assert "The 36 that agree least" in chart.description
    for name in ("layer 0", "2 layers in float", "layer 59"):
        assert f">{name}</text>" in chart.inside
    assert ">layer 3</text>" not in chart.inside


def test_foreign_text_is_text_wherever_it_stands() -> None:
    trials = tuple(
        one.model_copy(update={"name": EVIL, "stage": EVIL, "changes": {EVIL: EVIL}})
        for one in tuned().trials
    )
    stages = tuple(
        one.model_copy(update={"name": EVIL, "best": trials[0]}) for one in tuned().stages
    )
    names = ("recipe", "target", "compared_on", "judged_on", "ended", "output", "unmeasured")
    words = dict.fromkeys(("reasons", "needed", "notes"), (EVIL,))

    page = Elements(
        render_tuning_html(
            tuned(
                trials=trials, best=trials[-1], stages=stages, **words, **dict.fromkeys(names, EVIL)
            )
        )
    )

    require_no_foreign_element(page)
    assert page.text.count("<evil onload=") > 30


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_tuning_html(tuned(), tmp_path / "absent" / "page.html")

"""What becomes of tests' properties: rows of a table, and metrics that a parser reads."""

from __future__ import annotations

from typing import Literal

import prometheus_client.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.regression.figures import FEATURES, of_comparison, of_measurement, of_report
from edgeq.regression.openmetrics import render
from edgeq.regression.results import UNTOLD, Results

from ..store.comparisons import comparison
from ..store.reports import report
from .sessions import families

Outcome = Literal["passed", "failed", "skipped"]


def phase(test: str, outcome: Outcome, *properties: tuple[str, object]) -> pytest.TestReport:
    told = [("edgeq_board", "local"), ("edgeq_recipe", "pig.yaml"), *properties]
    where = ("test_it.py", 1, test)
    return pytest.TestReport(test, where, {}, outcome, None, "call", user_properties=told)


def test_row_has_every_test_once_and_a_failure_before_the_run_was_known() -> None:
    results = Results()
    figures = [(f"edgeq_{name}", value) for name, value in of_comparison(comparison())]
    for one in (
        phase("a", "failed"),
        phase("b", "passed", ("edgeq_run", "0123"), ("edgeq_mask_ap", 0.25)),
        phase("b", "passed"),
        phase("c", "skipped", ("edgeq_baseline", "main"), *figures),
        phase("c", "passed"),
    ):
        results.add(one)
    [heading, row] = results.table()
    assert heading.split()[:2] == ["board", "run"]
    assert row.split()[:2] == ["local", "0123"] and "0.2500" in row
    assert "main worse: inference; cannot tell: peak memory, box ap" in row
    assert row.endswith("1 failed, 1 passed, 1 skipped")
    assert [run.count("failed") for run in results.measured()] == [1]


def test_test_that_could_not_be_told_is_known() -> None:
    results = Results()
    results.add(phase("a", "passed", ("edgeq_run", "0123")))
    for test, why in (("b", f"frame {UNTOLD}: busy"), ("c", "needs a baseline to compare with")):
        skipped = phase(test, "skipped", ("edgeq_run", "0123"))
        skipped.longrepr = ("test_it.py", 1, f"Skipped: {why}")
        results.add(skipped)
    [run] = results.measured()
    assert run.untold == {"b"}


def test_tests_without_a_board_make_no_row() -> None:
    results = Results()
    results.add(pytest.TestReport("a", ("a.py", 1, "a"), {}, "passed", None, "call"))
    assert results.table() == [] and results.measured() == []


@given(
    st.dictionaries(st.sampled_from(["board", "recipe", "run"]), st.text(), min_size=1),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_metrics_keep_labels_and_values(labels: dict[str, str], value: float) -> None:
    text = render([(labels, [("mask_ap", value), ("peak_memory_bytes", 5)])])
    found = families(text)
    [sample] = found["edgeq_mask_ap"].samples
    assert (sample.labels, sample.value) == (labels, value)
    assert found["edgeq_peak_memory_bytes"].unit == "bytes"


def test_metrics_of_several_runs_are_one_family() -> None:
    runs = [({"run": run}, list(of_comparison(comparison()))) for run in ("a", "b")]
    found = families(render(runs))
    outcome = found["edgeq_compare_inference_outcome"]
    assert outcome.type == "stateset"
    states = {
        (one.labels["run"], one.labels["edgeq_compare_inference_outcome"]): one.value
        for one in outcome.samples
    }
    assert len(states) == 8 and sum(states.values()) == 2
    assert states["a", "worse"] == states["b", "worse"] == 1


def test_figures_of_a_report_are_those_that_were_measured() -> None:
    found = dict(of_report(report("aa")))
    assert found["inference_p50_ms"] == 41.0 and found["mask_ap"] == 0.25
    assert found["peak_memory_bytes"] == 5 * 2**30 and "energy_mj" not in found
    assert dict(of_report(report("aa").model_copy(update={"columns": ()}))) == {"size_bytes": 10}


def test_unstable_run_has_no_times_and_says_so() -> None:
    [column] = report("aa").columns
    assert column.measurement is not None
    busy = column.measurement.model_copy(update={"unstable": ("contention: others",)})
    changed = {"columns": (column.model_copy(update={"measurement": busy}),)}
    found = dict(of_report(report("aa").model_copy(update=changed)))
    assert found["unstable"] == 1.0 and not any(name.endswith("_ms") for name in found)
    results = Results()
    figures = [(f"edgeq_{name}", value) for name, value in found.items()]
    results.add(phase("a", "passed", ("edgeq_run", "0123"), *figures))
    assert results.table()[1].split()[2:4] == ["unstable", "unstable"]


@pytest.mark.parametrize("emulated", [True, False])
def test_emulated_board_is_said_beside_its_times(emulated: bool) -> None:
    measured = report("aa").columns[0].measurement
    assert measured is not None
    found = dict(of_measurement(measured.model_copy(update={"emulated": emulated})))
    assert found["emulated"] == float(emulated) and "inference_p50_ms" in found


def test_board_that_is_off_is_no_metric_of_the_comparison() -> None:
    results = Results()
    results.add(phase("a", "passed", ("edgeq_gold_outcome", "cannot tell")))
    assert "cannot tell" not in results.table()[1]


def test_feature_is_there_or_says_why_not() -> None:
    lacking = {name: judge(report("aa")) for name, judge in FEATURES.items()}
    assert lacking == {"power": "no rails can be read there", "latency": None, "accuracy": None}
    [column] = report("aa").columns
    assert column.measurement is not None
    emulated = column.measurement.model_copy(update={"emulated": True})
    column = column.model_copy(update={"accuracy": None, "measurement": emulated})
    board = report("aa").model_copy(update={"columns": (column,)})
    assert "emulated" in str(FEATURES["latency"](board))
    assert "no annotated images" in str(FEATURES["accuracy"](board))


def test_metrics_of_a_run_are_read_by_node_exporter_too() -> None:
    """Its textfile collector takes Prometheus' own text format, which knows no state sets."""
    found = report("0123")
    text = render([({"board": "barn-07", "recipe": 'a "pig"'}, of_report(found))])

    read = {
        sample.name: (sample.labels, sample.value)
        for family in prometheus_client.parser.text_string_to_metric_families(text)
        for sample in family.samples
    }

    labels = {"board": "barn-07", "recipe": 'a "pig"'}
    assert read["edgeq_mask_ap"] == (labels, 0.25)
    assert read["edgeq_peak_memory_bytes"] == (labels, 5 * 2**30)

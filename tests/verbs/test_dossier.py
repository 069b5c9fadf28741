"""The dossier of a run: by whatever name, with whatever is left."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from edgeq.cache import clear
from edgeq.errors import InputError
from edgeq.records.files import write_json
from edgeq.records.report import Report
from edgeq.store import baselines, open_store
from edgeq.verbs.dossier import dossier


@pytest.fixture
def report(before: str) -> Report:
    """That of the demo's deploy."""
    [found] = open_store().reports()
    return found


def test_a_run_is_found_by_how_its_id_begins_or_by_its_file(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(report, path)

    by_id, by_file = dossier([report.id[:6]]), dossier([str(path)])

    assert by_id == by_file
    assert by_id.evidence and by_id.insight
    assert [one.name for one in by_id.insight.columns] == ["float", "simulated", "device"]


def test_runs_of_the_recipe_stand_beside_it_or_those_that_were_named(report: Report) -> None:
    store = open_store()
    later = report.created_at + datetime.timedelta(hours=1)
    again = report.model_copy(update={"id": "a" * 12, "created_at": later})
    other = again.model_copy(update={"id": "b" * 12, "recipe": "other.yaml"})
    for one in (again, other):
        store.add(one)
    baselines.keep(store, "main", again)

    alone, beside = dossier([report.id]), dossier([report.id, other.id])

    assert [run.id for run in alone.runs] == [again.id, report.id]
    assert {run.id for run in beside.runs} == {other.id, report.id}
    assert alone.baselines == {again.id: "main"}
    [size] = [one for one in alone.series if one.metric == "size"]
    assert size.runs == (report.id, again.id)


def test_without_the_cache_it_says_what_is_gone(report: Report) -> None:
    clear("evidence")

    found = dossier([report.id])

    assert found.evidence is None and found.insight is None
    assert "not on this machine" in found.without_evidence
    assert found.report == report


def test_changed_labels_tell_nothing_of_this_run(
    report: Report, small_demo: Path, tmp_path: Path
) -> None:
    labels = small_demo / "instances.json"
    content = labels.read_text()
    try:
        labels.write_text(content + " ")
        found = dossier([report.id])
    finally:
        labels.write_text(content)

    assert found.evidence is not None and found.insight is None
    assert "is not what it was" in found.without_insight


def test_foreign_report_may_call_its_run_anything(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(report.model_copy(update={"id": "../../1"}), path)

    found = dossier([str(path)])

    assert found.report.id == "../../1" and found.evidence is None


@pytest.mark.parametrize("content", ["{", "{}", json.dumps({"id": "x", "columns": 3})])
def test_what_is_no_report_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)

    with pytest.raises(InputError, match="is no report"):
        dossier([str(path)])

"""The example suite on this machine: a first session that saves, a second that compares."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import select

from edgeq.records.health import Health, HealthFigure
from edgeq.store import open_store
from edgeq.store.health import keep
from edgeq.store.schema import HealthRow
from edgeq.verbs.baseline import list_baselines

from ..demo_project import acquaint
from .sessions import EXAMPLE, families, pytest_in, settings

TIMES = """
def test_board(edgeq_gold):
    assert edgeq_gold.doubt and edgeq_gold.figures["frame"].earlier >= 6

def test_latency(edgeq_measurement):
    assert False
"""
POWER = """
import pytest

@pytest.mark.edgeq_feature("power")
def test_energy(edgeq_deploy):
    assert edgeq_deploy.column("device").measurement.power.energy_mj < 100
"""


@dataclass
class Sessions:
    """What both said, and what they left."""

    folder: Path
    home: Path
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def sessions(
    small_demo: Path,
    reckoned: Path,
    known_agent: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sessions]:
    """Both; the first one in two workers. What is deployed has been built before."""
    folder = tmp_path_factory.mktemp("suite")
    shutil.copytree(small_demo, folder / "demo")
    recipe = folder / "demo" / "recipe.yaml"
    short = "compare: {duration_s: 0.3, reloads: 3, warmup_s: 0, slower_by: 50%}\n"
    recipe.write_text(recipe.read_text() + short)
    shutil.copy(EXAMPLE, folder)
    (folder / "test_energy.py").write_text(POWER)
    settings(folder, "edgeq_recipe = demo/recipe.yaml", "edgeq_unstable = skip")
    home = folder / "home"
    shutil.copytree(reckoned / "cache", home / "cache")
    acquaint(home / "device", known_agent)
    told = {"EDGEQ_HOME": str(home), "EDGEQ_TARGET": "local"}
    first = pytest_in(folder, "-p", "xdist", "-n", "2", "--edgeq-save", "main", variables=told)
    files = ["--junitxml", "junit.xml", "--edgeq-metrics", "edgeq.txt"]
    named = ["--edgeq-baseline", "main", "--edgeq-gold", "main"]
    second = pytest_in(folder, *named, *files, variables=told)
    yield Sessions(folder, home, first, second)


def test_first_session_deploys_once_and_saves(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sessions.first.returncode == 0, sessions.first.stdout
    assert "needs a baseline to compare with: say --edgeq-baseline NAME" in sessions.first.stdout
    monkeypatch.setenv("EDGEQ_HOME", str(sessions.home))
    runs = [report.id for report in open_store().reports()]
    assert len(runs) == 2  # one of each session, whatever its workers
    [kept] = list_baselines()
    assert (kept.baseline.name, kept.baseline.report.id, kept.artifact) == ("main", runs[1], "here")
    assert f"run {runs[1]} is baseline main now" in sessions.first.stdout


def test_second_session_compares_with_it(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sessions.second.returncode == 0, sessions.second.stdout
    monkeypatch.setenv("EDGEQ_HOME", str(sessions.home))
    [found] = open_store().comparisons()
    assert found.a.named == "main"
    assert found.a.artifact_id == found.b.artifact_id
    [line] = [one for one in sessions.second.stdout.splitlines() if one.startswith("local ")]
    assert " main " in line and "passed" in line


def test_every_figure_is_a_property_and_a_metric(sessions: Sessions) -> None:
    tree = ElementTree.parse(sessions.folder / "junit.xml")
    [case] = [one for one in tree.iter("testcase") if "peak memory" in str(one.get("name"))]
    told = {str(one.get("name")): str(one.get("value")) for one in case.iter("property")}
    assert told["edgeq_board"] == "local" and float(told["edgeq_mask_ap"]) > 0.5
    assert told["edgeq_compare_size_outcome"] == "same"
    assert float(told["edgeq_compare_size_change"]) == 0.0

    metrics = families((sessions.folder / "edgeq.txt").read_text())
    [time] = metrics["edgeq_compare_inference_candidate_seconds"].samples
    wanted = float(told["edgeq_compare_inference_candidate_ms"]) / 1000
    assert time.value == pytest.approx(wanted)
    assert (time.labels["run"], time.labels["baseline"]) == (told["edgeq_run"], "main")
    # A busy machine has no times.
    is_unstable = float(told["edgeq_unstable"]) == 1.0
    assert is_unstable == ("edgeq_inference_p50_seconds" not in metrics)
    [mask] = metrics["edgeq_mask_ap"].samples
    assert mask.value == float(told["edgeq_mask_ap"])


def test_board_that_is_not_what_it_was_tells_nothing_of_times(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEQ_HOME", str(sessions.home))
    store = open_store()
    with store.reading() as session:
        [text] = session.scalars(select(HealthRow.health_json)).all()
    found = Health.model_validate_json(text)
    assert found.gold == "main" and found.figures["frame"].usual_ms is None
    faster = {
        name: HealthFigure(measured_ms=one.measured_ms / 9) for name, one in found.figures.items()
    }
    for _ in range(6):
        keep(store, found.model_copy(update={"figures": faster, "unstable": ()}))
    settings(tmp_path)
    (tmp_path / "test_it.py").write_text(TIMES)
    recipe = sessions.folder / "demo" / "recipe.yaml"
    told = ["--edgeq-target", "local", "--edgeq-recipe", str(recipe), "--edgeq-gold", "main"]
    done = pytest_in(tmp_path, *told, "--edgeq-unstable", "skip")
    assert done.returncode == 0 and "1 passed, 1 skipped" in done.stdout, done.stdout
    # On a busy machine the gold artifact itself may be unstable.
    assert re.search("off its own history with 'main'|gold artifact 'main' is unst", done.stdout)


def test_feature_that_the_board_lacks_skips_and_says_why(sessions: Sessions) -> None:
    assert "power: " in sessions.second.stdout
    assert "test_energy.py" in sessions.second.stdout


def test_example_needs_nothing_but_its_options(tmp_path: Path) -> None:
    """Without any it is skipped, and says what to do."""
    shutil.copy(EXAMPLE, tmp_path)
    settings(tmp_path)
    done = pytest_in(tmp_path)
    assert done.returncode == 0 and "7 skipped" in done.stdout
    assert "needs a board: say --edgeq-target NAME, or --edgeq-fleet FILE" in done.stdout
    assert "= edgeq =" not in done.stdout

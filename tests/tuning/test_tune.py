"""Tuning the small demo: what it writes, when it stops, and what a second run costs."""

from __future__ import annotations

import datetime
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from edgeq.cli.main import app
from edgeq.errors import InputError
from edgeq.graph.load import load
from edgeq.quantization.decide import resolve_choices
from edgeq.records.trial import Trial
from edgeq.records.tuning import Tuning
from edgeq.spec import recipe as recipes
from edgeq.spec.recipe import Recipe
from edgeq.store import open_store
from edgeq.store.connection import connect, default_url, parse
from edgeq.store.schema import Run
from edgeq.tuning.contract import Limit
from edgeq.tuning.partial import LARGEST_SHARE
from edgeq.tuning.steps import STAGES, Stage
from edgeq.tuning.tune import Wanted, tune

from .conftest import LAYERS

OVERCLIPPED = "percentile: 99}"
BRIEFLY = "\ncompare: {duration_s: 0.3, reloads: 3, warmup_s: 0}\n"
LOOSE = Wanted(Limit(0.5), Limit(0.5))
NOTHING = Wanted(Limit(-1.0), Limit(-1.0))


@pytest.fixture(scope="module")
def project(few_layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that clips far too much."""
    folder = tmp_path_factory.mktemp("tuning")
    for path in few_layers.iterdir():
        (folder / path.name).symlink_to(path)
    recipe = folder / "clipped.yaml"
    text = (few_layers / "recipe.yaml").read_text()
    recipe.write_text(text.replace("percentile: 99.99}", OVERCLIPPED) + BRIEFLY)
    assert OVERCLIPPED in recipe.read_text()
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuning-home")


@pytest.fixture(autouse=True)
def at_home(home: Path, edgeq_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEQ_HOME", str(home))


@pytest.fixture(scope="module")
def searched(project: Path, home: Path) -> Tuning:
    """A contract that nothing meets: every stage runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        return tune(project / "clipped.yaml", "local", project / "tuned.yaml", NOTHING)


def stages(found: Tuning) -> list[str]:
    return list(dict.fromkeys(trial.stage for trial in found.trials))


def left_out(recipe: Recipe) -> set[str]:
    model = load(recipe.model, recipe.preprocess.size)
    return set(resolve_choices(model, recipe.quantize).excluded)


def unreadable_run(project: Path) -> Run:
    return Run(
        id="rotten",
        created_at=datetime.datetime.now(datetime.UTC),
        recipe="clipped.yaml",
        model_sha256=load(recipes.load(project / "clipped.yaml").model).sha256,
        target="local",
        device="here",
        artifact_id="",
        exit_code=0,
        emulated=False,
        report_json="{}",
    )


def loss(trial: Trial) -> float:
    assert trial.agreement is not None
    return 1 - min(trial.agreement.mask.estimate, trial.agreement.box.estimate)


def test_contract_that_holds_already_ends_the_search_at_once(project: Path) -> None:
    found = tune(project / "clipped.yaml", "local", project / "kept.yaml", LOOSE)

    assert (found.met, found.exit_code) == (True, 0)
    assert stages(found) == ["start", "final"]
    kept = recipes.load(project / "kept.yaml")
    assert kept == recipes.load(project / "clipped.yaml")


def test_every_stage_is_tried_before_the_contract_is_called_missed(searched: Tuning) -> None:
    assert (searched.met, searched.exit_code) == (False, 1)
    assert searched.ended == "all stages are done"
    assert searched.needed
    wanted = ["start", "final", "weights", "calibrator", "repair", "partial"]
    assert [stage for stage in wanted if stage not in stages(searched)] == []
    # Both schemes of ONNX Runtime with max, entropy, mse and four percentiles.
    names = [trial.name for trial in searched.trials if trial.stage == "calibrator"]
    assert len(names) == len(set(names)) == 14


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_stage_runs_in_its_place_or_is_an_option(searched: Tuning, stage: Stage) -> None:
    ran = [one.name for one in searched.stages]
    assert ran == [one.name for one in STAGES if not one.option]
    assert (stage.name in ran) == (not stage.option)
    page = (Path(__file__).parents[2] / "docs/tuning.md").read_text()
    assert f"**{stage.title}**" in page
    if stage.option:
        assert getattr(Wanted(), stage.option) is False
        assert any(f"(--{stage.option})" in need for need in searched.needed)


def test_stage_is_told_with_its_best_trial_and_what_it_took(searched: Tuning) -> None:
    for stage in searched.stages:
        tried = [trial for trial in searched.trials if trial.stage == stage.name]
        assert stage.trials == len(tried) and stage.best in tried
        assert stage.seconds > 0 and stage.cpu_s > 0
        if not stage.taken:
            assert stage.best == min(tried, key=loss) and stage.judged is None
        else:
            assert stage.judged is not None and stage.judged.final
            assert stage.best is not None and stage.judged.changes == stage.best.changes
    assert searched.best == [one for one in searched.stages if one.taken][-1].judged
    # A search takes at least as long on the wall as one of two cores works for it.
    assert sum(one.cpu_s for one in searched.stages) > 1


def test_latency_is_measured_where_the_graph_is_another(searched: Tuning) -> None:
    start = next(trial for trial in searched.trials if trial.stage == "start")
    assert start.latency is not None and start.latency.is_exact and start.latency.estimate == 1
    for trial in searched.trials:
        if trial.arithmetics == ("float",):
            assert trial.latency is None  # weights alone are no plan of the target's
            continue
        assert trial.latency is not None
        assert trial.latency.is_exact == (trial.layers_float == start.layers_float)
        assert trial.latency.low <= trial.latency.estimate <= trial.latency.high
    partial = [trial for trial in searched.trials if trial.stage == "partial"]
    assert partial and all(trial.latency and trial.latency.pairs >= 6 for trial in partial)


@pytest.mark.usefixtures("searched")  # its trials are known
def test_nothing_that_costs_latency_is_taken_over_the_budget(project: Path) -> None:
    wanted = replace(LOOSE, latency=0.01)
    found = tune(project / "clipped.yaml", "local", project / "fast.yaml", wanted)

    assert (found.met, found.exit_code, found.largest_latency) == (False, 1, 0.01)
    # A layer that is faster in float for sure may go there; nothing else does.
    latency = found.best.latency
    assert latency is not None and (latency.is_exact or latency.high < 1)
    start, tuned = (recipes.load(project / f"{name}.yaml") for name in ("clipped", "fast"))
    assert (left_out(tuned) == left_out(start)) == latency.is_exact
    assert tuned.quantize.head == start.quantize.head
    # What costs nothing is looked for all the same.
    assert tuned.quantize.activations != start.quantize.activations
    [need] = [need for need in found.needed if "latency of the start" in need]
    assert "0.01 times" in need
    assert ("latency as at the start" in need) == latency.is_exact
    assert any("latency at most 0.01" in reason for reason in found.reasons)


def test_latency_of_a_board_that_nobody_named_is_no_limit(project: Path) -> None:
    wanted = replace(LOOSE, latency=1.05)
    with pytest.raises(InputError, match="--max-latency: no board is named"):
        tune(project / "clipped.yaml", "arm-cpu-ort", project / "never.yaml", wanted)
    assert not (project / "never.yaml").exists()


def test_record_comes_back_from_its_json(searched: Tuning) -> None:
    assert Tuning.model_validate_json(searched.model_dump_json()) == searched


def test_reconstruction_is_not_begun_where_the_budget_does_not_reach(
    searched: Tuning, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("edgeq.tuning.training_time.CPU_S", 1e9)
    wanted = replace(NOTHING, reconstruct=True)
    found = tune(project / "clipped.yaml", "local", project / "untrained.yaml", wanted)

    assert found.ended == "the budget is spent"
    assert [one.name for one in found.stages][-1] == "reconstruction"
    assert found.stages[-1].trials == 0 and found.stages[-1].best is None
    assert any("Reconstruction: the budget did not reach" in reason for reason in found.reasons)
    assert found.best.artifact == searched.best.artifact


def test_trial_is_the_mean_of_the_simulation_and_of_the_engine_that_is_here(
    searched: Tuning,
) -> None:
    weights = [trial for trial in searched.trials if trial.stage == "weights"]
    for trial in searched.trials:
        is_alone = trial in weights and not trial.name.endswith("with activations")
        assert trial.arithmetics == (("float",) if is_alone else ("simulated", "device"))
        assert trial.own_labels == (not trial.final)
        assert trial.agreement is not None
        if trial.own_labels:
            assert trial.agreement.mask.estimate == trial.mask_ap
            assert trial.agreement.box.estimate == trial.box_ap


def test_ap_decides_where_it_resolves_the_limit(searched: Tuning) -> None:
    assert (searched.decided_by, searched.resolved, searched.images_needed) == ("AP", True, None)
    assert not any("Agreement with the float model decided" in r for r in searched.reasons)


def test_change_that_is_taken_is_told_with_its_paired_interval(searched: Tuning) -> None:
    (chosen,) = [reason for reason in searched.reasons if "ways to calibrate" in reason]
    start = next(trial for trial in searched.trials if trial.stage == "start")
    best = min((t for t in searched.trials if t.stage == "calibrator"), key=loss)
    assert start.agreement is not None and best.agreement is not None
    for kind in ("mask", "box"):
        gain = getattr(best.agreement, kind).estimate - getattr(start.agreement, kind).estimate
        assert f"{kind} {gain:+.4f} [" in chosen


@pytest.mark.parametrize(("least", "met"), [(0.01, True), (1.5, False)])
@pytest.mark.usefixtures("searched")  # its trials are known
def test_agreement_decides_where_nobody_annotated(project: Path, least: float, met: bool) -> None:
    recipe = project / "unlabelled.yaml"
    text = (project / "clipped.yaml").read_text()
    text = re.sub(r"(?m)^evaluate:\n  images: .*\n  annotations: .*\n", "", text)
    recipe.write_text(re.sub(r"(?m)^  mask_ap_drop: .*\n", "", text))
    wanted = Wanted(Limit(0.0), Limit(0.0), agreement=least)
    found = tune(recipe, "local", project / "agreed.yaml", wanted)

    assert (found.met, found.decided_by, found.images_needed) == (met, "agreement", None)
    assert found.best.own_labels and not found.best.final
    assert found.least_agreement == least
    assert any("no image is annotated" in reason for reason in found.reasons)
    assert any("agreement" in need for need in found.needed) != met


def test_choices_are_made_on_calibration_images_and_judged_on_evaluation(
    searched: Tuning,
) -> None:
    assert "calibration images" in searched.compared_on
    assert "annotated images" in searched.judged_on
    assert searched.best.final
    assert all(trial.final == (trial.stage == "final") for trial in searched.trials)


def test_best_of_the_calibrators_is_far_better_than_the_overclipped_start(
    searched: Tuning,
) -> None:
    start = next(trial for trial in searched.trials if trial.stage == "start")
    best = min((t for t in searched.trials if t.stage == "calibrator"), key=loss)
    assert loss(best) < loss(start) / 2
    assert any(best.name in reason for reason in searched.reasons)


def test_tuned_recipe_is_what_was_found_with_the_reasons(searched: Tuning, project: Path) -> None:
    text = (project / "tuned.yaml").read_text()
    assert [r for r in searched.reasons if r.splitlines()[0] not in text] == []
    start, tuned = (recipes.load(project / f"{name}.yaml") for name in ("clipped", "tuned"))
    assert tuned.quantize.activations != start.quantize.activations
    assert len(left_out(tuned) - left_out(start)) <= LARGEST_SHARE * LAYERS


def test_trials_are_in_the_store(searched: Tuning, home: Path) -> None:
    kept = open_store().trials(limit=None)
    names = {(trial.stage, trial.name) for trial in kept}
    measured = {(trial.stage, trial.name) for trial in searched.trials}
    assert measured - names == set()


def test_second_run_measures_nothing_again(searched: Tuning, project: Path) -> None:
    before = len(open_store().trials(limit=None))
    started = time.monotonic()
    again = tune(project / "clipped.yaml", "local", project / "tuned.yaml", NOTHING)
    took_s = time.monotonic() - started

    assert len(open_store().trials(limit=None)) == before
    assert [loss(trial) for trial in again.trials] == [loss(trial) for trial in searched.trials]
    assert again.reasons == searched.reasons
    assert took_s < sum(trial.seconds for trial in searched.trials)


def test_best_so_far_is_judged_on_evaluation_when_the_budget_is_spent(
    searched: Tuning, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every look at the clock takes a second; the trials themselves are known.
    clock = SimpleNamespace(monotonic=itertools.count().__next__)
    for module in ("tune", "search", "partial"):
        monkeypatch.setattr(f"edgeq.tuning.{module}.time", clock)
    wanted = replace(NOTHING, budget_s=22.0)
    found = tune(project / "clipped.yaml", "local", project / "short.yaml", wanted)

    tried = [trial for trial in found.trials if trial.stage == "calibrator"]
    assert 0 < len(tried) < 14
    assert (found.ended, found.met) == ("the budget is spent", False)
    assert found.best.final and found.best.name == min(tried, key=loss).name
    assert found.judged_on == searched.judged_on
    assert any("--budget" in need for need in found.needed)


@pytest.mark.parametrize("budget_s", [0.0, 0.001])
def test_budget_that_reaches_for_nothing_is_refused(project: Path, budget_s: float) -> None:
    recipe = project / "other.yaml"
    recipe.write_text((project / "clipped.yaml").read_text().replace("count: 4", "count: 3"))
    wanted = Wanted(Limit(0.0), Limit(0.0), budget_s=budget_s)
    with pytest.raises(InputError, match="--budget: the budget did not reach for one trial"):
        tune(recipe, "local", project / "none.yaml", wanted)
    assert not (project / "none.yaml").exists()


def test_killed_tuning_goes_on_from_the_trials_that_were_done(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path))
    arguments = ["tune", str(project / "clipped.yaml"), "-t", "local"]
    arguments += ["-o", str(project / "killed.yaml"), "--max-drop", "0"]
    arguments += ["--min-agreement", "1"]
    command = [sys.executable, "-m", "edgeq", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while len(_kept()) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    done = _kept()

    # Just enough for what is left of the first stages: what was done is not done again.
    found = tune(project / "clipped.yaml", "local", project / "killed.yaml", LOOSE)

    assert found.met
    kept = [(trial.stage, trial.name, trial.final) for trial in _kept()]
    assert len(kept) == len(set(kept)) >= len(done)


def _kept() -> list[Trial]:
    return open_store().trials(limit=None)


def test_tuning_images_that_are_evaluated_on_are_refused(project: Path) -> None:
    recipe = project / "same.yaml"
    text = (project / "clipped.yaml").read_text()
    recipe.write_text(text + "\ntune: {images: evaluation, annotations: instances.json}\n")
    with pytest.raises(InputError, match=r"same\.yaml:\d+: tune: \d+ images are evaluated"):
        tune(recipe, "local", project / "no.yaml", LOOSE)


def test_command_says_what_came_of_it_and_returns_it(project: Path) -> None:
    with Session(connect(parse(default_url()))) as session, session.begin():
        session.add(unreadable_run(project))
    arguments = ["tune", str(project / "clipped.yaml"), "-t", "local", "--max-drop", "50%"]
    arguments += ["--max-latency", "1.5"]
    page = project / "said.html"
    outputs = ["-o", str(project / "said.yaml"), "--html", str(page)]
    done = CliRunner().invoke(app, [*arguments, *outputs])
    assert done.exit_code == 0, done.output
    assert "Contract met" in page.read_text() and "said.html" in done.output
    assert "Decided by AP." in done.output and "CONTRACT MET" in done.output
    assert "said.yaml" in done.output
    assert "Allowed: 1.5 times the latency" in done.output and "start: as the reci" in done.output
    assert "note: report rotten" in " ".join(done.output.split())
    done = CliRunner().invoke(app, [*arguments, "-o", str(project / "said.yaml"), "--json"])
    assert Tuning.model_validate_json(done.stdout).met

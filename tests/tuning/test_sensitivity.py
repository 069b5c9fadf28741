"""The whole analysis on the demo: kills, budgets, and what comes out."""

from __future__ import annotations

import io
import math
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from rich.console import Console

from edgeq.errors import InputError
from edgeq.records.sensitivity import Sensitivity
from edgeq.report.pictures import sensitivity as chart
from edgeq.report.terminal import sensitivity as table
from edgeq.spec.recipe import Recipe, load
from edgeq.tuning.sensitivity import Options, sensitivity

IMAGES = 4
OPTIONS = Options(top=2)
BOTH = Options(top=2, leave_one_out=True)

KILLED = """
import os, signal, sys
from edgeq.tuning.sensitivity import Options, sensitivity

def progress(stage, done, total):
    if stage == sys.argv[2] and done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

options = Options(top=2, leave_one_out=len(sys.argv) > 4)
sensitivity(sys.argv[1], "local", 4, options, progress)
"""


@pytest.fixture(scope="module")
def home_of_expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture(scope="module")
def expected(few_layers: Path, home_of_expected: Path) -> Sensitivity:
    """What a run that nobody disturbs comes to."""
    return _undisturbed(few_layers, home_of_expected, OPTIONS)


@pytest.fixture(scope="module")
def both(few_layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    """The same with everything but each layer."""
    return _undisturbed(few_layers, tmp_path_factory.mktemp("undisturbed"), BOTH)


def _undisturbed(few_layers: Path, home: Path, options: Options) -> Sensitivity:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        return sensitivity(few_layers / "recipe.yaml", "local", IMAGES, options)


def _killed(recipe: Path, *arguments: str) -> None:
    command = [sys.executable, "-c", KILLED, str(recipe), *arguments]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


def test_a_killed_run_goes_on_where_it_was(
    few_layers: Path, edgeq_home: Path, expected: Sensitivity
) -> None:
    _killed(few_layers / "recipe.yaml", "compare alone", "2")
    before = _written(edgeq_home)

    found = sensitivity(few_layers / "recipe.yaml", "local", IMAGES, OPTIONS)

    assert len(before) == 2
    after = _written(edgeq_home)
    assert {file: after[file] for file in before} == before
    assert found == expected


@pytest.mark.long
def test_a_run_killed_in_its_second_part_goes_on(
    few_layers: Path, edgeq_home: Path, both: Sensitivity
) -> None:
    _killed(few_layers / "recipe.yaml", "compare all but", "3", "leave one out")
    before = _written(edgeq_home)

    found = sensitivity(few_layers / "recipe.yaml", "local", IMAGES, BOTH)

    assert len(before) == IMAGES + 3
    after = _written(edgeq_home)
    assert {file: after[file] for file in before} == before
    assert found == both


def _written(home: Path) -> dict[Path, int]:
    """What lies in the journal, with the time it was written."""
    found = (home / "cache" / "sensitivity").rglob("*.*")
    return {file: file.stat().st_mtime_ns for file in found if not file.name.startswith(".")}


@pytest.mark.long
def test_a_run_killed_while_predicting_goes_on(
    few_layers: Path, edgeq_home: Path, expected: Sensitivity
) -> None:
    recipe = few_layers / "recipe.yaml"
    _killed(recipe, "predict", "7")
    before = _written(edgeq_home)

    assert sensitivity(recipe, "local", IMAGES, OPTIONS) == expected

    after = _written(edgeq_home)
    assert {file: after[file] for file in before} == before


def test_a_budget_ends_it_early_and_a_rerun_goes_on(
    few_layers: Path, expected: Sensitivity
) -> None:
    recipe = few_layers / "recipe.yaml"
    short = Options(top=2, budget_s=0)

    part = sensitivity(recipe, "local", IMAGES, short)

    assert not part.complete
    assert (part.images, part.images_asked, part.scored_images) == (1, IMAGES, 0)
    assert len(part.layers) == len(expected.layers)
    assert "INCOMPLETE: 1 of 4" in _text(part)
    assert sensitivity(recipe, "local", IMAGES, OPTIONS) == expected


def test_a_finished_run_is_remembered(
    few_layers: Path,
    expected: Sensitivity,
    home_of_expected: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGEQ_HOME", str(home_of_expected))
    recipe = few_layers / "recipe.yaml"
    calls: list[str] = []

    again = sensitivity(
        recipe, "local", IMAGES, OPTIONS, lambda stage, done, total: calls.append(stage)
    )

    assert again == expected
    assert calls == []


def test_what_is_found(expected: Sensitivity) -> None:
    assert expected.complete
    assert [layer.rank for layer in expected.layers] == list(range(1, len(expected.layers) + 1))
    figures = [layer.alone.snr_db or math.inf for layer in expected.layers]
    assert figures == sorted(figures)
    shares = [layer.macs_share for layer in expected.layers]
    shares += [node.macs_share for node in expected.stays_float]
    assert sum(shares) == pytest.approx(1)
    scored = [layer for layer in expected.layers if layer.alone.mask_ap_drop is not None]
    assert scored == list(expected.layers[:2])
    assert all(layer.all_but is None for layer in expected.layers)
    worst = expected.everything.snr_db
    assert worst is not None
    assert all(layer.alone.snr_db > worst for layer in expected.layers if layer.alone.snr_db)
    tail = {node.node for node in expected.stays_float}
    assert "/model.22/dfl/conv/Conv" in tail


@pytest.mark.long
def test_what_leaving_one_out_finds(expected: Sensitivity, both: Sensitivity) -> None:
    assert [layer.alone for layer in both.layers] == [layer.alone for layer in expected.layers]
    ranks = {layer.rank for layer in both.layers}
    assert {layer.all_but_rank for layer in both.layers} == ranks
    for layer in both.layers:
        assert layer.node in _text(both)


def test_json_comes_back_as_it_was(expected: Sensitivity) -> None:
    assert Sensitivity.model_validate_json(expected.model_dump_json()) == expected


def test_table_names_every_layer(expected: Sensitivity) -> None:
    text = _text(expected)
    for layer in expected.layers:
        assert layer.node in text
    for node in expected.stays_float:
        assert f"Float anyway: '{node.node}'" in text


def _text(found: Sensitivity) -> str:
    stream = io.StringIO()
    Console(file=stream, width=200).print(table.render(found))
    return stream.getvalue()


def test_chart_is_a_picture(expected: Sensitivity, tmp_path: Path) -> None:
    file = tmp_path / "bars.png"
    chart.check(file)
    chart.draw(expected, file)
    picture = cv2.imread(str(file))
    assert picture is not None and picture.shape[0] > 10 * len(expected.layers)


def test_chart_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"end it in \.png"):
        chart.check(tmp_path / "bars.xls")


def test_nothing_quantized_is_refused(few_layers: Path) -> None:
    recipe: Recipe = load(few_layers / "recipe.yaml")
    quantize = recipe.quantize.model_copy(update={"exclude": ("op:Conv",)})
    with pytest.raises(InputError, match="no layer is quantized"):
        sensitivity(recipe.model_copy(update={"quantize": quantize}), "local", IMAGES)


def test_command_line(few_layers: Path, tmp_path: Path, expected: Sensitivity) -> None:
    file = tmp_path / "bars.svg"
    command = [sys.executable, "-m", "edgeq", "sensitivity", str(few_layers / "recipe.yaml")]
    command += ["--target", "local", "--images", "2", "--top", "0", "--budget", "10m"]
    done = subprocess.run(
        [*command, "--chart", str(file), "--json"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = Sensitivity.model_validate_json(done.stdout)
    assert (found.images, found.complete, found.scored_images) == (2, True, 0)
    assert {layer.node for layer in found.layers} == {layer.node for layer in expected.layers}
    assert file.read_text().startswith("<?xml")


def test_command_line_refuses_a_budget_without_a_unit(few_layers: Path) -> None:
    command = [sys.executable, "-m", "edgeq", "sensitivity", str(few_layers / "recipe.yaml")]
    done = subprocess.run(
        [*command, "--target", "local", "--budget", "10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "write 90s, 10m or 2h" in " ".join(done.stderr.split())

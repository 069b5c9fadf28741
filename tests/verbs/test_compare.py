"""Comparing on this machine: artifacts, releases of the board, with a recipe or without one."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import pytest

from edgeq.artifact import archive, shelf
from edgeq.device.connection import HERE, connect
from edgeq.errors import DeviceError, InputError, InputErrors
from edgeq.records.comparison import Comparison
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.recipe import Compare
from edgeq.store import open_store
from edgeq.verbs import push as pushing
from edgeq.verbs.baseline import set_baseline
from edgeq.verbs.compare import compare, compare_boards, compare_steps, with_agreement

from ..cli.test_main import edgeq
from ..device.artifacts import demo, made
from ..report.reports import agreement
from ..store.comparisons import comparison
from ..store.reports import NOON, report
from .test_releases import another

BRIEF = Compare(duration_s=0.3, reloads=3, warmup_s=0.0)
# Where times do not matter nothing is to be looked at twice.
SHORT = BRIEF.model_copy(update={"slower_by": 0.5})

pytestmark = pytest.mark.usefixtures("spared")


def on(folder: Path) -> Compare:
    return SHORT.model_copy(update={"images": folder / "evaluation"})


def outcomes(found: Comparison) -> dict[str, str]:
    return {one.metric: one.outcome for one in found.metrics}


def test_what_is_compared_with_itself_has_its_size_and_accuracy(small_demo: Path) -> None:
    found = compare(demo(), demo(), "local", small_demo / "recipe.yaml", BRIEF)
    same = outcomes(found)
    assert (same["size"], same["mask AP"], same["box AP"]) == ("same", "same", "same")
    assert {"inference", "frame", "peak memory"} <= same.keys()
    assert found.reloads in (3, 6) and found.pairs >= 6
    assert found.a.artifact_id == found.b.artifact_id == demo().id
    assert found.a.engine.startswith("onnxruntime ")
    assert all("met by both" in one for one in found.differences)
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_agreement_is_that_of_the_newest_report_on_such_a_target() -> None:
    store, found = open_store(), comparison()
    assert with_agreement(found, store) == found and found.agreed == ""
    for number, (mask, target) in enumerate([(0.8, found.target), (0.9, found.target), (0.7, "x")]):
        made = report(f"{number:08x}", NOON + datetime.timedelta(hours=number), target=target)
        column = made.columns[0].model_copy(update={"agreement": agreement(mask, 0.85)})
        told = {"columns": (column,), "artifact_id": found.b.artifact_id}
        store.add(made.model_copy(update=told))
    known = with_agreement(found, store)
    assert known.a.agreement is None and known.b.agreement == agreement(0.9, 0.85)
    assert known.agreed == "agreement with float as last deployed (masks/boxes): B 0.9000/0.8500"
    assert known.exit_code == found.exit_code
    assert Comparison.model_validate_json(known.model_dump_json()) == known


def test_releases_of_the_board_are_compared_by_name(small_demo: Path) -> None:
    for one in (demo(), another()):
        pushing.push(one, "local", activate=True)
    shutil.rmtree(shelf.CACHE.folder(demo().id).parent)
    found = compare("previous", "current", "local", options=on(small_demo))
    assert (found.a.artifact_id, found.b.artifact_id) == (demo().id, another().id)
    assert "accuracy was not compared: no annotated images were named" in found.notes
    assert "mask AP" not in outcomes(found)


def test_fetched_release_is_the_one_that_was_pushed() -> None:
    pushing.push(demo(), "local", activate=True)
    before = {name: demo().path(name).read_bytes() for name in demo().manifest.files}
    expected = demo().id
    shutil.rmtree(shelf.CACHE.folder(expected).parent)
    with connect(targets.load("local")) as device:
        found = device.fetch(expected)
    assert {name: found.path(name).read_bytes() for name in before} == before


def test_damaged_release_is_no_side(small_demo: Path) -> None:
    pushed = pushing.push(demo(), "local", activate=True)
    shutil.rmtree(shelf.CACHE.folder(demo().id).parent)
    blob = (Path(pushed.path) / "model.onnx").resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(DeviceError, match="damaged there"):
        compare("current", "current", "local", options=on(small_demo))


def test_everything_wrong_is_said_together(tmp_path: Path) -> None:
    with pytest.raises(InputErrors) as caught:
        compare(tmp_path / "none.edgeq", "nothing", "no-target")
    said = str(caught.value)
    for part in ("none.edgeq", "nothing", "no-target", "--images"):
        assert part in said


def test_a_board_without_that_release_says_so(small_demo: Path) -> None:
    with pytest.raises(DeviceError, match="there is no previous release"):
        compare("previous", demo(), "local", options=on(small_demo))


def test_artifacts_of_other_classes_are_no_match_for_a_recipe(small_demo: Path) -> None:
    task = demo().manifest.task.model_copy(update={"classes": ("cat", "dog", "emu")})
    manifest = demo().manifest.model_copy(update={"task": task})
    files = {name: demo().path(name).read_bytes() for name in manifest.files}
    other = shelf.keep(manifest, files)
    with pytest.raises(InputError, match="finds the classes cat, dog, emu"):
        compare(demo(), other, "local", small_demo / "recipe.yaml", SHORT)


def test_what_differs_beside_the_content_is_listed(small_demo: Path) -> None:
    sides = []
    for threshold, made_by in ((0.001, "0.0.1"), (0.25, "0.0.2")):
        task = demo().manifest.task.model_copy(update={"score_threshold": threshold})
        told = {"task": task, "provenance": {"versions": {"edgeq": made_by, "onnx": "1.20"}}}
        manifest = demo().manifest.model_copy(update=told)
        files = {name: demo().path(name).read_bytes() for name in manifest.files}
        sides.append(shelf.keep(manifest, files))
    found = compare(sides[0], sides[1], "local", options=on(small_demo))
    assert "task.score_threshold: 0.001 of A, 0.25 of B" in found.differences
    assert "built with edgeq: 0.0.1 of A, 0.0.2 of B" in found.differences


def test_dry_run_says_what_would_be_done(small_demo: Path) -> None:
    steps = compare_steps(demo(), demo(), "local", small_demo / "recipe.yaml")
    assert [step.split()[0] for step in steps] == ["push", "push", "find", "load", "where"]
    assert "load both 8 times" in steps[3] and "60 s in all" in steps[3]
    with pytest.raises(DeviceError, match="no current release"):
        compare_steps("current", demo(), "local", small_demo / "recipe.yaml")


def test_limits_come_from_the_recipe(small_demo: Path, tmp_path: Path) -> None:
    text = (small_demo / "recipe.yaml").read_text()
    path = small_demo / "compare.yaml"
    path.write_text(text + "compare: {slower_by: 5%, larger_by: 0.1, duration_s: 30, reloads: 4}\n")
    read = recipes.load(path).compare
    assert (read.slower_by, read.larger_by) == (0.05, 0.1)
    # What the caller says counts, and of the rest what the recipe says.
    steps = compare_steps(demo(), demo(), "local", path, Compare(duration_s=10))
    assert "load both 4 times" in steps[3] and "for 10 s in all" in steps[3]
    path.write_text(text + "compare: {slower_by: fast, reloads: 2}\n")
    with pytest.raises(InputErrors) as caught:
        recipes.load(path)
    assert "'fast' is no percentage; write 2% or .02" in str(caught.value)
    path.unlink()


def test_command_line_prints_it_and_ends_with_its_code(
    small_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "demo.edgeq"
    archive.copy(demo(), file)
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    run = report("0123abcd").model_copy(update={"artifact_id": demo().id})
    open_store(url).add(run)
    set_baseline("main", run.id, url, force=True)
    names = ["main", str(file), "--target", "local", "--store", url]
    short = ["--duration", "1s", "--reloads", "3", "--images", str(small_demo / "evaluation")]
    (tmp_path / "summary.md").write_text("of another step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    outputs = ["--junit", str(tmp_path / "compare.xml"), "--github-summary"]
    outputs += ["--html", str(tmp_path / "compare.html")]
    done = edgeq("compare", *names, *short, *outputs, "--json")
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("of another step\n### edgeq compare: local on ")
    assert '<testcase classname="edgeq.compare.local on ' in (tmp_path / "compare.xml").read_text()
    found = json.loads(done.stdout)
    [kept] = open_store(url).comparisons()
    assert (kept.id, kept.a.named, kept.a.artifact_id) == (found["id"], "main", demo().id)
    assert done.returncode == found["exit_code"]
    assert [one["metric"] for one in found["metrics"]][:2] == ["inference", "frame"]
    assert f"comparison-{kept.id}.json" in (tmp_path / "compare.html").read_text()
    wrong = edgeq("compare", *names, "--duration", "long")
    assert wrong.returncode == 2 and "'long' is no time" in wrong.stderr


def test_several_boards_are_compared_and_one_that_fails_keeps_none_of_the_others(
    small_demo: Path, tmp_path: Path
) -> None:
    found = compare_boards(demo(), demo(), "local", [HERE, HERE], options=on(small_demo))
    assert [isinstance(one, Comparison) for one in found] == [True, True]
    file = tmp_path / "demo.edgeq"
    archive.copy(demo(), file)
    hosts = ["--host", "edge@nowhere.invalid", "--host", "edge@neither.invalid"]
    images = ["--images", str(small_demo / "evaluation")]
    store = ["--store", f"sqlite:///{tmp_path / 'store.sqlite'}"]
    outputs = ["--junit", str(tmp_path / "compare.xml"), "--json"]
    asked = [str(file), str(file), "-t", "arm-cpu-ort", *hosts, *images, *store]
    done = edgeq("compare", *asked, *outputs)
    assert done.returncode == 3 and done.stderr.count("error: edge@n") == 2
    told = [json.loads(line)["problems"][0]["where"] for line in done.stdout.splitlines()]
    assert told == ["edge@nowhere.invalid", "edge@neither.invalid"]
    assert (tmp_path / "compare.xml").read_text().count("<error message=") == 2


def test_larger_files_are_worse_without_chance(small_demo: Path) -> None:
    files = {name: demo().path(name).read_bytes() for name in demo().manifest.files}
    larger = made({**files, "plan.json": b" " * 200_000})
    found = compare(demo(), larger, "local", options=on(small_demo))
    assert outcomes(found)["size"] == "worse" and found.exit_code == 1

"""The whole flow on the demo project, through the real engine and the real agent."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeq
from edgeq.agent.errors import LOCKED
from edgeq.artifact import archive, shelf
from edgeq.device.connection import HERE, Address, connect
from edgeq.errors import DeviceError, InputError, InputErrors
from edgeq.records.measurement import Measurement
from edgeq.records.report import Report
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.images import images_of
from edgeq.stages import evidence
from edgeq.stages.build import build, is_built
from edgeq.stages.check import check
from edgeq.stages.columns import predicted_here
from edgeq.stages.predict import Manner, predict
from edgeq.store import open_store
from edgeq.verbs.build import build_steps
from edgeq.verbs.deploy import attempt, deploy_steps, promote, steps
from edgeq.verbs.dossier import dossier


class Stages:
    """Records which stages reported progress."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self.seen:
            self.seen.append(stage)


@pytest.fixture
def project(small_demo: Path, tmp_path: Path) -> Path:
    """A demo project of its own, with a short measurement."""
    folder = tmp_path / "project"
    shutil.copytree(small_demo, folder)
    return folder


def sampled(measurement: Measurement, count: int) -> bool:
    """Whether there are so many samples, or fewer with the reason why: a busy machine has these."""
    found = len(measurement.inference_ns)
    return found >= count or (found > 0 and bool(measurement.unstable))


def edit(project: Path, pattern: str, replacement: str) -> Path:
    recipe = project / "recipe.yaml"
    text, count = re.subn(pattern, replacement, recipe.read_text(), flags=re.MULTILINE)
    assert count == 1, pattern
    recipe.write_text(text)
    return recipe


def without_evaluation(project: Path) -> None:
    """Where accuracy is not the point."""
    edit(project, r"^evaluate:\n  images: .*\n  annotations: .*\n", "")
    edit(project, r"^  mask_ap_drop: .*\n", "")


def deploy(recipe: Path, stages: Stages | None = None) -> Report:
    return edgeq.deploy(recipe, "local", progress=stages or Stages())


def current(home: Path) -> str | None:
    link = home / "device" / "current"
    return link.resolve().name if link.exists() else None


@dataclass(frozen=True)
class First:
    """A deploy to a device that had none, with nothing known, and the home that it left."""

    report: Report
    stages: Stages
    looked: list[str]
    home: Path


@pytest.fixture(scope="module")
def first(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> First:
    home, stages, looked = tmp_path_factory.mktemp("first"), Stages(), list[str]()

    def look(stage: str, done: int, total: int) -> None:
        """Note in which stages another deploy could begin."""
        if stage in ("calibrate", "device") and stage not in stages.seen:
            with connect(targets.load("local"), HERE) as other:
                try:
                    other.lock("another deploy", wait_s=0.0)
                except DeviceError as exc:
                    assert exc.kind == LOCKED
                else:
                    looked.append(stage)
        stages(stage, done, total)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        report = edgeq.deploy(small_demo / "recipe.yaml", "local", progress=look)
    return First(report, stages, looked, home)


@pytest.fixture
def afterwards(first: First, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be where the first deploy was made."""
    monkeypatch.setenv("EDGEQ_HOME", str(first.home))


@pytest.mark.usefixtures("afterwards")
def test_deploy_measures_float_simulation_and_device(first: First) -> None:
    report = first.report

    assert [column.name for column in report.columns] == ["float", "simulated", "device"]
    assert all(column.accuracy is not None for column in report.columns)
    float_ap = report.columns[0].accuracy.mask.ap if report.columns[0].accuracy else None
    assert float_ap is not None and float_ap > 0.5
    device = report.column("device")
    assert device is not None and device.measurement is not None
    assert sampled(device.measurement, 5)
    assert device.mask_ap_drop is not None
    assert device.mask_ap_drop.low <= device.mask_ap_drop.estimate <= device.mask_ap_drop.high
    assert report.columns[0].agreement is None
    for column in report.columns[1:]:
        assert column.agreement is not None
        for one in (column.agreement.mask, column.agreement.box):
            assert 0.5 < one.low <= one.estimate <= one.high <= 1
    assert report.divergence is not None and set(report.divergence.snr_db) == {
        "boxes",
        "scores",
        "coefficients",
        "prototypes",
    }
    assert {verdict.gate for verdict in report.verdicts} == {"mask_ap_drop", "artifact_bytes"}
    assert report.exit_code == 0
    assert current(first.home) == report.artifact_id
    assert open_store().report(report.id) == report
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_device_is_free_while_the_host_calibrates(first: First) -> None:
    assert {"calibrate", "device"} <= set(first.stages.seen)
    assert first.looked == ["calibrate"]


@pytest.mark.usefixtures("spared")
def test_one_build_is_tried_on_many_devices(project: Path, tmp_path: Path) -> None:
    boards = [
        targets.load("local").model_copy(update={"name": name, "root": str(tmp_path / name)})
        for name in ("barn1", "barn2")
    ]
    recipe = project / "recipe.yaml"
    devices = [check(recipe, board) for board in boards]
    prepared, evaluation = devices[0].prepared, devices[0].evaluation
    built = build(prepared)
    here = predicted_here(prepared, evaluation, built, Stages())

    for checked in devices:
        with checked.device:
            report = attempt(checked, built, here).report
            assert not (tmp_path / checked.prepared.target.name / "current").exists()
            promote(checked, report)

    for board in boards:
        assert (tmp_path / board.name / "current").resolve().name == built.artifact.id


@pytest.mark.usefixtures("afterwards")
def test_second_deploy_neither_calibrates_nor_builds(first: First, small_demo: Path) -> None:
    second = Stages()

    after = deploy(small_demo / "recipe.yaml", second)

    assert "calibrate" in first.stages.seen and "build" in first.stages.seen
    assert "calibrate" not in second.seen and "build" not in second.seen
    assert "float" not in second.seen and "device" in second.seen
    assert after.artifact_id == first.report.artifact_id


@pytest.mark.usefixtures("spared")
def test_another_calibrator_does_not_run_the_model_again(project: Path) -> None:
    recipe = edit(project, r"calibrator: percentile, percentile: 99.99\b", "calibrator: entropy")
    stages = Stages()

    built = edgeq.build(recipe, "local", progress=stages)

    assert "calibrate" not in stages.seen and "build" in stages.seen
    assert not built.cached


def test_same_inputs_in_another_folder_give_the_same_artifact(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(project, tmp_path / "elsewhere")
    first = edgeq.build(project / "recipe.yaml", "local", tmp_path / "a.edgeq")
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "another-home"))

    second = edgeq.build(tmp_path / "elsewhere" / "recipe.yaml", "local", tmp_path / "b.edgeq")

    assert not second.cached
    assert second.artifact.id == first.artifact.id
    assert (tmp_path / "a.edgeq").read_bytes() == (tmp_path / "b.edgeq").read_bytes()


def test_failed_gate_leaves_the_old_release_current(
    project: Path, before: str, edgeq_home: Path
) -> None:
    without_evaluation(project)
    recipe = edit(project, r"^  artifact_bytes: .*$", "  artifact_bytes: 1 KiB")
    edit(project, r"calibrator: percentile, percentile: 99.99\b", "calibrator: max")

    bad = deploy(recipe)

    assert bad.exit_code == 1
    assert bad.artifact_id != before
    assert current(edgeq_home) == before
    assert any("not made current" in note for note in bad.notes)


@pytest.mark.usefixtures("spared")
def test_everything_quantized_collapses_and_the_lint_named_the_concat(project: Path) -> None:
    named = [mix.node for mix in edgeq.inspect(project / "recipe.yaml").range_mixing]
    recipe = edit(project, r"^  weights: (\{.*)$", r"  head: quantize\n  weights: \1")

    report = deploy(recipe)

    device = report.column("device")
    assert device is not None and device.accuracy is not None
    assert device.accuracy.mask.ap is not None and device.accuracy.mask.ap < 0.1
    assert report.exit_code == 1
    assert len(named) == 1
    assert any(named[0] in note and "expect a collapse" in note for note in report.notes)


def test_shared_calibration_and_evaluation_images_are_reported(project: Path) -> None:
    image = sorted((project / "evaluation").iterdir())[0]
    shutil.copy(image, project / "calibration" / "scene-9999.jpg")
    recipe = edit(project, r"^  count: .*$", "  count: 9")

    built = edgeq.build(recipe, "local")

    assert any("evaluation images too" in note for note in built.notes)


def test_unreadable_calibration_image_is_named(project: Path) -> None:
    image = sorted((project / "calibration").iterdir())[3]
    image.write_bytes(b"no image")

    with pytest.raises(InputError, match=image.name):
        edgeq.build(project / "recipe.yaml", "local")


def test_problems_of_all_inputs_come_together(project: Path) -> None:
    recipe = edit(project, r"^  weights: (\{.*)$", r"  exclude: [nothing/like/it]\n  weights: \1")
    edit(project, r"scheme: target", "scheme: scale")
    edit(project, r"granularity: per-tensor", "granularity: per-channel")
    annotations = json.loads((project / "instances.json").read_text())
    annotations["annotations"][0]["image_id"] = 10**6
    (project / "instances.json").write_text(json.dumps(annotations))

    with pytest.raises(InputErrors) as caught:
        edgeq.deploy(recipe, "local")

    text = str(caught.value)
    assert "matches no node" in text
    assert "per-tensor only" in text
    assert "1000000" in text


def test_unknown_target_and_bad_recipe_come_together(project: Path) -> None:
    recipe = edit(project, r"^model: .*$", "model: nope.onnx")

    with pytest.raises(InputErrors) as caught:
        edgeq.deploy(recipe, "locall")

    assert "did you mean 'local'" in str(caught.value) and "nope.onnx" in str(caught.value)


def test_target_over_ssh_wants_an_address(project: Path) -> None:
    with pytest.raises(InputError, match="--host: target 'arm-cpu-ort' is reached over SSH"):
        edgeq.deploy(project / "recipe.yaml", "arm-cpu-ort")


def test_board_that_cannot_be_reached_is_a_device_error(project: Path) -> None:
    nobody = Address("edge@127.0.0.1:9")
    with pytest.raises(DeviceError, match=r"edge@127\.0\.0\.1:9") as caught:
        edgeq.deploy(project / "recipe.yaml", "arm-cpu-ort", address=nobody)
    assert caught.value.kind == "refused"


def test_measure_takes_an_artifact_alone(small_demo: Path, edgeq_home: Path, packed: Path) -> None:
    options = recipes.Measure(warmup_s=0, max_warmup_s=0.5, min_duration_s=0.1, min_count=5)

    result = edgeq.measure(packed, "local", small_demo / "evaluation", options)

    assert sampled(result, 5)
    assert result.latency_ms(50) > 0
    assert result.peak_rss_bytes >= result.rss_after_load_bytes > result.rss_before_load_bytes
    assert current(edgeq_home) is None


def test_a_power_mode_that_cannot_be_read_is_unstable(small_demo: Path, packed: Path) -> None:
    options = recipes.Measure(
        warmup_s=0, max_warmup_s=0.5, min_duration_s=0.1, min_count=5, power_mode="no such mode"
    )

    result = edgeq.measure(packed, "local", small_demo / "evaluation", options)

    assert any(reason.startswith("power mode: the board") for reason in result.unstable)
    assert result.memory_available_lowest_bytes
    assert result.power is not None or result.power_missing


@pytest.mark.parametrize(
    "content", [b"rotten", *(pytest.param(one, marks=pytest.mark.long) for one in (b"", None))]
)
def test_image_that_was_damaged_on_the_device_is_sent_again(
    project: Path, edgeq_home: Path, packed: Path, content: bytes | None
) -> None:
    built = archive.read(packed)
    options = recipes.Measure(warmup_s=0, max_warmup_s=0.5, min_duration_s=0.1, min_count=5)
    files = dict(enumerate(sorted((project / "evaluation").iterdir())))
    blobs = edgeq_home / "device" / "blobs" / "sha256"

    def damage() -> None:
        for file in list(files.values())[2:4]:
            blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
            blob.unlink()
            if content is not None:
                blob.write_bytes(content)

    def predicted() -> list[int]:
        images = dict(enumerate(images_of(list(files.values()))))
        manner = Manner(1, keep_count=2, is_known=False)
        # A session of its own, which does not know what an earlier one has put.
        with connect(targets.load("local")) as device:
            found = predict(device, built, images, manner, Stages(), "test")
        return [image.id for image in found.images]

    assert predicted() == list(files)
    damage()
    assert predicted() == list(files)
    damage()
    assert edgeq.measure(packed, "local", project / "evaluation", options)
    files[3].write_bytes(b"no image")
    with pytest.raises(InputError, match=f"{files[3].name}: cannot be read as an image"):
        predicted()


@pytest.mark.usefixtures("spared")
def test_memory_limit_of_the_target_is_a_gate(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.yaml"
    target.write_text(
        "runtime: onnxruntime\narchitecture: host\nactivation_type: probe\ntransport: local\n"
        f"root: {tmp_path / 'device'}\nlimits: {{memory_bytes: 1000000}}\n"
    )

    without_evaluation(project)
    report = edgeq.deploy(project / "recipe.yaml", str(target))

    verdict = next(v for v in report.verdicts if v.gate == "peak_memory_bytes")
    assert verdict.limit == 1_000_000
    assert verdict.status in ("failed", "unstable")
    assert report.exit_code in (1, 4)


def test_killed_deploy_leaves_the_old_release_and_the_next_one_works(
    project: Path, before: str, edgeq_home: Path
) -> None:
    without_evaluation(project)
    recipe = edit(project, r"calibrator: percentile, percentile: 99.99\b", "calibrator: mse")
    code = f"import edgeq; edgeq.deploy({str(recipe)!r}, 'local')"
    for delay_s in (0.5, 1.5, 2.5):
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert current(edgeq_home) == before

    report = deploy(recipe)

    assert report.exit_code == 0
    assert current(edgeq_home) == report.artifact_id
    assert shelf.kept(report.artifact_id) is not None


def test_dry_run_says_what_would_be_done_and_does_nothing(project: Path, edgeq_home: Path) -> None:
    said = list(steps(check(project / "recipe.yaml", "local")))

    assert "run the float model over 8 calibration images" in said
    assert any("judge mask_ap_drop, artifact_bytes" in step for step in said)
    assert not list((edgeq_home / "cache" / "statistics").glob("*"))
    assert not (edgeq_home / "store.sqlite").exists()
    assert current(edgeq_home) is None


@pytest.mark.usefixtures("spared")
def test_recipe_object_and_target_object_are_taken_too(project: Path) -> None:
    recipe = recipes.load(project / "recipe.yaml")

    built = edgeq.build(recipe, "local")

    assert is_built(check(project / "recipe.yaml", "local").prepared)
    assert built.plan.layers_quantized > 50


def test_wrong_decoder_is_named_with_its_line_before_any_work(
    project: Path, edgeq_home: Path
) -> None:
    recipe = edit(project, r"decoder: yolov8-seg", "decoder: end2end-seg")
    line = recipe.read_text()[: recipe.read_text().index("decoder:")].count("\n") + 1

    with pytest.raises(InputError, match="set the task's decoder to 'yolov8-seg'") as caught:
        edgeq.deploy(recipe, "local")

    assert caught.value.where == f"{recipe}:{line}"
    assert not (edgeq_home / "device").exists()


def test_pattern_that_matches_nothing_is_named_with_its_line(project: Path) -> None:
    recipe = edit(project, r"^  weights: (\{.*)$", r'  exclude: ["op:Konv"]\n  weights: \1')
    line = recipe.read_text()[: recipe.read_text().index("exclude:")].count("\n") + 1

    with pytest.raises(InputError, match="did you mean 'op:Conv'") as caught:
        edgeq.build(recipe, "local")

    assert caught.value.where == f"{recipe}:{line}"


def test_unreadable_evaluation_image_is_named(project: Path) -> None:
    image = sorted((project / "evaluation").iterdir())[2]
    image.write_bytes(b"no image")

    with pytest.raises(InputError, match=image.name):
        edgeq.deploy(project / "recipe.yaml", "local")


def test_build_for_a_stated_activation_type_needs_no_device(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    target.write_text(
        "runtime: onnxruntime\narchitecture: aarch64\nactivation_type: int8\n"
        "transport: ssh\nroot: ~/edgeq\n"
    )

    built = edgeq.build(project / "recipe.yaml", str(target))

    assert built.plan.activation_type == "int8"


def test_target_of_another_architecture_is_refused(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "board.yaml"
    target.write_text(
        "runtime: onnxruntime\narchitecture: aarch64\nactivation_type: int8\n"
        f"transport: local\nroot: {tmp_path / 'device'}\n"
    )
    if platform.machine() == "aarch64":
        target.write_text(target.read_text().replace("aarch64", "x86_64"))

    with pytest.raises(DeviceError, match=r"the target is for"):
        edgeq.deploy(project / "recipe.yaml", str(target))


def test_what_a_page_lacks_costs_the_run_nothing(project: Path) -> None:
    def lose(stage: str, done: int, total: int) -> None:
        if stage.startswith("resample"):
            (project / "instances.json").unlink(missing_ok=True)

    report = edgeq.deploy(project / "recipe.yaml", "local", progress=lose)

    assert not (project / "instances.json").exists()
    assert open_store().report(report.id) == report
    found = dossier([report.id])
    assert found.report == report and found.evidence is not None
    assert found.without_insight.startswith("the annotations cannot be read any more: ")


def test_evidence_that_cannot_be_gathered_costs_the_run_nothing(
    project: Path, edgeq_home: Path
) -> None:
    """A file where the cache of evidence has its folder."""
    (edgeq_home / "cache").mkdir(parents=True, exist_ok=True)
    (edgeq_home / "cache" / "evidence").write_text("")
    report = edgeq.deploy(project / "recipe.yaml", "local")
    assert open_store().report(report.id) == report
    assert evidence.kept(report.id) is None


def test_report_that_could_not_be_written_is_refused_before_any_work(
    project: Path, edgeq_home: Path
) -> None:
    stages = Stages()

    with pytest.raises(InputError, match="cannot be written"):
        edgeq.deploy(
            project / "recipe.yaml", "local", progress=stages, report_path=project / "no" / "r.json"
        )

    assert stages.seen == []
    assert current(edgeq_home) is None


@pytest.mark.usefixtures("spared")
def test_build_signs_a_copy_or_refuses(project: Path, tmp_path: Path) -> None:
    key, recipe, output = tmp_path / "key", project / "recipe.yaml", tmp_path / "model.edgeq"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    stages = Stages()
    for act in (
        lambda: edgeq.build(recipe, "local", progress=stages, sign=key),
        lambda: build_steps(recipe, "local", sign=key),
    ):
        with pytest.raises(InputError, match=r"--sign: .* -o model\.edgeq"):
            act()
    with pytest.raises(InputError, match="--sign: there is no key"):
        build_steps(recipe, "local", output, sign=tmp_path / "none")
    assert stages.seen == []
    assert f"copy it to {output}, signed with {key}" in build_steps(
        recipe, "local", output, sign=key
    )
    assert not output.exists()
    edgeq.build(recipe, "local", output, sign=key)
    assert archive.read(output).signature is not None


@pytest.mark.usefixtures("spared")
def test_key_that_the_device_does_not_know_is_refused_before_any_work(
    project: Path, tmp_path: Path, edgeq_home: Path
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for key in (mine, theirs):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    root = edgeq_home / "device"
    root.mkdir(parents=True, exist_ok=True)
    (root / "allowed_signers").write_text(f"me@x {theirs.with_suffix('.pub').read_text()}")
    recipe, stages = project / "recipe.yaml", Stages()
    for act in (
        lambda: edgeq.deploy(recipe, "local", progress=stages, sign=mine),
        lambda: deploy_steps(recipe, "local", sign=mine),
    ):
        with pytest.raises(DeviceError, match=r"the key .*mine. is not among them") as caught:
            act()
        assert caught.value.kind == "not-signed"
    assert stages.seen == [] and current(edgeq_home) is None
    assert deploy_steps(recipe, "local", sign=theirs)


@pytest.mark.usefixtures("spared")
def test_images_that_would_not_fit_are_refused(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.yaml"
    target.write_text(
        "runtime: onnxruntime\narchitecture: host\nactivation_type: probe\ntransport: local\n"
        f"root: {tmp_path / 'device'}\nlimits: {{disk_bytes: 1000}}\n"
    )

    stages = Stages()
    with pytest.raises(DeviceError, match=r"8\.\d MiB are to come.*the limit is 0\.0 MiB"):
        edgeq.deploy(project / "recipe.yaml", str(target), progress=stages)
    assert "calibrate" not in stages.seen

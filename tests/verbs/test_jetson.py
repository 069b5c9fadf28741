"""The whole flow for TensorRT: compiled on the device, in int8 and in fp16, and compared."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import edgeq
from edgeq import places
from edgeq.artifact import archive as archives
from edgeq.device.connection import connect
from edgeq.errors import DeviceError, InputError, InputErrors
from edgeq.records.builds import spread
from edgeq.records.report import Report
from edgeq.report.terminal.builds import render as render_builds
from edgeq.report.terminal.report import render
from edgeq.spec import target as targets
from edgeq.spec.recipe import Measure
from edgeq.verbs.build import build
from edgeq.verbs.builds import measure_builds_steps
from tests.agent.fakes import make_cudart, make_module
from tests.demo_project import acquaint

from .test_deploy import edit, without_evaluation

TARGET = """\
description: this machine, as if it were a Jetson
runtime: tensorrt
architecture: host
activation_type: int8
transport: local
root: {root}
"""


@pytest.fixture
def project(small_demo: Path, known_agent: Path, spared: None, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(small_demo, folder)
    acquaint(tmp_path / "device", known_agent)
    (folder / "target.yaml").write_text(TARGET.format(root=tmp_path / "device"))
    return folder


def install(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """TensorRT on this machine; the file that gets a line for every engine that is built."""
    modules = make_module(folder / "modules", "fake_tensorrt")
    shutil.copy(Path(__file__).parent / "computing_tensorrt.py", modules / "tensorrt.py")
    libraries = folder / "libraries"
    libraries.mkdir()
    make_cudart(libraries)
    patch.setenv("PYTHONPATH", str(modules))
    patch.setenv("LD_LIBRARY_PATH", str(libraries))
    log = folder / "log"
    patch.setenv("FAKE_LOG", str(log))
    return log


@pytest.fixture
def tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was built with TensorRT, a line an engine."""
    return install(tmp_path, monkeypatch)


@dataclass(frozen=True)
class First:
    """A deploy to a board that shares engines, and what it left here and there."""

    report: Report
    log: str
    home: Path
    root: Path


@pytest.fixture(scope="module")
def first(
    small_demo: Path,
    reckoned: Path,
    known_agent: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> First:
    folder = tmp_path_factory.mktemp("first")
    home, project = folder / "home", folder / "project"
    shutil.copytree(reckoned / "cache", home / "cache")
    acquaint(home / "host", known_agent)
    shutil.copytree(small_demo, project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        log = install(folder, patch)
        report = share(project, "first")
    return First(report, log.read_text(), home, folder / "first")


@pytest.fixture
def afterwards(first: First, tensorrt: Path, edgeq_home: Path) -> None:
    """Go on from the first deploy, in a home of its own."""
    known = shutil.ignore_patterns("agent")
    shutil.copytree(first.home, edgeq_home, dirs_exist_ok=True, ignore=known)
    tensorrt.write_text(first.log)


def deploy(project: Path) -> Report:
    return edgeq.deploy(project / "recipe.yaml", str(project / "target.yaml"))


def check_columns(report: Report, version: str) -> None:
    assert [column.name for column in report.columns] == ["float", "simulated", "fp16", "device"]
    assert report.divergence is not None
    # The engine behind it simulates: what was written is what runs.
    assert all(snr is None or snr > 60 for snr in report.divergence.snr_db.values())
    half = report.column("fp16")
    assert half is not None and half.accuracy is not None and half.mask_ap_drop is not None
    assert abs(half.mask_ap_drop.estimate) < 0.01
    assert report.speedup is not None
    assert half.measurement is not None and set(half.measurement.gpu_ns) == {1_500_000}
    assert f"TensorRT {version}" in " ".join(report.notes)


@pytest.mark.usefixtures("afterwards")
def test_deploy_compiles_measures_and_compares(first: First, project: Path, tensorrt: Path) -> None:
    check_columns(first.report, "10.3.0")
    # One engine in int8 and one in fp16; each was used by verify, predict and bench.
    assert first.log == "built\n" * 2

    write_sharing(project, first.root)
    assert deploy(project).artifact_id == first.report.artifact_id

    assert tensorrt.read_text() == first.log


@pytest.mark.long
@pytest.mark.parametrize(("version", "way"), [("11.4.0", "new"), ("8.6.1", "old")])
def test_every_way_to_compile_gives_what_was_written(
    version: str, way: str, project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERSION", version)
    monkeypatch.setenv("FAKE_TENSORRT", way)

    check_columns(deploy(project), version)

    assert tensorrt.read_text() == "built\n" * 2


def test_report_says_why_int8_does_not_pay(
    project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_layers = ["/model.1/conv/Conv", "/model.2/cv1/conv/Conv"]
    monkeypatch.setenv("FAKE_LAYERS", " ".join(plan_layers))
    without_evaluation(project)
    edit(
        project,
        r"^  artifact_bytes: .*$",
        "  artifact_bytes: 8000000\n  int8_speedup_over_fp16: 100",
    )

    report = deploy(project)

    assert report.exit_code in (1, 4)
    [verdict] = [v for v in report.verdicts if v.gate == "int8_speedup_over_fp16"]
    assert verdict.status in ("failed", "unstable")
    assert report.speedup is not None
    assert [layer.name for layer in report.speedup.slower] == plan_layers
    assert report.speedup.slower[0].int8_ms == pytest.approx(0.75)
    assert report.speedup.reformat_int8_ms == pytest.approx(0.5)
    assert report.speedup.reformat_fp16_ms == 0
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(report))
    text = console.export_text()
    assert "device fp16" in text and "int8_speedup_over_fp16" in text


def test_board_without_tensorrt_is_told_apart_and_left_alone(project: Path) -> None:
    with pytest.raises(DeviceError, match="no TensorRT on this board") as found:
        deploy(project)
    assert found.value.exit_code == 3
    assert "nvidia-jetpack" in found.value.remedy
    assert not (project.parent / "device" / "releases").exists()
    assert not list(places.cache("artifacts").glob("*"))


def test_cuda_graph_and_float16_ends(
    project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERSION", "11.4.0")
    monkeypatch.setenv("FAKE_TENSORRT", "new")
    edit(project, r"^quantize:$", "quantize:\n  io: float16")
    edit(project, r"^measure: {", "measure: {cuda_graph: true, ")

    report = deploy(project)

    assert [column.name for column in report.columns] == ["float", "simulated", "fp16", "device"]
    assert "TensorRT 11.4.0" in " ".join(report.notes)
    assert report.divergence is not None and report.speedup is not None
    assert tensorrt.read_text() == "built\n" * 2
    half, device = (report.column(name) for name in ("fp16", "device"))
    assert half is not None and half.mask_ap_drop is not None
    # Boxes of up to 256 pixels, in steps of an eighth.
    assert abs(half.mask_ap_drop.estimate) < 0.02
    assert device is not None and device.measurement is not None
    assert device.measurement.inference_ns


def test_cuda_graph_is_for_tensorrt(project: Path) -> None:
    edit(project, r"^measure: {", "measure: {cuda_graph: true, ")
    with pytest.raises(InputError, match="is for TensorRT, and target 'local' runs onnx"):
        edgeq.deploy(project / "recipe.yaml", "local")


def test_target_bounds_the_build(project: Path, tensorrt: Path) -> None:
    target = project / "target.yaml"
    target.write_text(target.read_text() + "limits: {build_s: 1, workspace_bytes: 64 MiB}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TENSORRT", "hang")
        with pytest.raises(DeviceError, match="took longer than the 1 seconds") as found:
            deploy(project)
    assert found.value.kind == "build-timeout"
    assert "raise limits.build_s in the target" in str(found.value)


@pytest.mark.gpu
def test_real_engines_compute_what_was_simulated(project: Path) -> None:
    if importlib.util.find_spec("tensorrt") is None:
        pytest.skip("the Python module tensorrt is missing")

    report = deploy(project)

    assert report.divergence is not None
    # int8 rounds in other places on a GPU; another image's outputs come to less than 10 dB.
    assert all(snr is None or snr > 15 for snr in report.divergence.snr_db.values())
    assert report.speedup is not None and report.speedup.ratio > 0
    for name in ("fp16", "device"):
        column = report.column(name)
        assert column is not None and column.measurement is not None
        assert column.measurement.gpu_ns and column.measurement.engine_facts is not None
        assert column.measurement.engine_facts["layer_times"]
    engines = project.parent / "device" / "engines"
    before = {path: path.stat().st_mtime_ns for path in engines.glob("*/engine.plan")}
    deploy(project)
    after = {path: path.stat().st_mtime_ns for path in engines.glob("*/engine.plan")}
    assert len(before) == 2 and after == before


def test_manifest_says_how_to_compile(project: Path, tensorrt: Path) -> None:
    made = build(project / "recipe.yaml", "jetson-xavier", project / "model.edgeq")
    compiled = archives.read(project / "model.edgeq").manifest.runtime.compile
    assert compiled is not None
    assert (compiled.precision, compiled.typing) == ("int8", "weak")
    assert made.plan.form == "float-weights"


def test_builds_of_one_artifact_are_held_against_each_other(
    project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, recipe = str(project / "target.yaml"), project / "recipe.yaml"
    made = build(recipe, target, project / "model.edgeq").artifact
    options = Measure(warmup_s=0.01, min_duration_s=0.05, max_duration_s=1, min_count=5)
    engines = project.parent / "device" / "engines"

    found = edgeq.measure_builds(made, target, 2, recipe, options)

    assert tensorrt.read_text() == "built\n" * 3  # the release's own, which verifies it, too
    assert len({run.fingerprint for run in found.runs}) == 2
    assert [run.changed for run in found.runs] == [None, 0.0]
    assert spread(run.mask_ap for run in found.runs) == 0.0
    assert found.runs[0].mask_ap is not None and 1 / 3 <= found.p <= 1
    # Only the release's own is left, and what is left out of the cache does not come back.
    assert [path.is_dir() for path in sorted(engines.iterdir())] == [True, False]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render_builds(found))
    text = console.export_text()
    assert "mask AP: the builds lie 0.0000 apart, on" in text and "changed" in text
    steps = list(measure_builds_steps(made, target, 3, recipe))
    assert "build 3 engines beside its own, none of what another one's builder measured" in steps

    fine = build(recipe, "local").artifact
    with pytest.raises(InputErrors) as caught:
        edgeq.measure_builds(fine, target, 1, recipe)
    assert "runs as it is in onnxruntime: no device builds anything of it" in str(caught.value)
    assert "1 builds cannot be compared; ask for 2 to 20" in str(caught.value)


def test_board_that_measured_nothing_is_given_what_an_identical_one_measured(
    project: Path, tensorrt: Path
) -> None:
    share_int8(project, "first")
    [cache] = (project.parent / "first" / "engines").glob("timing.*.cache")
    assert cache.read_text() == "measured."
    # Another model: its engine is nowhere yet.
    edit(project, "iou_threshold: 0.6", "iou_threshold: 0.5")
    share_int8(project, "second")
    [given] = (project.parent / "second" / "engines").glob("timing.*.cache")
    assert given.name == cache.name and given.read_text() == "measured." * 2


def write_sharing(project: Path, root: Path) -> None:
    text = TARGET.format(root=root) + "share_engines: true\n"
    (project / "target.yaml").write_text(text)


def share(project: Path, name: str) -> Report:
    """A deploy to a board of its own that shares engines."""
    write_sharing(project, project.parent / name)
    return deploy(project)


def share_int8(project: Path, name: str) -> str:
    """Have a board of its own verify the int8 artifact; what is to be noted of its engine."""
    write_sharing(project, project.parent / name)
    made = build(project / "recipe.yaml", str(project / "target.yaml")).artifact
    with connect(targets.load(str(project / "target.yaml"))) as device:
        device.push(made)
        return " ".join(device.notes)


@pytest.mark.usefixtures("afterwards")
def test_identical_board_is_given_the_engines(
    first: First, project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {path.name for path in places.cache("engines").iterdir()}
    assert len(kept) == 2 and "identical" not in " ".join(first.report.notes)

    second = share(project, "second")

    assert tensorrt.read_text() == "built\n" * 2
    for precision in ("int8", "fp16"):
        assert f"the {precision} engine was built by an identical board" in " ".join(second.notes)
    engines = project.parent / "second" / "engines"
    assert {path.name for path in engines.iterdir()} == kept
    assert second.divergence is not None and second.speedup is not None
    assert not list((first.root / "work").iterdir())
    # Now it lies there: nothing is taken, and nothing to be said.
    assert share_int8(project, "second") == ""
    # Another TensorRT is another board.
    monkeypatch.setenv("FAKE_VERSION", "10.4.0")
    assert share_int8(project, "third") == ""
    assert tensorrt.read_text() == "built\n" * 3
    assert len(list(places.cache("engines").iterdir())) == 3


@pytest.mark.usefixtures("afterwards")
def test_engine_that_computes_something_else_is_built_there(project: Path, tensorrt: Path) -> None:
    for folder in places.cache("engines").iterdir():
        [golden] = folder.glob("*.npz")
        with np.load(golden) as archive:
            arrays = {name: archive[name] * np.float32(1.1) for name in archive.files}
        np.savez(golden, **arrays)
        record = json.loads((folder / "record.json").read_text())
        record["golden"] = hashlib.sha256(golden.read_bytes()).hexdigest()
        golden.rename(folder / f"{record['golden']}.npz")
        (folder / "record.json").write_text(json.dumps(record))

    notes = share_int8(project, "second")

    assert tensorrt.read_text() == "built\n" * 3
    assert "the int8 engine of an identical board was refused and built here" in notes
    assert "of input 0 differs: 20" in notes and "\n" not in notes
    # What was refused gave way to what the second board built.
    assert "was built by an identical board" in share_int8(project, "third")
    assert tensorrt.read_text() == "built\n" * 3


@pytest.mark.usefixtures("afterwards")
def test_board_that_shares_nothing_builds(project: Path, tensorrt: Path) -> None:
    kept = places.cache("engines")
    for folder in kept.iterdir():
        next(folder.glob("*.plan")).write_bytes(b"rotten")
    # What rotted here is not sent, and kept anew.
    assert share_int8(project, "second") == ""
    assert tensorrt.read_text() == "built\n" * 3
    # A board that demands signatures takes none.
    (project.parent / "third").mkdir()
    (project.parent / "third" / "allowed_signers").write_text("")
    note = "the int8 engine is not shared: this board demands signatures"
    assert share_int8(project, "third") == note
    # Nowhere to keep one is no reason to give up.
    shutil.rmtree(kept)
    kept.write_text("not a folder")
    assert "int8 engine could not be kept for other boards" in share_int8(project, "fourth")
    assert tensorrt.read_text() == "built\n" * 5

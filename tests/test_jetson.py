"""The whole flow for TensorRT: compiled on the device, in int8 and in fp16, and compared."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import edgeq
from edgeq import artifact, deployment, places
from edgeq.errors import DeviceError
from edgeq.measurement import Report
from edgeq.report.table import render
from tests.agent.fakes import make_cudart, make_module

from .test_deployment import edit

TARGET = """\
description: this machine, as if it were a Jetson
runtime: tensorrt
architecture: host
activation_type: int8
transport: local
root: {root}
"""


@pytest.fixture
def project(small_demo: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(small_demo, folder)
    (folder / "target.yaml").write_text(TARGET.format(root=tmp_path / "device"))
    return folder


@pytest.fixture
def tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TensorRT on this machine; the file that gets a line for every engine that is built."""
    modules = make_module(tmp_path / "modules", "fake_tensorrt")
    shutil.copy(Path(__file__).parent / "computing_tensorrt.py", modules / "tensorrt.py")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    make_cudart(libraries)
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries))
    log = tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    return log


def deploy(project: Path) -> Report:
    return edgeq.deploy(project / "recipe.yaml", str(project / "target.yaml"))


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0", "11.4.0"])
def test_deploy_compiles_measures_and_compares(
    version: str, project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VERSION", version)
    monkeypatch.setenv("FAKE_TENSORRT", {"8.6.1": "old", "11.4.0": "new"}.get(version, ""))

    report = deploy(project)

    assert [column.name for column in report.columns] == ["float", "simulated", "fp16", "device"]
    assert report.divergence is not None
    # The engine behind it simulates: what was written is what runs.
    assert all(snr is None or snr > 60 for snr in report.divergence.snr_db.values())
    half = report.column("fp16")
    assert half is not None and half.accuracy is not None and half.mask_ap_drop is not None
    assert abs(half.mask_ap_drop.estimate) < 0.01
    assert report.speedup is not None
    assert f"TensorRT {version}" in " ".join(report.notes)
    # One engine in int8 and one in fp16; each was used by verify, predict and bench.
    assert tensorrt.read_text() == "built\n" * 2
    if version == "10.3.0":
        assert deploy(project).artifact_id == report.artifact_id
        assert tensorrt.read_text() == "built\n" * 2


def test_report_says_why_int8_does_not_pay(
    project: Path, tensorrt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_layers = ["/model.1/conv/Conv", "/model.2/cv1/conv/Conv"]
    monkeypatch.setenv("FAKE_LAYERS", " ".join(plan_layers))
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


def test_manifest_says_how_to_compile(project: Path, tensorrt: Path) -> None:
    made = deployment.build(project / "recipe.yaml", "jetson-xavier", project / "model.edgeq")
    compiled = artifact.read(project / "model.edgeq").manifest.runtime.compile
    assert compiled is not None
    assert (compiled.precision, compiled.typing) == ("int8", "weak")
    assert made.plan.form == "float-weights"

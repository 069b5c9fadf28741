"""The lint of recipes and of models that another tool wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from edgeq.errors import InputError
from edgeq.records.lint import Lint
from edgeq.verbs.build import build
from edgeq.verbs.lint import lint


@pytest.fixture(scope="session")
def written(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's graph for TensorRT."""
    folder = tmp_path_factory.mktemp("written")
    built = build(small_demo / "recipe.yaml", "jetson-orin")
    path = folder / "model.onnx"
    path.write_bytes(built.artifact.path("model.onnx").read_bytes())
    return path


def spoilt(path: Path, folder: Path) -> Path:
    proto = onnx.load(path)
    tensor = next(t for t in proto.graph.initializer if t.name.endswith("/zero_point"))
    values = numpy_helper.to_array(tensor) + 1
    tensor.CopyFrom(numpy_helper.from_array(values.astype("int8"), tensor.name))
    onnx.save(proto, folder / "spoilt.onnx")
    return folder / "spoilt.onnx"


def test_recipe_is_built_and_linted(small_demo: Path) -> None:
    found = lint(small_demo / "recipe.yaml", "jetson-orin")

    assert not found.has_errors
    assert {finding.rule for finding in found.findings} <= {"island"}
    assert set(found.snr_db) == {"boxes", "scores", "coefficients", "prototypes"}
    assert all(ratio is not None and ratio > 10 for ratio in found.snr_db.values())


def test_range_mixing_is_a_finding_once_the_head_is_quantized(
    small_demo: Path, tmp_path: Path
) -> None:
    text = (small_demo / "recipe.yaml").read_text()
    text = text.replace("quantize:\n", "quantize:\n  head: quantize\n")
    recipe = small_demo / "everything.yaml"
    recipe.write_text(text)

    found = lint(recipe, "jetson-orin")

    noisy = [finding.node for finding in found.findings if finding.rule == "part-noise"]
    assert "scores" in noisy and "boxes" not in noisy
    [mixed] = [finding for finding in found.findings if finding.rule == "range-mixing"]
    assert mixed.node == "/model.22/Concat_6"
    assert "head: float-tail" in mixed.remedy


def test_model_of_another_tool_is_linted_as_it_is(written: Path, tmp_path: Path) -> None:
    found = lint(spoilt(written, tmp_path), "jetson-orin")

    assert found.has_errors
    assert {f.rule for f in found.findings if f.severity == "error"} == {"zero-point"}
    assert found.findings[0].severity == "error"


def test_data_beside_a_model_is_found_from_anywhere(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = onnx.load(written)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="m.data")
    monkeypatch.chdir("/")

    assert not lint(folder / "m.onnx", "jetson-orin").has_errors


def test_what_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(InputError, match="is truncated or no ONNX file"):
        lint(tmp_path / "bad.onnx", "jetson-orin")
    with pytest.raises(InputError, match="does not exist"):
        lint(tmp_path / "none.onnx", "jetson-orin")


def test_command_ends_with_2_for_what_would_be_refused(written: Path, tmp_path: Path) -> None:
    def run(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgeq", "lint", str(path), "-t", "jetson-orin", *more]
        return subprocess.run(command, capture_output=True, text=True)

    bad = run(spoilt(written, tmp_path))
    assert bad.returncode == 2
    assert "zero-point" in bad.stdout and "scheme: scale" in " ".join(bad.stdout.split())
    good = run(written, "--json")
    assert good.returncode == 0
    assert not Lint.model_validate_json(good.stdout).has_errors


def test_little_in_int8_is_a_finding(small_demo: Path) -> None:
    text = (small_demo / "recipe.yaml").read_text()
    recipe = small_demo / "little.yaml"
    recipe.write_text(
        text.replace("quantize:\n", "quantize:\n  exclude: ['/model.?/*', '/model.1?/*']\n")
    )

    [found] = [f for f in lint(recipe, "arm-cpu-ort").findings if f.rule == "coverage"]

    assert found.severity == "warning" and "only " in found.what
    assert "because: '/model.1?/*' in exclude" in found.what


def test_float_model_has_nothing_to_lint(small_demo: Path) -> None:
    [found] = lint(next(small_demo.glob("*.onnx")), "jetson-orin").findings
    assert (found.rule, found.severity) == ("nothing-quantized", "warning")

"""The engine seam: loading, fitting tensors, and what a missing or failing engine leads to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Dict

import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import read_manifest
from edgeq.agent.runtimes.base import InputSpec, fit_tensor, load

if TYPE_CHECKING:
    from pathlib import Path

SPEC = InputSpec("images", (1, 3, 8, 8), "float32")
IMAGE = np.zeros((1, 3, 8, 8), np.float32)


@pytest.mark.parametrize("graph_optimization", ["all", "disabled"])
def test_onnxruntime_runs_the_model(release: Path, graph_optimization: str) -> None:
    engine = load(read_manifest(release), 1, graph_optimization)
    assert engine.input == InputSpec("images", (1, 3, 64, 64), "float32")
    outputs = engine.run(np.full((1, 3, 64, 64), 0.75, np.float32))
    assert [output.name for output in outputs] == ["output0", "output1"]
    assert (outputs[1].array == 0.25).all()


def test_a_model_that_is_none_is_the_engines_error(release: Path) -> None:
    (release / "model.onnx").write_bytes(b"no model")
    with pytest.raises(AgentError, match=r"model\.onnx: cannot be loaded") as caught:
        load(read_manifest(release), 1)
    assert caught.value.kind == "engine"
    assert "\n" not in caught.value.message


def test_an_inference_that_fails_is_the_engines_error(release: Path) -> None:
    engine = load(read_manifest(release), 1)
    with pytest.raises(AgentError, match="inference failed") as caught:
        engine.run(np.zeros((1, 3, 8, 8), np.float32))
    assert caught.value.kind == "engine"


def test_a_missing_engine_names_the_package(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(AgentError, match=r"edgeq targets setup.*pip install onnxruntime") as caught:
        load(read_manifest(release), 1)
    assert caught.value.kind == "missing-engine"


def test_a_runtime_without_an_engine_here_is_refused(
    release: Path, manifest_document: Dict[str, Any]
) -> None:
    manifest = read_manifest(release)
    runtime = manifest.runtime._replace(name="unheard-of")
    with pytest.raises(AgentError, match="this agent cannot run unheard-of") as caught:
        load(manifest._replace(runtime=runtime), 1)
    assert caught.value.kind == "missing-engine"


def test_only_an_engine_with_delegates_can_go_without(release: Path) -> None:
    manifest = read_manifest(release)
    without = manifest._replace(runtime=manifest.runtime._replace(delegate="none"))
    with pytest.raises(AgentError, match="onnxruntime has none to leave out") as caught:
        load(without, 1)
    assert caught.value.kind == "bad-artifact"


def test_a_model_without_a_batch_axis_gets_the_one_image() -> None:
    assert fit_tensor(IMAGE, SPEC._replace(shape=(3, 8, 8))).shape == (3, 8, 8)
    assert fit_tensor(IMAGE, SPEC._replace(shape=(None, 3, None, None))).shape == IMAGE.shape


def test_float16_inputs_are_converted() -> None:
    assert fit_tensor(IMAGE, SPEC._replace(dtype="float16")).dtype == np.float16


def test_a_size_that_does_not_fit_shows_both_shapes() -> None:
    with pytest.raises(AgentError) as caught:
        fit_tensor(IMAGE, SPEC._replace(shape=(1, 3, 16, None)))
    assert caught.value.kind == "bad-artifact"
    assert "is [1, 3, 16, 'any'] and preprocess gives [1, 3, 8, 8]" in caught.value.message


def test_a_dtype_that_does_not_fit_says_what_to_set() -> None:
    with pytest.raises(AgentError, match=r"set preprocess\.dtype to uint8"):
        fit_tensor(IMAGE, SPEC._replace(dtype="uint8"))

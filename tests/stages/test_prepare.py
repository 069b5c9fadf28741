"""What is checked before any work: that a release would be int8 at all, and how much of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from edgeq.errors import InputError
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.stages.build import build
from edgeq.stages.prepare import Prepared, prepare
from edgeq.verbs.build import steps_of

from .projects import project
from .twostage import two_stages


def prepared(recipe: Path, target: str = "arm-cpu-ort") -> Prepared:
    return prepare(recipes.load(recipe), targets.load(target), None)


def test_nothing_quantized_is_refused_with_the_reasons_counted(tmp_path: Path) -> None:
    """Every weight is drawn anew when the network runs, so that none is constant."""
    proto = two_stages()
    for node in proto.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight = node.input[1]
            noise = helper.make_node("RandomNormalLike", [weight], [f"{weight}.n"], scale=1e-9)
            added = helper.make_node("Add", [weight, f"{weight}.n"], [f"{weight}.s"])
            node.input[1] = f"{weight}.s"
            proto.graph.node.extend([noise, added])
    with pytest.raises(
        InputError, match="no layer is quantized: 6 stay float, 1 because"
    ) as caught:
        prepared(project(tmp_path, proto))
    assert "its weight is made by Add" in caught.value.what
    assert "attention" not in caught.value.what
    assert "edgeq inspect" in caught.value.remedy


@pytest.mark.parametrize("quantize", ["{exclude: ['*']}", "{overrides: {'*': float}}"])
def test_recipe_that_excludes_everything_is_refused_too(quantize: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no layer is quantized: 6 stay float") as caught:
        prepared(project(tmp_path, two_stages(), quantize=quantize))
    assert caught.value.where == "quantize" and "exclude" in caught.value.remedy


def test_little_in_int8_is_noted_with_the_reasons_counted(tmp_path: Path) -> None:
    found = prepared(project(tmp_path, two_stages(), quantize="{exclude: [stem]}"))
    note, _few_images = found.notes
    assert note.startswith(
        "only 16% of the multiply-adds compute in int8: 1 of 6 layers stay float"
    )
    assert "1 because: 'stem' in exclude" in note
    assert f"note: {note}" in steps_of(found)
    unexcluded = prepared(project(tmp_path, two_stages()))
    assert not any("multiply-adds" in note for note in unexcluded.notes)


def test_second_stage_is_int8_where_the_engine_takes_open_shapes(tmp_path: Path) -> None:
    recipe = project(tmp_path, two_stages())
    built = build(prepared(recipe))
    assert (built.plan.layers_quantized, built.plan.layers_float) == (6, 0)
    x = np.random.default_rng(9).random((1, 3, 32, 32), np.float32)
    models = (tmp_path / "model.onnx", built.artifact.path("model.onnx"))
    wanted, given = (ort.InferenceSession(str(m)).run(None, {"x": x}) for m in models)
    # Candidates at the border may come or go.
    assert abs(len(wanted[0]) - len(given[0])) <= 3
    if len(wanted[0]) == len(given[0]):
        np.testing.assert_allclose(given[3], wanted[3], atol=0.05)


def test_second_stage_that_no_image_reaches_has_no_range(tmp_path: Path) -> None:
    recipe = project(tmp_path, two_stages(least=1e9))
    with pytest.raises(InputError, match=r"calibration\.images: show nothing that reaches tensor"):
        build(prepared(recipe))


def test_repairs_leave_out_what_has_no_places_before_it_runs(tmp_path: Path) -> None:
    recipe = project(tmp_path, two_stages())
    recipe.write_text(recipe.read_text() + "repair: {bias_correction: true}\n")
    assert "corrected the biases of 2 layers" in build(prepared(recipe)).notes[-1]


def test_half_precision_is_noted(tmp_path: Path) -> None:
    proto = two_stages()
    for tensor in proto.graph.initializer:
        if tensor.name.endswith(".w"):
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            proto.graph.node.append(
                helper.make_node("Cast", [f"{tensor.name}h"], [tensor.name], to=1)
            )
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, f"{tensor.name}h"))
    note, _few_images = prepared(project(tmp_path, proto)).notes
    assert "partly float16 (6 constants)" in note

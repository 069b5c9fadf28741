"""Outputs that a decoder does not read are left out, and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.stages.outputs import check_decoder, load_model
from edgeq.stages.prepare import prepare

from ..nets import Net
from .projects import project
from .twostage import two_stages

V8 = "{decoder: yolov8-seg, classes: [pig, cow]}"


def yolo(extra: bool = False, twice: bool = False) -> onnx.ModelProto:
    """Predictions [1,4+2+4,64] and prototypes [1,4,16,16], as YOLOv8 gives them at 32 px."""
    net = Net(side=32)
    x = net.silu(net.conv("x", "stem", (16, 3, 3, 3), strides=[2, 2]), "features")
    net.conv(x, "protos", (4, 16, 3, 3))
    outputs = ["out", "protos"]
    for name in ("out", "again") if twice else ("out",):
        rows = net.conv(x, f"{name}.map", (10, 16, 1, 1), strides=[2, 2])
        shape = net.constant(f"{name}.shape", np.array([1, 10, -1], np.int64))
        net.node("Sigmoid", [net.node("Reshape", [rows, shape], f"{name}.rows")], name)
    if extra:
        net.conv(x, "training", (7, 16, 3, 3))
        outputs += ["training", "features"]
    return net.proto([*outputs, "again"] if twice else outputs)


def test_surplus_outputs_are_left_out_and_named(tmp_path: Path) -> None:
    recipe = recipes.load(project(tmp_path, yolo(extra=True), V8))
    model = load_model(recipe)
    assert list(model.outputs) == ["out", "protos"]
    assert "training" not in {node.name for node in model.nodes}
    [note] = model.notes
    assert note.startswith("decoder yolov8-seg does not read 'training' [1, 7, 16, 16], 'features'")
    assert note in prepare(recipe, targets.load("arm-cpu-ort"), None).notes


def test_outputs_that_fit_are_left_alone(tmp_path: Path) -> None:
    model = load_model(recipes.load(project(tmp_path, yolo(), V8)))
    assert (list(model.outputs), model.notes) == (["out", "protos"], ())


def test_no_choice_is_made_where_two_would_fit(tmp_path: Path) -> None:
    recipe = recipes.load(project(tmp_path, yolo(twice=True), V8))
    model = load_model(recipe)
    assert list(model.outputs) == ["out", "protos", "again"]
    with pytest.raises(InputError, match=r"found out \[1, 10, 64\].*again.*expected predictions"):
        check_decoder(model, recipe)


def test_open_number_of_detections_is_checked_in_all_else(tmp_path: Path) -> None:
    proto = two_stages()
    check_decoder(*_loaded(tmp_path, proto))
    proto.graph.output[3].name = "pooled"
    proto.graph.output[3].type.tensor_type.ClearField("shape")
    with pytest.raises(InputError, match="expected boxes"):
        check_decoder(*_loaded(tmp_path, proto))


def _loaded(folder: Path, proto: onnx.ModelProto) -> tuple[Model, recipes.Recipe]:
    recipe = recipes.load(project(folder, proto))
    return load_model(recipe), recipe


def test_surplus_outputs_of_two_stages_are_left_out_too(tmp_path: Path) -> None:
    proto = two_stages()
    proto.graph.output.append(helper.make_tensor_value_info("rows", TensorProto.FLOAT, [5, 256]))
    model, _ = _loaded(tmp_path, proto)
    # Boxes and rows are both of rank two; only one has four columns.
    assert list(model.outputs) == ["boxes", "labels", "scores", "masks"]


@pytest.mark.parametrize("shape", [[1, 32, 32, 3], ["batch", "h", "w", 3], [32, 32, 3]])
def test_channels_last_are_named_as_such(shape: list[int | str], tmp_path: Path) -> None:
    proto = yolo()
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    first = "image"
    if len(shape) == 3:
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "front"))
        proto.graph.node.insert(0, helper.make_node("Unsqueeze", ["image", "front"], ["batched"]))
        first = "batched"
    turn = helper.make_node("Transpose", [first], ["x"], perm=[0, 3, 1, 2], name="turn")
    proto.graph.node.insert(len(shape) == 3, turn)
    del proto.graph.input[:]
    proto.graph.input.append(given)
    with pytest.raises(InputError, match=r"channels last \(NHWC\)") as caught:
        load_model(recipes.load(project(tmp_path, proto, V8)))
    assert "--inputs-as-nchw image" in caught.value.remedy and "px" not in str(caught.value)

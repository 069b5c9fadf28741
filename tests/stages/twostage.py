"""A detector of two stages: its second computes as often as the first finds something."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def two_stages(side: int = 32, least: float = 0.0) -> onnx.ModelProto:
    """Boxes [n,4], labels [n], scores [n] and masks [n,1,8,8], as Mask R-CNN gives them.

    The candidates above `least` go into the second stage.
    """
    rng = np.random.default_rng(3)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def add(op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(name: str, *shape: int) -> str:
        value = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        return constant(name, value.astype(np.float32))

    def conv(x: str, name: str, *shape: int, stride: int = 1) -> str:
        pads = [shape[-1] // 2] * 4
        return add("Conv", [x, weight(f"{name}.w", *shape)], name, pads=pads, strides=[stride] * 2)

    features = add("Relu", [conv("x", "stem", 8, 3, 3, 3, stride=2)], "features")
    proposals = conv(features, "proposals", 5, 8, 1, 1)
    rows = add("Reshape", [proposals, constant("to-rows", np.array([5, -1], np.int64))], "rows")
    table = add("Transpose", [rows], "table", perm=[1, 0])
    first = constant("first", np.array([0], np.int64))
    fourth, fifth = (constant(f"to-{n}", np.array([n], np.int64)) for n in (4, 5))
    axis = constant("axis", np.array([1], np.int64))
    objectness = add("Slice", [table, fourth, fifth, axis], "objectness")
    flat = add("Reshape", [objectness, constant("flat", np.array([-1], np.int64))], "flat-scores")
    above = add("Greater", [flat, constant("least", np.array(least, np.float32))], "above")
    index = add("Reshape", [add("NonZero", [above], "chosen"), "flat"], "index")
    picked = add("Gather", [table, index], "picked", axis=0)
    deltas = add("Slice", [picked, first, fourth, axis], "deltas")
    spread = constant("spread", np.array([side / 8, side / 8, side / 8, side / 8], np.float32))
    corner = constant("corner", np.array([8, 8, 20, 20], np.float32))
    shifted = add("Mul", [add("Tanh", [deltas], "squashed"), spread], "shifted")
    boxes = add("Add", [shifted, corner], "boxes")
    count = add("Shape", [index], "count")
    batch = add("ConstantOfShape", [count], "batch", value=helper.make_tensor("v", 7, [1], [0]))
    pooled = add(
        "RoiAlign",
        [features, boxes, batch],
        "pooled",
        output_height=4,
        output_width=4,
        spatial_scale=0.5,
    )
    hidden = add("Relu", [conv(pooled, "mask1", 16, 8, 3, 3)], "hidden")
    larger = add("Relu", [conv(hidden, "mask2", 16, 16, 3, 3)], "larger")
    scales = constant("twice", np.array([1, 1, 2, 2], np.float32))
    doubled = add("Resize", [larger, "", scales], "doubled", mode="nearest")
    add("Sigmoid", [conv(doubled, "mask3", 1, 16, 1, 1)], "masks")
    vector = add("Flatten", [pooled], "vector", axis=1)
    score = add("Gemm", [vector, weight("box.w", 1, 128)], "box", transB=1)
    add("Reshape", [add("Sigmoid", [score], "score"), "flat"], "scores")
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    add("ConstantOfShape", [count], "labels", value=one)
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, ["n", 1, 8, 8]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side, side])
    graph = helper.make_graph(nodes, "two stages", [given], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

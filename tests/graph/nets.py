"""Small ONNX graphs, built node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeq.graph.load import load
from edgeq.graph.model import Model

Array = NDArray[np.generic]
Shapes = Mapping[str, Sequence[int | str] | None]
node = helper.make_node


def floats(*shape: int, seed: int = 0, scale: float = 1.0) -> NDArray[np.float32]:
    """Seeded weights."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def net(
    nodes: Sequence[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model with float inputs and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(proto: onnx.ModelProto, folder: Path, size: tuple[int, int] | None = None) -> Model:
    """The model after a round trip through a file."""
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return load(path, size)


def run(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[NDArray[np.float32]]:
    """The outputs in ONNX Runtime, with nothing optimized."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(feeds)))


def conv_net(size: Sequence[int | str] = (1, 3, 8, 10)) -> onnx.ModelProto:
    """Conv, BatchNorm, ReLU, and a residual Add."""
    constants = {
        "w": floats(5, 3, 3, 3),
        "gamma": np.abs(floats(5, seed=1)) + np.float32(0.5),
        "beta": floats(5, seed=2),
        "mean": floats(5, seed=3),
        "var": np.abs(floats(5, seed=4)) + np.float32(0.5),
        "w2": floats(5, 5, 1, 1, seed=5),
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="stem/Conv", pads=[1, 1, 1, 1]),
        node(
            "BatchNormalization",
            ["c", "gamma", "beta", "mean", "var"],
            ["n"],
            name="stem/BatchNormalization",
        ),
        node("Relu", ["n"], ["r"], name="stem/Relu"),
        node("Conv", ["r", "w2"], ["d"], name="branch/Conv"),
        node("Add", ["r", "d"], ["y"], name="Add"),
    ]
    batch, _, height, width = size
    return net(nodes, {"x": size}, {"y": [batch, 5, height, width]}, constants)


def head_with_shape_chain(size: Sequence[int | str] = ("batch", 3, "h", "w")) -> onnx.ModelProto:
    """A classifier's pooled map, flattened the way exporters do it: Shape, Gather, Concat."""
    constants: dict[str, Array] = {
        "w": floats(4, 3, 3, 3),
        "zero": np.array(0, np.int64),
        "axis": np.array([0], np.int64),
        "rest": np.array([-1], np.int64),
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="Conv", pads=[1, 1, 1, 1]),
        node("Shape", ["c"], ["s"], name="Shape"),
        node("Gather", ["s", "zero"], ["g"], name="Gather"),
        node("Unsqueeze", ["g", "axis"], ["u"], name="Unsqueeze"),
        node("Concat", ["u", "rest"], ["t"], name="Concat", axis=0),
        node("Reshape", ["c", "t"], ["f"], name="Reshape"),
        node("Sigmoid", ["f"], ["y"], name="Sigmoid"),
    ]
    return net(nodes, {"x": size}, {"y": ["batch", "features"]}, constants)


def branching_net() -> onnx.ModelProto:
    """An If whose branches read a tensor from outside, and a condition that is computed."""
    then = helper.make_graph(
        [node("Relu", ["c"], ["t"], name="then/Relu")],
        "then",
        [],
        [helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 2, 8, 8])],
    )
    other = helper.make_graph(
        [node("Neg", ["c"], ["e"], name="else/Neg")],
        "else",
        [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, [1, 2, 8, 8])],
    )
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="Conv"),
        node("ReduceSum", ["x"], ["sum"], name="ReduceSum", keepdims=0),
        node("Greater", ["sum", "zero"], ["condition"], name="Greater"),
        node("If", ["condition"], ["y"], name="If", then_branch=then, else_branch=other),
    ]
    constants: dict[str, Array] = {"w": floats(2, 3, 1, 1), "zero": np.array(0, np.float32)}
    return net(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 2, 8, 8]}, constants)

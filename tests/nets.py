"""Small float networks with random weights, as Models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeq.graph.load import load
from edgeq.graph.model import Model


class Net:
    """Nodes one after another; every method returns its output's name, which is its node's too."""

    def __init__(self, channels: int = 3, side: int = 8, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape = [1, channels, side, side]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(
        self, op: str, inputs: list[str], name: str, outputs: int = 1, **attributes: Any
    ) -> str:
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0]

    def conv(
        self, x: str, name: str, shape: tuple[int, ...], bias: bool = True, **attributes: Any
    ) -> str:
        """Convolution with weights [out, in, k, k], padded so that the size stays."""
        weight = self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        inputs = [x, self.constant(f"{name}.w", weight.astype(np.float32))]
        if bias:
            values = 0.3 * self.rng.standard_normal(shape[0])
            inputs.append(self.constant(f"{name}.b", values.astype(np.float32)))
        pads = [side // 2 for side in shape[2:]] * 2
        return self.node("Conv", inputs, name, **{"pads": pads, **attributes})

    def silu(self, x: str, name: str) -> str:
        return self.node("Mul", [x, self.node("Sigmoid", [x], f"{name}.gate")], name)

    def proto(self, outputs: list[str], opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset)]
        # A checked model says its outputs' shapes.
        return onnx.shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=opsets, ir_version=8)
        )

    def model(self, folder: Path, outputs: list[str], opset: int = 17) -> Model:
        """Written, then loaded and simplified as every model is."""
        return loaded(self.proto(outputs, opset), folder)


def loaded(proto: onnx.ModelProto, folder: Path) -> Model:
    file = folder / "net.onnx"
    onnx.save(proto, file)
    return load(file)

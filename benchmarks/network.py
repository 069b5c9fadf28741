"""A network in the form of YOLOv8n-seg with random weights: 12 GFLOP at 640 px."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class _Builder:
    """Collects nodes and seeded weights; every method returns the name of its output."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)
        self.channels: dict[str, int] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.tensors.append(numpy_helper.from_array(value, name))
        return name

    def node(
        self, op: str, inputs: list[str], name: str, outputs: int = 1, **attributes: Any
    ) -> str:
        names = [f"{name}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0]

    def convolution(self, x: str, out: int, name: str, kernel: int = 1, stride: int = 1) -> str:
        fan_in = self.channels[x] * kernel * kernel
        shape = (out, self.channels[x], kernel, kernel)
        weight = self.rng.standard_normal(shape).astype(np.float32) * np.float32(
            (2.5 / fan_in) ** 0.5
        )
        bias = self.rng.standard_normal(out).astype(np.float32) * np.float32(0.3)
        inputs = [
            x,
            self.constant(f"{name}.weight", weight),
            self.constant(f"{name}.bias", bias),
        ]
        pad = [kernel // 2] * 4
        y = self.node(
            "Conv",
            inputs,
            f"{name}/Conv",
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=pad,
        )
        self.channels[y] = out
        return y

    def unit(self, x: str, out: int, name: str, kernel: int = 1, stride: int = 1) -> str:
        """Convolution and SiLU."""
        y = self.convolution(x, out, name, kernel, stride)
        sigmoid = self.node("Sigmoid", [y], f"{name}/Sigmoid")
        z = self.node("Mul", [y, sigmoid], f"{name}/Mul")
        self.channels[z] = out
        return z

    def concat(self, parts: list[str], name: str) -> str:
        y = self.node("Concat", parts, name, axis=1)
        self.channels[y] = sum(self.channels[part] for part in parts)
        return y

    def c2f(self, x: str, out: int, name: str, repeats: int, shortcut: bool) -> str:
        half = out // 2
        y = self.unit(x, out, f"{name}.cv1")
        split = self.constant(f"{name}.split", np.array([half, half], np.int64))
        first = self.node("Split", [y, split], f"{name}/Split", 2, axis=1)
        second = first.replace("_output_0", "_output_1")
        self.channels[first] = self.channels[second] = half
        parts = [first, second]
        for i in range(repeats):
            z = self.unit(parts[-1], half, f"{name}.m.{i}.cv1", 3)
            z = self.unit(z, half, f"{name}.m.{i}.cv2", 3)
            if shortcut:
                z = self.node("Add", [parts[-1], z], f"{name}.m.{i}/Add")
                self.channels[z] = half
            parts.append(z)
        return self.unit(self.concat(parts, f"{name}/Concat"), out, f"{name}.cv2")

    def upsample(self, x: str, name: str) -> str:
        scales = self.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
        y = self.node(
            "Resize",
            [x, "", scales],
            name,
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )
        self.channels[y] = self.channels[x]
        return y


def yolov8n_seg(size: int = 640, classes: int = 80, seed: int = 0) -> onnx.ModelProto:
    """The network; input `images` [1,3,size,size], outputs as Ultralytics exports them."""
    b = _Builder(seed)
    b.channels["images"] = 3
    x = b.unit("images", 16, "model.0", 3, 2)
    x = b.unit(x, 32, "model.1", 3, 2)
    x = b.c2f(x, 32, "model.2", 1, True)
    x = b.unit(x, 64, "model.3", 3, 2)
    p3 = b.c2f(x, 64, "model.4", 2, True)
    x = b.unit(p3, 128, "model.5", 3, 2)
    p4 = b.c2f(x, 128, "model.6", 2, True)
    x = b.unit(p4, 256, "model.7", 3, 2)
    x = b.c2f(x, 256, "model.8", 1, True)
    pooled = [b.unit(x, 128, "model.9.cv1")]
    for i in range(3):
        y = b.node(
            "MaxPool", [pooled[-1]], f"model.9/MaxPool_{i}", kernel_shape=[5, 5], pads=[2] * 4
        )
        b.channels[y] = 128
        pooled.append(y)
    p5 = b.unit(b.concat(pooled, "model.9/Concat"), 256, "model.9.cv2")
    x = b.concat([b.upsample(p5, "model.10/Resize"), p4], "model.11/Concat")
    n4 = b.c2f(x, 128, "model.12", 1, False)
    x = b.concat([b.upsample(n4, "model.13/Resize"), p3], "model.14/Concat")
    n3 = b.c2f(x, 64, "model.15", 1, False)
    x = b.concat([b.unit(n3, 64, "model.16", 3, 2), n4], "model.17/Concat")
    n4 = b.c2f(x, 128, "model.18", 1, False)
    x = b.concat([b.unit(n4, 128, "model.19", 3, 2), p5], "model.20/Concat")
    n5 = b.c2f(x, 256, "model.21", 1, False)

    y = b.unit(n3, 64, "model.22.proto.cv1", 3)
    weight = b.rng.standard_normal((64, 64, 2, 2)).astype(np.float32) * np.float32(0.18)
    inputs = [y, b.constant("model.22.proto.upsample.weight", weight)]
    y = b.node(
        "ConvTranspose",
        inputs,
        "model.22.proto.upsample/ConvTranspose",
        strides=[2, 2],
        kernel_shape=[2, 2],
    )
    b.channels[y] = 64
    y = b.unit(y, 64, "model.22.proto.cv2", 3)
    b.unit(y, 32, "model.22.proto.cv3")

    levels: dict[str, list[str]] = {"box": [], "cls": [], "coef": []}
    anchors, strides = [], []
    for i, feature in enumerate((n3, n4, n5)):
        stride = 8 * 2**i
        side = size // stride
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), 0).reshape(2, -1) + 0.5
        anchors.append(grid)
        strides.append(np.full((1, side * side), stride))
        for kind, width, out in (("box", 64, 64), ("cls", 80, classes), ("coef", 32, 32)):
            y = b.unit(feature, width, f"model.22.{kind}.{i}.0", 3)
            y = b.unit(y, width, f"model.22.{kind}.{i}.1", 3)
            levels[kind].append(b.convolution(y, out, f"model.22.{kind}.{i}.2"))
    total = sum(grid.shape[1] for grid in anchors)
    merged = []
    for i in range(3):
        y = b.concat([levels["box"][i], levels["cls"][i]], f"model.22/Concat_{i}")
        shape = b.constant(f"model.22.shape.{i}", np.array([1, 64 + classes, -1], np.int64))
        merged.append(b.node("Reshape", [y, shape], f"model.22/Reshape_{i}"))
    y = b.node("Concat", merged, "model.22/Concat_3", axis=2)
    split = b.constant("model.22.split", np.array([64, classes], np.int64))
    box = b.node("Split", [y, split], "model.22/Split", 2, axis=1)
    score = b.node("Sigmoid", [box.replace("_output_0", "_output_1")], "model.22/Sigmoid")
    shape = b.constant("model.22.dfl.shape", np.array([1, 4, 16, total], np.int64))
    y = b.node("Reshape", [box, shape], "model.22.dfl/Reshape")
    y = b.node("Transpose", [y], "model.22.dfl/Transpose", perm=[0, 2, 1, 3])
    y = b.node("Softmax", [y], "model.22.dfl/Softmax", axis=1)
    bins = b.constant("model.22.dfl.weight", np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1))
    y = b.node("Conv", [y, bins], "model.22.dfl/Conv", kernel_shape=[1, 1])
    shape = b.constant("model.22.dfl.shape_1", np.array([1, 4, total], np.int64))
    y = b.node("Reshape", [y, shape], "model.22.dfl/Reshape_1")
    split = b.constant("model.22.box.split", np.array([2, 2], np.int64))
    near = b.node("Split", [y, split], "model.22/Split_1", 2, axis=1)
    far = near.replace("_output_0", "_output_1")
    centres = b.constant("model.22.anchors", np.concatenate(anchors, 1)[None].astype(np.float32))
    low = b.node("Sub", [centres, near], "model.22/Sub")
    high = b.node("Add", [centres, far], "model.22/Add")
    centre = b.node("Add", [low, high], "model.22/Add_1")
    two = b.constant("model.22.two", np.array(2, np.float32))
    centre = b.node("Div", [centre, two], "model.22/Div")
    extent = b.node("Sub", [high, low], "model.22/Sub_1")
    y = b.node("Concat", [centre, extent], "model.22/Concat_4", axis=1)
    stride_row = b.constant("model.22.strides", np.concatenate(strides, 1)[None].astype(np.float32))
    y = b.node("Mul", [y, stride_row], "model.22/Mul")
    coefficients = []
    for i, level in enumerate(levels["coef"]):
        shape = b.constant(f"model.22.coef.shape.{i}", np.array([1, 32, -1], np.int64))
        coefficients.append(b.node("Reshape", [level, shape], f"model.22/Reshape_coef_{i}"))
    z = b.node("Concat", coefficients, "model.22/Concat_5", axis=2)
    y = b.node("Concat", [y, score, z], "model.22/Concat_6", axis=1)
    b.nodes[-1].output[0] = "output0"
    last = next(node for node in b.nodes if node.name == "model.22.proto.cv3/Mul")
    last.output[0] = "output1"
    graph = helper.make_graph(
        b.nodes,
        "yolov8n-seg-like",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])],
        [
            helper.make_tensor_value_info(
                "output0", TensorProto.FLOAT, [1, 4 + classes + 32, total]
            ),
            helper.make_tensor_value_info(
                "output1", TensorProto.FLOAT, [1, 32, size // 4, size // 4]
            ),
        ],
        b.tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

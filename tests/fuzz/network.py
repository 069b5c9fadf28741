"""Networks that are almost right: ONNX of a small one, changed in its fields or in its bytes."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto

from tests.fuzz.mutation import bytes_like
from tests.nets import Net

_OPS = ("Conv", "Add", "Mul", "Reshape", "Concat", "Resize", "Softmax", "Sigmoid", "Transpose",
        "Gather", "Slice", "Split", "MaxPool", "If", "Loop", "NonMaxSuppression", "QuantizeLinear",
        "Constant", "Cast", "Identity", "Nonsense")  # fmt: skip
_SIZES = (0, 1, -1, 2, 3, 8, 2**20, 2**31, 2**62, -(2**63))
_NAMES = ("", "x", "a", "out", "gone", "ä\u202e", "/etc/passwd")
_TYPES = (0, 1, 2, 3, 6, 7, 9, 10, 11, 16, 17, 99)
_STRINGS = (b"", b"SAME_UPPER", b"\xff\xfe", b"nearest", b"../../etc/passwd")


def _seed() -> onnx.ModelProto:
    """Convolution, SiLU, a branch, pooling, resizing, a concatenation and a flattened head."""
    net = Net(channels=3, side=8)
    a = net.silu(net.conv("x", "a.conv", (4, 3, 3, 3)), "a")
    b = net.conv(a, "b.conv", (4, 4, 1, 1))
    pooled = net.node("MaxPool", [b], "pool", kernel_shape=[2, 2], strides=[2, 2])
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    up = net.node("Resize", [pooled, "", scales], "up", mode="nearest")
    joined = net.node("Concat", [a, up], "joined", axis=1)
    shape = net.constant("shape", np.array([1, 8, 64], np.int64))
    return net.proto([net.node("Reshape", [joined, shape], "out")])


SEED = _seed()


@st.composite
def _edited(draw: st.DrawFn) -> bytes:
    model = onnx.ModelProto()
    model.CopyFrom(SEED)
    for _ in range(draw(st.integers(1, 5))):
        _edit(draw, model)
    return bytes(model.SerializeToString())


def _edit(draw: st.DrawFn, model: onnx.ModelProto) -> None:
    graph = model.graph
    kind = draw(st.sampled_from(["op", "wire", "order", "attribute", "tensor", "value", "about"]))
    if kind == "about":
        model.opset_import[0].version = draw(st.sampled_from((0, 1, 7, 13, 21, 25, 10**6, -1)))
        model.ir_version = draw(st.sampled_from((0, 3, 8, 13, 10**6)))
        model.opset_import[0].domain = draw(st.sampled_from(("", "", "ai.onnx", "com.microsoft")))
    elif kind == "tensor" and graph.initializer:
        _edit_tensor(draw, draw(st.sampled_from(list(graph.initializer))))
    elif kind == "value":
        _edit_value(draw, draw(st.sampled_from([*graph.input, *graph.output])))
    elif graph.node:
        node = draw(st.sampled_from(list(graph.node)))
        if kind == "op":
            node.op_type = draw(st.sampled_from(_OPS))
            node.domain = draw(st.sampled_from(("", "", "com.microsoft", "nowhere")))
        elif kind == "attribute" and node.attribute:
            _edit_attribute(draw, draw(st.sampled_from(list(node.attribute))), graph)
        elif kind == "order":
            graph.node.add().CopyFrom(node)
            if draw(st.booleans()):
                graph.node.remove(node)
        else:
            names = [*_NAMES, *(name for other in graph.node for name in other.output)]
            ends = draw(st.sampled_from([node.input, node.output]))
            if ends and draw(st.booleans()):
                ends[draw(st.integers(0, len(ends) - 1))] = draw(st.sampled_from(names))
            elif ends and draw(st.booleans()):
                del ends[-1]
            else:
                ends.append(draw(st.sampled_from(names)))


def _edit_tensor(draw: st.DrawFn, tensor: TensorProto) -> None:
    kind = draw(st.sampled_from(["dims", "type", "data", "name", "external"]))
    if kind == "dims":
        tensor.dims.append(draw(st.sampled_from(_SIZES)))
    elif kind == "type":
        tensor.data_type = draw(st.sampled_from(_TYPES))
    elif kind == "data":
        tensor.raw_data = draw(st.sampled_from([b"", b"\xff", tensor.raw_data[:-1]]))
    elif kind == "name":
        tensor.name = draw(st.sampled_from(_NAMES))
    else:
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key = draw(st.sampled_from(["location", "offset", "length"]))
        entry.value = draw(st.sampled_from(["model.onnx", "..", "/dev/zero", "-1", "x", "9" * 30]))


def _edit_value(draw: st.DrawFn, value: onnx.ValueInfoProto) -> None:
    kind = draw(st.sampled_from(["dim", "param", "type", "clear", "name"]))
    dims = value.type.tensor_type.shape.dim
    if kind == "dim" and dims:
        draw(st.sampled_from(list(dims))).dim_value = draw(st.sampled_from(_SIZES))
    elif kind == "param" and dims:
        draw(st.sampled_from(list(dims))).dim_param = draw(st.sampled_from(_NAMES))
    elif kind == "type":
        value.type.tensor_type.elem_type = draw(st.sampled_from(_TYPES))
    elif kind == "clear":
        value.type.Clear()
    elif kind == "name":
        value.name = draw(st.sampled_from(_NAMES))


def _edit_attribute(
    draw: st.DrawFn, attribute: onnx.AttributeProto, graph: onnx.GraphProto
) -> None:
    kind = draw(st.sampled_from(["int", "ints", "string", "name", "type", "graph"]))
    if kind == "int":
        attribute.i = draw(st.sampled_from(_SIZES))
    elif kind == "ints":
        attribute.ints.append(draw(st.sampled_from(_SIZES)))
    elif kind == "string":
        attribute.s = draw(st.sampled_from(_STRINGS))
    elif kind == "name":
        attribute.name = draw(st.sampled_from((*_NAMES, "axis", "pads", "group", "strides")))
    elif kind == "type":
        attribute.type = draw(st.sampled_from(onnx.AttributeProto.AttributeType.values()))
    else:
        within = onnx.GraphProto()  # a message cannot be copied into itself
        within.CopyFrom(graph)
        attribute.g.CopyFrom(within)


def network_like() -> st.SearchStrategy[bytes]:
    """ONNX files, most of them well-formed."""
    return st.one_of(_edited(), _edited(), bytes_like([SEED.SerializeToString()]))

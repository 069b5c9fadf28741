"""Make litert_*.tflite: the tiny model of conftest for LiteRT.

float and int8 compute what `tiny_model` does, on NHWC images; a RESIZE_NEAREST_NEIGHBOR that
changes nothing is in the way, which XNNPACK does not take. The one in int8 takes quantized images,
gives its masks as int8 and its rows as float32. The newer one has an operator in a version that no
runtime knows; the huge one takes 4.8 GB.

Needs ai-edge-litert, which has the classes of the format; the agent's old Pythons do not.

    python tests/agent/data/make_litert.py
"""

# mypy: ignore-errors
# The classes of the format have no types.

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.agent.conftest import ROWS, SIDE

HERE = Path(__file__).parent
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
}
# Such that 0.5 is exact, and a white pixel, 1, just out of range.
STEP, ZERO_POINT = 1 / 256, -128


class Net:
    """A model in the making; tensors are named."""

    def __init__(self) -> None:
        self.buffers, self.tensors, self.operators = [schema.BufferT()], [], []
        self.codes: list[tuple[int, int]] = []
        self.index: dict[str, int] = {}

    def tensor(self, name, shape, dtype="float32", content=None, zero_point=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), TYPES[dtype], 0
        if content is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content.tobytes(), np.uint8)
            made.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if zero_point is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [STEP], [zero_point]
        self.index[name] = len(self.tensors)
        self.tensors.append(made)
        return name

    def constant(self, name, content, zero_point=None):
        return self.tensor(name, content.shape, content.dtype.name, content, zero_point)

    def operator(self, kind, inputs, output, options, version=1, **fields):
        code = (getattr(schema.BuiltinOperator, kind), version)
        if code not in self.codes:
            self.codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.index(code)
        made.inputs = [self.index[name] for name in inputs]
        made.outputs = [self.index[output]]
        made.builtinOptions = getattr(schema, options + "T")()
        for name, value in fields.items():
            setattr(made.builtinOptions, name, value)
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        self.operators.append(made)

    def content(self, inputs, outputs):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = [self.index[name] for name in inputs]
        graph.outputs = [self.index[name] for name in outputs]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = self._map(inputs), self._map(outputs)
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.signatureDefs, model.operatorCodes = [signature], []
        for kind, version in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = kind, min(kind, 127)
            code.version = version
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _map(self, names):
        made = []
        for name in names:
            entry = schema.TensorMapT()
            # As a writer might that had to name the tensor otherwise.
            entry.name, entry.tensorIndex = name.replace("_quantized", ""), self.index[name]
            made.append(entry)
        return made


def tiny(dtype: str, version: int = 1, large: int = 2 * SIDE) -> bytes:
    """The tiny model in float32 or int8; `version` is its pooling's, `large` the side before it."""
    net, integers = Net(), dtype == "int8"
    second = 2 if integers else 1
    pixels = {"dtype": dtype, "zero_point": ZERO_POINT if integers else None}
    centred = {"dtype": dtype, "zero_point": 0 if integers else None}
    masks = "output1_quantized" if integers else "output1"
    net.tensor("images", [1, SIDE, SIDE, 3], **pixels)
    net.constant("sides", np.array([large, large], np.int32))
    net.tensor("large", [1, large, large, 3], **pixels)
    options = "ResizeNearestNeighborOptions"
    net.operator("RESIZE_NEAREST_NEIGHBOR", ["images", "sides"], "large", options, second)
    net.tensor("cells", [1, 16, 16, 3], **pixels)
    window = dict.fromkeys(("strideH", "strideW", "filterHeight", "filterWidth"), 8)
    version = max(version, second)
    net.operator("AVERAGE_POOL_2D", ["large"], "cells", "Pool2DOptions", version, **window)
    half = np.array(0, np.int8) if integers else np.array(0.5, np.float32)
    net.constant("half", half, pixels["zero_point"])
    net.tensor("shifted", [1, 16, 16, 3], **centred)
    net.operator("SUB", ["cells", "half"], "shifted", "SubOptions", second)
    net.constant("to_nchw", np.array([0, 3, 1, 2], np.int32))
    net.tensor(masks, [1, 3, 16, 16], **centred)
    net.operator("TRANSPOSE", ["shifted", "to_nchw"], masks, "TransposeOptions", second)
    seen = "in_float" if integers else masks
    if integers:
        net.tensor(seen, [1, 3, 16, 16])
        net.operator("DEQUANTIZE", [masks], seen, "DequantizeOptions", 2)
    net.constant("first", np.zeros(4, np.int32))
    net.constant("ones", np.ones(4, np.int32))
    net.tensor("corner", [1, 1, 1, 1])
    net.operator("SLICE", [seen, "first", "ones"], "corner", "SliceOptions")
    net.constant("flat", np.ones(3, np.int32))
    net.tensor("value", [1, 1, 1])
    net.operator("RESHAPE", ["corner", "flat"], "value", "ReshapeOptions", newShape=[1, 1, 1])
    net.constant("nothing", np.zeros(1, np.float32))
    net.tensor("zero", [1, 1, 1])
    net.operator("MUL", ["value", "nothing"], "zero", "MulOptions")
    net.constant("rows", ROWS[None])
    net.tensor("output0", [1, 4, 10])
    net.operator("ADD", ["rows", "zero"], "output0", "AddOptions")
    return net.content(["images"], ["output0", masks])


if __name__ == "__main__":
    (HERE / "litert_float.tflite").write_bytes(tiny("float32"))
    (HERE / "litert_int8.tflite").write_bytes(tiny("int8"))
    (HERE / "litert_newer.tflite").write_bytes(tiny("float32", version=99))
    (HERE / "litert_huge.tflite").write_bytes(tiny("float32", large=20_000))

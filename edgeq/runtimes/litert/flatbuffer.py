"""A TFLite flatbuffer in the making: tensors, operators, one signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import require

DType = Literal["float32", "int8", "int32", "int64", "bool"]

SIGNATURE = "serving_default"
_ALIGNMENT = 16
"""Of constants, as the schema demands (force_align); engines read them where they lie."""
_DESCRIPTION = "edgeq"
_SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Quantization:
    """Scales and zero points [c] along an axis of the stored tensor, or [1]."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


def type_of(array: NDArray[np.generic]) -> DType:
    """The type of an array, which has to be one of those."""
    return cast("DType", str(array.dtype))


def schema() -> Any:
    """The flatbuffer classes that LiteRT's own package brings."""
    return require("ai_edge_litert.schema_py_generated", "litert")


class Flatbuffer:
    """Collects what `finish` serializes; tensors and operators are named by their index."""

    def __init__(self) -> None:
        self._schema = schema()
        self._buffers: list[Any] = [self._schema.BufferT()]  # the first is empty by definition
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[str, list[int]] = {}
        self._names: list[str] = []
        self._taken: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes, Quantization | None], int] = {}
        self._types = {
            "float32": self._schema.TensorType.FLOAT32,
            "int8": self._schema.TensorType.INT8,
            "int32": self._schema.TensorType.INT32,
            "int64": self._schema.TensorType.INT64,
            "bool": self._schema.TensorType.BOOL,
        }

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType,
        quantization: Quantization | None = None,
    ) -> int:
        """A tensor that an operator writes, or that is fed."""
        return self._add(name, shape, dtype, quantization, buffer=0)

    def constant(
        self, name: str, value: NDArray[np.generic], quantization: Quantization | None = None
    ) -> int:
        """A constant tensor; equal ones are one."""
        value = np.asarray(value, order="C")
        dtype = type_of(value)
        content = value.tobytes()
        key = (dtype, value.shape, content, quantization)
        if key not in self._constants:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            self._buffers.append(buffer)
            index = self._add(name, value.shape, dtype, quantization, len(self._buffers) - 1)
            self._constants[key] = index
        return self._constants[key]

    def operator(
        self,
        code: str,
        inputs: list[int],
        outputs: list[int],
        version: int,
        options: dict[str, Any] | None = None,
        options_type: str = "",
    ) -> int:
        """An operator by its name in BuiltinOperator; `options` by their names in the schema."""
        made = self._schema.OperatorT()
        made.inputs, made.outputs = inputs, outputs
        self._codes.setdefault(code, []).append(version)
        made.opcodeIndex = list(self._codes).index(code)
        if options_type:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options_type)
            made.builtinOptions = getattr(self._schema, f"{options_type}T")(**options or {})
        self._operators.append(made)
        return len(self._operators) - 1

    def rename(self, index: int, name: str) -> None:
        """Give a tensor another name, or a longer one if that is taken."""
        self._taken.discard(self._names[index])
        number, wanted = 1, name
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._names[index] = name
        self._taken.add(name)
        self._tensors[index].name = name.encode()

    def name(self, index: int) -> str:
        """The name of a tensor; no two have the same."""
        return self._names[index]

    def finish(self, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """The file, with one signature of these inputs and outputs: name to tensor."""
        graph = self._schema.SubGraphT()
        graph.name = b"main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        model = self._schema.ModelT()
        model.version = _SCHEMA_VERSION
        model.description = _DESCRIPTION
        model.subgraphs = [graph]
        model.operatorCodes = [self._code(name, max(v)) for name, v in self._codes.items()]
        model.buffers = self._buffers
        model.signatureDefs = [self._signature(inputs, outputs)]
        return self._serialized(model)

    def _add(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: DType,
        quantization: Quantization | None,
        buffer: int,
    ) -> int:
        made = self._schema.TensorT()
        made.shape, made.buffer = list(shape), buffer
        made.type = self._types[dtype]
        made.hasRank = True
        if quantization is not None:
            made.quantization = self._schema.QuantizationParametersT()
            made.quantization.scale = list(quantization.scales)
            made.quantization.zeroPoint = list(quantization.zero_points)
            made.quantization.quantizedDimension = quantization.axis
        self._tensors.append(made)
        self._names.append("")
        self.rename(len(self._tensors) - 1, name)
        return len(self._tensors) - 1

    def _code(self, name: str, version: int) -> Any:
        made = self._schema.OperatorCodeT()
        made.builtinCode = getattr(self._schema.BuiltinOperator, name)
        # Runtimes from before operator 127 read this field.
        made.deprecatedBuiltinCode = min(made.builtinCode, 127)
        made.version = version
        return made

    def _signature(self, inputs: dict[str, int], outputs: dict[str, int]) -> Any:
        made = self._schema.SignatureDefT()
        made.signatureKey = SIGNATURE.encode()
        made.inputs = [self._mapped(*item) for item in inputs.items()]
        made.outputs = [self._mapped(*item) for item in outputs.items()]
        return made

    def _mapped(self, name: str, index: int) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), index
        return made

    def _serialized(self, model: Any) -> bytes:
        flatbuffers = require("flatbuffers", "litert")
        total = sum(buffer.data.nbytes for buffer in self._buffers if buffer.data is not None)
        builder = flatbuffers.Builder(total + (1 << 20))
        for buffer in self._buffers:
            buffer.Pack = _Packed(self._schema, buffer.data)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


@dataclass(frozen=True)
class _Packed:
    """Writes a buffer with its data aligned, which the generated class does not do."""

    schema: Any
    data: NDArray[np.uint8] | None

    def __call__(self, builder: Any) -> int:
        start = None
        if self.data is not None:
            size = self.data.nbytes
            builder.StartVector(1, size, _ALIGNMENT)
            builder.head -= size
            builder.Bytes[builder.head : builder.head + size] = self.data.tobytes()
            start = builder.EndVector()
        self.schema.BufferStart(builder)
        if start is not None:
            self.schema.BufferAddData(builder, start)
        return int(self.schema.BufferEnd(builder))

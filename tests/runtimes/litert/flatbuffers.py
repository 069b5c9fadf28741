"""A written file, to be asked what it holds."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

OPERATORS = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
TYPES = {v: k.lower() for k, v in vars(schema.TensorType).items() if not k.startswith("_")}


class Tensor(NamedTuple):
    """A tensor; no scales if it is not quantized, no values if it is computed."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: NDArray[np.float32]
    zero_points: list[int]
    axis: int
    values: NDArray[Any] | None


class Operator(NamedTuple):
    code: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    options: Any


class Flatbuffer:
    """Its tensors and operators by the schema's names."""

    def __init__(self, content: bytes) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(content, 0)
        self.graph = self.model.subgraphs[0]

    @cached_property
    def tensors(self) -> list[Tensor]:
        return [self._tensor(tensor) for tensor in self.graph.tensors]

    @cached_property
    def operators(self) -> list[Operator]:
        return [
            Operator(
                OPERATORS[self.model.operatorCodes[operator.opcodeIndex].builtinCode],
                [self.tensors[i] for i in operator.inputs],
                [self.tensors[i] for i in operator.outputs],
                operator.builtinOptions,
            )
            for operator in self.graph.operators
        ]

    @property
    def codes(self) -> list[str]:
        return [operator.code for operator in self.operators]

    def maker(self, name: str) -> Operator:
        """What writes a tensor."""
        makers = (o for o in self.operators if name in (t.name for t in o.outputs))
        return next(makers)

    def signature(self) -> tuple[list[str], list[str]]:
        """The names that inputs and outputs are called by."""
        found = self.model.signatureDefs[0]
        inputs, outputs = (
            [m.name.decode() for m in maps] for maps in (found.inputs, found.outputs)
        )
        return inputs, outputs

    def _tensor(self, tensor: Any) -> Tensor:
        kind, quantization = TYPES[tensor.type], tensor.quantization
        scales = quantization.scale if quantization is not None else None
        data = self.model.buffers[tensor.buffer].data
        shape = tuple(int(n) for n in (() if tensor.shape is None else tensor.shape))
        return Tensor(
            tensor.name.decode(),
            shape,
            kind,
            np.asarray([] if scales is None else scales, np.float32),
            [] if scales is None else [int(n) for n in quantization.zeroPoint],
            0 if quantization is None else quantization.quantizedDimension,
            None if data is None else np.frombuffer(data.tobytes(), kind).reshape(shape),
        )

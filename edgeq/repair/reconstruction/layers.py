"""A layer whose weight and bias are trained in steps of what they are quantized to."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.errors import require
from edgeq.graph.model import Model, attribute, integer
from edgeq.quantization import arithmetic
from edgeq.quantization.bias import has_bias, takes_bias
from edgeq.quantization.neighbours import from_rows, neighbours_of, rows_of
from edgeq.quantization.plan import WeightScale
from edgeq.repair.reconstruction.inputs import Tensor

torch = require("torch", "train")

Floats = NDArray[np.float32]


class TrainedLayer:
    """Weight and bias of one layer, as a training loop sees them.

    `weight_steps` and `bias_steps` are what is learned, in units of the weight's scale and of
    `bias_step`, or None where that stays. Integers are found in float64, as everywhere: what was
    not trained is quantized to what it was.
    """

    def __init__(
        self,
        model: Model,
        node: onnx.NodeProto,
        planned: WeightScale,
        bias_step: float,
        device: str,
    ) -> None:
        self._node, self._planned = node, planned
        self._original = np.asarray(model.constant(planned.tensor), np.float32)
        scales = np.array(planned.scales, np.float32)
        along = arithmetic.along(scales.astype(np.float64), self._original.ndim, planned.axis)
        divided = self._original.astype(np.float64) / along
        self._nearest = np.rint(divided)
        self._limit = 2 ** (planned.bits - 1) - 1
        self._scale = torch.from_numpy(along.astype(np.float32)).to(device)
        self._base = torch.from_numpy(self._nearest.astype(np.float32)).to(device)
        self._rest = torch.from_numpy((divided - self._nearest).astype(np.float32)).to(device)
        self.weight_steps: Tensor | None = None
        self.bias_steps: Tensor | None = None
        self._bias_step = bias_step
        self._bias = _bias(model, node, self._original)
        self._float_bias = None
        if self._bias is not None:
            self._float_bias = torch.from_numpy(self._bias).to(device)

    def learn(self, weights: bool, biases: bool) -> None:
        """Let weight and bias be learned."""
        if weights:
            self.weight_steps = torch.zeros_like(self._base, requires_grad=True)
        if biases and self._float_bias is not None:
            self.bias_steps = torch.zeros_like(self._float_bias, requires_grad=True)

    @property
    def learned(self) -> list[Tensor]:
        """What a training loop changes."""
        return [one for one in (self.weight_steps, self.bias_steps) if one is not None]

    @property
    def units(self) -> list[float]:
        """What a step of each of these is, of the weight's channels at the median."""
        found = []
        if self.weight_steps is not None:
            found.append(float(self._scale.median()))
        if self.bias_steps is not None:
            found.append(self._bias_step)
        return found

    def tensors(self) -> tuple[Tensor | None, ...]:
        """The weight on its grid and the bias, as the quantized layer has them."""
        weight = self._integers() * self._scale
        if self.bias_steps is None:
            return weight, self._float_bias
        return weight, self._float_bias + self._bias_step * self.bias_steps

    def _integers(self) -> Tensor:
        rest = self._rest if self.weight_steps is None else self._rest + self.weight_steps
        rounded = rest + (torch.round(rest) - rest).detach()
        return (self._base + rounded).clamp(-self._limit, self._limit)

    def trained(self) -> tuple[Floats | None, Floats | None]:
        """The new weight and bias; None for what did not change.

        Weights that go to the nearest integer anyway stay as they are.
        """
        weight = bias = None
        if self.weight_steps is not None:
            with torch.no_grad():
                integers = self._integers().cpu().numpy().astype(np.float64)
            nearest = np.clip(self._nearest, -self._limit, self._limit)
            integers = np.where(self._over(integers), nearest, integers)
            moved = integers != nearest
            if moved.any():
                on_grid = integers * self._scale.cpu().numpy().astype(np.float64)
                weight = np.where(moved, on_grid, self._original).astype(np.float32)
        if self.bias_steps is not None:
            steps = self.bias_steps.detach().cpu().numpy().astype(np.float64)
            assert self._bias is not None
            bias = np.asarray(self._bias + self._bias_step * steps, np.float32)
        return weight, bias

    def _over(self, integers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of them make a pair that is too large for the kernel; the nearest never do."""
        limit, shape = self._planned.pair_limit, self._original.shape
        neighbours = None if limit is None else neighbours_of(self._node, shape, limit)
        if neighbours is None:
            return np.zeros(shape, np.bool_)
        over = neighbours.over(rows_of(self._node, integers))
        return from_rows(self._node, over, shape)


def _bias(model: Model, node: onnx.NodeProto, weight: Floats) -> Floats | None:
    """A layer's bias, zeros where it could have one; None where a constant cannot be added."""
    if not takes_bias(model, node):
        return None
    if has_bias(node):
        return np.array(model.constant(node.input[2]), np.float32)
    if node.op_type == "Gemm":
        return np.zeros(weight.shape[0 if attribute(node, "transB", 0) else 1], np.float32)
    transposed = node.op_type == "ConvTranspose"
    count = weight.shape[1] * integer(node, "group", 1) if transposed else weight.shape[0]
    return np.zeros(count, np.float32)

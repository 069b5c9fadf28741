"""Uniform integer quantization: scale, zero point, and the rounding between real and integer.

q = clip(round(x / scale) + zero_point), x' = (q - zero_point) * scale, with ties to even, as ONNX's
QuantizeLinear defines it; after Wu et al. 2020 (arXiv 2004.09602), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeq.calibrators.base import Range

IntegerType = Literal["int8", "uint8"]
Integers = NDArray[np.int8] | NDArray[np.uint8]
Floats = NDArray[np.float32]

LIMITS: dict[IntegerType, tuple[int, int]] = {"int8": (-128, 127), "uint8": (0, 255)}
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""A smaller scale would be denormal in float32, which engines flush to zero."""


@dataclass(frozen=True)
class Scale:
    """Scale and zero point of an activation, one for the whole tensor."""

    scale: float
    zero_point: int
    dtype: IntegerType


def activation_scale(span: Range, dtype: IntegerType, symmetric: bool) -> Scale:
    """The scale and zero point whose integers span a range that holds zero.

    Symmetric uses 255 of the 256 integers, so that zero lies in their middle (0 for int8, 128 for
    uint8); affine uses all, and zero is one of them.
    """
    least, greatest = LIMITS[dtype]
    if symmetric:
        limit = max(-span.low, span.high)
        return Scale(_positive(limit / 127), least + 128, dtype)
    scale = _positive((span.high - span.low) / (greatest - least))
    zero_point = least + round(-span.low / scale)
    return Scale(scale, min(max(zero_point, least), greatest), dtype)


def representable(scale: float, dtype: type[np.floating[Any]]) -> float:
    """The scale itself, or the next larger one that a type holds: nothing saturates by rounding."""
    with np.errstate(over="ignore"):
        found = dtype(scale)
    if float(found) < scale:
        found = np.nextafter(found, dtype(np.inf))
    return float(min(found, np.finfo(dtype).max))


def weight_scales(limits: NDArray[np.float64], bits: int) -> NDArray[np.float32]:
    """Symmetric scales [c] or [1] of weights from their largest magnitudes: 127 or 63 steps."""
    steps = 2 ** (bits - 1) - 1
    scales = np.asarray(np.maximum(limits / steps, SMALLEST_SCALE), np.float32)
    scales[limits <= 0] = 1.0  # nothing but zeros; any scale is exact
    return scales


def quantize_weights(
    weights: Floats, scales: NDArray[np.float32], axis: int | None, bits: int
) -> NDArray[np.int8]:
    """Symmetric int8 weights in [-127, 127] (or [-63, 63]); `axis` None means one scale for all."""
    steps = 2 ** (bits - 1) - 1
    divided = weights.astype(np.float64) / along(scales.astype(np.float64), weights.ndim, axis)
    return np.asarray(np.clip(np.rint(divided), -steps, steps), np.int8)


def dequantize_weights(
    integers: NDArray[np.int8], scales: NDArray[np.float32], axis: int | None
) -> Floats:
    """Real values of integers that `quantize_weights` gave."""
    stretched = along(scales.astype(np.float64), integers.ndim, axis).astype(np.float32)
    return np.asarray(integers.astype(np.float32) * stretched)


def quantize(values: Floats, scale: Scale) -> Integers:
    """Integers of real values, as QuantizeLinear gives them."""
    least, greatest = LIMITS[scale.dtype]
    with np.errstate(over="ignore"):  # infinity saturates as it should
        divided = np.rint(values / np.float32(scale.scale)).astype(np.float64) + scale.zero_point
    return np.asarray(np.clip(divided, least, greatest)).astype(scale.dtype)


def dequantize(integers: Integers, scale: Scale) -> Floats:
    """Real values of integers, as DequantizeLinear gives them."""
    shifted = integers.astype(np.int32) - scale.zero_point
    return np.asarray(shifted.astype(np.float32) * np.float32(scale.scale))


def bias_integers(
    bias: Floats, input_scale: float, scales: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Int32 bias [c] and its scales [c] or [1]: input scale times weight scale."""
    with np.errstate(under="ignore"):
        product = np.asarray(np.float32(input_scale) * scales, np.float32)
    product = np.maximum(product, np.finfo(np.float32).smallest_subnormal)  # nothing divides by 0
    rounded = np.rint(bias.astype(np.float64) / product.astype(np.float64))
    limit = np.iinfo(np.int32).max
    return np.asarray(np.clip(rounded, -limit, limit), np.int32), product


def widened_for_bias(
    scales: NDArray[np.float32], bias: Floats, input_scale: float
) -> NDArray[np.float32]:
    """Weight scales raised where a channel's bias would not fit into int32.

    Happens on channels whose weights are all but zero; a quarter of int32 stays for the sums.
    """
    needed = np.abs(bias.astype(np.float64)) / (input_scale * 2.0**29)
    if scales.size == 1:
        needed = needed.max(keepdims=True) if needed.size else np.zeros(1)
    return np.maximum(scales, needed.astype(np.float32))


def along(values: NDArray[np.float64], rank: int, axis: int | None) -> NDArray[np.float64]:
    """Values [c] in the shape in which they go along an axis of something; [] where it is None."""
    if axis is None:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = values.size
    return values.reshape(shape)


def _positive(scale: float) -> float:
    """As float32, and at least the smallest normal number; 1 for a range that is only zero."""
    if scale <= 0:
        return 1.0
    return float(np.float32(max(scale, SMALLEST_SCALE)))

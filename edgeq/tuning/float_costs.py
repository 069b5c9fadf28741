"""In which order layers are left in float: what each wins over what it costs there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgeq.graph.layers import Layer

CONVERTED = 8
"""Multiply-adds that take as long as to convert one value at a layer's boundary. Of 22 layers of
yolov5n-seg at 640, left in float one at a time, a million multiply-adds cost .0133 ms more and a
million values .10 ms (ONNX Runtime, one thread, AVX512-VNNI; r2 .60)."""
FEW_CHANNELS = 16
"""Integer kernels work on so many at a time: with fewer they gain little, or lose."""
_LEAST = 1e-3
"""Of the dearest layer's cost: what costs less, or is faster in float, is as good as free."""


def float_costs(found: Sequence[Layer], costs_ms: Mapping[str, float]) -> dict[str, float]:
    """What each layer costs more in float than in int8: relative to the others only.

    Milliseconds where all were profiled on the device; otherwise an estimate from its
    multiply-adds, and from the values that come in and go out, which are converted there. Where
    shapes are not static a layer counts as the dearest.
    """
    if all(layer.name in costs_ms for layer in found):
        return {layer.name: costs_ms[layer.name] for layer in found}
    known = {layer.name: _work(layer) for layer in found if layer.macs is not None}
    dearest = max(known.values(), default=1.0)
    return {layer.name: known.get(layer.name, dearest) for layer in found}


def of_few_channels(found: Sequence[Layer]) -> list[str]:
    """The layers that may well be faster in float, as those that read the image."""
    return [
        layer.name
        for layer in found
        if layer.op_type == "Conv" and 0 < sum(layer.input_shape[1:2]) < FEW_CHANNELS
    ]


def by_worth(snr_db: Mapping[str, float | None], costs: Mapping[str, float]) -> list[str]:
    """The layers, first those that win most for their cost.

    `snr_db` is that of the outputs with one layer alone in int8, None where they are equal: what a
    layer wins in float is that noise.
    """
    least = _LEAST * max([0.0, *costs.values()]) or 1.0

    def worth(node: str) -> float:
        ratio = snr_db[node]
        noise = 0.0 if ratio is None else 10 ** (-ratio / 10)
        return noise / max(costs[node], least)

    return sorted(snr_db, key=lambda node: -worth(node))


def _work(layer: Layer) -> float:
    assert layer.macs is not None
    return layer.macs + CONVERTED * (math.prod(layer.input_shape) + math.prod(layer.output_shape))

"""What each layer's outputs lose by being integers, and the histograms of those that lose most."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgeq.calibration.statistics import Statistics
from edgeq.calibrators import calibrators
from edgeq.calibrators.base import calibrate
from edgeq.calibrators.histogram import Histogram
from edgeq.graph.layers import HEAVY
from edgeq.quantization.arithmetic import LIMITS, Scale, activation_scale
from edgeq.quantization.loss import snr_db
from edgeq.quantization.plan import Plan
from edgeq.records.evidence import LayerSeen, RangeEnd, TensorHistogram
from edgeq.spec.quantize import Activations
from edgeq.stages.prepare import Prepared

SHOWN = 6
"""Tensors whose histograms are kept: each takes every calibrator some hundredths of a second."""
_BINS = 120


def layers_seen(
    prepared: Prepared,
    plan: Plan,
    statistics: Statistics | None,
    arrived_db: Mapping[str, float],
    device_db: Mapping[str, float],
) -> tuple[LayerSeen, ...]:
    """Every node in the model's order, with what its worst quantized output loses.

    `arrived_db` is by node what has come together there in the simulation, `device_db` on the
    device.
    """
    seen = []
    for node in prepared.model.nodes:
        decision = plan.decisions.get(node.name)
        if decision is None:
            continue
        losses = {
            name: lost
            for name in node.output
            if statistics is not None and name in plan.tensors and name in statistics
            if (lost := snr_db(statistics.histogram(name), plan.tensors[name])) is not None
        }
        worst = min(losses, key=lambda name: losses[name], default="")
        seen.append(
            LayerSeen(
                node=node.name,
                op_type=decision.op_type,
                quantized=decision.quantized,
                reason=decision.reason,
                tensor=worst,
                snr_db=losses.get(worst),
                arrived_db=arrived_db.get(node.name),
                device_db=device_db.get(node.name),
                is_heavy=decision.op_type in HEAVY,
            )
        )
    return tuple(seen)


def worst_histograms(
    prepared: Prepared, plan: Plan, statistics: Statistics | None, layers: tuple[LayerSeen, ...]
) -> tuple[TensorHistogram, ...]:
    """Of the tensors that lose most, the worst first."""
    if statistics is None:
        return ()
    known = [layer for layer in layers if layer.snr_db is not None]
    worst = sorted(known, key=lambda layer: layer.snr_db or 0.0)[:SHOWN]
    return tuple(_histogram(prepared, plan, statistics, layer) for layer in worst)


def _histogram(
    prepared: Prepared, plan: Plan, statistics: Statistics, layer: LayerSeen
) -> TensorHistogram:
    seen = statistics.histogram(layer.tensor)
    asked = prepared.choices.activations(layer.node)
    scheme = prepared.placement.scheme if asked.scheme == "target" else asked.scheme
    symmetric, planned = scheme == "scale", plan.tensors[layer.tensor]
    ranges = {}
    for name, one in calibrators().items():
        given = {one.parameter: float(one.example)} if one.parameter else {}
        plain = Activations.model_validate({"calibrator": name, **given})
        how = asked if name == asked.calibrator else plain
        label = name if how.parameter is None else f"{name} {how.parameter:g}"
        ranges[name] = (label, calibrate(seen, how, symmetric))
    asked_for = activation_scale(ranges[asked.calibrator][1], planned.dtype, symmetric)
    another = _otherwise(planned, asked_for)
    ends = [
        RangeEnd(
            calibrator=label,
            low=span.low,
            high=span.high,
            chosen=name == asked.calibrator and not another,
        )
        for name, (label, span) in ranges.items()
    ]
    counts = equal_bins(seen, _BINS)
    return TensorHistogram(
        node=layer.node,
        tensor=layer.tensor,
        low=seen.low,
        high=seen.high,
        counts=counts,
        ends=(*ends, *another),
    )


def _otherwise(planned: Scale, asked_for: Scale) -> list[RangeEnd]:
    """The range that the plan has instead of the calibrator's, as it was learned, shared or known.

    A step at an end is none: zero has to be one of the integers.
    """
    ends = [
        tuple((limit - one.zero_point) * one.scale for limit in LIMITS[one.dtype])
        for one in (planned, asked_for)
    ]
    step = max(planned.scale, asked_for.scale)
    if all(abs(one - other) <= step for one, other in zip(*ends, strict=True)):
        return []
    low, high = ends[0]
    return [RangeEnd(calibrator="planned", low=low, high=high, chosen=True)]


def equal_bins(histogram: Histogram, bins: int) -> tuple[float, ...]:
    """How many values lie in each of equal bins from the least to the greatest."""
    left, right = histogram.edges
    reached = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    # A step function over both edges of each bin; one without width holds copies of one value.
    at = np.stack([np.minimum(left, np.nextafter(right, -math.inf)), right], 1).reshape(-1)
    level = np.stack([reached[:-1], reached[1:]], 1).reshape(-1)
    grid = np.interp(np.linspace(histogram.low, histogram.high, bins + 1), at, level)
    grid[0], grid[-1] = 0.0, reached[-1]
    return tuple(np.diff(grid).tolist())

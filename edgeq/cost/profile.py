"""What int8 gains over fp16 on the same device, and which layers do not gain."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeq.records.report import SlowerLayer, Speedup

if TYPE_CHECKING:
    from edgeq.records.measurement import Measurement
    from edgeq.records.report import Column

_REFORMAT = re.compile(r"reformat|copynode|castmulcast", re.I)
"""What TensorRT calls the passes that only change layout or type."""
_MOST = 8
"""Layers that are named; the rest would not be read."""


def speedup(columns: Sequence[Column], layers: Collection[str]) -> Speedup | None:
    """int8 against fp16 on the device; None where not both were measured.

    `layers` are the names of the quantized layers in the ONNX model. Which of them are slower is
    told where both engines were profiled.
    """
    by_name = {column.name: column.measurement for column in columns}
    int8, fp16 = by_name.get("device"), by_name.get("fp16")
    if int8 is None or fp16 is None or not int8.inference_ns or not fp16.inference_ns:
        return None
    own, other = _profile(int8), _profile(fp16)
    return Speedup(
        int8_ms=int8.latency_ms(50),
        fp16_ms=fp16.latency_ms(50),
        frame_int8_ms=int8.latency_ms(50, "frame"),
        frame_fp16_ms=fp16.latency_ms(50, "frame"),
        postprocess_int8_ms=int8.latency_ms(50, "postprocess"),
        reformat_int8_ms=_reformats_ms(own),
        reformat_fp16_ms=_reformats_ms(other),
        slower=_slower(own, other, layers),
    )


def float_costs_ms(columns: Sequence[Column], layers: Collection[str]) -> dict[str, float]:
    """By how many milliseconds each layer is slower in fp16 than in int8, as both were profiled.

    Negative for layers that int8 slows down; without layers of which one side says nothing.
    """
    by_name = {column.name: column.measurement for column in columns}
    int8, fp16 = by_name.get("device"), by_name.get("fp16")
    if int8 is None or fp16 is None:
        return {}
    own, other = _profile(int8), _profile(fp16)
    pairs = {layer: (_of_layer_ms(other, layer), _of_layer_ms(own, layer)) for layer in layers}
    return {
        layer: half_ms - int8_ms
        for layer, (half_ms, int8_ms) in pairs.items()
        if half_ms is not None and int8_ms is not None
    }


def _profile(measurement: Measurement) -> dict[str, float]:
    """Milliseconds by the engine's own layer names; empty without a profile."""
    facts: Mapping[str, Any] = measurement.engine_facts or {}
    times: Sequence[Mapping[str, Any]] = facts.get("layer_times") or ()
    return {str(entry["layer"]): float(entry["ms"]) for entry in times}


def _reformats_ms(profile: Mapping[str, float]) -> float | None:
    if not profile:
        return None
    return sum(ms for name, ms in profile.items() if _REFORMAT.search(name))


def _slower(
    int8: Mapping[str, float], fp16: Mapping[str, float], layers: Collection[str]
) -> tuple[SlowerLayer, ...]:
    """Layers that take longer in int8, with every pass that the engine names after them."""
    found = []
    for layer in layers:
        own_ms, other_ms = (_of_layer_ms(profile, layer) for profile in (int8, fp16))
        if own_ms is not None and other_ms is not None and own_ms > other_ms:
            found.append(SlowerLayer(name=layer, int8_ms=own_ms, fp16_ms=other_ms))
    found.sort(key=lambda layer: layer.fp16_ms - layer.int8_ms)
    return tuple(found[:_MOST])


def _of_layer_ms(profile: Mapping[str, float], layer: str) -> float | None:
    """What an engine's layers that mention an ONNX node take; None where none does."""
    # Names are parts of longer ones: Conv_1 of Conv_10, /a/Conv of /b/a/Conv.
    mentioned = re.compile(rf"(?<![\w./]){re.escape(layer)}(?![\w./])")
    times = [ms for name, ms in profile.items() if mentioned.search(name)]
    return sum(times) if times else None

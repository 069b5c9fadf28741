"""What TensorRT made of the layers: the engine inspector's account, and the time of each."""

from __future__ import annotations

import json
from typing import Any


def engine_layers(trt: Any, log: Any, plan: Any) -> list[Any]:
    """The layers of a serialized engine; empty where it cannot be loaded (no GPU, no room)."""
    try:
        runtime = trt.Runtime(log)
        engine = runtime.deserialize_cuda_engine(plan)
    except (RuntimeError, TypeError):
        return []
    return [] if engine is None else inspect(trt, engine)


def inspect(trt: Any, engine: Any, context: Any = None) -> list[Any]:
    """One entry a layer: an object where the engine was built with details, otherwise a name."""
    inspector = engine.create_engine_inspector()
    if context is not None:
        inspector.execution_context = context
    return parse_layers(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def parse_layers(text: str) -> list[Any]:
    """The layers in the inspector's JSON, or in what trtexec exports; empty where it is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return []
    layers = document.get("Layers") if isinstance(document, dict) else document
    return layers if isinstance(layers, list) else []


def make_profiler(trt: Any) -> Any:
    """A profiler of the module's own kind; its `times_ms` adds up each layer's milliseconds."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.times_ms: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times_ms[layer_name] = self.times_ms.get(layer_name, 0.0) + ms

    return Profiler()

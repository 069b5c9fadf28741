"""Graphs planned in int8: what LiteRT computes of them, against the simulation in Q/DQ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from hypothesis import currently_in_test_context, note

from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.runtimes.litert.writer import write_tflite
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize
from tests.runtimes import builds
from tests.runtimes.litert.test_plan import placement

from .engines import Graph, run_tflite, simplified
from .flatbuffers import Flatbuffer

FEW = 8
"""So many different values may be off: equal ones, such as those of padding, are off together."""


def planned(
    graph: Graph, outputs: Sequence[str], opset: int = 17, **recipe: Any
) -> tuple[Model, Plan]:
    """The simplified graph and its plan, by the statistics of what it is fed and one more."""
    proto = graph.proto(outputs, opset)
    if currently_in_test_context():
        note(onnx.printer.to_text(proto.graph))
    model = simplified(proto)
    (fed,) = graph.feeds.values()
    inputs = [fed, (fed * np.float32(-0.7)).astype(np.float32)]
    quantize = Quantize.model_validate({"head": "quantize", **recipe})
    return model, builds.plan_of(model, quantize, inputs, placement())


def assert_steps(
    graph: Graph,
    outputs: Sequence[str],
    opset: int = 17,
    most: int = 1,
    share: float = 0.05,
    delegates: bool = True,
    **recipe: Any,
) -> tuple[Flatbuffer, Plan]:
    """LiteRT's integers are the simulation's, but for a share of them that is off by `most`."""
    model, plan = planned(graph, outputs, opset, **recipe)
    kept = {name: d.reason for name, d in plan.decisions.items() if not d.quantized}
    assert kept == {}
    content = write_tflite(model, plan).content
    ((_, fed),) = graph.feeds.items()
    wanted = builds.run(write_qdq(model, plan), fed)
    found = run_tflite(content, graph.feeds, delegates)
    for name in outputs:
        scale = plan.tensors[name]
        steps = np.rint((found[name] - wanted[name]) / np.float32(scale.scale))
        assert np.abs(steps).max() <= most
        off = wanted[name][steps != 0]
        assert off.size <= share * steps.size or np.unique(off).size <= FEW
    return Flatbuffer(content), plan


def assert_int8(written: Flatbuffer, code: str) -> None:
    """Every operator of a kind reads and writes int8, and floats occur at both ends only."""
    there = [operator for operator in written.operators if operator.code == code]
    assert there
    for operator in there:
        computed = [t for t in (*operator.inputs, *operator.outputs) if t.values is None]
        assert {tensor.dtype for tensor in computed} == {"int8"}
    for operator in written.operators:
        floats = [t for t in (*operator.inputs, *operator.outputs) if t.dtype == "float32"]
        assert operator.code in ("QUANTIZE", "DEQUANTIZE") or not floats

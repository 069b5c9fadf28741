"""Plans and written graphs of small networks, and what ONNX Runtime makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeq.calibration import collect
from edgeq.calibration.derive import derivations
from edgeq.calibration.statistics import Statistics, wanted_tensors
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import make_plan
from edgeq.quantization.rules import Placement
from edgeq.runtimes.onnxruntime import RULES
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize

Floats = NDArray[np.float32]
Level = Literal["none", "all"]
LEVELS: tuple[Level, ...] = ("none", "all")


def placement(
    dtype: Literal["int8", "uint8"] = "uint8", bits: Literal[7, 8] = 7, biases: bool = True
) -> Placement:
    """ONNX Runtime's rules. 7-bit weights: any x86 multiplies them without saturating."""
    return Placement("onnxruntime", RULES, dtype, bits, "affine", ("scale", "affine"), biases)


def inputs_of(model: Model, count: int = 2, seed: int = 0) -> list[Floats]:
    rng = np.random.default_rng(seed)
    shape = next(iter(model.inputs.values()))
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]


def statistics_of(model: Model, inputs: Sequence[Floats]) -> Statistics:
    rules = derivations(model, wanted_tensors(model))
    named = [(str(i), x) for i, x in enumerate(inputs)]
    counters = collect.count(model, rules.feeds_silu, named, threads=1)
    sources = {name: counter.histogram() for name, counter in counters.items()}
    lowest = {name: c.lowest for name, c in counters.items() if c.feeds_silu}
    return Statistics("", len(inputs), rules, sources, lowest)


def plan_of(
    model: Model,
    quantize: Quantize | None = None,
    inputs: Sequence[Floats] | None = None,
    rules: Placement | None = None,
) -> Plan:
    statistics = statistics_of(model, inputs if inputs is not None else inputs_of(model))
    choices = resolve_choices(model, quantize or Quantize())
    return make_plan(model, statistics, find_tail(model), choices, rules or placement())


def session(content: bytes, level: Level, saved: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # Without it x86 leaves int8 activations unfused; ARM fuses them.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if level == "none":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if saved is not None:
        options.optimized_model_filepath = str(saved)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(content: bytes, x: Floats, level: Level = "none") -> dict[str, Floats]:
    engine = session(content, level)
    names = [output.name for output in engine.get_outputs()]
    return dict(zip(names, engine.run(names, {engine.get_inputs()[0].name: x}), strict=True))


class Written:
    """The written graph, to be asked."""

    def __init__(self, model: Model, plan: Plan) -> None:
        self.content = write_qdq(model, plan)
        self.proto = onnx.load_from_string(self.content)
        self.nodes = {node.name: node for node in self.proto.graph.node}
        self.makers = {name: node for node in self.proto.graph.node for name in node.output}
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.proto.graph.initializer}

    def source(self, node: str, index: int) -> str:
        """What makes the input of a node: an op type, 'constant' or 'input'."""
        name = self.nodes[node].input[index]
        maker = self.makers.get(name)
        return maker.op_type if maker else ("constant" if name in self.constants else "input")

    def readers(self, tensor: str) -> list[str]:
        return [node.op_type for node in self.proto.graph.node if tensor in node.input]

    def dequantized(self, node: str, index: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Integers, scales and axis of a constant input."""
        maker = self.makers[self.nodes[node].input[index]]
        axes = [a.i for a in maker.attribute if a.name == "axis"]
        integers, scales = (self.constants[name] for name in maker.input[:2])
        return integers, scales, axes[0] if axes else -1


def op_types(proto: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in proto.graph.node)


def snr_db(reference: Floats, found: Floats) -> float:
    noise = float(np.square(reference - found, dtype=np.float64).sum())
    return 10 * float(np.log10(np.square(reference, dtype=np.float64).sum() / max(noise, 1e-30)))

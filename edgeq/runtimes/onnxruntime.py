"""ONNX Runtime on CPUs: QDQ ONNX, laid so that its optimizer fuses every pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.neighbours import PAIR_LIMIT
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Form, Placement, Rule
from edgeq.records.answers import Probe
from edgeq.runtimes.base import NUMPY, OPENCV, Lack, ModelFile, Package, Tapped
from edgeq.runtimes.complaint import Complaint
from edgeq.runtimes.qdq import write_qdq
from edgeq.runtimes.taps import tap_qdq
from edgeq.spec.target import Target

_SELECTORS = "ONNX Runtime, qdq_selector_action_transformer.cc"

RULES = (
    Rule(
        "conv",
        "layer",
        ("Conv",),
        "becomes QLinearConv: all inputs and the output quantized, weights on axis 0, int32 bias",
        _SELECTORS,
        weight_axis=0,
    ),
    Rule(
        "matrix-product",
        "layer",
        ("Gemm", "MatMul"),
        "becomes QGemm or QLinearMatMul: inputs and output quantized, weights by output column",
        _SELECTORS,
        weight_axis=1,
    ),
    Rule(
        "pointwise",
        "joins",
        ("Add", "Mul", "LeakyRelu"),
        "becomes QLinearAdd, QLinearMul or QLinearLeakyRelu between int8 neighbours",
        _SELECTORS,
    ),
    Rule(
        "gate",
        "joins",
        ("Sigmoid",),
        "becomes QLinearSigmoid between int8 neighbours; its range is never clipped",
        _SELECTORS,
        bounded=True,
    ),
    Rule(
        "average",
        "joins",
        ("AveragePool", "GlobalAveragePool"),
        "becomes QLinearAveragePool or QLinearGlobalAveragePool between int8 neighbours",
        _SELECTORS,
    ),
    Rule(
        "concat",
        "joins",
        ("Concat",),
        "becomes QLinearConcat, which takes a scale an input",
        _SELECTORS,
    ),
    Rule(
        "moves-values",
        "carries",
        ("MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Split"),
        "moves int8 values as they are; both Q/DQ pairs are dropped when their scales are equal",
        _SELECTORS,
    ),
    Rule(
        "resize",
        "carries",
        ("Resize",),
        "repeats or mixes int8 values within their range; cubic would leave it",
        _SELECTORS,
        only=(("mode", ("nearest", "linear")),),
    ),
    Rule(
        "relu",
        "absorbed",
        ("Relu",),
        "dissolves in the layer before it: the integers end at zero",
        "ONNX Runtime, relu_quantization.cc",
    ),
)


class OnnxRuntime:
    """The engine of targets with `runtime: onnxruntime`."""

    name = "onnxruntime"
    written = ModelFile("model.onnx")
    packages: tuple[Package, ...] = (NUMPY, OPENCV, Package("onnxruntime", "onnxruntime"))
    cuda_graphs = False
    written_with: tuple[str, ...] = ()
    from_system: Mapping[str, Lack] = {}

    def placement(self, target: Target, probe: Probe | None) -> tuple[Placement, str]:
        """S8S8 on ARM, U8S8 on x86; see `Runtime.placement`.

        Raises InputError when the activation type has to be probed and there is no device.
        """
        integers = _integers(target, probe)
        placement = Placement(
            self.name,
            RULES,
            integers.activation_type,
            integers.weight_bits,
            "affine",
            ("scale", "affine"),
            quantized_bias=True,
            dynamic=True,
            pair_limit=PAIR_LIMIT if integers.bounded_pairs else None,
        )
        return placement, integers.note

    def requirements(self, python: tuple[int, int]) -> list[str]:
        """All packages, in the newest versions that fit."""
        return [package.name for package in self.packages]

    def needs_probe(self, target: Target) -> bool:
        """Whether the activation type depends on what the CPU has."""
        return target.activation_type == "probe"

    def check(self, model: Model, placement: Placement) -> None:
        """Nothing to refuse: the model was simplified by this very engine."""

    def compiled(self, form: Form, precision: Literal["int8", "fp16"]) -> None:
        """It runs ONNX as it is."""
        return

    def delegate(self, target: Target) -> Literal["xnnpack", "none"]:
        """It has none."""
        return "xnnpack"

    def write_float(self, model: Model, plan: Plan) -> bytes:
        """The model itself."""
        return bytes(model.proto.SerializeToString(deterministic=True))

    def tap(self, model: Model, plan: Plan, content: bytes, tensors: Sequence[str]) -> Tapped:
        """Its integers; the optimizer adds Transposes to hand them out, and fuses the same."""
        return tap_qdq(model, content, tensors)

    def lint(self, content: bytes) -> list[Complaint]:
        """Nothing: what it cannot fuse it computes in float."""
        return []

    def write_simulation(self, model: Model, plan: Plan, content: bytes) -> bytes:
        """What was written, with optimizations off."""
        return content

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """One QDQ ONNX file."""
        return {self.written.model: write_qdq(model, plan)}


class _Integers(NamedTuple):
    """What weights and activations become, and a note where a probe decided it."""

    activation_type: Literal["int8", "uint8"]
    weight_bits: Literal[7, 8]
    bounded_pairs: bool
    note: str = ""


def _integers(target: Target, probe: Probe | None) -> _Integers:
    """What the target states, or what the CPU needs.

    x86 multiplies uint8 by int8. Without VNNI it adds two products in 16 bits, which saturates
    with 8-bit weights unless their steps are chosen for it. ARM's dot product takes int8 by int8.
    """
    bits, bounded = target.weight_bits or 8, bool(target.bounded_pairs)
    if target.activation_type != "probe":
        return _Integers(target.activation_type, bits, bounded)
    if probe is None:
        remedy = "state 'activation_type: uint8' (x86) or int8 (ARM) in the target"
        raise InputError(f"target {target.name}", "activation type has to be probed", remedy)
    if probe.arch not in ("x86_64", "AMD64"):
        return _Integers("int8", bits, bounded, f"{probe.arch}: int8 activations (S8S8)")
    if probe.cpu.has_dot_product:
        return _Integers("uint8", bits, bounded, "x86 with VNNI: uint8 activations (U8S8)")
    if target.bounded_pairs is None:
        bounded = target.weight_bits is None
    weights = f"{bits}-bit weights"
    if bounded:
        weights += " in steps of which no two neighbours saturate"
    return _Integers("uint8", bits, bounded, f"x86 without VNNI: uint8 activations, {weights}")


RUNTIME = OnnxRuntime()

"""ONNX Runtime on CPUs: QDQ ONNX, laid so that its optimizer fuses every pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Form, Placement, Rule
from edgeq.records.answers import Probe
from edgeq.runtimes.base import NUMPY, OPENCV, Lack, ModelFile, Package
from edgeq.runtimes.complaint import Complaint
from edgeq.runtimes.qdq import write_qdq
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
        dtype, bits, note = _integers(target, probe)
        placement = Placement(
            self.name,
            RULES,
            dtype,
            bits,
            "affine",
            ("scale", "affine"),
            quantized_bias=True,
            dynamic=True,
        )
        return placement, note

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

    def lint(self, content: bytes) -> list[Complaint]:
        """Nothing: what it cannot fuse it computes in float."""
        return []

    def write_simulation(self, model: Model, plan: Plan, content: bytes) -> bytes:
        """What was written, with optimizations off."""
        return content

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """One QDQ ONNX file."""
        return {self.written.model: write_qdq(model, plan)}


def _integers(
    target: Target, probe: Probe | None
) -> tuple[Literal["int8", "uint8"], Literal[7, 8], str]:
    """Activation type and weight bits, stated by the target or by what the CPU has.

    x86 multiplies uint8 by int8. Without VNNI it adds two products in 16 bits, which saturates
    with 8-bit weights; with 7 bits it cannot. ARM's dot product takes int8 by int8.
    """
    if target.activation_type != "probe":
        return target.activation_type, target.weight_bits or 8, ""
    if probe is None:
        remedy = "state 'activation_type: uint8' (x86) or int8 (ARM) in the target"
        raise InputError(f"target {target.name}", "activation type has to be probed", remedy)
    if probe.arch not in ("x86_64", "AMD64"):
        return "int8", target.weight_bits or 8, f"{probe.arch}: int8 activations (S8S8)"
    if probe.cpu.has_dot_product:
        return "uint8", target.weight_bits or 8, "x86 with VNNI: uint8 activations (U8S8)"
    note = "x86 without VNNI: uint8 activations, 7-bit weights (8-bit ones would saturate)"
    return "uint8", target.weight_bits or 7, note


RUNTIME = OnnxRuntime()

"""LiteRT (TFLite) on ARM CPUs: int8 flatbuffers with our own scales and ONNX's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Form, Placement
from edgeq.records.answers import Probe
from edgeq.runtimes.base import NUMPY, OPENCV, Lack, ModelFile, Package, Tapped
from edgeq.runtimes.complaint import Complaint
from edgeq.runtimes.litert.rules import RULES, RULES_WITH_XNNPACK
from edgeq.runtimes.litert.writer import refuse_unsupported, write_tflite
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.target import Target

TFLITE = Package("tflite-runtime", "tflite_runtime")
LITERT = Package("ai-edge-litert", "ai_edge_litert", instead=(TFLITE,), extra="litert")
"""The successor and what it succeeded: either runs what is written here."""


class _LiteRT:
    """The engine of targets with `runtime: litert`."""

    name = "litert"
    written = ModelFile("model.tflite", layout="nhwc")
    packages: tuple[Package, ...] = (NUMPY, OPENCV, LITERT)
    cuda_graphs = False
    written_with: tuple[str, ...] = ("ai-edge-litert",)
    from_system: Mapping[str, Lack] = {}

    def placement(self, target: Target, probe: Probe | None) -> tuple[Placement, str]:
        """Int8 activations, with a zero point by default; see `Runtime.placement`.

        Raises InputError for a target with uint8 activations, which its kernels have no longer.
        """
        if target.activation_type == "uint8":
            what, remedy = "LiteRT computes with int8 activations", "write 'activation_type: int8'"
            raise InputError(f"target {target.name}", what, remedy)
        placement = Placement(
            "litert",
            RULES_WITH_XNNPACK if target.xnnpack else RULES,
            "int8",
            target.weight_bits or 8,
            "affine",
            ("scale", "affine"),
            quantized_bias=True,
            fuses=False,
            ios=("float32", "int8"),
        )
        return placement, ""

    def requirements(self, python: tuple[int, int]) -> list[str]:
        """ai-edge-litert from Python 3.10 on; before that tflite-runtime, built for NumPy 1."""
        if python >= (3, 10):
            return [package.name for package in self.packages]
        return ["numpy<2", OPENCV.name, TFLITE.name]

    def needs_probe(self, target: Target) -> bool:
        """Nothing is left open: the same file runs on every CPU."""
        return False

    def check(self, model: Model, placement: Placement) -> None:
        """InputError(s): every node that TFLite cannot express, with the reason."""
        refuse_unsupported(model)

    def compiled(self, form: Form, precision: Literal["int8", "fp16"]) -> None:
        """It runs flatbuffers as they are."""
        return

    def delegate(self, target: Target) -> Literal["xnnpack", "none"]:
        """XNNPACK, unless the target goes without."""
        return "xnnpack" if target.xnnpack else "none"

    def write_float(self, model: Model, plan: Plan) -> bytes:
        """The float model as a flatbuffer."""
        return write_tflite(model, None).content

    def tap(self, model: Model, plan: Plan, content: bytes, tensors: Sequence[str]) -> Tapped:
        """As the agent hands integers of LiteRT out, which is as floats."""
        written = write_tflite(model, plan, tensors)
        return Tapped(written.content, written.taps, value_bytes=4)

    def lint(self, content: bytes) -> list[Complaint]:
        """Nothing: what it has no int8 kernel for is planned as float."""
        return []

    def write_simulation(self, model: Model, plan: Plan, content: bytes) -> bytes:
        """The same scales around the same nodes as Q/DQ."""
        return write_qdq(model, plan)

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """The flatbuffer, and which ONNX node each of its operators is from."""
        written = write_tflite(model, plan)
        return {self.written.model: written.content, "operators.json": written.operators_json()}


RUNTIME = _LiteRT()

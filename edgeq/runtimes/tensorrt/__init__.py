"""TensorRT on Jetson: explicit Q/DQ, laid as its optimizer propagates and fuses it.

Only inputs of layers are quantized. What a layer writes stays float until somebody reads it as
int8, so that TensorRT can pull the Q into the kernel that writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import onnx

from edgeq.artifact.manifest import Compile
from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Form, Placement, Rule
from edgeq.records.answers import Probe
from edgeq.runtimes.base import NUMPY, OPENCV, Lack, ModelFile, Package, Tapped
from edgeq.runtimes.complaint import Complaint
from edgeq.runtimes.qdq import write_qdq
from edgeq.runtimes.tensorrt.float16 import to_float16
from edgeq.runtimes.tensorrt.lint import lint
from edgeq.spec.target import Target

_GUIDE = "TensorRT Developer Guide, Explicit Quantization, Q/DQ Layer-Placement Recommendations"
_MODELOPT = "NVIDIA Model Optimizer, modelopt.onnx.quantization"

RULES = (
    Rule(
        "small-channels",
        "float",
        ("Conv", "ConvTranspose"),
        "int8 kernels take channels in blocks of 16 and more; with fewer, padding and reformats "
        "cost more than they save",
        _MODELOPT,
        below_channels=16,
    ),
    Rule(
        "convolution",
        "layer",
        ("Conv",),
        "inputs quantized per tensor, weights per channel on axis 0, the output not; grouped and "
        "depthwise ones too",
        _GUIDE,
        weight_axis=0,
    ),
    Rule(
        "transposed-convolution",
        "float",
        ("ConvTranspose",),
        "sources disagree on its weight's axis, and builds are reported to fail",
        _MODELOPT,
    ),
    Rule(
        "attention",
        "float",
        ("MatMul",),
        "both operands are computed: attention's products and softmax fuse in float",
        _MODELOPT,
        computed=True,
    ),
    Rule(
        "matrix-product",
        "layer",
        ("Gemm", "MatMul"),
        "inputs quantized per tensor, weights by output column: axis 0 of Gemm with transB, else 1",
        _GUIDE,
        weight_axis=1,
    ),
    Rule(
        "residual",
        "residual",
        ("Add",),
        "the branch that passes the block by is quantized, the other is not: the sum is computed "
        "in the last layer's kernel, which then writes int8",
        _GUIDE,
    ),
    Rule(
        "activation",
        "float",
        ("Sigmoid", "Mul", "Relu", "LeakyRelu", "PRelu", "Clip", "HardSwish", "Elu", "Tanh"),
        "nothing lies between a layer and its activation (SiLU is Sigmoid and Mul): they are "
        "computed in one kernel, and the Q behind them is pulled into it",
        _GUIDE,
    ),
    Rule(
        "concat",
        "carries",
        ("Concat",),
        "moves int8 values as they are when all inputs and the output have one scale",
        _GUIDE,
    ),
    Rule(
        "moves-values",
        "carries",
        (
            *("MaxPool", "Reshape", "Transpose", "Flatten"),
            *("Squeeze", "Unsqueeze", "Split", "Slice"),
        ),
        "commutes with Q: it moves or selects int8 values",
        _GUIDE,
    ),
    Rule(
        "resize",
        "carries",
        ("Resize",),
        "commutes with Q: it repeats or mixes int8 values within their range",
        _GUIDE,
        only=(("mode", ("nearest", "linear")),),
    ),
    Rule(
        "average",
        "joins",
        ("AveragePool", "GlobalAveragePool"),
        "computes in int8 between a DQ and a Q of its own; does not commute",
        _GUIDE,
    ),
)

_MAX_OPSET = 17
"""What the ONNX parser of TensorRT 8.5 reads."""


class _TensorRT:
    """The engine of targets with `runtime: tensorrt`."""

    name = "tensorrt"
    written = ModelFile("model.onnx")
    packages: tuple[Package, ...] = (NUMPY, OPENCV)
    cuda_graphs = True
    written_with: tuple[str, ...] = ()
    from_system: Mapping[str, Lack] = {
        "tensorrt": Lack(
            "no TensorRT on this board",
            "on a Jetson run: sudo apt install nvidia-jetpack "
            "(python3-libnvinfer alone brings the Python module)",
        )
    }

    def placement(self, target: Target, probe: Probe | None) -> tuple[Placement, str]:
        """The form that the board's TensorRT reads; see `Runtime.placement`.

        Raises InputError when there is no device to look at and the target does not say.
        """
        version, note = _version(target, probe)
        form = _form(version, target)
        placement = Placement(
            "tensorrt",
            RULES,
            "int8",
            8,
            "scale",
            ("scale",),
            quantized_bias=False,
            layer_outputs=False,
            form=form,
            ios=("float32", "float16") if form == "float16" else ("float32",),
        )
        return placement, note

    def requirements(self, python: tuple[int, int]) -> list[str]:
        """Without TensorRT, which only the system has; 8.5 needs a numpy that still has np.bool."""
        old = python < (3, 9)
        return ["numpy<1.24" if old else "numpy", OPENCV.name]

    def needs_probe(self, target: Target) -> bool:
        """Whether the target leaves open which TensorRT is there."""
        return target.engine_version is None

    def check(self, model: Model, placement: Placement) -> None:
        """InputError for a model that the engine's parser cannot read."""
        opset = model.opset
        if placement.form == "float-weights" and opset > _MAX_OPSET:
            what = f"is ONNX opset {opset}; TensorRT 8.5 reads {_MAX_OPSET} at most"
            raise InputError(str(model.path), what, f"export it with opset_version={_MAX_OPSET}")

    def compiled(self, form: Form, precision: Literal["int8", "fp16"]) -> Compile:
        """The device makes an engine; a graph with float16 in it says its types itself."""
        return Compile(precision=precision, typing="strong" if form == "float16" else "weak")

    def delegate(self, target: Target) -> Literal["xnnpack", "none"]:
        """It has none."""
        return "xnnpack"

    def write_float(self, model: Model, plan: Plan) -> bytes:
        """The model in float32, which the flags of the build allow float16; or in float16."""
        content = bytes(model.proto.SerializeToString(deterministic=True))
        if plan.form != "float16":
            return content
        return _to_float16(content, model, plan)

    def lint(self, content: bytes) -> list[Complaint]:
        """See `lint`."""
        return lint(onnx.load_from_string(content))

    def tap(self, model: Model, plan: Plan, content: bytes, tensors: Sequence[str]) -> Tapped:
        """None: any output more changes what it fuses."""
        return Tapped(why_none="it needs TensorRT 10's debug listener")

    def write_simulation(self, model: Model, plan: Plan, content: bytes) -> bytes:
        """What was written: ONNX Runtime reads it as well."""
        return content

    def write(self, model: Model, plan: Plan) -> dict[str, bytes]:
        """One ONNX file with Q/DQ; form float16 has float16 between them."""
        written = write_qdq(model, plan)
        if plan.form == "float16":
            written = _to_float16(written, model, plan)
        return {self.written.model: written}


def _to_float16(content: bytes, model: Model, plan: Plan) -> bytes:
    io: Literal["float32", "float16"] = "float16" if plan.io == "float16" else "float32"
    return to_float16(content, plan.float32, str(model.path), io)


def _version(target: Target, probe: Probe | None) -> tuple[tuple[int, int], str]:
    """Major and minor version of the TensorRT that will read the graph, and where that is from."""
    found = probe.packages.get("tensorrt") if probe is not None else None
    stated = found or target.engine_version
    if stated is None:
        remedy = "state 'engine_version: \"10.3\"' in the target, or name the board with --host"
        raise InputError(f"target {target.name}", "TensorRT's version has to be probed", remedy)
    numbers = re.match(r"(\d+)\.(\d+)", stated)
    if numbers is None:
        what = f"cannot make sense of TensorRT version '{stated}'"
        raise InputError(f"target {target.name}", what, 'state engine_version: "10.3"')
    version = int(numbers[1]), int(numbers[2])
    if version < (8, 5):
        what = f"TensorRT {stated} is too old; 8.5 (JetPack 5.1) is the oldest that works"
        raise InputError(f"target {target.name}", what, "update the board's JetPack")
    return version, f"Q/DQ for TensorRT {stated}" if found else ""


def _form(version: tuple[int, int], target: Target) -> Form:
    """TensorRT 8 takes no int8 constants and is typed weakly, 11 strongly; 10 as one likes.

    Raises InputError for a typing that the version does not have.
    """
    major, typing = version[0], target.typing
    if (typing == "strong" and major < 10) or (typing == "weak" and major > 10):
        what = f"TensorRT {major} has no {typing} typing"
        raise InputError(f"target {target.name}", what, "leave 'typing' out of the target")
    if major < 10:
        return "float-weights"
    return "float16" if major > 10 or typing == "strong" else "int8-weights"


RUNTIME = _TensorRT()

"""LiteRT (TFLite) on CPU cores, with XNNPACK where it takes the operators."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import BAD_ARTIFACT, ENGINE, MISSING_ENGINE, OUT_OF_MEMORY, AgentError
from ..vision.detections import Output
from .base import DeviceRuntime, InputSpec, LoadedModel
from .parts.delegation import delegation

if TYPE_CHECKING:
    from pathlib import Path

    from ..vision.arrays import Array

# The successor first; both have the same interpreter.
PACKAGES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}

_INSTALL = "for a board run 'edgeq targets setup', for this machine 'pip install edgeq[litert]'"
_TOO_OLD = ("newer model", "find op for builtin opcode", "schema version")
_EXPORT = "build the release again with the image as the model's only input"


class LiteRtTensor(NamedTuple):
    """An input or output; `scale` is None where the numbers mean themselves."""

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int


class LiteRtEngine(LoadedModel):
    """An interpreter on the CPU; see `base.LoadedModel`.

    Integers of the model stay in here: a quantized input takes floats, and outputs are floats.
    """

    name = "litert"

    def __init__(self, interpreter: Any, version: str, model: str, is_delegated: bool) -> None:
        self.version = version
        self._interpreter, self._model, self._is_delegated = interpreter, model, is_delegated
        named = _names(interpreter)
        inputs = [_tensor(details, named) for details in interpreter.get_input_details()]
        self._input = only_input(inputs, model)
        self._outputs = [_tensor(details, named) for details in interpreter.get_output_details()]
        self.input = InputSpec(self._input.name, self._input.shape, "float32")
        # Where floats are rounded, again and again.
        self._floats = np.empty(self._input.shape if self._input.scale else 0, np.float32)

    def run(self, tensor: Array) -> list[Output]:
        """See `base.LoadedModel`; AgentError (engine or out-of-memory) when inference fails."""
        interpreter = self._interpreter
        try:
            interpreter.set_tensor(self._input.number, self._given(tensor))
            interpreter.invoke()
            # `get_tensor` copies: the next inference writes over what is there.
            arrays = [interpreter.get_tensor(output.number) for output in self._outputs]
        except Exception as exc:
            raise _converted(exc, self._model, "inference failed", self.version) from exc
        return [
            Output(output.name, _as_float(array, output))
            for output, array in zip(self._outputs, arrays)
        ]

    def facts(self) -> dict[str, Any]:
        """The delegate, and what of the model it runs; see `delegation`."""
        about = {"delegate": "xnnpack" if self._is_delegated else "none", "package": self.version}
        # No part of the interpreter's public face; without it the rest stands all the same.
        if not hasattr(self._interpreter, "_get_ops_details"):
            return about
        names = {entry["index"]: entry["name"] for entry in self._interpreter.get_tensor_details()}
        outputs = [output.number for output in self._outputs]
        found = delegation(self._interpreter._get_ops_details(), outputs, names)
        return {**about, **found._asdict()}

    def _given(self, tensor: Array) -> Array:
        """The tensor as the model takes it."""
        if self._input.scale is None:
            return tensor
        floats = self._floats
        np.divide(tensor, np.float32(self._input.scale), out=floats)
        np.rint(floats, out=floats)
        np.add(floats, np.float32(self._input.zero_point), out=floats)
        limits = np.iinfo(self._input.dtype)
        np.clip(floats, limits.min, limits.max, out=floats)
        return floats.astype(self._input.dtype)


def load(model_path: Path, threads: int, graph_optimization: str) -> LiteRtEngine:
    """An interpreter of `threads` threads; 'disabled' leaves XNNPACK out. See `base.load`."""
    runtime, version = _import()
    is_delegated = graph_optimization != "disabled"
    kinds = runtime.OpResolverType
    kind = kinds.AUTO if is_delegated else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    model = model_path.name
    try:
        interpreter = runtime.Interpreter(
            model_path=str(model_path), num_threads=threads, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
    except Exception as exc:
        raise _converted(exc, model, "cannot be loaded", version) from exc
    return LiteRtEngine(interpreter, version, model, is_delegated)


def _import() -> tuple[Any, str]:
    """The interpreter's module, and the package that it is from with its version."""
    reasons = []
    for module, package in PACKAGES.items():
        try:
            runtime = importlib.import_module(module + ".interpreter")
        except Exception as exc:
            reasons.append(f"{package} cannot be imported ({exc})")
        else:
            version = getattr(importlib.import_module(module), "__version__", "")
            return runtime, f"{package} {version}".strip()
    raise AgentError(MISSING_ENGINE, "litert", ", ".join(reasons), _INSTALL)


def _names(interpreter: Any) -> dict[int, str]:
    """The ONNX names of inputs and outputs by their tensors, as the signature has them."""
    found = {}
    for signature in interpreter._get_full_signature_list().values():
        for side in ("inputs", "outputs"):
            found.update({int(index): str(name) for name, index in signature[side].items()})
    return found


def _tensor(details: dict[str, Any], names: dict[int, str]) -> LiteRtTensor:
    scale, zero_point = details["quantization"]
    index, dtype = int(details["index"]), np.dtype(details["dtype"])
    return LiteRtTensor(
        index,
        names.get(index, str(details["name"])),
        tuple(int(side) for side in details["shape"]),
        dtype.name,
        (float(scale) or None) if dtype.kind == "i" else None,
        int(zero_point),
    )


def only_input(inputs: list[LiteRtTensor], model: str) -> LiteRtTensor:
    """The one input, float or quantized to int8."""
    if len(inputs) == 1:
        [given] = inputs
        if (given.dtype, given.scale is None) in (("float32", True), ("int8", False)):
            return given
    found = ", ".join(f"{given.name} {given.dtype}" for given in inputs)
    what = f"has the inputs {found}; one image of float, or of int8 with a scale, is expected"
    raise AgentError(BAD_ARTIFACT, model, what, _EXPORT)


def _as_float(array: Array, output: LiteRtTensor) -> Array:
    if output.scale is None:
        return array
    floats = np.subtract(array, np.float32(output.zero_point), dtype=np.float32)
    floats *= np.float32(output.scale)
    return floats


def _converted(exc: Exception, model: str, what: str, version: str) -> AgentError:
    # They raise ValueError and RuntimeError for anything; of memory the newer one says nothing.
    cause = exc.__cause__ or exc
    # A line an operator, and many are the same.
    reason = " ".join(" ".join(dict.fromkeys(str(cause).splitlines())).split())
    if isinstance(exc, MemoryError) or not reason:
        reason = reason or "no memory for its tensors"
        remedy = "free memory or use a smaller input size"
        return AgentError(OUT_OF_MEMORY, model, f"{what}: {reason}", remedy)
    if isinstance(cause, ImportError):
        # tflite-runtime looks for its numpy as late as here.
        return AgentError(MISSING_ENGINE, version, f"cannot be used ({reason})", _INSTALL)
    if any(sign in reason for sign in _TOO_OLD):
        what = f"{what}: {version} is too old for it ({reason})"
        return AgentError(ENGINE, model, what, "run 'edgeq targets setup' for a newer one")
    return AgentError(ENGINE, model, f"{what}: {reason}", "build the release again")


RUNTIME = DeviceRuntime(load, has_delegates=True)

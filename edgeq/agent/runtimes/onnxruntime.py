"""ONNX Runtime on CPU cores."""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import BAD_ARTIFACT, ENGINE, MISSING_ENGINE, OUT_OF_MEMORY, AgentError
from ..vision.detections import Output
from .base import DeviceRuntime, InputSpec, LoadedModel

if TYPE_CHECKING:
    from pathlib import Path

    from ..vision.arrays import Array

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_NO_MEMORY = ("failed to allocate memory", "bad_alloc", "bad allocation")


class OnnxRuntimeEngine(LoadedModel):
    """A session on the CPU; see `base.LoadedModel`."""

    name = "onnxruntime"

    def __init__(self, session: Any, version: str, model: str) -> None:
        self._session = session
        self._model = model
        self.version = version
        self.input = _input_of(session, model)
        self._output_names = [output.name for output in session.get_outputs()]

    def run(self, tensor: Array) -> list[Output]:
        """See `base.LoadedModel`; AgentError (engine or out-of-memory) when inference fails."""
        try:
            arrays = self._session.run(self._output_names, {self.input.name: tensor})
        except Exception as exc:
            raise _converted(exc, self._model, "inference failed") from exc
        return [Output(name, array) for name, array in zip(self._output_names, arrays)]


def load(
    model_path: Path, threads: int, graph_optimization: str, rests: bool = False
) -> OnnxRuntimeEngine:
    """A session of `threads` intra-op threads; see `base.load`.

    They spin for some 50 ms after an inference, unless it `rests`.
    """
    # From 1.29 on it reports to its maker and keeps a database in the home folder; it reads this
    # once, on import, and `disable_telemetry_events()` comes too late for the files.
    os.environ[NO_TELEMETRY] = "1"
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as exc:
        raise AgentError(
            MISSING_ENGINE,
            "onnxruntime",
            f"cannot be imported ({exc})",
            "for a board run 'edgeq targets setup', for this machine 'pip install onnxruntime'",
        ) from exc
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    # The default on ARM. Elsewhere a release with int8 activations would run in float.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.inter_op_num_threads = 1
    if rests:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    levels = runtime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_DISABLE_ALL if graph_optimization == "disabled" else levels.ORT_ENABLE_ALL
    )
    try:
        session = runtime.InferenceSession(
            str(model_path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as exc:
        raise _converted(exc, model_path.name, "cannot be loaded") from exc
    return OnnxRuntimeEngine(session, runtime.__version__, model_path.name)


def _input_of(session: Any, model: str) -> InputSpec:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _DTYPES:
        found = ", ".join(f"{i.name} {i.type}" for i in inputs)
        raise AgentError(
            BAD_ARTIFACT,
            model,
            f"has the inputs {found}; one image of float, float16 or uint8 is expected",
            "export the model with the image as its only input",
        )
    shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
    return InputSpec(inputs[0].name, shape, _DTYPES[inputs[0].type])


def _converted(exc: Exception, model: str, what: str) -> AgentError:
    # The bindings raise a dozen types of their own, all of them Exception and told apart by text.
    reason = " ".join(str(exc).split())
    if isinstance(exc, MemoryError) or any(sign in reason.lower() for sign in _NO_MEMORY):
        return AgentError(
            OUT_OF_MEMORY, model, f"{what}: {reason}", "free memory or use a smaller input size"
        )
    return AgentError(
        ENGINE, model, f"{what}: {reason}", "check that the board's onnxruntime is recent enough"
    )


RUNTIME = DeviceRuntime(load, load_resting=partial(load, rests=True))

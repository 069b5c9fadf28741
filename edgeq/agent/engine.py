"""The seam to an inference engine: load a release's model, run one tensor through it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from .errors import BAD_ARTIFACT, BAD_JOB, MISSING_ENGINE, AgentError

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Array
    from .detections import Output
    from .manifest import Manifest

# One module an engine, each with a function `load` as below.
MODULES = {
    "onnxruntime": "engine_onnxruntime",
    "tensorrt": "engine_tensorrt",
    "litert": "engine_litert",
}
# Their engine is built on the board itself, and is no file of the release.
_BUILT_HERE = ("tensorrt",)


class InputSpec(NamedTuple):
    """The model's one input; None in the shape stands for any size, the dtype is numpy's name."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Engine(Protocol):
    """A loaded model."""

    name: str
    version: str
    input: InputSpec

    def run(self, tensor: Array) -> list[Output]:
        """The outputs for one tensor of the input's rank and dtype, in the model's order."""
        ...


def load(
    manifest: Manifest,
    threads: int,
    graph_optimization: str = "all",
    engine_path: Path | None = None,
) -> Engine:
    """The release's model in the release's engine; `engine_path` is what `build` made of it.

    `graph_optimization` 'disabled' computes the graph as it is written, so that a Q/DQ graph is
    simulated in float arithmetic; a release whose delegate is 'none' is always run so.
    AgentError: missing-engine, engine or out-of-memory.
    """
    runtime = manifest.runtime.name
    if runtime not in MODULES:
        raise AgentError(
            MISSING_ENGINE,
            manifest.runtime.model,
            f"this agent cannot run {runtime}",
            f"deploy for one of: {', '.join(MODULES)}",
        )
    is_built_here = runtime in _BUILT_HERE
    path = engine_path if is_built_here else manifest.model_path
    if path is None or (is_built_here and not path.is_file()):
        raise AgentError(
            MISSING_ENGINE,
            str(path or manifest.runtime.model),
            f"there is no engine that {runtime} built of this release on this board",
            "build it first, and name it in the job's 'engine'",
        )
    if is_built_here:
        _check_origin(path, manifest)
    module = importlib.import_module("." + MODULES[runtime], __package__)
    if manifest.runtime.delegate == "none":
        graph_optimization = "disabled"
    engine: Engine = module.load(path, threads, graph_optimization)
    return engine


def _check_origin(path: Path, manifest: Manifest) -> None:
    """Refuse an engine that says it was built of another release; a loose file says nothing."""
    # Not at the top: it brings the whole store, which a host has no use for.
    from .engines import artifact_of

    artifact = artifact_of(path.parent)
    if artifact not in (None, manifest.id):
        what = f"was built of release {artifact}, and this is {manifest.id}"
        raise AgentError(BAD_JOB, str(path), what, "build the engine of this release")


def fit_tensor(tensor: Array, spec: InputSpec) -> Array:
    """The tensor [1,...] as the input wants it; AgentError (bad-artifact) when it cannot be.

    A model without a batch axis (torchvision's exports) gets the one image; float16 inputs are
    converted.
    """
    if len(spec.shape) == tensor.ndim - 1:
        tensor = tensor[0]
    agrees = len(spec.shape) == tensor.ndim and all(
        want is None or want == have for want, have in zip(spec.shape, tensor.shape)
    )
    if not agrees:
        wanted = ["any" if side is None else side for side in spec.shape]
        raise AgentError(
            BAD_ARTIFACT,
            f"model input '{spec.name}'",
            f"is {wanted} and preprocess gives {list(tensor.shape)}",
            "set preprocess.size and preprocess.layout to the model's input",
        )
    if spec.dtype == "float16" and tensor.dtype == np.float32:
        return tensor.astype(np.float16)
    if spec.dtype != tensor.dtype.name:
        raise AgentError(
            BAD_ARTIFACT,
            f"model input '{spec.name}'",
            f"is {spec.dtype} and preprocess gives {tensor.dtype.name}",
            f"set preprocess.dtype to {spec.dtype}",
        )
    return tensor

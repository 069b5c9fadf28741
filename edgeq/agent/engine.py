"""The seam to an inference engine: load a release's model, run one tensor through it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from .errors import BAD_ARTIFACT, MISSING_ENGINE, AgentError

if TYPE_CHECKING:
    from .arrays import Array
    from .detections import Output
    from .manifest import Manifest

# One module an engine, each with a function `load` as below.
MODULES = {"onnxruntime": "engine_onnxruntime"}


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


def load(manifest: Manifest, threads: int, graph_optimization: str = "all") -> Engine:
    """The release's model in the release's engine.

    `graph_optimization` 'disabled' computes the graph as it is written, so that a Q/DQ graph is
    simulated in float arithmetic. AgentError: missing-engine, engine or out-of-memory.
    """
    runtime = manifest.runtime.name
    if runtime not in MODULES:
        raise AgentError(
            MISSING_ENGINE,
            manifest.runtime.model,
            f"this agent cannot run {runtime}",
            f"deploy for one of: {', '.join(MODULES)}",
        )
    module = importlib.import_module("." + MODULES[runtime], __package__)
    engine: Engine = module.load(manifest.model_path, threads, graph_optimization)
    return engine


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

"""The seam to an inference engine: load a release's model, run one tensor through it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Protocol

from ..errors import BAD_ARTIFACT, BAD_JOB, MISSING_ENGINE, AgentError
from ..names import runtime_names

if TYPE_CHECKING:
    from pathlib import Path

    from ..manifest import ReleaseManifest
    from ..vision.arrays import Array
    from ..vision.detections import Output


class InputSpec(NamedTuple):
    """The model's one input; None in the shape stands for any size, the dtype is numpy's name."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class LoadedModel(Protocol):
    """A loaded model."""

    name: str
    version: str
    input: InputSpec
    last_gpu_ms: float | None = None
    """what a GPU took for the last inference, without the copies; None where there is none"""

    def run(self, tensor: Array) -> list[Output]:
        """The outputs for one tensor of the input's rank and dtype, in the model's order."""
        ...

    def use_graph(self, tensor: Array) -> None:
        """Launch what an inference does on a GPU as one CUDA graph from now on.

        AgentError (bad-job) where there is no GPU to launch anything on.
        """
        what = f"is for TensorRT, and this release runs in {self.name}"
        raise AgentError(BAD_JOB, "cuda_graph", what, "leave measure.cuda_graph out")

    def facts(self) -> dict[str, Any] | None:
        """What the engine tells of itself; None where that is nothing."""
        return None

    def layer_times(self, tensor: Array) -> list[dict[str, Any]] | None:
        """Mean milliseconds of each layer, measured apart; None where there is no profile."""
        return None


class DeviceRuntime(NamedTuple):
    """A runtime on the device: a module of that name here with an object RUNTIME.

    `load` gets the file, the threads, and 'all' or 'disabled' for the graph's optimization. Where
    an engine `is_built_here`, on the board itself, the file is that engine and none of the release.
    `load_resting` is for one whose threads else go on for a while after an inference, waiting for
    the next: another process that takes turns with it would feel them.
    """

    load: Callable[[Path, int, str], LoadedModel]
    is_built_here: bool = False
    has_delegates: bool = False
    load_resting: Callable[[Path, int, str], LoadedModel] | None = None


def runtime(name: str) -> DeviceRuntime:
    """The runtime of that name; AgentError (missing-engine) where there is none."""
    names = runtime_names()
    if name not in names:
        what, remedy = f"this agent cannot run {name}", f"deploy for one of: {', '.join(names)}"
        raise AgentError(MISSING_ENGINE, "runtime.name", what, remedy)
    found: DeviceRuntime = importlib.import_module(f".{name}", __package__).RUNTIME
    return found


def load(
    manifest: ReleaseManifest,
    threads: int,
    graph_optimization: str = "all",
    engine_path: Path | None = None,
    rests: bool = False,
) -> LoadedModel:
    """The release's model in the release's engine; `engine_path` is what `build` made of it.

    `graph_optimization` 'disabled' computes the graph as it is written, so that a Q/DQ graph is
    simulated in float arithmetic; a release whose delegate is 'none' is always run so. One that
    `rests` leaves the cores alone between inferences.
    AgentError: missing-engine, engine or out-of-memory.
    """
    name, model, delegate = manifest.runtime
    chosen = runtime(name)
    path = engine_path if chosen.is_built_here else manifest.model_path
    if path is None or (chosen.is_built_here and not path.is_file()):
        raise AgentError(
            MISSING_ENGINE,
            str(path or model),
            f"there is no engine that {name} built of this release on this board",
            "build it first, and name it in the job's 'engine'",
        )
    if chosen.is_built_here:
        _check_origin(path, manifest)
    if delegate == "none":
        if not chosen.has_delegates:
            what = f"is given, and {name} has none to leave out"
            raise AgentError(BAD_ARTIFACT, "runtime.delegate", what, "build the release again")
        graph_optimization = "disabled"
    chosen_load = chosen.load_resting if rests and chosen.load_resting else chosen.load
    return chosen_load(path, threads, graph_optimization)


def _check_origin(path: Path, manifest: ReleaseManifest) -> None:
    """Refuse an engine that says it was built of another release; a loose file says nothing."""
    # Not at the top: it brings the whole store, which a host has no use for.
    from ..store.engines import artifact_of

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
    if spec.dtype == "float16" and tensor.dtype.name == "float32":
        return tensor.astype("float16")
    if spec.dtype != tensor.dtype.name:
        raise AgentError(
            BAD_ARTIFACT,
            f"model input '{spec.name}'",
            f"is {spec.dtype} and preprocess gives {tensor.dtype.name}",
            f"set preprocess.dtype to {spec.dtype}",
        )
    return tensor

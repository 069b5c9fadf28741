"""An artifact of one model file: what this machine runs to compare others with it."""

from __future__ import annotations

from edgeq.artifact import shelf
from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Manifest, RuntimeEntry, describe
from edgeq.runtimes import REFERENCE
from edgeq.runtimes.base import Layout
from edgeq.stages.outputs import task_of
from edgeq.stages.prepare import Prepared, input_of
from edgeq.versions import versions


def on_host(prepared: Prepared, content: bytes) -> Artifact:
    """A graph for the engine that this machine computes references with."""
    return of_one_file(prepared, content, RuntimeEntry(name=REFERENCE, model="model.onnx"))


def float_artifact(prepared: Prepared) -> Artifact:
    """The float model as an artifact: what the reference figures are measured on."""
    return on_host(prepared, prepared.model.proto.SerializeToString(deterministic=True))


def of_one_file(
    prepared: Prepared, content: bytes, engine: RuntimeEntry, layout: Layout = "nchw"
) -> Artifact:
    """A model, whatever wrote it, with the recipe's task and preprocessing."""
    files = {engine.model: content}
    manifest = Manifest(
        runtime=engine,
        task=task_of(prepared.recipe),
        preprocess=input_of(prepared.recipe.preprocess).model_copy(update={"layout": layout}),
        files=describe(files),
        provenance={"model": prepared.model.sha256, "versions": versions()},
    )
    return shelf.keep(manifest, files)

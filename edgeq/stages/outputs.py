"""The model as a recipe's decoder reads it: what more it gives out is left out, and said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from onnx import helper

from edgeq.agent import manifest as agent
from edgeq.agent.errors import AgentError
from edgeq.agent.vision.decode import decode, decoder_for
from edgeq.agent.vision.detections import Decoder, Output
from edgeq.agent.vision.letterbox import geometry_of
from edgeq.artifact.manifest import ManifestTask
from edgeq.errors import InputError, Key
from edgeq.graph.load import load
from edgeq.graph.model import Model
from edgeq.spec.recipe import Recipe

_MOST = 12
"""Outputs of which every choice is tried; models for training have some more, never dozens."""


def load_model(recipe: Recipe) -> Model:
    """The recipe's model, without outputs that its decoder does not read; raises as `load`."""
    path, size = recipe.model, recipe.preprocess.size
    model = load(path, size)
    surplus = _surplus(_outputs(model), recipe)
    if not surplus:
        return model
    named = ", ".join(f"'{name}' {list(model.outputs[name])}" for name in surplus)
    note = f"decoder {recipe.task.decoder} does not read {named}: left out, with what leads there"
    return replace(load(path, size, without=surplus), notes=(*model.notes, note))


def check_decoder(model: Model, recipe: Recipe) -> None:
    """InputError when the recipe's decoder cannot read outputs of the model's shapes."""
    outputs = _outputs(model)
    if not outputs:
        return  # known only when it runs
    height, width = recipe.preprocess.size
    try:
        decode(_task(recipe), outputs, geometry_of(height, width, height, width, letterbox=True))
    except AgentError as exc:
        raise InputError(Key("task", "decoder"), f"{exc.where}: {exc.what}", exc.remedy) from exc


def task_of(recipe: Recipe) -> ManifestTask:
    """The recipe's task, as the agent needs it."""
    of_the_host = {"categories", "ignore_unmatched", "deploy_threshold"}
    return ManifestTask.model_validate(recipe.task.model_dump(exclude=of_the_host))


def decoder_of(recipe: Recipe) -> Decoder:
    """The recipe's decoder, as the agent has it."""
    return decoder_for(_task(recipe))


def _task(recipe: Recipe) -> agent.ReleaseTask:
    return agent.ReleaseTask(**task_of(recipe).model_dump())


def _outputs(model: Model) -> list[Output]:
    """Zeros of the outputs' shapes, one row where only a run tells how many; none if unknown."""
    found = []
    for name, shape in model.outputs.items():
        if not shape or not all(shape[1:]):
            return []
        dtype = helper.tensor_dtype_to_np_dtype(model.types[name])
        found.append(Output(name, np.zeros((shape[0] or 1, *shape[1:]), dtype)))
    return found


def _surplus(outputs: Sequence[Output], recipe: Recipe) -> list[str]:
    """The outputs that are not read, where there is one way to leave some out."""
    decoder = decoder_of(recipe)
    if not outputs or len(outputs) > _MOST or decoder.fits(outputs):
        return []
    fitting = [chosen for chosen in _choices(outputs) if decoder.fits(chosen)]
    if len(fitting) != 1:
        return []
    read = {output.name for output in fitting[0]}
    return [output.name for output in outputs if output.name not in read]


def _choices(outputs: Sequence[Output]) -> Iterator[tuple[Output, ...]]:
    for count in range(1, len(outputs)):
        yield from combinations(outputs, count)

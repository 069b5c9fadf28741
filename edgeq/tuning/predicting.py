"""The instances that variants find, from one graph for all of them and decoded as a device does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from edgeq.agent import manifest as agent
from edgeq.agent.errors import AgentError
from edgeq.agent.verbs.predict import found_fields
from edgeq.agent.vision.decode import decode
from edgeq.agent.vision.detections import Output
from edgeq.agent.vision.letterbox import Geometry
from edgeq.calibration.inputs import placed
from edgeq.errors import InputError, Key
from edgeq.graph.computation import Computation
from edgeq.graph.merging import Merged
from edgeq.quantization.plan import Plan
from edgeq.records.accuracy import ImagePrediction
from edgeq.runtimes.qdq import qdq_nodes
from edgeq.spec.images import Image
from edgeq.stages.outputs import task_of
from edgeq.stages.prepare import Prepared, cores
from edgeq.tuning.journal import Journal
from edgeq.tuning.stopping import Budget

AT_ONCE = 12
"""Variants in one graph: all their outputs are in memory together."""
FLOAT = "float"

Plans = Mapping[str, Plan | None]
"""Name to plan; None is the float model."""


def predict(
    prepared: Prepared,
    plans: Plans,
    files: Mapping[int, Image],
    journal: Journal,
    budget: Budget,
    progress: Callable[[int], None],
) -> dict[str, tuple[ImagePrediction, ...]]:
    """What each variant found in the images (by id), where the budget sufficed for all of them.

    Raises InputError for an image that cannot be read.
    """
    found: dict[str, dict[int, ImagePrediction]] = {name: {} for name in plans}
    for name, known in found.items():
        for id_, image in files.items():
            prediction = journal.prediction(image.key, name)
            if prediction is not None:
                known[id_] = prediction.model_copy(update={"id": id_})
    total = sum(len(known) for known in found.values())
    progress(total)
    for names in _groups([name for name in plans if len(found[name]) < len(files)]):
        if budget.is_spent:
            break
        graph = _graph(prepared, [plans[name] for name in names])
        for id_, image in files.items():
            if budget.is_spent:
                break
            if all(id_ in found[name] for name in names):
                continue
            for name, one in zip(names, _instances(prepared, graph, image, id_), strict=True):
                total += id_ not in found[name]
                found[name][id_] = one
                journal.keep_prediction(image.key, name, one)
            progress(total)
    return {
        name: tuple(known[id_] for id_ in files)
        for name, known in found.items()
        if len(known) == len(files)
    }


def _groups(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]


def _graph(prepared: Prepared, plans: Sequence[Plan | None]) -> Computation:
    merged = Merged(prepared.model)
    outputs = []
    for plan in plans:
        if plan is None:
            outputs += list(prepared.model.outputs)
        else:
            names = merged.add(*qdq_nodes(prepared.model, plan))
            outputs += [names[name] for name in prepared.model.outputs]
    return Computation(merged, outputs, cores())


def _instances(
    prepared: Prepared, graph: Computation, image: Image, id_: int
) -> Iterator[ImagePrediction]:
    """One prediction a variant."""
    tensor, geometry = placed(image, prepared.recipe.preprocess)
    task = agent.ReleaseTask(**task_of(prepared.recipe).model_dump())
    found = graph.run(tensor)
    names = list(prepared.model.outputs)
    for start in range(0, len(found), len(names)):
        part = found[start : start + len(names)]
        outputs = [Output(name, array) for name, array in zip(names, part, strict=True)]
        yield _decoded(task, outputs, geometry, id_)


def _decoded(
    task: agent.ReleaseTask, outputs: list[Output], geometry: Geometry, id_: int
) -> ImagePrediction:
    try:
        found = decode(task, outputs, geometry)
    except AgentError as exc:
        raise InputError(Key("task", "decoder"), f"{exc.where}: {exc.what}", exc.remedy) from exc
    return ImagePrediction.model_validate({"id": id_, **found_fields(found, geometry)})

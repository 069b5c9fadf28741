"""Plan: repairs, statistics and ranges of what was prepared, and its range mixing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeq.calibration import collect, statistics
from edgeq.calibration.inputs import tensors
from edgeq.calibration.statistics import Statistics
from edgeq.graph.mixing import Mixing, concat_inputs, mixing
from edgeq.graph.model import Model
from edgeq.progress import Progress, silent
from edgeq.quantization.overclipping import overclipping
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import make_plan
from edgeq.repair.equalization import equalized
from edgeq.repair.model import Images, refined
from edgeq.repair.refinement import plan_for
from edgeq.repair.repaired import Repaired
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.images import Image
from edgeq.spec.recipe import Preprocess
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.reconstructed import reconstructed

MIXING_IMAGES = 4
"""Images that the range-mixing lint looks at; ranges of pixels and scores differ at the first."""


@dataclass(frozen=True)
class Planned:
    """What is written: the model with the recipe's repairs, the plan, and what was repaired.

    `statistics` is the key of what the plan's ranges are from. Without repairs the model is the
    prepared one.
    """

    model: Model
    plan: Plan
    statistics: str
    notes: tuple[str, ...]


def planned(prepared: Prepared, progress: Progress = silent) -> Planned:
    """The repaired model and its plan; what takes long is kept in the cache."""
    recipe, images = prepared.recipe, prepared.calibration
    start = _equalized(prepared)
    seen = statistics.gather(
        start.model,
        prepared.wanted,
        images,
        recipe.preprocess,
        cores(),
        lambda done: progress("calibrate", done, len(images)),
    )
    plan = make_plan(start.model, seen, prepared.tail, prepared.choices, prepared.placement)
    said = _said_of_entropy(prepared, start.model, seen)
    notes = (*start.notes, said) if said else start.notes
    if recipe.repair.needs_plan:
        looked_at = Images(images, recipe.preprocess)
        start = refined(start.model, plan, recipe.repair, looked_at, write_qdq, cores(), progress)
        plan, notes = plan_for(start.model, plan), (*notes, *start.notes)
    if recipe.repair.reconstruct is not None:
        start = reconstructed(prepared, start, plan, progress)
        plan, notes = plan_for(start.model, plan), (*notes, *start.notes)
    return Planned(start.model, plan, seen.key, notes)


def _equalized(prepared: Prepared) -> Repaired:
    """The model that the ranges are taken from."""
    repair = prepared.recipe.repair
    return equalized(prepared.model) if repair.equalize else Repaired(prepared.model)


def is_calibrated(prepared: Prepared) -> bool:
    """Whether the statistics are in the cache."""
    return _is_calibrated(prepared, _equalized(prepared).model)


def _is_calibrated(prepared: Prepared, model: Model) -> bool:
    wanted, images = prepared.wanted, prepared.calibration
    return statistics.is_cached(model, wanted, images, prepared.recipe.preprocess)


def overclipped(prepared: Prepared) -> str | None:
    """What is to be said of entropy; with figures where the statistics are in the cache."""
    model = _equalized(prepared).model
    return _said_of_entropy(prepared, model, _known_statistics(prepared, model))


def known_statistics(prepared: Prepared) -> Statistics | None:
    """What the plan's ranges are from; None where the cache has it no more."""
    return _known_statistics(prepared, _equalized(prepared).model)


def _known_statistics(prepared: Prepared, model: Model) -> Statistics | None:
    if not _is_calibrated(prepared, model):
        return None
    wanted, images = prepared.wanted, prepared.calibration
    return statistics.gather(model, wanted, images, prepared.recipe.preprocess, cores())


def _said_of_entropy(prepared: Prepared, model: Model, seen: Statistics | None) -> str | None:
    return overclipping(model, prepared.wanted, prepared.choices, prepared.placement, seen)


def measured_mixing(
    model: Model,
    images: Sequence[Image],
    preprocess: Preprocess,
    progress: Progress = silent,
) -> tuple[Mixing, ...]:
    """Which Concats would put very different ranges under one scale, measured on a few images."""
    names = concat_inputs(model)
    if not names:
        return ()
    chosen = images[:MIXING_IMAGES]

    def watched() -> Iterator[collect.Floats]:
        for done, tensor in enumerate(tensors(chosen, preprocess), 1):
            yield tensor
            progress("range mixing", done, len(chosen))

    return tuple(mixing(model, collect.extremes(model, names, watched(), cores())))

"""A model with the repairs that need a plan; kept, as they cost passes over images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq import cache
from edgeq.calibration.inputs import evenly, tensors
from edgeq.graph.model import Model
from edgeq.progress import Progress, silent
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import decoded, encoded, with_constants
from edgeq.repair.refinement import Refinement, Simulation, constants_of, refine
from edgeq.repair.repaired import Repaired
from edgeq.spec.images import Image
from edgeq.spec.recipe import Preprocess
from edgeq.spec.repair import Repair

CACHE = cache.Cache("repairs")


@dataclass(frozen=True)
class Images:
    """What the repairs look at, and how it is read."""

    files: tuple[Image, ...]
    preprocess: Preprocess


def refined(
    model: Model,
    plan: Plan,
    repair: Repair,
    images: Images,
    simulation: Simulation,
    threads: int,
    progress: Progress = silent,
) -> Repaired:
    """The model with the rounding and the biases that a plan needs, as the recipe wants them.

    From the cache where the same was done before; its plan is `plan_for` of the same plan. Raises
    InputError for an image that cannot be read.
    """
    if not repair.needs_plan:
        return Repaired(model)
    files = evenly(images.files, repair.images)
    key = key_of(model, plan, repair, files, images.preprocess)
    content = CACHE.read(key)
    if content is not None:
        constants, about = decoded(content)
        notes = tuple(about["notes"])
    else:
        inputs = list(tensors(files, images.preprocess))
        found = refine(model, plan, repair, inputs, simulation, threads, progress)
        constants, notes = constants_of(model, found), _notes(found, repair, len(files))
        CACHE.write(key, encoded(constants, {"notes": notes}))
    return Repaired(with_constants(model, constants, key), notes)


def _notes(found: Refinement, repair: Repair, images: int) -> tuple[str, ...]:
    notes = []
    if found.gains:
        share, error = found.moved / max(found.rounded, 1), float(np.median(found.gains))
        notes.append(
            f"AdaRound moved {share:.1%} of the weights of {len(found.gains)} layers off the "
            f"nearest integer: a layer's squared error is {error:.0%} of what it was (median)"
        )
    if repair.bias_correction:
        notes.append(f"corrected the biases of {len(found.shifts)} layers over {images} images")
    return tuple(notes)


def key_of(
    model: Model, plan: Plan, repair: Repair, files: Sequence[Image], preprocess: Preprocess
) -> str:
    """Hash of all that a repair depends on."""
    described = {
        "model": hashlib.sha256(model.proto.SerializeToString(deterministic=True)).hexdigest(),
        "plan": plan.to_json(),
        "repair": repair.model_dump(mode="json"),
        "images": [image.sha256 for image in files],
        "preprocess": preprocess.model_dump(mode="json"),
    }
    return cache.key(described)

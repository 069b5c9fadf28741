"""A model with the repairs that need a plan; kept, as they cost passes over images."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq import cache
from edgeq.calibration.inputs import evenly, tensors
from edgeq.graph.model import Model
from edgeq.progress import Progress, silent
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import Floats, with_constants
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
    key = _key(model, plan, repair, files, images.preprocess)
    content = CACHE.read(key)
    if content is not None:
        constants, notes = _decoded(content)
    else:
        inputs = list(tensors(files, images.preprocess))
        found = refine(model, plan, repair, inputs, simulation, threads, progress)
        constants, notes = constants_of(model, found), _notes(found, repair, len(files))
        CACHE.write(key, _encoded(constants, notes))
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


def _key(
    model: Model, plan: Plan, repair: Repair, files: Sequence[Image], preprocess: Preprocess
) -> str:
    described = {
        "model": hashlib.sha256(model.proto.SerializeToString(deterministic=True)).hexdigest(),
        "plan": plan.to_json(),
        "repair": repair.model_dump(mode="json"),
        "images": [image.sha256 for image in files],
        "preprocess": preprocess.model_dump(mode="json"),
    }
    return cache.key(described)


def _encoded(constants: dict[tuple[str, int], Floats], notes: tuple[str, ...]) -> bytes:
    about = json.dumps({"inputs": [list(key) for key in constants], "notes": notes})
    content = io.BytesIO()
    np.savez(content, np.array(about), *constants.values())
    return content.getvalue()


def _decoded(content: bytes) -> tuple[dict[tuple[str, int], Floats], tuple[str, ...]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        about = json.loads(str(stored["arr_0"]))
        keys = [(str(name), int(index)) for name, index in about["inputs"]]
        values = [np.asarray(stored[f"arr_{i + 1}"], np.float32) for i in range(len(keys))]
    return dict(zip(keys, values, strict=True)), tuple(about["notes"])

"""Reconstruction, kept where the quantized model then agrees better with the float one.

Some of the calibration images are held out for that: what is trained looks better on what it was
trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from edgeq import cache
from edgeq.device.connection import host
from edgeq.errors import InputError, Key
from edgeq.evaluation import score
from edgeq.evaluation.agreement import LABEL_SCORE, own_labels
from edgeq.evaluation.evaluator import KINDS, Kind
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization.plan import Plan
from edgeq.records.accuracy import Accuracy
from edgeq.repair.model import Images
from edgeq.repair.refinement import plan_for
from edgeq.repair.repaired import Repaired
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.images import Image
from edgeq.stages.one_file import float_artifact, on_host
from edgeq.stages.predict import Manner, predict
from edgeq.stages.prepare import Prepared, cores

LEAST_RISE = 0.01
"""Of agreement, the mean of masks and boxes: less comes from the order of additions alone."""
FEWEST_IMAGES = 8
LARGEST_HELD_OUT = 64
ARITHMETICS = ("disabled", "all")
"""Exact float arithmetic and this machine's kernels: of either, agreement moves by .01 by chance"""
CACHE = cache.Cache("repairs")


@dataclass(frozen=True)
class _Agreed:
    """Agreement of masks and boxes, the mean over arithmetics."""

    mask: float
    box: float

    @property
    def mean(self) -> float:
        return (self.mask + self.box) / 2

    def __str__(self) -> str:
        return f"{self.mask:.3f} / {self.box:.3f}"


def reconstructed(prepared: Prepared, start: Repaired, plan: Plan, progress: Progress) -> Repaired:
    """The model trained for its plan, or as it was where that agrees no better; why, in words.

    Raises InputError where there are too few images, or the float model finds nothing on those that
    are held out.
    """
    from edgeq.repair.reconstruction.trained import trained

    held, rest = split(prepared.calibration)
    recipe = prepared.recipe
    looked_at = Images(rest, recipe.preprocess)
    made = trained(start.model, plan, recipe.repair, looked_at, write_qdq, cores(), progress)
    key = cache.key({"reconstructed": made.model.sha256, "held": [image.sha256 for image in held]})
    known = CACHE.read(key)
    if known is None:
        before, after = _agreements(prepared, start.model, made.model, plan, held, progress)
        CACHE.write(key, json.dumps([before.mask, before.box, after.mask, after.box]).encode())
    else:
        figures = json.loads(known)
        before, after = _Agreed(*figures[:2]), _Agreed(*figures[2:])
    moved = f"{before} (mask / box) to {after} on {len(held)} images that were held out"
    if after.mean - before.mean > LEAST_RISE:
        return Repaired(made.model, (*made.notes, f"kept: agreement with float went from {moved}"))
    why = f"left out, as agreement with float went from {moved}, not up by more than {LEAST_RISE}"
    return Repaired(start.model, (*made.notes, why))


def split(images: tuple[Image, ...]) -> tuple[tuple[Image, ...], tuple[Image, ...]]:
    """Images that are held out, spread evenly and at most half of all, and the others.

    Raises InputError where there are too few for both.
    """
    if len(images) < FEWEST_IMAGES:
        what = f"{len(images)} calibration images are too few to train on some and judge by others"
        raise InputError(Key("repair", "reconstruct"), what, f"name at least {FEWEST_IMAGES}")
    count = min(len(images) // 2, LARGEST_HELD_OUT)
    chosen = {i * len(images) // count for i in range(count)}
    return (
        tuple(image for index, image in enumerate(images) if index in chosen),
        tuple(image for index, image in enumerate(images) if index not in chosen),
    )


def _agreements(
    prepared: Prepared,
    before: Model,
    after: Model,
    plan: Plan,
    held: tuple[Image, ...],
    progress: Progress,
) -> tuple[_Agreed, _Agreed]:
    files = dict(enumerate(held, 1))
    with host() as here:
        exact = predict(here, float_artifact(prepared), files, Manner(cores()), progress, "float")
        own = own_labels(exact.images, files, prepared.recipe.task.classes)
        if not own.annotations.instances:
            what = f"the float model finds nothing above {LABEL_SCORE} on those held out"
            remedy = "calibrate with images of what it finds, or leave 'reconstruct' out"
            raise InputError(Key("calibration", "images"), what, remedy)

        def agreed(content: bytes, label: str) -> _Agreed:
            artifact, found = on_host(prepared, content), []
            for arithmetic in ARITHMETICS:
                manner = Manner(cores(), arithmetic)
                images = predict(here, artifact, files, manner, progress, label).images
                found.append(score.score(own.annotations, images, own.categories, list(files)))
            return _Agreed(*(_mean(found, kind) for kind in KINDS))

        return (
            agreed(write_qdq(before, plan), "before"),
            agreed(write_qdq(after, plan_for(after, plan)), "reconstructed"),
        )


def _mean(found: Sequence[Accuracy], kind: Kind) -> float:
    values = [(one.mask if kind == "mask" else one.box).ap or 0.0 for one in found]
    return sum(values) / len(values)

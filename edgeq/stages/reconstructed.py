"""Reconstruction, kept where the quantized model then agrees better with the float one.

Some of the calibration images are held out for that: what is trained looks better on what it was
trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeq.calibration.statistics import Statistics
from edgeq.device.connection import host
from edgeq.errors import InputError, Key
from edgeq.evaluation.agreement import LABEL_SCORE, agreeing, agreement, own_labels
from edgeq.evaluation.dataset import Dataset
from edgeq.progress import Progress
from edgeq.quantization.learnable import Learnable, learnable
from edgeq.quantization.plan import Plan
from edgeq.records.accuracy import Agreement
from edgeq.repair.model import Images
from edgeq.repair.refinement import plan_for
from edgeq.repair.repaired import Repaired
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.images import Image
from edgeq.stages.held_out import split
from edgeq.stages.one_file import float_artifact, on_host
from edgeq.stages.predict import Manner, predict
from edgeq.stages.prepare import Prepared, cores

LEAST_RISE = 0.01
"""Of agreement, the mean of masks and boxes: less comes from the order of additions alone."""
ARITHMETICS = ("disabled", "all")
"""Exact float arithmetic and this machine's kernels: of either, agreement moves by .01 by chance"""


def reconstructed(
    prepared: Prepared, start: Repaired, plan: Plan, seen: Statistics, progress: Progress
) -> Repaired:
    """The model trained for its plan, or as it was where that agrees no better; why, in words.

    `seen` is what the plan's ranges are from.

    Raises InputError where there are too few images, or the float model finds nothing on those that
    are held out.
    """
    from edgeq.repair.reconstruction.trained import Untrained, trained

    held, rest = split(prepared.calibration)
    own = float_finds(prepared, held, progress)
    repair, looked_at = prepared.recipe.repair, Images(rest, prepared.recipe.preprocess)
    untrained = Untrained(start.model, plan, _ranges(prepared, start, plan, seen))
    made = trained(untrained, repair, looked_at, write_qdq, cores(), progress)
    before = agreed(prepared, own, write_qdq(start.model, plan), progress, "before")
    content = write_qdq(made.model, plan_for(made.model, plan, made.scales))
    after = agreed(prepared, own, content, progress, "reconstructed")
    moved = (
        f"{_said(before)} (mask / box) to {_said(after)} on {len(held)} images that were held out"
    )
    if mean(after) - mean(before) > LEAST_RISE:
        return replace(made, notes=(*made.notes, f"kept: agreement with float went from {moved}"))
    why = f"left out, as agreement with float went from {moved}, not up by more than {LEAST_RISE}"
    return Repaired(start.model, (*made.notes, why))


def _ranges(
    prepared: Prepared, start: Repaired, plan: Plan, seen: Statistics
) -> dict[str, Learnable]:
    """The ranges that the recipe has learned: unless it says no, those that max made."""
    options = prepared.recipe.repair.reconstruct
    if options is None or options.ranges is False:
        return {}
    return learnable(start.model, plan, prepared.choices, prepared.placement, seen)


def float_finds(prepared: Prepared, held: Sequence[Image], progress: Progress) -> Dataset:
    """What the float model finds on images; InputError where that is nothing."""
    files = dict(enumerate(held, 1))
    with host() as here:
        exact = predict(here, float_artifact(prepared), files, Manner(cores()), progress, "float")
    own = own_labels(exact.images, files, prepared.recipe.task.classes)
    if not own.annotations.instances:
        what = f"the float model finds nothing above {LABEL_SCORE} on those held out"
        remedy = "calibrate with images of what it finds, or leave 'reconstruct' out"
        raise InputError(Key("calibration", "images"), what, remedy)
    return own


def agreed(
    prepared: Prepared, own: Dataset, content: bytes, progress: Progress, label: str
) -> Agreement:
    """How a Q/DQ graph agrees with float; of a board's in exact arithmetic alone."""
    ways = ARITHMETICS if prepared.target.transport == "local" else ARITHMETICS[:1]
    artifact, sides = on_host(prepared, content), []
    with host() as here:
        for way in ways:
            made = predict(here, artifact, own.files, Manner(cores(), way), progress, label)
            sides.append(agreeing(own, made.images))
    found = agreement(*sides)
    if found is None:
        raise AssertionError("unreachable: there are labels")
    return found


def mean(found: Agreement) -> float:
    """The one figure that says whether a model agrees better: of masks and boxes."""
    return (found.mask.estimate + found.box.estimate) / 2


def _said(found: Agreement) -> str:
    return f"{found.mask.estimate:.3f} / {found.box.estimate:.3f}"

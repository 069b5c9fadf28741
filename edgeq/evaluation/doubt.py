"""Whether the float model's own accuracy is one that a loss can be told of, and why it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from edgeq.evaluation import bootstrap, score
from edgeq.evaluation.evaluator import KINDS, Kind
from edgeq.evaluation.matches import Matches, match

if TYPE_CHECKING:
    from edgeq.evaluation.annotations import Annotations
    from edgeq.records.accuracy import ImagePrediction

_SURE = 0.25
"""Score from which a detection is taken for one."""
_NOTHING_FOUND = (
    f"it is sure of nothing (no score reaches {_SURE}): see to mean and std (in the units of "
    "scaled pixels), to a scale that the model has in it already, to rgb for bgr, and whether it "
    "is trained"
)
_OTHER_CLASSES = (
    "it finds the objects and calls them by other classes: see to the order of task.classes, and "
    "to task.categories, which may be shifted"
)
_OTHER_PLACES = (
    "it is sure of objects where none are annotated: see to evaluate.orientation, to the letterbox "
    "and its size, to rgb for bgr, and whether these are the annotations of these images"
)
_RESAMPLES = 200
"""Enough to see whether an interval reaches 0."""


class Doubt(NamedTuple):
    """The kinds of AP that say nothing, and that in words; empty where all is well."""

    kinds: tuple[Kind, ...] = ()
    reason: str = ""


def doubt(
    matches: Matches,
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    floor: float,
    who: str = "the float model",
) -> Doubt:
    """What is wrong with what the float model, or `who` else, found to be a reference: `matches`.

    Its AP is below the floor, or the interval of that reaches 0: then int8 loses nothing to it,
    whatever it does.
    """
    found = [(kind, bootstrap.precision(matches, kind, _RESAMPLES)) for kind in KINDS]
    low = {k: one for k, one in found if one and (one.estimate < floor or one.low <= 0)}
    if not low:
        return Doubt()
    figures = ", ".join(
        f"{kind} AP {one.estimate:.4f} ({one.confidence:.0%} interval from {max(one.low, 0):.4f})"
        for kind, one in low.items()
    )
    cause = _cause(annotations, predictions, matches.image_ids, floor)
    reason = (
        f"{who} itself scores next to nothing, so a loss says nothing: {figures}, "
        f"evaluate.float_ap_floor is {floor:g}; {cause}"
    )
    return Doubt(tuple(low), reason)


def _cause(
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    image_ids: Sequence[int],
    floor: float,
) -> str:
    """What most likely makes it so, from what it finds when nobody looks at classes."""
    if not any(score >= _SURE for image in predictions for score in image.scores):
        return _NOTHING_FOUND
    category = annotations.categories[0]
    alike = replace(
        annotations,
        categories=(category,),
        instances=tuple(replace(one, category_id=category.id) for one in annotations.instances),
    )
    one_class = [
        image.model_copy(update={"labels": (0,) * len(image.labels)}) for image in predictions
    ]
    mapping: Mapping[int, int] = {0: category.id}
    box_ap = score.accuracy(match(alike, one_class, mapping, image_ids)).box.ap or 0.0
    return _OTHER_CLASSES if box_ap >= max(2 * floor, 0.1) else _OTHER_PLACES

"""Errors by kind: why each detection that is wrong is wrong, and what was missed.

Source: Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors (2020,
arXiv 2008.08115), section 2, in the order of the authors' program (tidecv 1.0.1). Other than there,
a detection that a crowd excuses is no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from edgeq.evaluation.evaluator import AT_50, Kind
from edgeq.records.insight import MistakeKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.judged import Judged
    from edgeq.evaluation.overlaps import ImageOverlaps, Overlaps

FOREGROUND = 0.5
BACKGROUND = 0.1
"""IoU from which a place is right, and below which there is nothing."""
MISTAKE_KINDS: tuple[MistakeKind, ...] = get_args(MistakeKind)
NONE = -1
"""No error, or no instance."""


@dataclass(frozen=True, eq=False)
class Told:
    """What is wrong: of each detection (N,) which of `MISTAKE_KINDS`, and with which instance.

    `missed` (M,) are instances that nothing hit and no error of class or place would. Of those
    errors that speak of one instance, `mends` (N,) is the one that would hit it: the best score's.
    """

    kind: NDArray[np.intp]
    instance: NDArray[np.intp]
    mends: NDArray[np.bool_]
    missed: NDArray[np.bool_]

    def count(self, kind: MistakeKind) -> int:
        """How many errors there are of a kind."""
        if kind == "missed":
            return int(self.missed.sum())
        return int(self.of(kind).sum())

    def of(self, kind: MistakeKind) -> NDArray[np.bool_]:
        """Which detections (N,) are wrong in this way."""
        return np.asarray(self.kind == MISTAKE_KINDS.index(kind))


def mistakes(beside: Overlaps, judged: Judged, kind: Kind, threshold: float = 0.0) -> Told:
    """The errors of all images, of detections from the threshold on."""
    count = len(beside.found.scores)
    kinds, about = np.full(count, NONE, np.intp), np.full(count, NONE, np.intp)
    mends = np.zeros(count, np.bool_)
    missed = np.zeros(len(beside.annotated.area), np.bool_)
    for image in beside.images:
        kept = beside.found.scores[image.rows] >= threshold
        rows = image.rows[kept]
        instances = image.instances[judged.counts[image.instances]]
        used = np.isin(instances, judged.partner[AT_50, rows])
        wrong = (judged.partner[AT_50, rows] < 0) & ~judged.ignored[AT_50, rows]
        here = _iou(image, kind, kept, judged)[wrong]
        rows = rows[wrong]
        same = beside.found.category[rows, None] == beside.annotated.category[instances]
        kinds[rows], where = _kinds(here, same)
        about[rows] = np.where(where >= 0, instances[where], NONE) if len(instances) else NONE
        would = np.zeros(len(instances), np.bool_)
        for row, place in zip(rows, where, strict=True):
            if place >= 0 and not used[place] and not would[place]:
                mends[row] = would[place] = True
        missed[instances[~used & ~would]] = True
    return Told(kinds, about, mends, missed)


def _iou(
    image: ImageOverlaps, kind: Kind, kept: NDArray[np.bool_], judged: Judged
) -> NDArray[np.float64]:
    return image.of(kind)[kept][:, judged.counts[image.instances]]


def _kinds(
    iou: NDArray[np.float64], same: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The kind of each wrong detection (D,), and the place (D,) of the instance that it means.

    `iou` (D, G) with the instances of the image, `same` (D, G) where the category is right.
    """
    if not iou.shape[1]:
        nothing = np.full(len(iou), NONE, np.intp)
        return np.full(len(iou), MISTAKE_KINDS.index("background"), np.intp), nothing
    right, other = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
    of_class, of_other = right.max(axis=1), other.max(axis=1)
    # The first that holds.
    rules: dict[MistakeKind, NDArray[np.bool_]] = {
        "localisation": (of_class >= BACKGROUND) & (of_class <= FOREGROUND),
        "classification": of_other >= FOREGROUND,
        "duplicate": of_class >= FOREGROUND,
        "background": iou.max(axis=1) <= BACKGROUND,
    }
    number = {name: MISTAKE_KINDS.index(name) for name in MISTAKE_KINDS}
    kind = np.select(list(rules.values()), [number[name] for name in rules], number["both"])
    is_place, is_class = kind == number["localisation"], kind == number["classification"]
    where = np.where(is_place, right.argmax(axis=1), other.argmax(axis=1))
    return kind, np.where(is_place | is_class, where, NONE)

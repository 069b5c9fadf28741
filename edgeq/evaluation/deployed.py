"""Accuracy where it is deployed: what an application sees that keeps detections from a score on.

AP reads the order of the scores and not the scores, so that it stays where they collapse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.agent.vision.detections import Parts
from edgeq.evaluation.bootstrap import interval
from edgeq.evaluation.evaluator import AT_50, KINDS, Kind
from edgeq.evaluation.matches import KindMatches, Matches
from edgeq.evaluation.parts import matching_rows
from edgeq.records.accuracy import AtThreshold, Deployed, ImagePrediction, Interval

_CHUNK_ELEMENTS = 4_000_000
"""Detections times resamples held at once"""

Weights = NDArray[np.int64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """What one engine found: its matches, and the predictions that were matched."""

    matches: Matches
    images: Sequence[ImagePrediction]


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of I images: detections that are right, and wrong, and what is annotated."""

    right: Counts
    wrong: Counts
    instances: Counts

    def figures(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """Precision, recall and F1 of R resamples (R,), NaN where there is nothing to divide by."""
        right, wrong, instances = (
            (weights @ counts).astype(np.float64)
            for counts in (self.right, self.wrong, self.instances)
        )
        return {
            "precision": _ratio(right, right + wrong),
            "recall": _ratio(right, instances),
            "f1": _ratio(2 * right, right + wrong + instances),
        }


def deployed(side: Scored, threshold: float, reference: Scored | None = None) -> Deployed:
    """Precision, recall and F1 of one engine at the threshold, of masks and boxes at IoU .5.

    Where the float model is given as the `reference`: what is lost against it, the shift of scores,
    and the threshold that gives its recall of masks back, each with a 95% paired bootstrap interval
    over the images. Counts are of all classes together; crowds do not count.
    """
    mask, box = (_at(side, threshold, kind, reference) for kind in KINDS)
    if reference is None:
        return Deployed(threshold=threshold, mask=mask, box=box)
    shift, matched, of = _score_shift(reference.images, side.images, threshold)
    back, drop = _recall_threshold(reference, side, threshold)
    return Deployed(
        threshold=threshold,
        mask=mask,
        box=box,
        score_shift=shift,
        matched=matched,
        matched_of=of,
        recall_threshold=back,
        threshold_drop=drop,
    )


def _at(side: Scored, threshold: float, kind: Kind, reference: Scored | None) -> AtThreshold:
    kept = _kept(side.matches.of(kind), threshold)
    one = np.ones((1, len(kept.right)), np.int64)
    figures: dict[str, Any] = {
        name: None if np.isnan(value[0]) else float(value[0])
        for name, value in kept.figures(one).items()
    }
    drops: dict[str, Any] = {}
    if reference is not None:
        before = _kept(reference.matches.of(kind), threshold)
        for name in figures:
            drops[f"{name}_drop"] = interval(_loss(before, kept, name), len(kept.right))
    return AtThreshold(
        right=int(kept.right.sum()),
        wrong=int(kept.wrong.sum()),
        missed=int((kept.instances - kept.right).sum()),
        **figures,
        **drops,
    )


def _kept(matches: KindMatches, threshold: float) -> _Kept:
    """Matching goes by score, so what is left out below the threshold changes nothing above it."""
    images = len(matches.hits[0].instances)
    right, wrong, instances = (np.zeros(images, np.int64) for _ in range(3))
    for hits in matches.hits:
        kept, hit = hits.scores >= threshold, hits.hit[AT_50]
        right += np.bincount(hits.image_index[kept & hit], minlength=images)
        counted = kept & ~hit & ~hits.ignored[AT_50]
        wrong += np.bincount(hits.image_index[counted], minlength=images)
        instances += hits.instances
    return _Kept(right, wrong, instances)


def _loss(before: _Kept, after: _Kept, name: str) -> Callable[[Weights], NDArray[np.float64]]:
    return lambda weights: before.figures(weights)[name] - after.figures(weights)[name]


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _score_shift(
    reference: Sequence[ImagePrediction], other: Sequence[ImagePrediction], threshold: float
) -> tuple[Interval | None, int, int]:
    """The median of what the score of an object changed by, of how many, and of how many at all.

    Asked are the detections that the application keeps of the reference; their partner may have
    any score.
    """
    found = {image.id: image for image in other}
    shifts: list[float] = []
    where: list[int] = []
    asked = 0
    for index, image in enumerate(reference):
        kept = sum(score >= threshold for score in image.scores)
        asked += kept
        first, second = matching_rows(_parts(image, kept), _parts(found[image.id]))
        theirs = found[image.id].scores
        shifts += [theirs[j] - image.scores[i] for i, j in zip(first, second, strict=True)]
        where += [index] * len(first)
    if not shifts:
        return None, 0, asked
    order = np.argsort(shifts, kind="stable")
    values, images = np.array(shifts)[order], np.array(where)[order]

    def median(weights: Weights) -> NDArray[np.float64]:
        return _middle(values, weights[:, images])

    return interval(_in_chunks(median, len(values)), len(reference)), len(shifts), asked


def _middle(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """The median of values (D,), ascending, each as often as its weight (R, D); NaN of nothing."""
    seen = np.cumsum(weights, axis=1)
    total = seen[:, -1:]
    lower = (seen < (total + 1) // 2).sum(axis=1)
    upper = (seen < total // 2 + 1).sum(axis=1)
    last = len(values) - 1
    found = (values[np.minimum(lower, last)] + values[np.minimum(upper, last)]) / 2
    return np.where(total[:, 0] > 0, found, np.nan)


def _parts(image: ImagePrediction, count: int | None = None) -> Parts:
    """The first detections of an image, the best by score, as `matching_rows` wants them."""
    x, y, width, height = np.array(image.boxes[:count], np.float64).reshape(-1, 4).T
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    scores = np.array(image.scores[:count], np.float64)
    return Parts({"boxes": boxes, "scores": scores}, {}, np.array(image.labels[:count], np.int64))


def _recall_threshold(
    reference: Scored, side: Scored, threshold: float
) -> tuple[float | None, Interval | None]:
    """The highest threshold at which as many are found as the reference finds, and how far below.

    None where no threshold gives that many. Resamples without one count as a threshold of 0.
    """
    wanted = _kept(reference.matches.mask, threshold).right
    hits = side.matches.mask.hits
    right = [h.hit[AT_50] for h in hits]
    scores = np.concatenate([h.scores[r] for h, r in zip(hits, right, strict=True)])
    images = np.concatenate([h.image_index[r] for h, r in zip(hits, right, strict=True)])
    order = np.argsort(-scores, kind="stable")
    scores, images = np.append(scores[order], 0.0), images[order]

    def lowered(weights: Weights) -> NDArray[np.float64]:
        need = weights @ wanted
        seen = np.cumsum(weights[:, images], axis=1)
        index = (seen < need[:, np.newaxis]).sum(axis=1)
        return np.where(need > 0, threshold - scores[index], np.nan)

    if not wanted.sum() or len(images) < wanted.sum():
        return None, None
    drop = interval(_in_chunks(lowered, len(scores)), len(wanted))
    return float(scores[wanted.sum() - 1]), drop


def _in_chunks(
    statistic: Callable[[Weights], NDArray[np.float64]], columns: int
) -> Callable[[Weights], NDArray[np.float64]]:
    step = max(1, _CHUNK_ELEMENTS // max(1, columns))

    def found(weights: Weights) -> NDArray[np.float64]:
        starts = range(0, len(weights), step)
        return np.concatenate([statistic(weights[start : start + step]) for start in starts])

    return found

"""How far two engines' outputs are apart, for each of the parts that the decoder tells apart.

Over a whole output pixels would hide scores. Detections that a model chose itself are brought
together first: at the least error they change places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.agent.vision.detections import Decoder, Output, Parts
from edgeq.evaluation.divergence import WORST_DB, Outputs, outputs_snr_db

LEAST_IOU = 0.5
"""Below it two boxes of one class are not the same detection."""

Pair = tuple[Sequence[Output], Sequence[Output]]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class PartsDivergence:
    """The ratio of every part, as `outputs_snr_db` has it.

    `lacking` is the share of the detections of both sides that the other side does not have; None
    where the rows are all candidates.
    """

    snr_db: dict[str, float | None]
    lacking: float | None


def parts_divergence(decoder: Decoder, pairs: Iterable[Pair]) -> PartsDivergence:
    """The parts of (reference, other) raw outputs, image by image, held against each other."""
    together = _Together(decoder)
    found = outputs_snr_db(together.compared(pairs))
    if together.seen and not together.matched:
        found |= dict.fromkeys(together.names, WORST_DB)
    lacking = None
    if together.chosen:
        lacking = 1 - 2 * together.matched / together.seen if together.seen else 0.0
    return PartsDivergence(found, lacking)


class _Together:
    """Splits outputs into parts and brings their rows together, counting as it goes."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.seen = self.matched = 0
        self.chosen = False
        self.names: tuple[str, ...] = ()

    def compared(self, pairs: Iterable[Pair]) -> Iterator[tuple[Outputs, Outputs]]:
        for pair in pairs:
            one, other = (self._decoder.parts(outputs) for outputs in pair)
            rows: list[Outputs] = [one.rows, other.rows]
            if one.labels is not None and other.labels is not None:
                self.chosen, self.names = True, tuple(one.rows)
                first, second = matching_rows(one, other)
                self.seen += len(one.labels) + len(other.labels)
                self.matched += len(first)
                rows = [
                    {name: array[chosen] for name, array in side.rows.items()}
                    for side, chosen in ((one, first), (other, second))
                ]
            yield {**rows[0], **one.whole}, {**rows[1], **other.whole}


def matching_rows(one: Parts, other: Parts) -> tuple[list[int], list[int]]:
    """Which rows show the same detection: of one class, by overlap, the best score first."""
    assert one.labels is not None and other.labels is not None
    if not len(one.labels) or not len(other.labels):
        return [], []
    overlap = _overlaps(one.rows["boxes"], other.rows["boxes"])
    overlap[one.labels[:, np.newaxis] != other.labels] = 0.0
    first, second = [], []
    for row in np.argsort(-one.rows["scores"], kind="stable"):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= LEAST_IOU:
            first.append(int(row))
            second.append(best)
            overlap[:, best] = 0.0
    return first, second


def _overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes [n,4] and [m,4], x1, y1, x2, y2."""
    a, b = np.asarray(one, np.float64)[:, np.newaxis], np.asarray(other, np.float64)[np.newaxis]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inside = np.prod(np.maximum(sides, 0.0), axis=-1)
    areas = [np.prod(np.maximum(x[..., 2:] - x[..., :2], 0.0), axis=-1) for x in (a, b)]
    whole = areas[0] + areas[1] - inside
    found: Floats = np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0)
    return found

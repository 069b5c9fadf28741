"""Where the accuracy goes: what of it is lost, of which kind, class and size, on which images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgeq.records.accuracy import Interval
from edgeq.records.limits import Count
from edgeq.records.record import Record

ThresholdOrigin = Literal["recipe", "best", "usual"]
MistakeKind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
Size = Literal["small", "medium", "large"]

FEWEST_IMAGES = 6
"""Were fewer all worse, chance would do as much more than once in twenty times."""


class Mistakes(Record):
    """The errors of one kind; of what is found the wrong detections, of `missed` the instances.

    `count` are those of all detections, `kept` those of an application that keeps them from the
    threshold on. `ap50_gain` is what AP at IoU .5 would gain if this kind alone were mended.
    """

    kind: MistakeKind
    count: Count
    kept: Count
    ap50_gain: float


class Confused(Record):
    """How often an instance of one category was found as another one.

    None stands for the background: what is not annotated, or not found.
    """

    annotated: str | None
    found: str | None
    count: Count


class AtScore(Record):
    """What is kept from one score on, at IoU .5; None where there is nothing to divide by."""

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None


class ScoreCurve(Record):
    """Precision, recall and F1 over the score threshold, of all categories together.

    `best` has the highest F1 of all thresholds, None where nothing is found that is right.
    """

    points: tuple[AtScore, ...]
    best: AtScore | None
    deployed: AtScore


class Portion(Record):
    """AP of a part of what is annotated, a category or a size, in so many images.

    The drop is the reference's AP minus this; None for the reference itself.
    """

    name: str
    instances: Count
    images: Count
    ap: float | None
    drop: Interval | None = None

    @property
    def outcome(self) -> Literal["worse", "better", "cannot tell"] | None:
        """Which side of nothing the interval of the drop lies on; None for the reference."""
        if self.drop is None:
            return None
        if self.images < FEWEST_IMAGES or self.drop.low <= 0 <= self.drop.high:
            return "cannot tell"
        return "worse" if self.drop.low > 0 else "better"


class Outlines(Record):
    """Boundary AP, and how well the outlines fit of what is right at the threshold.

    `mask_iou` and `boundary_iou` are the means of these `pairs`, None where there are none.
    """

    ap: float | None
    ap50: float | None
    drop: Interval | None = None
    pairs: Count
    mask_iou: float | None
    boundary_iou: float | None


class Spotted(Record):
    """A detection that the other side does not have: its row in the image's prediction.

    `fell_to` is the score of what the other side has there below the threshold, None for nothing.
    """

    row: Count
    label: Count
    score: float
    size: Size
    fell_to: float | None = None


class InBoth(Record):
    """One object that both sides found: the rows, labels and scores of the reference and of this.

    `iou` is that of their masks.
    """

    rows: tuple[Count, Count]
    labels: tuple[Count, Count]
    scores: tuple[float, float]
    size: Size
    iou: float


class ImageChange(Record):
    """What a column finds on one image beside the reference, both from the threshold on.

    `changed` are of another label, or of a mask that is not practically the same. `amount` adds up
    what is different: of each shared object the part of its masks that is not (all of it where the
    label changed), of each lost or found one by how much its score fell or rose.
    """

    id: int
    amount: float
    lost: tuple[Spotted, ...] = ()
    found: tuple[Spotted, ...] = ()
    changed: tuple[InBoth, ...] = ()
    same: tuple[InBoth, ...] = ()

    @property
    def is_alike(self) -> bool:
        """Whether both sides find the same objects, with masks that look the same."""
        return not (self.lost or self.found or self.changed)

    @property
    def order(self) -> tuple[bool, float]:
        """What differs most comes first, and before what only looks a little otherwise."""
        return self.is_alike, -self.amount


class KindInsight(Record):
    """Of masks or of boxes: errors by kind, F1 over the threshold, AP by class and by size.

    Classes are those that are annotated.
    """

    mistakes: tuple[Mistakes, ...]
    curve: ScoreCurve
    by_class: tuple[Portion, ...]
    by_size: tuple[Portion, ...]

    @property
    def by_chance(self) -> float:
        """How many classes of those that can be told of would be worse or better by chance."""
        told = [one for one in self.by_class if one.drop and one.images >= FEWEST_IMAGES]
        return sum(1 - one.drop.confidence for one in told if one.drop)


class ColumnInsight(Record):
    """One column; `images` are those of the reference beside it, what differs most first."""

    name: str
    mask: KindInsight
    box: KindInsight
    confusion: tuple[Confused, ...]
    outlines: Outlines
    images: tuple[ImageChange, ...] = ()


class Insight(Record):
    """Where the accuracy of each column goes, of the same images.

    The first column is the reference. The threshold is the `recipe`'s `task.deploy_threshold`, or
    the one from which on the reference has its highest F1 of masks, its `best`; where nothing is
    right, a `usual` one.
    """

    threshold: float
    threshold_from: ThresholdOrigin
    images: Count
    instances: Count
    columns: tuple[ColumnInsight, ...] = Field(min_length=1)

    def column(self, name: str) -> ColumnInsight | None:
        """The column of that name, None where it found nothing to look into."""
        return next((one for one in self.columns if one.name == name), None)

    @property
    def reference(self) -> ColumnInsight:
        """The column that the others are held against."""
        return self.columns[0]

"""What trials are compared on: images with labels, and what the float model makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeq.device.device import Device
from edgeq.errors import InputError, Key
from edgeq.evaluation.agreement import LABEL_SCORE, agreeing, own_labels
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.doubt import doubt
from edgeq.evaluation.matches import Matches, match
from edgeq.progress import Progress
from edgeq.records.accuracy import ImagePrediction
from edgeq.spec.images import Image
from edgeq.stages.one_file import float_artifact
from edgeq.stages.predict import Manner, predict
from edgeq.stages.prepare import Prepared, cores


@dataclass(frozen=True)
class Yardstick:
    """Images with labels, and how the float model scores on them; `source` in words.

    `own` are the float model's own detections as labels, the same ones where nobody made others.
    """

    source: str
    labels: Dataset
    reference: Matches
    own: Dataset

    @property
    def is_annotated(self) -> bool:
        """Whether people made the labels."""
        return self.labels is not self.own

    def matches(self, predictions: Sequence[ImagePrediction]) -> Matches:
        """What another model found, against the same labels."""
        return _matched(self.labels, predictions)

    def agreeing(self, predictions: Sequence[ImagePrediction], matches: Matches) -> Matches:
        """What another model found, whose `matches` are these, against the float model's own."""
        return agreeing(self.own, predictions) if self.is_annotated else matches


def annotated(here: Device, prepared: Prepared, labels: Dataset, progress: Progress) -> Yardstick:
    """Labels that people made; InputError where the float model is no reference on them."""
    found = _float(here, prepared, labels.files, progress)
    matches = _matched(labels, found)
    reason = doubt(matches, labels.annotations, found, labels.float_ap_floor).reason
    if reason:
        raise InputError(labels.annotations.where, reason, "see to these before anything is tuned")
    own = own_labels(found, labels.files, prepared.recipe.task.classes)
    return Yardstick(f"{len(labels.files)} annotated images", labels, matches, own)


def self_labelled(
    here: Device, prepared: Prepared, files: Sequence[Image], progress: Progress
) -> Yardstick:
    """Labels that the float model makes itself; a drop is then disagreement with it.

    Raises InputError when it finds nothing on any of the images.
    """
    by_id = dict(enumerate(files, 1))
    found = _float(here, prepared, by_id, progress)
    labels = own_labels(found, by_id, prepared.recipe.task.classes)
    count = len(labels.annotations.instances)
    if not count:
        what = f"the float model finds nothing above {LABEL_SCORE} on the calibration images"
        remedy = "name annotated images under 'tune:', or calibrate with images of what it finds"
        raise InputError(Key("calibration", "images"), what, remedy)
    source = f"{len(by_id)} calibration images with {count} detections of the float model as labels"
    return Yardstick(source, labels, _matched(labels, found), labels)


def _float(
    here: Device, prepared: Prepared, files: Mapping[int, Image], progress: Progress
) -> tuple[ImagePrediction, ...]:
    model = float_artifact(prepared)
    return predict(here, model, files, Manner(cores()), progress, "float").images


def _matched(labels: Dataset, predictions: Sequence[ImagePrediction]) -> Matches:
    return match(labels.annotations, predictions, labels.categories, list(labels.files))

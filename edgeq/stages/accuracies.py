"""Accuracies: what both sides of a comparison find in annotated images, beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.errors import InputError
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.doubt import doubt
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.matches import Matches, match
from edgeq.progress import Progress
from edgeq.records.comparison import MetricName
from edgeq.spec.recipe import Compare
from edgeq.stages.compared import Difference, accuracy_differences
from edgeq.stages.predict import Manner, predict

FEWEST_IMAGES = 10
"""Were fewer all worse, chance would do as much once in a hundred times, of both AP."""
_NAMES: Mapping[Kind, MetricName] = {"mask": "mask AP", "box": "box AP"}


@dataclass(frozen=True)
class Accuracies:
    """Mask and box AP of B beside A's, and by metric why one of them says nothing."""

    differences: tuple[Difference, ...]
    meaningless: Mapping[MetricName, str]


def accuracies(
    device: Device,
    sides: tuple[Artifact, Artifact],
    dataset: Dataset,
    threads: int,
    options: Compare,
    progress: Progress,
) -> Accuracies:
    """Have a device find instances in all images with A and with B. Raises DeviceError."""
    manner = Manner(threads, is_known=False)
    found: list[Matches] = []
    meaningless: dict[MetricName, str] = {}
    for label, side in zip(("A", "B"), sides, strict=True):
        images = predict(device, side, dataset.files, manner, progress, f"predict {label}").images
        found.append(match(dataset.annotations, images, dataset.categories, list(dataset.files)))
        if label == "A":
            floor = dataset.float_ap_floor
            kinds, why = doubt(found[0], dataset.annotations, images, floor, who="A")
            meaningless |= {_NAMES[kind]: why for kind in kinds}
    differences = accuracy_differences(found[0], found[1], options)
    count = len(dataset.files)
    if count < FEWEST_IMAGES:
        reason = f"{count} annotated images are too few: evaluate at least {FEWEST_IMAGES}"
        meaningless |= {one.metric: reason for one in differences if any(one.loss[:3])}
    return Accuracies(tuple(differences), meaningless)


def require_classes(
    names: tuple[str, str], sides: tuple[Artifact, Artifact], classes: Sequence[str]
) -> None:
    """InputError unless both sides find the classes of the recipe that they are scored by."""
    for name, side in zip(names, sides, strict=True):
        if side.manifest.task.classes != classes:
            what = f"finds the classes {', '.join(side.manifest.task.classes)[:200]}"
            raise InputError(name, f"{what}; the recipe's are others", "name the recipe of both")

"""What is to be compared, and on what: checked before a device is asked for anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeq.agent.errors import NO_RELEASE
from edgeq.agent.names import is_hash
from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError, Problems
from edgeq.evaluation.dataset import Dataset, evaluation_of
from edgeq.records.baseline import KeptBaseline
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.recipe import Compare, Recipe
from edgeq.spec.target import Target
from edgeq.stages.bench import images_to_run, recipe_of
from edgeq.verbs.baseline import Named, resolve


@dataclass(frozen=True)
class Question:
    """What is to be compared and on what, checked; no device was asked yet."""

    sides: tuple[Artifact | str, Artifact | str]
    names: tuple[str, str]
    target: Target
    recipe: Recipe | None
    recipe_name: str | None
    dataset: Dataset | None
    images: tuple[Image, ...]
    options: Compare


def asked(
    named: tuple[Named, Named],
    target: str | Target,
    recipe: str | Path | Recipe | None,
    options: Compare | None,
) -> Question:
    """The question that is put in these words. Raises InputError(s), all problems at once."""
    problems = Problems()
    kind = problems.attempt(lambda: target if isinstance(target, Target) else targets.load(target))
    read = problems.attempt(partial(recipe_of, recipe))
    # What the caller says itself counts; the rest is the recipe's.
    said = {name: getattr(options, name) for name in options.model_fields_set} if options else {}
    options = (read.compare if read else Compare()).model_copy(update=said)
    sides = [problems.attempt(partial(resolve, one)) for one in named]
    dataset = problems.attempt(partial(evaluation_of, read)) if read is not None else None
    chosen: tuple[Image, ...] | None = None
    if options.images is not None or read is not None:
        chosen = problems.attempt(partial(images_to_run, options.images, read, dataset))
    elif recipe is None:
        what = "there are no images to run on"
        problems.found.append(InputError("compare", what, "name --recipe, or --images"))
    problems.raise_all()
    a, b = sides
    assert kind is not None and chosen is not None and a is not None and b is not None
    return Question(
        sides=(a, b),
        names=(_name(named[0]), _name(named[1])),
        target=kind,
        recipe=read,
        recipe_name=None if recipe is None or isinstance(recipe, Recipe) else str(recipe),
        dataset=dataset,
        images=chosen,
        options=options,
    )


def _name(named: Named) -> str:
    if isinstance(named, KeptBaseline):
        return named.baseline.name
    return named.id[:12] if isinstance(named, Artifact) else str(named)


def opened(wanted: Question, device: Device) -> tuple[Artifact, Artifact]:
    """Both sides as artifacts; releases are fetched from the device. Raises DeviceError."""
    a, b = (
        side if isinstance(side, Artifact) else device.fetch(release_id(device, side))
        for side in wanted.sides
    )
    return a, b


def release_id(device: Device, name: str) -> str:
    """The id of a board's release; DeviceError (no-release) where there is none of that name."""
    found = device.status()
    if is_hash(name):
        if any(release.id == name for release in found.releases):
            return name
        what = f"release {name[:12]} of the baseline is neither here nor on the board"
        raise DeviceError(device.address, what, "deploy it again, and set it", kind=NO_RELEASE)
    digest = found.current if name == "current" else found.previous
    if digest is None or not is_hash(digest):
        remedy = "deploy first, or name an artifact"
        raise DeviceError(device.address, f"there is no {name} release", remedy, kind=NO_RELEASE)
    return digest

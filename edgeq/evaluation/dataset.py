"""The annotated images that a recipe names."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from edgeq.errors import InputError, Problems
from edgeq.evaluation import annotations as coco
from edgeq.evaluation import resolve
from edgeq.evaluation.annotations import Annotations
from edgeq.evaluation.orientation import oriented
from edgeq.evaluation.partners import partners
from edgeq.spec.images import Image, images_of
from edgeq.spec.recipe import Evaluate, Recipe, Task


@dataclass(frozen=True)
class Dataset:
    """The annotated images that the recipe names, checked: files by image id, class to category.

    `notes` are what a reader of its figures should know; a float model whose AP is below
    `float_ap_floor` is no reference.
    """

    annotations: Annotations
    files: dict[int, Image]
    categories: dict[int, int]
    notes: tuple[str, ...] = ()
    float_ap_floor: float = 0.05


def evaluation_of(recipe: Recipe) -> Dataset | None:
    """The images that a recipe evaluates on, None where it names none; InputError(s) as below."""
    return None if recipe.evaluate is None else annotated(recipe.evaluate, recipe.task)


def annotated(named: Evaluate, task: Task) -> Dataset:
    """The annotated images that a part of a recipe names; InputError(s) for what is wrong there."""
    loaded = coco.load(named.annotations)
    problems = Problems()
    found = problems.attempt(lambda: _images(loaded, named))
    # Only what is scored: later images may have crowds and categories of their own.
    scored = loaded if found is None else _within(loaded, found)
    matched = problems.attempt(lambda: partners(scored, task))
    crowds = problems.attempt(lambda: _crowds(scored))
    problems.raise_all()
    assert found is not None and matched is not None and crowds is not None
    notes = (*matched.notes, *crowds)
    return Dataset(loaded, found, matched.categories, notes, named.float_ap_floor)


def _within(loaded: Annotations, images: Container[int]) -> Annotations:
    instances = tuple(one for one in loaded.instances if one.image_id in images)
    return replace(loaded, instances=instances)


def _images(loaded: Annotations, named: Evaluate) -> dict[int, Image]:
    files = resolve.image_files(loaded, named.images)
    if named.count is not None:
        files = dict(list(files.items())[: named.count])
    images = dict(zip(files, images_of(list(files.values())), strict=True))
    return oriented(images, {image.id: image for image in loaded.images}, named.orientation)


def _crowds(loaded: Annotations) -> tuple[str, ...]:
    """What has to be said of crowds: they count for nothing, so that all of them are no labels."""
    crowds, count = sum(one.crowd for one in loaded.instances), len(loaded.instances)
    if count and crowds == count:
        what = f"all {count} instances are crowds, which no detection is scored against"
        raise InputError(loaded.where, what, "set iscrowd to 0 for single objects")
    if 2 * crowds >= count > 0:
        return (f"{crowds} of {count} instances are crowds, which are not scored",)
    return ()

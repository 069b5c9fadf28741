"""The annotated images that a recipe names."""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.errors import InputError
from edgeq.evaluation import annotations as coco
from edgeq.evaluation import resolve
from edgeq.evaluation.annotations import Annotations
from edgeq.spec.images import Image, images_of
from edgeq.spec.recipe import Evaluate, Recipe, Task


@dataclass(frozen=True)
class Dataset:
    """The annotated images that the recipe names, checked: files by image id, class to category."""

    annotations: Annotations
    files: dict[int, Image]
    categories: dict[int, int]


def evaluation_of(recipe: Recipe) -> Dataset | None:
    """The images that a recipe evaluates on, None where it names none; InputError(s) as below."""
    return None if recipe.evaluate is None else annotated(recipe.evaluate, recipe.task)


def annotated(named: Evaluate, task: Task) -> Dataset:
    """The annotated images that a part of a recipe names; InputError(s) for what is wrong there."""
    loaded = coco.load(named.annotations)
    files = resolve.image_files(loaded, named.images)
    if named.count is not None:
        files = dict(list(files.items())[: named.count])
    categories = task.categories or resolve.categories_by_name(loaded, task.classes)
    known = {category.id for category in loaded.categories}
    unknown = sorted(set(categories.values()) - known)
    if unknown:
        what = f"class is mapped to category {unknown[0]}, which the annotations do not have"
        raise InputError(loaded.where, what, f"they have {sorted(known)[:10]}")
    images = dict(zip(files, images_of(list(files.values())), strict=True))
    return Dataset(loaded, images, categories)

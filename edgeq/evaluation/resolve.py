"""What annotations name, found: the image files in a folder, the categories of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeq import reading
from edgeq.errors import InputError, raise_all
from edgeq.evaluation.annotations import Annotations

if TYPE_CHECKING:
    from collections.abc import Sequence


def image_files(annotations: Annotations, folder: Path) -> dict[int, Path]:
    """Image id to its file in `folder`, by `file_name` or, without its folders, by the last part.

    Raises InputError or InputErrors with the names that are missing.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "is no folder", "name the folder that holds the images")
    files, problems = {}, []
    for image in annotations.images:
        candidates = (folder / image.file_name, folder / Path(image.file_name).name)
        file = next(
            (candidate for candidate in candidates if not reading.why_no_file(candidate)), None
        )
        if file is None:
            what = f"'{image.file_name}' is missing, which {annotations.where} names"
            problems.append(InputError(str(folder), what, "add the image or drop its entry"))
        else:
            files[image.id] = file
    raise_all(problems)
    return files


def categories_by_name(annotations: Annotations, class_names: Sequence[str]) -> dict[int, int]:
    """Class index to the id of the category of the same name; InputError when none matches."""
    ids = {category.name.strip().lower(): category.id for category in annotations.categories}
    found = {index: ids.get(name.strip().lower()) for index, name in enumerate(class_names)}
    mapped = {index: category_id for index, category_id in found.items() if category_id is not None}
    if not mapped:
        names = ", ".join(category.name for category in annotations.categories[:5])
        what = f"no category ({names}) has the name of a class ({', '.join(class_names[:5])})"
        raise InputError(annotations.where, what, "map class indices to category ids in the recipe")
    return mapped

"""The image files that annotations name, found in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeq import reading
from edgeq.errors import InputError, listed, raise_all
from edgeq.evaluation.annotations import Annotations

if TYPE_CHECKING:
    from collections.abc import Mapping


def image_files(annotations: Annotations, folder: Path) -> dict[int, Path]:
    """Image id to its file in `folder`, by `file_name` or, without its folders, by the last part.

    Raises InputError or InputErrors with the names that are missing, and the files that several
    images would be read from: one image's masks are no other's.
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
    raise_all(problems + _shared(annotations, files))
    return files


def _shared(annotations: Annotations, files: Mapping[int, Path]) -> list[InputError]:
    names = {image.id: image.file_name for image in annotations.images}
    ids: dict[Path, list[int]] = {}
    for id_, file in files.items():
        ids.setdefault(file.resolve(), []).append(id_)
    remedy = "keep the folders that the names have, or give each image an entry of its own"
    return [
        InputError(
            str(file),
            f"is what {len(several)} images would be read from: "
            + listed([f"{names[id_]} (id {id_})" for id_ in several], 3),
            remedy,
        )
        for file, several in ids.items()
        if len(several) > 1
    ]

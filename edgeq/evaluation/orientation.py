"""Whether annotations were made on photographs as they are stored, or turned as EXIF says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeq.errors import InputError, Key, Problems, listed
from edgeq.spec.header import STORED_UPRIGHT

if TYPE_CHECKING:
    from edgeq.evaluation.annotations import AnnotatedImage
    from edgeq.spec.images import Image
    from edgeq.spec.recipe import Orientation

_NAMED = 3


def oriented(
    images: Mapping[int, Image], annotated: Mapping[int, AnnotatedImage], said: Orientation | None
) -> dict[int, Image]:
    """The images by id, each to be read as it was annotated.

    What the recipe says (`said`) is tested by the annotated sizes; without a word these decide,
    and where they cannot (flips, half turns, squares) it has to be said. InputErrors, one message
    for all images of a kind, in `evaluate`.
    """
    found: dict[int, Image] = {}
    wrong: list[str] = []
    silent: list[str] = []
    turned: list[str] = []
    for id_, image in images.items():
        size = annotated[id_].height, annotated[id_].width
        manner = _manner(image, size, said)
        if manner is None:
            wrong.append(f"{image.path.name} ({_sizes(image, size)})")
        elif manner == "unknown":
            silent.append(image.path.name)
        elif manner == "stored" and image.path.suffix.lower() in (".tif", ".tiff"):
            turned.append(image.path.name)
        found[id_] = replace(image, stored=manner == "stored")
    problems = Problems()
    read = f", read as 'orientation: {said}' says" if said else ""
    what = f"not of the annotated size{read}"
    remedy = "annotate these very files, or name the folder that was annotated"
    problems.found += _problem(wrong, Key("evaluate", "annotations"), what, remedy)
    key = Key("evaluate", "orientation")
    what = "turned by EXIF, and the size does not tell whether annotations are, too"
    remedy = "set evaluate.orientation: 'exif' if annotated upright, 'stored' if not"
    problems.found += _problem(silent, key, what, remedy)
    what = "annotated as stored, but TIFF, which OpenCV always turns"
    remedy = "write them without the orientation, or as PNG"
    problems.found += _problem(turned, key, what, remedy)
    problems.raise_all()
    return found


def _problem(names: list[str], where: Key, what: str, remedy: str) -> list[InputError]:
    if not names:
        return []
    many = f"{len(names)} images are" if len(names) > 1 else "1 image is"
    return [InputError(where, f"{many} {what}: {listed(names, _NAMED)}", remedy)]


def _manner(image: Image, size: tuple[int, int], said: Orientation | None) -> str | None:
    """`exif`, `stored`, `unknown`, or None where no way of reading it gives that size."""
    header = image.header
    if header is None:
        return "exif"  # of a format that is not read here: predicting tells
    ways = {"exif": header.upright, "stored": (header.height, header.width)}
    fitting = [way for way in ways if ways[way] == size and said in (None, way)]
    if header.orientation == STORED_UPRIGHT:
        return "exif" if fitting else None
    if not fitting:
        return None
    return fitting[0] if len(fitting) == 1 else "unknown"


def _sizes(image: Image, size: tuple[int, int]) -> str:
    header = image.header
    assert header is not None
    turn = f", EXIF {header.orientation}" if header.orientation != STORED_UPRIGHT else ""
    return f"{header.width}x{header.height}{turn}, annotated as {size[1]}x{size[0]}"

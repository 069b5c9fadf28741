"""The annotated images: a COCO JSON file read once, checked, every mask in one form."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from edgeq import reading
from edgeq.errors import InputError, raise_all
from edgeq.evaluation.segmentation import extent, run_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edgeq.records.accuracy import RunLength

_LONGEST_SIDE = 2**16
"""In pixels, as far as JPEG goes."""
LARGEST = 2**30
"""All of COCO's training set has half of it."""


class _CocoEntry(BaseModel):
    """Base of the file's entries: frozen, keys that nobody here reads are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AnnotatedImage(_CocoEntry):
    """One image; `height` and `width` in pixels."""

    id: int
    file_name: str
    height: Annotated[int, Field(gt=0, lt=_LONGEST_SIDE)]
    width: Annotated[int, Field(gt=0, lt=_LONGEST_SIDE)]


class Category(_CocoEntry):
    """One category of the annotations, not to be confused with a class of the model."""

    id: int
    name: str


@dataclass(frozen=True)
class Instance:
    """One annotated object; a crowd is a region that detections may match without counting.

    `box` is (x, y, width, height) in pixels, `area` in square pixels.
    """

    image_id: int
    category_id: int
    mask: RunLength
    box: tuple[float, float, float, float]
    area: float
    crowd: bool = False


@dataclass(frozen=True)
class Annotations:
    """What the images hold; `where` names the source in messages, `sha256` is that of the file."""

    where: str
    images: tuple[AnnotatedImage, ...]
    categories: tuple[Category, ...]
    instances: tuple[Instance, ...]
    sha256: str = ""


class _Annotation(_CocoEntry):
    image_id: int
    category_id: int
    segmentation: Any = None
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    area: Annotated[FiniteFloat, Field(ge=0)] | None = None
    # some exporters write null, and 0 or 1 where JSON has booleans
    iscrowd: Annotated[bool, BeforeValidator(lambda value: value or False)] = False


class _File(_CocoEntry):
    images: Annotated[list[AnnotatedImage], Field(min_length=1)]
    categories: Annotated[list[Category], Field(min_length=1)]
    annotations: list[_Annotation]


def load(path: Path) -> Annotations:
    """The annotations of a COCO JSON file (https://cocodataset.org/#format-data).

    Raises InputError(s) with all that is wrong.
    """
    where = str(path)
    content = reading.content(path, LARGEST)
    text = reading.unmarked(content, where)
    try:
        file = _File.model_validate_json(text)
    except ValidationError as exc:
        raise_all([_problem(path, text, error) for error in exc.errors()], exc)
        raise
    instances, problems = _instances(where, file)
    problems += _repeated(where, "image", [image.id for image in file.images])
    problems += _repeated(where, "category", [category.id for category in file.categories])
    raise_all(problems)
    return Annotations(
        where,
        tuple(file.images),
        tuple(file.categories),
        tuple(instances),
        hashlib.sha256(content).hexdigest(),
    )


def _instances(where: str, file: _File) -> tuple[list[Instance], list[InputError]]:
    images = {image.id: image for image in file.images}
    categories = {category.id for category in file.categories}
    instances, problems = [], []
    for index, entry in enumerate(file.annotations):
        entry_where = f"{where}: annotations[{index}]"
        image = images.get(entry.image_id)
        if entry.category_id not in categories:
            what = f"category {entry.category_id} is not among the categories"
            problems.append(InputError(entry_where, what, "add the category"))
        if image is None:
            what = f"image {entry.image_id} is not among the images"
            problems.append(InputError(entry_where, what, "add the image or drop the annotation"))
            continue
        try:
            mask = run_length(entry.segmentation, image.height, image.width, entry_where)
        except InputError as exc:
            problems.append(exc)
        else:
            instances.append(_instance(entry, mask))
    return instances, problems


def _instance(entry: _Annotation, mask: RunLength) -> Instance:
    area, box = entry.area, entry.bbox
    if area is None or box is None:
        mask_area, mask_box = extent(mask)
        area = mask_area if area is None else area
        box = mask_box if box is None else box
    return Instance(entry.image_id, entry.category_id, mask, box, area, entry.iscrowd)


def _repeated(where: str, noun: str, ids: Iterable[int]) -> list[InputError]:
    twice = sorted(value for value, count in Counter(ids).items() if count > 1)
    return [
        InputError(where, f"{noun} id {value} is given more than once", "make the ids unique")
        for value in twice
    ]


def _problem(path: Path, text: bytes, error: Mapping[str, Any]) -> InputError:
    """One of pydantic's errors with its place in the file."""
    if error["type"] == "json_invalid":
        return _syntax_problem(path, text, error["msg"])
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    where = f"{path}: {place.lstrip('.')}" if place else str(path)
    if error["type"] == "missing":
        return InputError(where, "is missing", "COCO's instances format has it")
    if error["type"] == "too_short":
        return InputError(where, "is empty", "COCO's instances format has at least one")
    return InputError(where, f"{error['msg'].lower()}, not {error['input']!r:.60}", "correct it")


def _syntax_problem(path: Path, text: bytes, message: str) -> InputError:
    line, column, what = 1, 1, message
    try:
        json.loads(text)
    except json.JSONDecodeError as exc:
        line, column, what = exc.lineno, exc.colno, exc.msg
    except UnicodeDecodeError as exc:
        what = f"byte {exc.start} is not UTF-8"
    except RecursionError:
        what = "it is nested too deep"
    return InputError(f"{path}:{line}:{column}", f"is not JSON ({what})", "export it as COCO JSON")

"""What an exporter wrote into the file, held against the recipe.

Ultralytics writes names, task, imgsz, stride, end2end and its arguments, each as Python writes it.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from edgeq.errors import InputError, Key, Problems, listed
from edgeq.graph.model import Model
from edgeq.spec.recipe import Recipe
from edgeq.stages.outputs import decoder_of

_LONGEST = 1 << 20
"""Characters of a value; the names of ten thousand classes are a quarter of it."""
_NAMED = 3
_OTHER_TASKS = ("detect", "classify", "pose", "obb")
"""Ultralytics' words; other exporters may write there what they like."""


@dataclass(frozen=True)
class Exported:
    """What the file says of itself; None where it says nothing, or nothing that can be read."""

    names: tuple[str, ...] | None = None
    task: str | None = None
    size: tuple[int, int] | None = None
    """height and width that it was exported for"""
    stride: int | None = None
    selects: bool | None = None
    """whether it chooses its detections itself: end2end, or with NMS inside"""


def exported(metadata: Mapping[str, str]) -> Exported:
    """What can be read of a file's metadata; nothing in it raises."""
    names, size = _value(metadata.get("names")), _value(metadata.get("imgsz"))
    stride, arguments = _value(metadata.get("stride")), _value(metadata.get("args"))
    nms = isinstance(arguments, dict) and arguments.get("nms") is True
    end2end = _value(metadata.get("end2end"))
    return Exported(
        names=_names(names),
        task=metadata.get("task"),
        size=_size(size),
        stride=stride if isinstance(stride, int) and stride > 0 else None,
        selects=end2end or nms if isinstance(end2end, bool) else (nms or None),
    )


def check_exported(model: Model, recipe: Recipe) -> list[str]:
    """Notes on what differs; InputError(s) where recipe and file cannot both be right."""
    said, problems = exported(model.metadata), Problems()
    for check in (_task, _classes, _stride, _selection):
        problems.attempt(partial(check, said, recipe))
    problems.raise_all()
    notes = list(_renamed(said, recipe))
    if said.size is not None and said.size != tuple(recipe.preprocess.size):
        ours, theirs = (f"{h}x{w}" for h, w in (recipe.preprocess.size, said.size))
        notes.append(f"the file was exported for {theirs}, and 'preprocess: size' says {ours}")
    return notes


def _task(said: Exported, recipe: Recipe) -> None:
    if said.task in _OTHER_TASKS:
        what = f"the file is for task '{said.task}'; decoder {recipe.task.decoder} is for segment"
        raise InputError(Key("task", "decoder"), what, "export a segmentation model (-seg)")


def _classes(said: Exported, recipe: Recipe) -> None:
    """The number of classes, and their order."""
    ours, theirs = recipe.task.classes, said.names
    if theirs is None:
        return
    key, remedy = Key("task", "classes"), "write the file's names, in its order"
    if len(ours) != len(theirs):
        what = f"name {_counted(ours)}, and the file {_counted(theirs)}"
        raise InputError(key, what, remedy)
    places = {_plain(name): index for index, name in enumerate(theirs)}
    moved = [
        f"class {index} is '{name}', which is {places[_plain(name)]} in the file"
        for index, name in enumerate(ours)
        if _plain(name) != _plain(theirs[index]) and _plain(name) in places
    ]
    if moved:
        raise InputError(key, listed(moved, _NAMED), remedy)


def _renamed(said: Exported, recipe: Recipe) -> Iterator[str]:
    """Names that the file does not have at all: another language, or another model."""
    pairs = zip(recipe.task.classes, said.names or recipe.task.classes, strict=True)
    other = [f"'{ours}' for '{theirs}'" for ours, theirs in pairs if _plain(ours) != _plain(theirs)]
    if other:
        yield f"the recipe has other class names than the file: {listed(other, _NAMED)}"


def _stride(said: Exported, recipe: Recipe) -> None:
    if said.stride and any(side % said.stride for side in recipe.preprocess.size):
        height, width = recipe.preprocess.size
        what = f"{height}x{width} is no multiple of {said.stride}, the stride that the file states"
        nearest = [max(1, round(side / said.stride)) * said.stride for side in (height, width)]
        raise InputError(Key("preprocess", "size"), what, f"such as {nearest[0]}x{nearest[1]}")


def _selection(said: Exported, recipe: Recipe) -> None:
    """A head that chooses by itself, and a decoder that would choose among all candidates."""
    if said.selects and not decoder_of(recipe).selected:
        what = "the file says that it chooses its detections itself (end2end or nms)"
        raise InputError(Key("task", "decoder"), what, "write 'decoder: end2end-seg'")


def _counted(names: tuple[str, ...]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} ({', '.join(names[:_NAMED])}{more})"


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _value(text: str | None) -> object:
    """A Python literal; None for anything else."""
    if text is None or len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a parser's advice on text that is not ours
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _names(value: object) -> tuple[str, ...] | None:
    if isinstance(value, dict) and set(value) == set(range(len(value))):
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list) or not value or not all(isinstance(n, str) for n in value):
        return None
    return tuple(value)


def _size(value: object) -> tuple[int, int] | None:
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        return None
    height, width = sides
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None

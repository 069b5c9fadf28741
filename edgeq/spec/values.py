"""What a single value of a recipe may be: sizes, paths, shorthands; checked where it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from edgeq import reading
from edgeq.errors import InputError, Invalid

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20}
_UNITS["gib"] = 2**30
LARGEST_TEXT = 2**20
"""Of a file of class names, or of a map of classes."""
_TIME = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(s|min|m|h)\s*$"
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}
_PERCENT = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*$"
_SIZE = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$"
_RATE = r"^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*(/\s*s)?\s*$"


class Part(BaseModel):
    """Base of the recipe's parts: frozen, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


@dataclass(frozen=True, eq=False)
class Or:
    """A shorthand that a validator understands, for the JSON Schema."""

    shorthand: dict[str, object]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), self.shorthand]}


@dataclass(frozen=True, eq=False)
class OneOf:
    """A name from a registry, which is asked when a value is checked: it may hold what is heavy."""

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"enum": list(self.names()), "type": "string"}

    def _check(self, value: object) -> object:
        names = list(self.names())
        if value not in names:
            expected = ", ".join(f"'{name}'" for name in names)
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_SIZE, value)
    if not match or match[2].lower() not in _UNITS:
        raise Invalid(f"'{value}' is no size", "write a number of bytes, or '4 MiB', '300 MB'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_RATE, value)
    if not match or match[2].lower() not in _UNITS:
        raise Invalid(f"'{value}' is no rate", "write bytes a second, or '500 kB/s', '2 MB/s'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_TIME, value)
    if not match:
        raise Invalid(f"'{value}' is no time", "write a number of seconds, or '20 min', '2 h'")
    return float(match[1]) * _SECONDS[match[2]]


def _fraction(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_PERCENT, value)
    if not match:
        raise Invalid(f"'{value}' is no percentage", "write 2% or .02")
    return float(match[1]) / 100


def existing(value: object, info: ValidationInfo) -> Path:
    """The path relative to the recipe's folder; it has to exist."""
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        path = folder / Path(value).expanduser()
        if not path.exists():
            raise Invalid(f"'{value}' does not exist", _neighbour(path))
    except (OSError, RuntimeError) as exc:  # not ours to read, too long, or an unknown ~user
        raise Invalid(f"'{value}' cannot be read: {exc}", "check the path") from exc
    return path


def file_path(value: object, info: ValidationInfo) -> Path:
    """A path as `existing`, of a file."""
    path = existing(value, info)
    if path.is_dir():
        raise Invalid(f"'{value}' is a folder", "name a file")
    if not path.is_file():
        raise Invalid(f"'{value}' is no regular file", "name a file")
    return path


def folder_path(value: object, info: ValidationInfo) -> Path:
    """A path as `existing`, of a folder."""
    path = existing(value, info)
    if not path.is_dir():
        raise Invalid(f"'{value}' is no folder", "name the folder of the images")
    return path


def text_of(value: object, info: ValidationInfo) -> str:
    """The content of a text file."""
    try:
        return reading.text(file_path(value, info), LARGEST_TEXT, "name a text file")
    except InputError as exc:
        raise Invalid(f"'{value}' {exc.what}", exc.remedy) from exc


def _as_text(
    check: Callable[[object, ValidationInfo], Path],
) -> Callable[[object, ValidationInfo], object]:
    # A Path stands there when a recipe is made in Python; strict validation wants one or the other.
    return lambda value, info: str(check(str(value) if isinstance(value, Path) else value, info))


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [entry.name for entry in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"nothing like it in {path.parent}"


BytesPerSecond = Annotated[
    int, BeforeValidator(_rate), Field(gt=0), Or({"type": "string", "pattern": _RATE})
]
Bytes = Annotated[
    int, BeforeValidator(_bytes), Field(gt=0), Or({"type": "string", "pattern": _SIZE})
]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(gt=0, le=86_400),
    Or({"type": "string", "pattern": _TIME}),
]
Percent = Annotated[
    float,
    BeforeValidator(_fraction),
    Field(gt=0, lt=1),
    Or({"type": "string", "pattern": _PERCENT}),
]
"""A part of a whole, as .02 or 2%."""
FilePath = Annotated[Path, BeforeValidator(_as_text(file_path))]
FolderPath = Annotated[Path, BeforeValidator(_as_text(folder_path))]
ImagePath = Annotated[
    Path,
    BeforeValidator(_as_text(existing)),
    Field(description="a folder of images, or a text file that lists one path a line"),
]
AS_TUPLE = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""YAML's list as our tuple; what a validator has touched no longer counts as JSON."""
FILE_NAME = Or({"type": "string", "description": "a file's name"})
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]

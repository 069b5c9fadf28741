"""What a device says, held to limits and made the type that it has to be: the one place for it.

A line of JSON has a size, a depth, and no number that another reader would not take; an answer is a
record whose fields have limits of their own (records/limits.py). Files of arrays: `arrays`.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgeq.agent.errors import GARBLED
from edgeq.errors import DeviceError

P = TypeVar("P", bound=BaseModel)

LONGEST_LINE = 64 << 20
"""Bytes of one line; the agent lets no job say more."""
_MOST_MARKS = 2_000_000
"""Lists, objects and ends of texts in a line: what takes far more memory than it has bytes."""
_MOST_VALUES = 10_000_000
"""Values in a line: an hour of samples has fewer."""
_DEEPEST = 40
_LARGEST = 2**53
_REMEDY = "see whether that is the device you mean, and of this edgeq"


def garbled(where: str, what: str) -> DeviceError:
    """The error for what no agent says."""
    return DeviceError(where, what, _REMEDY, GARBLED)


def parsed_frame(line: bytes) -> dict[str, Any]:
    """The frame in a line. Raises ValueError with what is wrong with it."""
    # The marks may stand in texts, where they cost nothing, but nobody says as many of them.
    if sum(line.count(mark) for mark in (b"[", b"{", b'"')) > _MOST_MARKS:
        raise ValueError(f"a line of {len(line)} bytes has more than {_MOST_MARKS} lists and texts")
    if line.count(b",") > _MOST_VALUES:
        raise ValueError(f"a line of {len(line)} bytes has more than {_MOST_VALUES} values")
    try:
        frame = json.loads(line)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    except ValueError:
        raise ValueError(f"{line.decode(errors='replace').strip()[:80]!r} is no JSON") from None
    if not isinstance(frame, dict):
        raise ValueError(f"{line.decode(errors='replace').strip()[:80]!r} is no object")
    for name, value in frame.items():
        _check(value, name[:60])
    return frame


def parsed_answer(kind: type[P], fields: dict[str, Any], where: str) -> P:
    """An answer as the type that it has to be; DeviceError (garbled) names the field."""
    try:
        return kind.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))[:200]
        message = first["msg"].removeprefix("Value error, ")
        what = f"its answer is not what it should be: {kind.__name__}.{field}: {message}"
        raise garbled(where, what) from exc


def _check(value: object, name: str) -> None:
    """ValueError for numbers and texts that not every reader takes, and for depth."""
    # Only lists and objects are put off: of the rest there may be millions.
    left: list[tuple[list[Any] | dict[str, Any], int]] = [([value], 0)]
    while left:
        one, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError(f"'{name}' is nested more than {_DEEPEST} deep")
        if isinstance(one, dict):
            for key in one:
                _check_text(key, name)
        for item in one.values() if isinstance(one, dict) else one:
            if isinstance(item, list | dict):
                left.append((item, depth + 1))
            elif isinstance(item, str):
                _check_text(item, name)
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError(f"'{name}' holds {item}, which is no number")
            elif isinstance(item, int) and not -_LARGEST < item < _LARGEST:
                raise ValueError(f"'{name}' holds a number that is too large")


def _check_text(text: str, name: str) -> None:
    # Half a character, which JSON can spell, can be neither kept nor printed.
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"'{name}' holds text that is none")

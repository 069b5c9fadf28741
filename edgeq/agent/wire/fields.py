"""Typed reading of a JSON object that notes every problem instead of stopping at the first."""

from __future__ import annotations

import json
import sys
from typing import Any, Mapping, Sequence

_REQUIRED: Any = object()


class Fields:
    """The fields of one JSON object; whatever is wrong is appended to `problems`, with its path.

    A getter returns the default (or a neutral value where there is none) after noting a problem,
    so that one pass finds them all; the caller raises before it uses any value.
    """

    def __init__(self, document: object, problems: list[str], path: str = "") -> None:
        self.problems = problems
        self.path = path
        self._document: Mapping[str, Any] = {}
        if isinstance(document, dict):
            self._document = document
        else:
            problems.append(f"{path or 'the document'} must be an object, not {_brief(document)}")

    def __contains__(self, name: str) -> bool:
        return name in self._document

    def names(self) -> list[str]:
        """The names of all fields, in the order of the file."""
        return list(self._document)

    def note(self, name: str, what: str) -> None:
        """Add a problem of the field `name`."""
        self.problems.append(f"{self._full(name)} {what}")

    def section(self, name: str) -> Fields:
        """The object under `name`; an absent one notes the problem and reads as empty."""
        if name not in self._document:
            self.note(name, "is missing")
            return Fields({}, [], self._full(name))
        return Fields(self._document[name], self.problems, self._full(name))

    def mapping(self, name: str) -> dict[str, Any]:
        """The object under `name` as it stands."""
        return dict(self._value(name, _REQUIRED, dict, "an object", {}))

    def sections(self, name: str) -> list[Fields]:
        """The list of objects under `name`, at least one."""
        value = self._value(name, _REQUIRED, list, "a list", [])
        return [Fields(v, self.problems, f"{self._full(name)}[{i}]") for i, v in enumerate(value)]

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        """A string that is not empty."""
        value = self._value(name, default, str, "a string", "")
        if value == "" and name in self._document and isinstance(self._document[name], str):
            self.note(name, "is empty")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, at least one."""
        value = self._value(name, _REQUIRED, list, "a list of strings", [])
        if any(not isinstance(item, str) for item in value):
            self.note(name, "must be a list of strings")
            return ()
        if not value and name in self._document:
            self.note(name, "is empty")
        return tuple(value)

    def choice(self, name: str, options: Sequence[str], default: Any = _REQUIRED) -> str:
        """One of `options`."""
        value = self.text(name, default)
        if value not in options and isinstance(self._document.get(name), str):
            self.note(name, f"is '{value}'; it must be one of: {', '.join(options)}")
        return value

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        return bool(self._value(name, default, bool, "true or false", False))

    def integer(self, name: str, minimum: int, default: Any = _REQUIRED) -> int:
        """A whole number, at least `minimum`."""
        value = self._value(name, default, int, "a whole number", minimum)
        if value < minimum:
            self.note(name, f"is {value}; it must be at least {minimum}")
        return int(value)

    def integers(self, name: str, minimum: int, default: Any = _REQUIRED) -> tuple[int, ...]:
        """A list of whole numbers, each at least `minimum`; possibly empty."""
        value = self._value(name, default, list, "a list of whole numbers", [])
        if not all(_is(item, int) and item >= minimum for item in value):
            self.note(name, f"must be a list of whole numbers, each at least {minimum}")
            return ()
        return tuple(value)

    def number(self, name: str, minimum: float, maximum: float, default: Any = _REQUIRED) -> float:
        """A finite number from `minimum` to `maximum`, both included."""
        value = self._value(name, default, (int, float), "a number", minimum)
        if not minimum <= value <= maximum:
            self.note(name, f"is {_brief(value)}; it must lie from {minimum:g} to {maximum:g}")
            return minimum
        return float(value)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Exactly `count` finite numbers."""
        value = self._value(name, _REQUIRED, list, f"a list of {count} numbers", [0.0] * count)
        good = len(value) == count and all(_is(item, (int, float)) for item in value)
        # A whole number may be beyond every float.
        if not good or not all(abs(item) <= sys.float_info.max for item in value):
            self.note(name, f"must be a list of {count} numbers, not {_brief(value)}")
            return (0.0,) * count
        return tuple(float(item) for item in value)

    def _full(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _value(self, name: str, default: Any, kind: Any, described: str, neutral: Any) -> Any:
        if name not in self._document:
            if default is _REQUIRED:
                self.note(name, "is missing")
                return neutral
            return default
        value = self._document[name]
        if not _is(value, kind):
            self.note(name, f"must be {described}, not {_brief(value)}")
            return neutral
        return value


def _is(value: object, kind: Any) -> bool:
    # JSON's true is an int to Python, but never a number to a person.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."

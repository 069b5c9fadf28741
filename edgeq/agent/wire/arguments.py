"""The fields of a request, with the types that only the store has."""

from __future__ import annotations

from typing import Any

from ..errors import BAD_REQUEST, raise_problems
from ..names import is_hash, is_plain_name
from .fields import Fields


class Arguments(Fields):
    """The fields of one request; `check` raises bad-request with everything that is wrong."""

    def __init__(self, op: str, document: dict[str, Any]) -> None:
        super().__init__(document, [])
        self.document = document
        self.op = op

    def check(self) -> None:
        """Raise AgentError (bad-request) when a field was not what it must be."""
        raise_problems(BAD_REQUEST, self.op, self.problems, "host and agent must be of one edgeq")

    def hash(self, name: str) -> str:
        """A sha256 in hexadecimal digits."""
        value = self.text(name)
        if value and not is_hash(value):
            self.note(name, "is not 64 hexadecimal digits")
        return value

    def hashes(self, name: str) -> list[str]:
        """A list of sha256, possibly empty."""
        values = self._list(name)
        if not all(isinstance(value, str) and is_hash(value) for value in values):
            self.note(name, "must be a list of sha256")
        return values

    def strings(self, name: str) -> list[str]:
        """A list of strings, possibly empty; an absent one is empty."""
        values = self._list(name) if name in self else []
        if not all(isinstance(value, str) for value in values):
            self.note(name, "must be a list of strings")
        return values

    def plain_name(self, name: str) -> str:
        """A name that stays in the folder it is put into."""
        value = self.text(name)
        if value and not is_plain_name(value):
            self.note(name, f"is {value[:60]!r}, which is no plain name")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or None for null or nothing."""
        value = self.document.get(name)
        if value is not None and not isinstance(value, str):
            self.note(name, "must be a string or null")
        return value if isinstance(value, str) else None

    def optional_integer(self, name: str) -> int | None:
        """A count, or None for null or nothing."""
        return None if self.document.get(name) is None else self.integer(name, 0)

    def _list(self, name: str) -> list[Any]:
        value = self._value(name, None, list, "a list", [])
        if value is None:
            self.note(name, "is missing")
        return value or []

"""Label expressions: which devices of a fleet are meant, as in `site=barn7 and not gpu`.

    expression = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation = "not" negation | "(" expression ")" | test
    test = "all" | NAME | NAME ("=" | "!=") VALUE | NAME [ "not" ] "in" "(" VALUE { "," VALUE } ")"

NAME and VALUE are words of letters, digits and `_ . : / @ + -`; a VALUE in quotes may be any text
without that quote. `not` binds closer than `and`, `and` closer than `or`, as in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from edgeq.errors import Invalid

KEYWORDS = ("all", "and", "in", "not", "or")
NAME = re.compile(r"[\w.:/@+-]+")
"""What a name may be made of, unless it is one of the keywords."""
_TOKEN = re.compile(
    r"\s*(?:(?P<word>[\w.:/@+-]+)|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<mark>!=|[=(),]))"
)
_LARGEST = 16_384
_DEEPEST = 100


@dataclass(frozen=True)
class Everything:
    """Every device."""


@dataclass(frozen=True)
class Named:
    """Devices of a group of that name, or with a label of that name, whatever its value."""

    name: str


@dataclass(frozen=True)
class Among:
    """Devices whose label has one of these values."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    """Everything others."""

    part: Expression


@dataclass(frozen=True)
class AllOf:
    """What is in all of them."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class AnyOf:
    """What is in any of them."""

    parts: tuple[Expression, ...]


Expression = Everything | Named | Among | Not | AllOf | AnyOf


def parse(text: str) -> Expression:
    """The expression that a text says. Raises Invalid with the character that is at fault."""
    if len(text) > _LARGEST:
        raise Invalid(f"is {len(text)} characters long", f"{_LARGEST} are read at most")
    return _Parser(text).whole()


def holds(expression: Expression, labels: Mapping[str, str], groups: AbstractSet[str]) -> bool:
    """Whether a device with these labels, in these groups, is meant."""
    match expression:
        case Everything():
            return True
        case Named(name):
            return name in groups or name in labels
        case Among(label, values):
            return labels.get(label) in values
        case Not(part):
            return not holds(part, labels, groups)
        case AllOf(parts):
            return all(holds(part, labels, groups) for part in parts)
        case AnyOf(parts):
            return any(holds(part, labels, groups) for part in parts)


def printed(expression: Expression) -> str:
    """The text that `parse` makes this expression of, with no more parentheses than it needs."""
    match expression:
        case Everything():
            return "all"
        case Named(name):
            return name
        case Among(label, (value,)):
            return f"{label}={_written(value)}"
        case Among(label, values):
            return f"{label} in ({', '.join(map(_written, values))})"
        case Not(Among(label, (value,))):
            return f"{label}!={_written(value)}"
        case Not(Among(label, values)):
            return f"{label} not in ({', '.join(map(_written, values))})"
        case Not(part):
            return f"not {_within(part, AllOf | AnyOf)}"
        case AllOf(parts):
            return " and ".join(_within(part, AllOf | AnyOf) for part in parts)
        case AnyOf(parts):
            return " or ".join(_within(part, AnyOf) for part in parts)


def names(expression: Expression) -> Iterator[Named | Among]:
    """Every test in it, from left to right."""
    match expression:
        case Named() | Among():
            yield expression
        case Not(part):
            yield from names(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from names(part)


def _within(part: Expression, looser: object) -> str:
    return f"({printed(part)})" if isinstance(part, looser) else printed(part)  # type: ignore[arg-type]


def _written(value: str) -> str:
    if NAME.fullmatch(value) and value not in KEYWORDS:
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"


@dataclass(frozen=True)
class _Token:
    kind: str
    """word, value (a text in quotes), a keyword, a mark, or nothing at the end"""
    text: str
    at: int


_Rule = Callable[[], Expression]


class _Parser:
    """Reads the tokens of an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._or()
        if self._token.kind:
            raise self._wrong("'and', 'or' or the end")
        return found

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *kinds: str) -> _Token | None:
        token = self._token
        if token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _need(self, wanted: str, *kinds: str) -> _Token:
        token = self._take(*kinds)
        if token is None:
            raise self._wrong(wanted)
        return token

    def _wrong(self, wanted: str) -> Invalid:
        token = self._token
        found = f"'{token.text}' at character {token.at}" if token.kind else "it ends"
        return Invalid(f"is no label expression: {found}, where {wanted} should be", _EXAMPLE)

    def _chain(
        self, word: str, part: Callable[[], Expression], join: type[AllOf | AnyOf]
    ) -> Expression:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _or(self) -> Expression:
        return self._chain("or", self._and, AnyOf)

    def _and(self) -> Expression:
        return self._chain("and", self._not, AllOf)

    def _not(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Invalid("is nested too deep", "name a part of it as a group")
        try:
            if self._take("not"):
                return Not(self._not())
            if self._take("("):
                found = self._or()
                self._need("')'", ")")
                return found
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Expression:
        if self._take("all"):
            return Everything()
        name = self._need("a label, a group, 'not' or '('", "word").text
        if self._take("="):
            return Among(name, (self._value(),))
        if self._take("!="):
            return Not(Among(name, (self._value(),)))
        if self._take("not"):
            self._need("'in'", "in")
            return Not(Among(name, self._values()))
        return Among(name, self._values()) if self._take("in") else Named(name)

    def _values(self) -> tuple[str, ...]:
        self._need("'('", "(")
        found = [self._value()]
        while self._take(","):
            found.append(self._value())
        self._need("',' or ')'", ")")
        return tuple(found)

    def _value(self) -> str:
        return self._need("a value", "word", "value").text


_EXAMPLE = "write such as: site=barn7 and not gpu"


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            quotes = text[at] in "'\""
            what = "has no second quote" if quotes else "is part of no word"
            remedy = "add it" if quotes else "write a value with such characters in quotes"
            raise Invalid(f"{text[at]} at character {at + 1} {what}", remedy)
        kind, inner = str(found.lastgroup), found[str(found.lastgroup)]
        start = found.start(kind) + 1
        if kind == "quoted":
            yield _Token("value", inner[1:-1], start)
        else:
            yield _Token(inner if kind == "mark" or inner in KEYWORDS else "word", inner, start)
        at = found.end()
    yield _Token("", "", end + 1)

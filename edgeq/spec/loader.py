"""YAML 1.1 without its surprises, looked over before anything is made of it.

What a person writes and what YAML makes of it differ in places that nobody expects: here keys are
text, dates stay text, 1e-3 is a number, and numbers that mean something else than they look like
are refused. Aliases count for what they stand for, so that few of them cannot stand for millions.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgeq.errors import InputError

Location = tuple[str, ...]

_TAG = "tag:yaml.org,2002:"
# Dates stay text; '=' is a type of YAML 1.1 that nothing can be made of.
_UNWANTED = (f"{_TAG}timestamp", f"{_TAG}value")
_MERGE = f"{_TAG}merge"
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without YAML 1.1's surprises: dates stay text, 1e-3 is a number."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; a ConstructorError with its line for what its tag does not allow."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as exc:
            # PyYAML checks a scalar only where it had no explicit tag.
            what = f"{_brief(node.value)} is no value of {node.tag.replace(_TAG, '!!')}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from exc

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """What was written."""
        return str(node.value)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
# '<<' merges as a key; as a value it is text.
Loader.add_constructor(_MERGE, Loader.construct_text)


def composed_fast(text: str) -> yaml.Node | None:
    """What libyaml reads in a text; None without libyaml, or where PyYAML has to say what is wrong.

    The two word their complaints differently, and those of PyYAML are known (traps.py).
    """
    if not yaml.__with_libyaml__:
        return None
    loader = _fast_loader()(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    except yaml.YAMLError:
        return None


@functools.cache
def _fast_loader() -> Any:
    resolvers = {"yaml_implicit_resolvers": Loader.yaml_implicit_resolvers}
    return type("_FastLoader", (yaml.CSafeLoader,), resolvers)


@dataclass(frozen=True)
class Scalar:
    """A scalar as it stands in the file, and whether without quotes."""

    text: str
    plain: bool


@dataclass
class Survey:
    """A look over all nodes of a file: where each is, how it was written, and what is wrong."""

    path: Path
    lines: dict[Location, int] = field(default_factory=lambda: {(): 1})
    written: dict[Location, Scalar] = field(default_factory=dict)
    problems: list[InputError] = field(default_factory=list)
    characters: int = 0
    most_characters: int = 2**20
    """that all may stand for, each alias counted as what it is one of"""

    def look(self, node: yaml.Node, at: Location = ()) -> None:
        """Note a node and all below it. Keys become text. InputError where aliases explode."""
        self._count(node)
        if isinstance(node, yaml.MappingNode):
            self._look_at_mapping(node, at)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[(*at, str(index))] = item.start_mark.line + 1
                self.look(item, (*at, str(index)))
        elif isinstance(node, yaml.ScalarNode):
            self.written[at] = Scalar(node.value, plain=not node.style)
            self._check_text(node)
            self._check_number(node)

    def _look_at_mapping(self, node: yaml.MappingNode, at: Location) -> None:
        seen: dict[str, int] = {}
        pairs = []
        # What is written here counts more than what is merged, so its line is noted later.
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, "a list or a mapping stands where a key should be", "write a text")
                continue
            merges, name = key.tag == _MERGE, key.value
            if name in seen:
                remedy = "merge several so: '<<: [*one, *other]'" if merges else "keep one"
                self._note(key, f"'{name}' is given twice, first on line {seen[name]}", remedy)
            seen[name] = key.start_mark.line + 1
            if merges:
                self._look_at_merged(key, value, at)
                pairs.append((key, value))
                continue
            self._check_text(key)
            self.lines[(*at, name)] = seen[name]
            self.look(value, (*at, name))
            # Whatever YAML sees in it: 'no', '010' and '1:30' are the names that were written.
            marks = (key.start_mark, key.end_mark)
            pairs.append((yaml.ScalarNode(f"{_TAG}str", name, *marks, key.style), value))
        node.value = pairs

    def _look_at_merged(self, key: yaml.ScalarNode, value: yaml.Node, at: Location) -> None:
        """What is merged stands where the anchor is."""
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                self.look(part, at)
            else:
                self._note(key, "'<<' merges something else than a mapping", "write '<<: *name'")

    def _check_text(self, node: yaml.ScalarNode) -> None:
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            self._note(node, "is half a character, by its escapes", "write the character itself")

    def _check_number(self, node: yaml.ScalarNode) -> None:
        if node.style or node.tag not in (f"{_TAG}int", f"{_TAG}float"):
            return
        for way, pattern in (("octal", _OCTAL), ("base 60", _SIXTIES)):
            if pattern.fullmatch(node.value):
                what = f"YAML reads {_brief(node.value)} in {way}"
                self._note(node, what, "write the number in decimal, or the text in quotes")

    def _count(self, node: yaml.Node) -> None:
        # A list of nothing but lists has no text, and still takes its time.
        self.characters += 4 + (len(node.value) if isinstance(node.value, str) else 0)
        if self.characters > self.most_characters:
            what = f"stands for more than {self.most_characters >> 20} MiB of text by its aliases"
            raise InputError(str(self.path), what, "write it without '*'")

    def _note(self, node: yaml.Node, what: str, remedy: str) -> None:
        self.problems.append(InputError(f"{self.path}:{node.start_mark.line + 1}", what, remedy))


def _brief(text: object) -> str:
    shown = str(text)
    return f"'{shown}'" if len(shown) <= 40 else f"'{shown[:37]}...'"

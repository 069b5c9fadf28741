"""Inventories of Ansible in YAML and in INI, as its own plugins `yaml` and `ini` read them."""

from __future__ import annotations

import ast
import re
import shlex
import string
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from edgeq.errors import InputError, Problems
from edgeq.spec.document import Document, nearest
from edgeq.spec.fleet.inventory import EVERYWHERE, NOWHERE, HostGroup, Inventory, Variable

_PARTS = ("hosts", "children", "vars")
_RANGE = re.compile(r"\[(\w*):(\w+)(?::([0-9]+))?\]")
_PORT = re.compile(r"([^:\[\]]+|\[[^\]]+\]):([0-9]+)")
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?")
_MOST_HOSTS = 100_000


def is_one(content: dict[str, Any]) -> bool:
    """Whether the content of a YAML file is an inventory: groups, of hosts, children and vars."""
    bodies = [body for body in content.values() if body is not None]
    return bool(content) and all(isinstance(b, dict) and set(b) <= {*_PARTS} for b in bodies)


def of_yaml(found: Document) -> Inventory:
    """The inventory in a YAML file. Raises InputError(s)."""
    made, problems = Inventory(found.path), Problems()
    made.group(EVERYWHERE, found.at(()))

    def look(name: str, body: object, at: tuple[str, ...]) -> None:
        group = made.group(name, found.at(at))
        for part, content in (body if isinstance(body, dict) else {}).items():
            place, here = found.at((*at, part)), (*at, part)
            if part not in _PARTS:
                what = f"'{part}' is no part of a group"
                problems.found.append(InputError(place, what, nearest(part, _PARTS)))
            elif content is not None and not isinstance(content, dict):
                what = f"'{part}' of group '{name}' is no mapping"
                problems.found.append(InputError(place, what, "write 'name:' lines under it"))
            elif part == "vars":
                group.variables.update(_variables(found, content, here))
            elif part == "children":
                for child, below in (content or {}).items():
                    look(child, below, (*here, child))
                    group.children.append(child)
            else:
                for pattern, given in (content or {}).items():
                    own = _variables(found, given, (*here, pattern))
                    at_host = found.at((*here, pattern))
                    problems.attempt(partial(_add, made, group, pattern, own, at_host))

    for name, body in found.content.items():
        look(name, body, (name,))
    problems.raise_all()
    return made


def _variables(found: Document, given: object, at: tuple[str, ...]) -> dict[str, Variable]:
    pairs = given.items() if isinstance(given, dict) else ()
    return {str(key): Variable(value, found.at((*at, str(key)))) for key, value in pairs}


def of_ini(path: Path, text: str) -> Inventory:
    """The inventory in an INI file. Raises InputError(s)."""
    made, problems = Inventory(path), Problems()
    made.group(EVERYWHERE, f"{path}:1")
    group, kind = made.group(NOWHERE, f"{path}:1"), "hosts"
    for number, line in enumerate((line.strip() for line in text.splitlines()), 1):
        place = f"{path}:{number}"
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and (section := _SECTION.fullmatch(line)):
            group, kind = made.group(section[1], place), section[2] or "hosts"
            if kind not in _PARTS:
                what = f"'{kind}' is no part of a group"
                problems.found.append(InputError(place, what, nearest(kind, _PARTS)))
        elif kind == "children":
            child = line.split("#")[0].strip()
            made.group(child, place)
            group.children.append(child)
        elif kind == "vars":
            name, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                what = f"'{line}' sets no variable"
                problems.found.append(InputError(place, what, "write 'name=value'"))
            group.variables[name] = Variable(_value(value), place)
        elif kind == "hosts":
            problems.attempt(partial(_add_line, made, group, line, place))
    problems.raise_all()
    return made


def _add_line(made: Inventory, group: HostGroup, line: str, place: str) -> None:
    try:
        pattern, *words = shlex.split(line, comments=True)
    except ValueError as exc:
        raise InputError(place, f"cannot be read: {exc}", "check the quotes") from exc
    variables = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(place, f"'{word}' sets no variable", "write 'name=value'")
        variables[name] = Variable(_value(value), place)
    _add(made, group, pattern, variables, place)


def _add(
    made: Inventory, group: HostGroup, pattern: str, own: dict[str, Variable], place: str
) -> None:
    for name in expanded(pattern, place):
        with_port = _PORT.fullmatch(name)
        host = with_port[1] if with_port else name
        port = {"ansible_port": Variable(int(with_port[2]), place)} if with_port else {}
        made.places.setdefault(host, place)
        made.add(group, host, {**port, **own})
        if len(made.hosts) > _MOST_HOSTS:
            raise InputError(place, f"makes more than {_MOST_HOSTS} hosts", "shorten the range")


def expanded(pattern: str, place: str) -> Iterator[str]:
    """The names that a pattern such as barn[01:10] or rack[a:f] stands for."""
    found = _RANGE.search(pattern)
    if found is None:
        yield pattern
        return
    begin, end, step = found[1] or "0", found[2], int(found[3] or 1)
    letters = string.ascii_letters
    if step < 1:
        raise InputError(place, f"'{found[0]}' goes nowhere", "write a step of 1 or more")
    if begin.isdecimal() and end.isdecimal():
        padded = len(begin) > 1 and begin.startswith("0")
        if padded and len(begin) != len(end):
            what = f"'{found[0]}' begins with another number of digits than it ends"
            raise InputError(place, what, "write as many zeros before both")
        numbers = range(int(begin), int(end) + 1, step)
        parts: Iterable[str] = (
            str(number).zfill(len(begin) if padded else 0) for number in numbers
        )
        empty = len(numbers) == 0
    elif len(begin) == len(end) == 1 and begin in letters and end in letters:
        between = letters[letters.index(begin) : letters.index(end) + 1 : step]
        parts, empty = between, not between
    else:
        raise InputError(place, f"'{found[0]}' is no range", "write [01:10] or [a:f]")
    if empty:
        raise InputError(
            place, f"'{found[0]}' ends before it begins", "write the smaller one first"
        )
    for part in parts:
        yield from expanded(f"{pattern[: found.start()]}{part}{pattern[found.end() :]}", place)


def _value(text: str) -> object:
    """What Ansible makes of a value in INI: Python's literals, and everything else is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text

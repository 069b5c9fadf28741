"""YAML files that become a type once, at the edge, with the line of every key kept for messages."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgeq.errors import InputError, Invalid, raise_all

Location = tuple[str, ...]
M = TypeVar("M", bound=BaseModel)


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without YAML 1.1's surprises: dates stay text, 1e-3 is a number."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its content as plain data, the line of every key and item, its hash."""

    path: Path
    content: Any
    lines: dict[Location, int]
    sha256: str

    def line(self, location: Sequence[object]) -> int:
        """The line of the nearest place to `location` that stands in the file (from 1)."""
        keys = tuple(str(key) for key in location)
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def at(self, location: Sequence[object]) -> str:
        """`file:line` of a key, for messages."""
        return f"{self.path}:{self.line(location)}"


def read(path: Path) -> Document:
    """Parse a YAML file whose top level is a mapping.

    Raises InputError for a file that is missing, not text, not YAML, or repeats a key.
    """
    try:
        text = path.read_bytes().decode()  # as it is, line ends too
    except OSError as exc:
        reason = "does not exist" if isinstance(exc, FileNotFoundError) else f"{exc.strerror}"
        raise InputError(str(path), f"cannot be read: {reason}", "check the path") from exc
    except UnicodeDecodeError as exc:
        raise InputError(str(path), "is not UTF-8 text", "a YAML file is expected here") from exc
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Parse a text as if it stood in a file. Raises InputError as `read` does."""
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(f"{path}:1", "holds no keys", "write 'key: value' lines")
        lines: dict[Location, int] = {(): 1}
        problems: list[InputError] = []
        _walk(path, node, (), lines, problems)
        raise_all(problems)
        content = loader.construct_document(node)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        what = f"holds the control character #x{exc.character:02x}"
        raise InputError(f"{path}:{line}", what, "a YAML file is expected here") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(exc, "problem", None) or str(exc).splitlines()[0]
        raise InputError(
            where, f"is not valid YAML: {what}", "check indentation and quotes"
        ) from exc
    except ValueError as exc:  # a value that is not what its explicit tag says
        raise InputError(str(path), f"is not valid YAML: {exc}", "remove the '!!' tag") from exc
    except RecursionError as exc:
        what = "is nested too deep or refers to itself"
        raise InputError(str(path), what, "write it without the anchor") from exc
    return Document(path, content, lines, hashlib.sha256(text.encode()).hexdigest())


def _walk(
    path: Path,
    node: yaml.Node,
    location: Location,
    lines: dict[Location, int],
    problems: list[InputError],
) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[Hashable, int] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # what is merged stands where the anchor is
                _walk(path, value, location, lines, problems)
                continue
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                what = f"'{name}' is given twice, first on line {seen[name]}"
                problems.append(InputError(f"{path}:{line}", what, "keep one"))
            seen[name] = line
            lines[(*location, name)] = line
            _walk(path, value, (*location, name), lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*location, str(index))] = item.start_mark.line + 1
            _walk(path, item, (*location, str(index)), lines, problems)


def nearest(word: str, candidates: Iterable[str]) -> str:
    """'did you mean ...?' for the closest candidate, or the list of them, or nothing."""
    names = sorted(set(candidates))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    listed = f" ({', '.join(names)})" if 0 < len(names) <= 30 else ""
    if close:
        return f"did you mean '{close[0]}'?{listed}"
    return f"one of{listed}" if listed else ""


def validate(document: Document, model: type[M], extra: dict[str, Any] | None = None) -> M:
    """The document as a pydantic model; paths in it are relative to the document's folder.

    Validated strictly (no '12' for 12, no true for 1). Raises InputError or InputErrors with
    every problem found, each with its line.
    """
    context = {"folder": document.path.parent, "document": document, **(extra or {})}
    try:
        content = json.dumps(document.content)
    except (TypeError, ValueError) as exc:  # a set, bytes or a self-reference, by YAML tag
        raise InputError(str(document.path), f"holds a value that is no plain data: {exc}") from exc
    try:
        return model.model_validate_json(content, strict=True, context=context)
    except ValidationError as exc:
        problems = [_problem(document, model, error) for error in exc.errors()]
        unique = {str(problem): problem for problem in problems}
        raise_all(sorted(unique.values(), key=lambda p: int(p.where.rpartition(":")[2])))
        raise AssertionError("unreachable: a ValidationError holds an error") from exc


_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping, 'key: value' lines",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping, 'key: value' lines",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "tuple_type": "a list",
}
"""What pydantic's types of error ask for, in the words of YAML."""


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> InputError:
    # pydantic marks a mapping's key so; the file knows only the key itself.
    known = tuple(str(part) for part in error["loc"] if part != "[key]")
    kind, given, extra = error["type"], error["input"], error.get("ctx", {})
    cause = extra.get("error")
    known += cause.location if isinstance(cause, Invalid) else ()
    where = document.at(known)
    name = known[-1] if known else ""
    if kind == "extra_forbidden":
        return InputError(where, f"'{name}' is unknown", nearest(name, _fields(model, known[:-1])))
    if kind == "missing" and not name.isdigit():
        return InputError(where, f"'{'.'.join(known)}' is missing", f"add a line '{name}: ...'")
    if kind in ("enum", "literal_error"):
        allowed = re.findall(r"[^',\s]+", str(extra["expected"]).replace(" or ", " "))
        label = known[-2] if name.isdigit() and len(known) > 1 else name
        return InputError(where, f"{label} '{given}' is unknown", nearest(str(given), allowed))
    if kind == "value_error":
        what, remedy = (
            (cause.what, cause.remedy) if isinstance(cause, Invalid) else (str(cause), "")
        )
        return InputError(where, what if name in what else f"{name}: {what}", remedy)
    shown = json.dumps(given, default=str)
    shown = shown if len(shown) < 60 else shown[:57] + "..."
    if kind in ("missing", "too_short", "too_long"):  # of a list
        few = "many" if kind == "too_long" else "few"
        path = known[:-1] if kind == "missing" else known
        return InputError(where, f"{'.'.join(path)} is {shown}", f"it has too {few} items")
    expected = _EXPECTED.get(kind) or error["msg"].removeprefix("Input should be ")
    return InputError(where, f"{'.'.join(known)} is {shown}", f"it should be {expected}")


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """The field names of the (nested) model at `location`, for suggestions."""
    current: Any = model
    for part in location:
        field = current.model_fields.get(part) if _is_model(current) else None
        nested = [] if field is None else [a for a in _arguments(field.annotation) if _is_model(a)]
        if field is None or not nested:
            continue
        current = nested[0]
    return list(current.model_fields) if _is_model(current) else []


def _arguments(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [annotation, *(found for argument in inner for found in _arguments(argument))]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

"""YAML files that become a type once, at the edge, with the line of every key kept for messages."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgeq import reading
from edgeq.errors import InputError, Invalid, raise_all
from edgeq.spec import traps
from edgeq.spec.loader import Loader, Location, Scalar, Survey, composed_fast

M = TypeVar("M", bound=BaseModel)

LARGEST = 256 * 2**10
"""Half a recipe with every layer of a large model by name; PyYAML takes seconds for this much."""


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: its content as plain data, the line of every key and item, its hash."""

    path: Path
    content: Any
    lines: dict[Location, int]
    sha256: str
    text: str
    written: dict[Location, Scalar]
    """every scalar as it stands there"""

    def line(self, location: Sequence[object]) -> int:
        """The line of the nearest place to `location` that stands in the file (from 1)."""
        keys = tuple(str(key) for key in location)
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def at(self, location: Sequence[object]) -> str:
        """`file:line` of a key, for messages."""
        return f"{self.path}:{self.line(location)}"


def read(path: Path, largest: int = LARGEST) -> Document:
    """Parse a YAML file whose top level is a mapping.

    Raises InputError for a file that is missing, no regular file, over `largest` bytes, not text,
    not YAML, or repeats a key. One that may be larger than usual is parsed by libyaml, in a fifth
    of the time.
    """
    return parse(reading.text(path, largest, "a YAML file is expected here"), path, largest)


def parse(text: str, path: Path, largest: int = LARGEST) -> Document:
    """Parse a text as if it stood in a file. Raises InputError as `read` does."""
    survey = Survey(path, most_characters=4 * largest)
    try:
        loader = Loader(text)
        node = (composed_fast(text) if largest > LARGEST else None) or loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(f"{path}:1", "holds no keys", "write 'key: value' lines")
        survey.look(node)
        raise_all(sorted(survey.problems, key=_line_of))
        content = loader.construct_document(node)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        what = f"holds the control character #x{exc.character:02x}"
        raise InputError(f"{path}:{line}", what, "a YAML file is expected here") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InputError(where, *traps.syntax(exc)) from exc
    except RecursionError as exc:
        what = "is nested too deep or refers to itself"
        raise InputError(str(path), what, "write it without the anchor") from exc
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(path, content, survey.lines, digest, text, survey.written)


def _line_of(problem: InputError) -> int:
    return int(problem.where.rpartition(":")[2])


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
        errors = sorted(exc.errors(), key=lambda error: document.line(_known(error)))
        problems = [_problem(document, model, error) for error in errors[:_IN_WORDS]]
        # Of the rest only the number is told; looking for what each may mean would take minutes.
        rest = [InputError(document.at(_known(e)), e["msg"]) for e in errors[_IN_WORDS:]]
        unique = {str(problem): problem for problem in (*problems, *rest)}
        raise_all(list(unique.values()), exc)
        raise AssertionError("unreachable: a ValidationError holds an error") from exc


_IN_WORDS = 100

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


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a file, for editors."""
    described = model.model_json_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return described


def _problem(document: Document, model: type[BaseModel], error: ErrorDetails) -> InputError:
    known, where = _known(error), document.at(_known(error))
    kind, given, extra = error["type"], error["input"], error.get("ctx", {})
    cause, written = extra.get("error"), document.written.get(known)
    name = known[-1] if known else ""
    if kind == "extra_forbidden":
        return InputError(where, f"'{name}' is unknown", nearest(name, _fields(model, known[:-1])))
    if kind == "missing" and not name.isdigit():
        return InputError(where, f"'{'.'.join(known)}' is missing", f"add a line '{name}: ...'")
    if kind in ("enum", "literal_error"):
        allowed = re.findall(r"[^',\s]+", str(extra["expected"]).replace(" or ", " "))
        label = known[-2] if name.isdigit() and len(known) > 1 else name
        shown = given if isinstance(given, str) or written is None else written.text
        return InputError(where, f"{label} '{shown}' is unknown", nearest(str(shown), allowed))
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
    if kind == "string_pattern_mismatch":
        expected = _example(model.model_json_schema(), extra["pattern"])
    hint = traps.remedy(kind, given, written)
    said = f"it should be {expected}" + (f"; {hint}" if hint else "")
    return InputError(where, f"{'.'.join(known)} is {shown}", said)


def _example(schema: Any, pattern: str) -> str:
    """What a text with that pattern looks like, by the examples in its schema if there are any."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if part.get("pattern") == pattern and "examples" in part:
                return "like " + " or ".join(part["examples"])
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    return f"text that matches {pattern}"


def _known(error: ErrorDetails) -> Location:
    """The keys that lead to what is wrong."""
    # pydantic marks a mapping's key so; the file knows only the key itself.
    known = tuple(str(part) for part in error["loc"] if part != "[key]")
    cause = error.get("ctx", {}).get("error")
    return known + (cause.location if isinstance(cause, Invalid) else ())


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

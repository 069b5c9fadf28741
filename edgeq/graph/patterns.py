"""Node patterns of a recipe: an exact ONNX node name, a glob, or `op:Type`."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

from edgeq.errors import InputError, raise_all
from edgeq.graph.model import Model
from edgeq.spec.document import nearest


def matching(pattern: str, names: Mapping[str, str]) -> list[str]:
    """The nodes (name to op type) that a pattern names; an exact name wins over a glob."""
    if pattern.startswith("op:"):
        return [name for name, op_type in names.items() if op_type == pattern[3:]]
    if pattern in names:
        return [pattern]
    literal = pattern.replace("[", "[[]")  # exporters write model[0], which reads as a set
    return [
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, literal)
    ]


def resolve(patterns: Iterable[str], model: Model, key: str) -> dict[str, list[str]]:
    """Pattern to node names, on the original graph.

    Raises InputError(s) for every pattern of the recipe's `key` that matches nothing, with the
    nearest names.
    """
    problems = []
    resolved = {}
    for pattern in patterns:
        resolved[pattern] = matching(pattern, model.names)
        if not resolved[pattern]:
            prefix, known = "", set(model.names)
            if pattern.startswith("op:"):
                prefix, known = "op:", set(model.names.values())
            hint = nearest(pattern.removeprefix(prefix), known)
            what = f"'{pattern}' matches no node of {model.path.name}"
            problems.append(InputError(key, what, hint.replace("'", f"'{prefix}", 1)))
    raise_all(problems)
    return resolved

"""Findings as SARIF 2.1.0, which code scanning shows beside the lines they are about.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edgeq.report.github import place
from edgeq.versions import version

if TYPE_CHECKING:
    from edgeq.errors import InputError
    from edgeq.records.lint import Lint

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_RECIPE_RULE = "recipe"


def of_lint(lint: Lint) -> str:
    """What a lint found; the place is the recipe or model, and the node in it."""
    results = []
    for found in lint.findings:
        result = _result(found.rule, found.severity, f"{found.what}; {found.remedy}", lint.source)
        named = {"fullyQualifiedName": found.node, "kind": "element"}
        result["locations"][0]["logicalLocations"] = [named]
        results.append(result)
    return _log(results)


def of_problems(problems: Iterable[InputError]) -> str:
    """What is wrong with a recipe, line by line."""
    results = []
    for found in problems:
        said = found.what + (f"; {found.remedy}" if found.remedy else "")
        results.append(_result(_RECIPE_RULE, "error", said, found.where))
    return _log(results)


def _result(rule: str, level: str, text: str, where: str) -> dict[str, Any]:
    file, line = place(where)
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if line is not None:
        physical["region"] = {"startLine": max(line, 1)}
    location = {"physicalLocation": physical}
    return {"ruleId": rule, "level": level, "message": {"text": text}, "locations": [location]}


def _uri(file: str) -> str:
    """Relative to where edgeq runs, which in CI is the checkout; a file elsewhere as it is."""
    path, here = Path(file), Path.cwd()
    if path.is_absolute() and not path.is_relative_to(here):
        return path.as_uri()
    return quote((path.relative_to(here) if path.is_absolute() else path).as_posix())


def _log(results: Sequence[Mapping[str, Any]]) -> str:
    rules = [{"id": name} for name in sorted({str(result["ruleId"]) for result in results})]
    driver = {"name": "edgeq", "version": version(), "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"

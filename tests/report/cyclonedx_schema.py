"""CycloneDX's own schema of a bill of materials, as its Python library ships it."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

_FILES = ("bom-1.6.SNAPSHOT", "jsf-0.82.SNAPSHOT", "spdx.SNAPSHOT")


def violations(bill: str) -> list[str]:
    """What is against version 1.6 of the schema."""
    schemas = [_read(f"{name}.schema.json") for name in _FILES]
    parts = [(schema["$id"], Resource.from_contents(schema)) for schema in schemas]
    registry: Registry[Any] = Registry().with_resources(parts)
    checker = jsonschema.Draft7Validator(schemas[0], registry=registry)
    return [error.message for error in checker.iter_errors(json.loads(bill))]


def _read(name: str) -> Any:
    # Read beside the package, whose import wants all that it depends on.
    file = distribution("cyclonedx-python-lib").locate_file(f"cyclonedx/schema/_res/{name}")
    return json.loads(Path(str(file)).read_text(encoding="utf-8"))

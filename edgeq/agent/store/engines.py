"""Engines in the store: found when they are whole, and visible only when they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ..names import unique
from . import disk
from .blobs import hash_of

if TYPE_CHECKING:
    from pathlib import Path

    from .layout import Layout

PLAN_NAME = "engine.plan"
LAYERS_NAME = "layers.json"
RECORD_NAME = "fingerprint.json"
ANEW = "anew"
"""The field of an engine that was built to be held against the others of its release."""


class Stored(NamedTuple):
    """An engine that was built here, and what is known of it."""

    path: Path
    sha256: str
    size_bytes: int
    build_s: float
    layers: list[Any]


def find(layout: Layout, fingerprint: str, fields: dict[str, Any]) -> Stored | None:
    """The engine of a fingerprint; None where there is none, or not as it was written."""
    folder = layout.engines / fingerprint
    record = _read(folder / RECORD_NAME)
    try:
        layers = json.loads((folder / LAYERS_NAME).read_text("utf-8"))
        if record["fields"] != fields or hash_of(folder / PLAN_NAME) != record["sha256"]:
            return None
        # An engine of an older edgeq has no hash of these.
        listed = record.get("layers_sha256")
        if listed is not None and hash_of(folder / LAYERS_NAME) != listed:
            return None
        digest, size_bytes = str(record["sha256"]), int(record["bytes"])
        return Stored(
            folder / PLAN_NAME, digest, size_bytes, float(record["build_s"]), list(layers)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def timings(layout: Layout, key: str) -> Path:
    """Where a builder keeps what it measured, for the next engine of this board."""
    return layout.engines / f"timing.{key}.cache"


def artifact_of(folder: Path) -> str | None:
    """The id of the artifact that an engine was made of; None where the folder does not say."""
    artifact = fields_of(folder).get("artifact")
    return artifact if isinstance(artifact, str) else None


def fields_of(folder: Path) -> dict[str, Any]:
    """What an engine was made from and for; empty where the folder does not say."""
    fields = _read(folder / RECORD_NAME).get("fields")
    return fields if isinstance(fields, dict) else {}


def begin(layout: Layout, fingerprint: str) -> Path:
    """A new hidden folder for an engine; what is left of one is removed by a collection."""
    disk.make_folder(layout.engines)
    disk.make_folder(layout.incoming)
    partial = layout.engines / f".{fingerprint}.{unique()}.partial"
    disk.mkdir(partial)
    return partial


def finish(
    layout: Layout, partial: Path, fields: dict[str, Any], told: dict[str, Any]
) -> str | None:
    """Show the engine in a hidden folder under its fingerprint; `told` is what the builder said.

    Returns its sha256; None where another session was faster with the same.
    """
    plan = partial / PLAN_NAME
    write_json(layout, partial / LAYERS_NAME, told["layers"])
    record = {
        "fields": fields,
        "layers_sha256": hash_of(partial / LAYERS_NAME),
        "sha256": hash_of(plan),
        "bytes": plan.stat().st_size,
        "build_s": told["build_s"],
        "version": told["version"],
        "flags": told["flags"],
    }
    write_json(layout, partial / RECORD_NAME, record)
    for path in list(partial.iterdir()):
        if path.name not in (PLAN_NAME, LAYERS_NAME, RECORD_NAME):
            disk.remove(path)
    disk.sync(plan)
    disk.sync(partial)
    folder = layout.engines / partial.name.split(".")[1]
    if folder.is_dir() and find(layout, folder.name, fields) is None:
        # Away at once, so that no power cut leaves half of it under its name.
        old = folder.with_name(f".{folder.name}.{unique()}.partial")
        disk.rename(folder, old)
        disk.remove_tree(old)
    try:
        disk.rename(partial, folder)
    except OSError:
        if find(layout, folder.name, fields) is None:
            raise
        return None
    disk.sync(layout.engines)
    return str(record["sha256"])


def write_json(layout: Layout, path: Path, document: Any) -> None:
    """Write a file whole."""
    content = json.dumps(document, sort_keys=True, indent=1).encode("ascii")
    disk.write_whole(path, content, layout.temporary())


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}

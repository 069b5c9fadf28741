"""The files that a manifest from anywhere lists; what could do harm is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import BAD_ARTIFACT, AgentError, raise_problems
from ..manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry, parse_manifest
from ..names import is_plain_name

if TYPE_CHECKING:
    from pathlib import Path

MAX_MANIFEST_BYTES = 16 << 20
_MAX_DIGITS = 20


def read_files(raw: bytes, path: Path) -> tuple[FileEntry, ...]:
    """The files that a manifest lists; AgentError (bad-artifact) for one that could do harm."""
    where = str(path)
    if len(raw) > MAX_MANIFEST_BYTES:
        what = f"has {len(raw)} bytes; a manifest has at most {MAX_MANIFEST_BYTES}"
        raise AgentError(BAD_ARTIFACT, where, what, "build the release again")
    try:
        json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_int=_short)
        files = parse_manifest(raw, path.parent).files
    except RecursionError:
        what = "is nested too deeply"
        raise AgentError(BAD_ARTIFACT, where, what, "build the release again") from None
    except ValueError as exc:
        what = f"cannot be read ({str(exc)[:200]})"
        raise AgentError(BAD_ARTIFACT, where, what, "build the release again") from exc
    problems = [
        f"files.{entry.path[:60]!r} is no plain name"
        for entry in files
        if not is_plain_name(entry.path) or entry.path in (MANIFEST_NAME, SIGNATURE_NAME)
    ]
    raise_problems(BAD_ARTIFACT, where, problems, "build the release again")
    return files


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is there twice")
    return document


def _short(digits: str) -> int:
    # A number of a million digits would keep the processor busy for minutes.
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)

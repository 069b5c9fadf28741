"""Engines kept on this machine: what one board built, for boards with the very same fingerprint.

Under cache/engines/<fingerprint>: the engine, its golden outputs, both named by their hashes, and a
record that names them, which is written last. What an older record named stays for a while: it may
be on its way to a board. Under cache/timings what the builders of one kind
of board measured, which has a later model built of the same tactics on any of them; TensorRT itself
refuses what another GPU measured.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq import places
from edgeq.cache import KEPT_S, Cache
from edgeq.device.sending import hash_of
from edgeq.errors import InputError
from edgeq.records.limits import Hash, Positive

CACHE = Cache("engines")
TIMINGS = Cache("timings")
_RECORD = "record.json"


class EngineRecord(BaseModel):
    """What an engine was built from and for, and the hashes of the two files beside this one."""

    model_config = ConfigDict(frozen=True)

    fields: dict[str, Any]
    plan: Hash
    golden: Hash
    build_s: Positive


def kept(fingerprint: str) -> tuple[EngineRecord, dict[str, Path]] | None:
    """The engine of a fingerprint: its record, and hash to file; None unless it is as written."""
    try:
        folder = CACHE.folder(fingerprint)
        record = EngineRecord.model_validate_json((folder / _RECORD).read_bytes())
        files = _files(folder, record)
        if all(hash_of(file) == digest for digest, file in files.items()):
            return record, files
    except (OSError, ValidationError, InputError):
        pass
    return None


def keep(fingerprint: str, record: EngineRecord, plan: bytes, golden: bytes) -> None:
    """Keep an engine in the place of what is there; `record` is the board's word for it."""
    folder = CACHE.folder(fingerprint)
    files = _files(folder, record)
    for file, content in zip(files.values(), (plan, golden), strict=True):
        places.write_whole(file, content)
    places.write_whole(folder / _RECORD, record.model_dump_json().encode())
    old_s = time.time() - KEPT_S
    for file in folder.iterdir():
        if file not in (*files.values(), folder / _RECORD) and file.stat().st_mtime < old_s:
            file.unlink(missing_ok=True)


def _files(folder: Path, record: EngineRecord) -> dict[str, Path]:
    return {
        record.plan: folder / f"{record.plan}.plan",
        record.golden: folder / f"{record.golden}.npz",
    }


def kept_timings(key: str) -> bytes | None:
    """What a board of that kind measured; None where that is not known."""
    return TIMINGS.read(key)


def keep_timings(key: str, content: bytes) -> None:
    """Keep what a board's builders measured, in the place of what is there: it has that too."""
    TIMINGS.write(key, content)

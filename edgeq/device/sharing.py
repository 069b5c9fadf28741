"""Engines kept on this machine: what one board built, for boards with the very same fingerprint.

Under cache/engines/<fingerprint>: the engine, its golden outputs, and a record with the hashes of
both. A folder appears by rename when it is whole. Under cache/timings what the builders of one kind
of board measured, which has a later model built of the same tactics on any of them; TensorRT itself
refuses what another GPU measured.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq import places
from edgeq.cache import Cache
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
        files = {record.plan: folder / "engine.plan", record.golden: folder / "golden.npz"}
        if all(hash_of(file) == digest for digest, file in files.items()):
            return record, files
    except (OSError, ValidationError, InputError):
        pass
    return None


def keep(fingerprint: str, record: EngineRecord, plan: bytes, golden: bytes) -> None:
    """Keep an engine in the place of what is there; `record` is the board's word for it."""
    folder = CACHE.folder(fingerprint)
    partial = folder.with_name(f".{fingerprint}.{uuid.uuid4().hex}")
    try:
        places.write_whole(partial / "engine.plan", plan)
        places.write_whole(partial / "golden.npz", golden)
        places.write_whole(partial / _RECORD, record.model_dump_json().encode())
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def kept_timings(key: str) -> bytes | None:
    """What a board of that kind measured; None where that is not known."""
    return TIMINGS.read(key)


def keep_timings(key: str, content: bytes) -> None:
    """Keep what a board's builders measured, in the place of what is there: it has that too."""
    TIMINGS.write(key, content)

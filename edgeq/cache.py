"""What can be made again at any time: named caches in one folder, with one form and one limit.

An entry is a file that says what it is and proves that it is whole, or a folder that its owner
proves (an artifact by its manifest, an engine by its record). What is damaged counts for nothing.
When all caches together exceed $EDGEQ_CACHE_BYTES, what was used longest ago goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from edgeq import places
from edgeq.errors import InputError
from edgeq.versions import source_hash, versions

Name = Literal[
    "images",
    "statistics",
    "repairs",
    "segments",
    "training",
    "builds",
    "artifacts",
    "predictions",
    "trials",
    "latencies",
    "sensitivity",
    "engines",
    "timings",
    "evidence",
]
NAMES: tuple[Name, ...] = get_args(Name)
LIMIT_BYTES = 10 << 30
KEPT_S = 24 * 3600.0
"""What was used in this time stays, whatever the limit: a running process may be at it."""
EVERY_S = 60.0
"""How often the limit is seen to; what is written in between comes on top of it."""
_SUFFIX = ".entry"
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]*(?:/[0-9A-Za-z][0-9A-Za-z_.-]*)*")


def key(described: Mapping[str, Any]) -> str:
    """The hash of all that an entry depends on: what is described, edgeq's code, its packages.

    Described `versions` take the place of the usual ones.
    """
    whole = {"versions": versions(), "source": source_hash(), **described}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Cache:
    """One of the caches; `a/b` is the key of a part of entry `a`, which stays or goes as one."""

    name: Name

    def read(self, key: str) -> bytes | None:
        """What was written under a key; None if nothing was, or it is damaged, and gone now."""
        try:
            file = self._file(key)
            self._touch(key)
            head, _, content = file.read_bytes().partition(b"\n")
        except OSError:
            return None
        if head == self._head(key, content):
            return content
        with suppress(OSError):
            file.unlink()
        return None

    def write(self, key: str, content: bytes) -> None:
        """Keep a content: whole and durable when this returns."""
        places.write_whole(self._file(key), self._head(key, content) + b"\n" + content)
        self._touch(key)
        _see_to_limit()

    def has(self, key: str) -> bool:
        """Whether something lies under a key; whether it is whole, only `read` knows."""
        return self._file(key).is_file()

    def folder(self, key: str) -> Path:
        """Where the entry of a cache of folders lies, or would; it counts as used now."""
        folder = places.cache(self.name) / _plain(key)
        with suppress(OSError):
            os.utime(folder)
        _see_to_limit()
        return folder

    def _file(self, key: str) -> Path:
        return places.cache(self.name) / f"{_plain(key)}{_SUFFIX}"

    def _head(self, key: str, content: bytes) -> bytes:
        digest = hashlib.sha256(content).hexdigest()
        return json.dumps({"cache": self.name, "key": key, "sha256": digest}).encode()

    def _touch(self, key: str) -> None:
        first, slash, _ = key.partition("/")
        with suppress(OSError):
            os.utime(places.cache(self.name) / first if slash else self._file(key))


@dataclass(frozen=True)
class Usage:
    """What one cache holds; times in seconds since 1970, None where it is empty."""

    name: Name
    entries: int
    size_bytes: int
    oldest_use_s: float | None
    last_use_s: float | None


@dataclass(frozen=True)
class _Entry:
    name: Name
    path: Path
    size_bytes: int
    used_s: float

    @property
    def is_hidden(self) -> bool:
        """Whether it is being written or removed, or was when a process was killed."""
        return self.path.name.startswith(".")

    def last_used_s(self) -> float:
        """As it is by now; of one that is gone, what it was."""
        with suppress(OSError):
            return self.path.stat().st_mtime
        return self.used_s

    def remove(self) -> None:
        """Gone at once for a reader; what a kill leaves of it is hidden and goes later."""
        aside = self.path.with_name(f".{uuid.uuid4().hex}")
        with suppress(OSError):
            self.path.rename(aside)
            if aside.is_dir():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.unlink()


def usage() -> tuple[Usage, ...]:
    """Every cache, also those that hold nothing."""
    found = []
    for name in NAMES:
        entries = [entry for entry in _entries(name) if not entry.is_hidden]
        times = [entry.used_s for entry in entries]
        size = sum(entry.size_bytes for entry in entries)
        ends = (min(times), max(times)) if times else (None, None)
        found.append(Usage(name, len(entries), size, *ends))
    return tuple(found)


def clear(name: str | None = None) -> int:
    """Remove all entries, or those of one cache; how many. InputError for a name of none."""
    if name is not None and name not in NAMES:
        raise InputError(name, "is no cache", f"there are {', '.join(NAMES)}")
    entries = [entry for one in NAMES if name in (None, one) for entry in _entries(one)]
    whole = [entry for entry in entries if not entry.is_hidden]  # others are being written
    for entry in whole:
        entry.remove()
    return len(whole)


def trim(limit_bytes: int | None = None) -> int:
    """Remove what was used longest ago until no more than the limit is left; bytes removed.

    Engines go last: others are made again here, for these a board works for minutes. InputError
    when $EDGEQ_CACHE_BYTES is no number.
    """
    limit_bytes = _limit_bytes() if limit_bytes is None else limit_bytes
    entries = [entry for name in NAMES for entry in _entries(name)]
    total = before = sum(entry.size_bytes for entry in entries)
    old_s = time.time() - KEPT_S
    for entry in sorted(entries, key=lambda entry: (entry.name == "engines", entry.used_s)):
        is_wanted = total <= limit_bytes and not entry.is_hidden
        # Looked at again, as another process may have come to use it since.
        if not is_wanted and entry.last_used_s() < old_s:
            entry.remove()
            total -= entry.size_bytes
    return before - total


def _plain(key: str) -> str:
    """A key that stays in the folder of its cache. Raises ValueError for any other."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key[:80]!r} is no key of a cache")
    return key


def _see_to_limit() -> None:
    limit_bytes = _limit_bytes()  # a wrong one is an error every time
    mark = places.cache("") / ".trimmed"
    try:
        if mark.exists() and 0 <= time.time() - mark.stat().st_mtime < EVERY_S:
            return
        mark.touch()
    except OSError:  # where nothing can be written, nothing can be removed
        return
    trim(limit_bytes)


def _limit_bytes() -> int:
    given = os.environ.get("EDGEQ_CACHE_BYTES") or str(LIMIT_BYTES)
    if not (given.isascii() and given.isdigit()):
        what = f"'{given}' is no number of bytes"
        raise InputError("EDGEQ_CACHE_BYTES", what, f"write digits, such as {LIMIT_BYTES}")
    return int(given)


def _entries(name: Name) -> Iterator[_Entry]:
    try:
        paths = list(places.cache(name).iterdir())
    except OSError:  # a file in its place, or a folder of somebody else's
        return
    for path in paths:
        with suppress(OSError):  # another process may remove it meanwhile
            state = path.stat()
            files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
            size = sum(file.stat().st_size for file in files)
            yield _Entry(name, path, size, state.st_mtime)

"""What could be imported here is known again, until the system starts anew or packages change.

Importing an engine takes a slow board seconds. A trial that worked is kept beside the agent, under
a hash of all that may change its end: the start of the system, the Python, the folders that it
imports from, the packages that were tried, the libraries that the linker knows. What failed is
tried again each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, NamedTuple, Sequence

from ..names import unique

SUFFIX = ".tried"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LINKED = "/etc/ld.so.cache"
_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH")
Found = Dict[str, Dict[str, Any]]


class ImportTrials:
    """Those of an agent that lies in `folder`; of another nothing is known, and nothing kept.

    Unless it `remembers`, nothing is kept either.
    """

    def __init__(
        self, folder: Path, remembers: bool, agent: Path = Path(__file__).parents[2]
    ) -> None:
        self.folder = folder if agent.parent == folder.absolute() else None
        self.remembers = remembers

    def of(self, modules: Sequence[str]) -> ImportTrial:
        """The trial of some, as everything around it is now."""
        key = _surroundings(modules) if self.folder is not None and modules else None
        file = None if key is None or self.folder is None else self.folder / f"{key}{SUFFIX}"
        return ImportTrial(file, frozenset(modules), self.remembers)


class ImportTrial(NamedTuple):
    """One, and the file that keeps it, None where none does."""

    file: Path | None
    modules: frozenset[str]
    remembers: bool

    def known(self) -> Found | None:
        """What they said of themselves when they were imported; None where they have to be."""
        if self.file is None:
            return None
        try:
            found = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return None
        is_whole = isinstance(found, dict) and set(found) == self.modules
        return found if is_whole and all(isinstance(one, dict) for one in found.values()) else None

    def keep(self, found: Found) -> None:
        """Remember it if all of them could be imported; it only saves time.

        What changed meanwhile has another hash, and is tried.
        """
        if self.file is None or not self.remembers or set(found) != self.modules:
            return
        half = self.file.with_name(f".{self.file.name}.{unique()}.partial")
        with contextlib.suppress(OSError):
            half.write_text(json.dumps(found))
            half.replace(self.file)


def _surroundings(modules: Sequence[str]) -> str | None:
    try:
        boot = _BOOT.read_text()
    except OSError:
        return None
    paths = [*sys.path, _LINKED]
    for name in (*modules, "numpy"):
        with contextlib.suppress(ImportError, ValueError):
            origin = getattr(find_spec(name), "origin", None)
            paths += [origin, str(Path(origin).parent)] if origin else []
    variables = [os.environ.get(name) for name in _VARIABLES]
    whole = [boot, sys.executable, sys.version, variables, list(modules), list(map(_stamp, paths))]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _stamp(path: str) -> list[Any]:
    try:
        found = Path(path).stat()
    except OSError:
        return [path]
    return [path, found.st_ino, found.st_size, found.st_mtime_ns]

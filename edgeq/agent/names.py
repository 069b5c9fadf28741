"""Names that are allowed, or are to be chosen from: hashes, files, runtimes, modules."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import Tuple

from .members import module_names

TENSORRT_MODULES = ("tensorrt", "tensorrt_rtx")


@lru_cache(maxsize=None)
def runtime_names() -> Tuple[str, ...]:
    """The runtimes that there are: the modules in `runtimes/`, but for their base.

    None is imported: a board may lack what one of them needs.
    """
    folder = os.path.join(os.path.dirname(__file__), "runtimes")  # noqa: PTH118, PTH120
    return tuple(name for name in module_names([folder]) if name != "base")


def is_hash(text: str) -> bool:
    """Whether this is a sha256 as 64 hexadecimal digits."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def is_plain_name(name: str) -> bool:
    """Whether a file of this name stays in the folder it is put into, and is not hidden there."""
    return len(name) <= 255 and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name) is not None


def unique() -> str:
    """A name that nothing else has."""
    return os.urandom(8).hex()

"""Reading a file that somebody named: a regular one, whole, and no larger than it can well be.

A pipe or a device may never end, a name may lead to anything, and an editor may have put a
byte-order mark in front: whatever is read from outside comes through here.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from edgeq.errors import InputError

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # UTF-32's marks begin with, or hold, one
_PIECE = 2**20
TICK_NS = 2_000_000_000
"""The coarsest clock of a file system in use, that of FAT."""
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def content(path: Path, limit: int) -> bytes:
    """All bytes of a file.

    Raises InputError for one that is missing, not to be read, not regular, or over `limit` bytes.
    """
    where = str(path)
    try:
        # Not waiting: whoever opens a pipe without a writer waits for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            special = next((kind for is_kind, kind in _KINDS if is_kind(found.st_mode)), None)
            if special is not None:
                what = f"is {special}, not a regular file"
                raise InputError(where, what, "write what it should say to a file, and name that")
            if found.st_size > limit:
                raise _too_large(where, found.st_size, limit)
            # Python makes room for as much as is asked for; /proc tells no size.
            read = file.read(found.st_size + 1)
            while len(read) <= limit and (more := file.read(_PIECE)):
                read += more
    except (OSError, ValueError) as exc:  # ValueError: a name with a NUL
        reason = "does not exist" if isinstance(exc, FileNotFoundError) else _reason(exc)
        raise InputError(where, f"cannot be read: {reason}", "check the path") from exc
    if len(read) > limit:
        raise _too_large(where, len(read), limit)
    return read


def why_no_file(path: Path) -> str:
    """Why a name leads to no regular file, in words; empty where it does."""
    try:
        found = path.stat().st_mode
    except (OSError, ValueError) as exc:  # gone, a name that is too long, or one with a NUL
        absent = isinstance(exc, FileNotFoundError | ValueError)
        return "does not exist" if absent else f"cannot be read: {_reason(exc)}"
    if stat.S_ISDIR(found):
        return "is a folder"
    return "" if stat.S_ISREG(found) else "is no regular file"


def state(path: Path) -> list[int] | None:
    """What changes with a file's content: times, size, and which file it is; None without one."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # reading it says why
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev]


def settled(state: list[int], now_ns: int) -> bool:
    """Whether a file was left alone for so long that another change would change its state."""
    return max(state[:2]) < now_ns - TICK_NS


def unmarked(read: bytes, where: str) -> bytes:
    """UTF-8 without the byte-order mark that an editor may have put first.

    Raises InputError for UTF-16, which is what other such marks stand for.
    """
    if read.startswith(_WIDE) or read.startswith(codecs.BOM_UTF32_BE):
        raise InputError(where, "is UTF-16 text, by its byte-order mark", "save it as UTF-8")
    return read.removeprefix(codecs.BOM_UTF8)


def text(path: Path, limit: int, expected: str = "save it as UTF-8 text") -> str:
    """The text of a UTF-8 file, without a byte-order mark; line ends stay as they are.

    Raises InputError as `content`, and for what is no UTF-8: `expected` says what to do then.
    """
    read = unmarked(content(path, limit), str(path))
    try:
        return read.decode()
    except UnicodeDecodeError as exc:
        raise InputError(str(path), "is not UTF-8 text", expected) from exc


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "strerror", None) or exc)


def _too_large(where: str, size: int, limit: int) -> InputError:
    what = f"has {_in_words(size)}; no more than {_in_words(limit)} are read here"
    return InputError(where, what, "name the right file, or make it smaller")


def _in_words(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"

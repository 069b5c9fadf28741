"""Where edgeq keeps what it keeps on this machine, and writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The user's own folder of edgeq: $EDGEQ_HOME, by default ~/.edgeq."""
    return Path(os.environ.get("EDGEQ_HOME") or "~/.edgeq").expanduser()


def cache(kind: str) -> Path:
    """A folder for what can be made again at any time; it exists afterwards."""
    folder = home() / "cache" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def builtin(name: str) -> Path:
    """The folder of built-in `targets` or `recipes`.

    In the wheel they travel inside the package; in a checkout they stand at the top.
    """
    packaged = Path(__file__).parent / name
    return packaged if packaged.is_dir() else packaged.parent.parent / name


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    # Opened like any other file, for the rights that the user's umask gives.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

"""Where edgeq keeps what it keeps on this machine, and writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
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
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, which mkstemp does not follow; it reads only by setting."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

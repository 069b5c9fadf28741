"""An image file and the hash of its content, made once where images are listed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeq.errors import InputError, Problems


@dataclass(frozen=True)
class Image:
    """A file, and the sha256 that its content had when it was listed."""

    path: Path
    sha256: str


def images_of(files: Sequence[Path]) -> tuple[Image, ...]:
    """The files in their order with their hashes, each hashed once however often it is named.

    Raises InputError(s) naming all that cannot be read.
    """
    problems = Problems()
    made = {file: problems.attempt(partial(image_of, file)) for file in dict.fromkeys(files)}
    problems.raise_all()
    return tuple(image for file in files if (image := made[file]))


def image_of(file: Path) -> Image:
    """One file with its hash; InputError where it cannot be read."""
    return Image(file, hash_of(file))


def hash_of(file: Path) -> str:
    """The sha256 of a file's content. Raises InputError for one that cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as exc:
        raise unreadable(file, exc) from exc


def unreadable(file: Path, exc: OSError) -> InputError:
    """A file that cannot be read, in words."""
    what = f"cannot be read: {exc.strerror or exc}"
    return InputError(str(file), what, "check that it is there and yours to read")

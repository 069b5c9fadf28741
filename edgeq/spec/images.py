"""An image file, the hash of its content and its header, read once where images are listed.

A file is not read again for its hash while its size, times and inode are those of the last time.
As in git, one that was changed just before it was hashed is not known by these: it may change once
more within the same tick of the file system's clock.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgeq import reading
from edgeq.cache import Cache
from edgeq.errors import InputError, Problems
from edgeq.spec.header import Header, read_header

CACHE = Cache("images")
LARGEST = 1 << 30


@dataclass(frozen=True)
class Image:
    """A file, the sha256 that its content had when it was listed, and what its header said then.

    The header is None where the format is not known, or the file no image. `stored` says that its
    pixels are taken as they lie there, whatever EXIF says of turning them.
    """

    path: Path
    sha256: str
    header: Header | None = None
    stored: bool = False

    @property
    def key(self) -> str:
        """What names its pixels: the hash, and that EXIF is left alone where it is."""
        return f"{self.sha256}.stored" if self.stored else self.sha256


def images_of(files: Sequence[Path]) -> tuple[Image, ...]:
    """The files in their order with their hashes, each hashed once however often it is named.

    Raises InputError(s) naming all that cannot be read, or end before the picture does.
    """
    problems = Problems()
    known = _Known()
    made = {file: problems.attempt(partial(known.image, file)) for file in dict.fromkeys(files)}
    known.keep()
    problems.raise_all()
    return tuple(image for file in files if (image := made[file]))


def image_of(file: Path) -> Image:
    """One file with its hash; InputError where it cannot be read."""
    return images_of([file])[0]


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


class _Known:
    """What is known of files of some folders, each an entry: name to state, hash and header."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Any]]] = {}
        self._changed: set[Path] = set()

    def image(self, file: Path) -> Image:
        """A file as an image, without reading it where nobody touched it."""
        folder, name = file.parent.absolute(), file.name
        if folder not in self._folders:
            content = CACHE.read(_key(folder))
            self._folders[folder] = {} if content is None else json.loads(content)
        now_ns = time.time_ns()
        state = reading.state(file)
        known = self._folders[folder].get(name)
        if known is not None and known[0] == state:
            digest, kept = str(known[1]), known[2]
            return Image(file, digest, None if kept is None else Header(*kept))
        content = reading.content(file, LARGEST)
        header = read_header(content)
        if header is not None and not header.whole:
            what = "ends before the picture does: what is missing would be grey"
            raise InputError(str(file), what, "copy it again, or take it out")
        digest = hashlib.sha256(content).hexdigest()
        if state is not None and state == reading.state(file) and reading.settled(state, now_ns):
            self._folders[folder][name] = [state, digest, header]
            self._changed.add(folder)
        return Image(file, digest, header)

    def keep(self) -> None:
        """Keep what was found out; where nothing can be written, it is found out again."""
        for folder in self._changed:
            with suppress(OSError):
                CACHE.write(_key(folder), json.dumps(self._folders[folder]).encode())


def _key(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()

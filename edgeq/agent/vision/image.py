"""Read an image as BGR pixels, upright (OpenCV applies the EXIF orientation) or as stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Sequence

import cv2
import numpy as np

from ..errors import UNREADABLE_IMAGE, AgentError, raise_problems
from ..names import is_hash

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Bytes

DAMAGED = "is not what its hash says: it was changed or damaged since that was made"
REMEDY = "push the images again or take the path out of the job"


def read_image(path: Path, sha256: str | None = None, stored: bool = False) -> Bytes:
    """The pixels of an image file, [H,W,3] BGR uint8; AgentError (unreadable-image) says why not.

    The image is as EXIF turns it: a photo taken sideways comes out upright; with `stored` it is as
    it lies in the file. What is decoded has `sha256`; a blob's name is its hash. Damaged pixels
    would decode to another figure.
    """
    problem = _absence(path)
    if problem is None:
        turned = cv2.IMREAD_IGNORE_ORIENTATION if stored else 0
        try:
            content = path.read_bytes()
            wanted = path.name if sha256 is None and is_hash(path.name) else sha256
            if wanted is not None and hashlib.sha256(content).hexdigest() != wanted:
                raise AgentError(UNREADABLE_IMAGE, str(path), DAMAGED, REMEDY)
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | turned)
        except (cv2.error, OSError):  # A broken header may ask for more pixels than OpenCV allows.
            pixels = None
        if pixels is not None:
            return np.asarray(pixels, np.uint8)
        problem = f"is not an image that OpenCV {cv2.__version__} can decode"
    raise AgentError(UNREADABLE_IMAGE, str(path), problem, REMEDY)


def check_present(paths: Sequence[Path]) -> None:
    """AgentError (unreadable-image) listing every path that is missing, empty or no file."""
    found = ((path, _absence(path)) for path in paths)
    problems = [f"{path} {problem}" for path, problem in found if problem is not None]
    raise_problems(UNREADABLE_IMAGE, "images", problems, REMEDY)


def _absence(path: Path) -> str | None:
    if not path.exists():
        return "is missing"
    if not path.is_file():
        return "is not a file"
    if path.stat().st_size == 0:
        return "is empty"
    return None

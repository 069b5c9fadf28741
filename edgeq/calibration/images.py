"""Calibration and evaluation images as input tensors, by the very code that the device runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeq.agent.errors import AgentError
from edgeq.agent.image import read_image
from edgeq.agent.letterbox import Geometry, prepare
from edgeq.agent.manifest import Preprocess as AgentPreprocess
from edgeq.errors import InputError
from edgeq.recipe import Preprocess


def choose(files: Sequence[Path], count: int | None) -> list[Path]:
    """`count` of the files, spread evenly (neighbouring video frames say little new); all if None.

    Raises InputError when there are fewer than asked for.
    """
    if count is None or count == len(files):
        return list(files)
    if count > len(files):
        what = f"{count} images are asked for, there are {len(files)}"
        raise InputError(str(files[0].parent), what, "add images or lower 'count'")
    return [files[i * len(files) // count] for i in range(count)]


def content_hash(path: Path) -> str:
    """The sha256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shared(first: Sequence[Path], second: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of files with the same content, one from each side."""
    by_content = {content_hash(path): path for path in first}
    pairs = ((by_content.get(content_hash(path)), path) for path in second)
    return [(one, other) for one, other in pairs if one is not None]


def for_agent(preprocess: Preprocess, dtype: str = "float32") -> AgentPreprocess:
    """The recipe's preprocessing in the agent's terms."""
    return AgentPreprocess(layout="nchw", dtype=dtype, **preprocess.model_dump())


def tensors(files: Sequence[Path], preprocess: Preprocess) -> Iterator[NDArray[np.float32]]:
    """One input tensor [1,3,H,W] a file; InputError names the file that cannot be read."""
    for file in files:
        yield placed(file, preprocess)[0]


def placed(file: Path, preprocess: Preprocess) -> tuple[NDArray[np.float32], Geometry]:
    """The input tensor [1,3,H,W] of a file, and where in it the image lies.

    Raises InputError for a file that cannot be read.
    """
    try:
        pixels = read_image(file)
    except AgentError as exc:
        raise InputError(str(file), exc.what, "replace or remove the image") from exc
    tensor, geometry = prepare(pixels, for_agent(preprocess))
    return np.asarray(tensor, np.float32), geometry

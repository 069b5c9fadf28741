"""Calibration and evaluation images as input tensors, by the very code that the device runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import ReleaseInput as AgentPreprocess
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import Geometry, prepare
from edgeq.errors import InputError
from edgeq.spec.images import Image
from edgeq.spec.recipe import Preprocess

T = TypeVar("T")


def choose(files: Sequence[Path], count: int | None) -> list[Path]:
    """`count` of the files, spread evenly (neighbouring video frames say little new); all if None.

    Raises InputError when there are fewer than asked for.
    """
    if count is None or count == len(files):
        return list(files)
    if count > len(files):
        what = f"{count} images are asked for, there are {len(files)}"
        raise InputError(str(files[0].parent), what, "add images or lower 'count'")
    return evenly(files, count)


def evenly(items: Sequence[T], count: int) -> list[T]:
    """`count` of some things, spread evenly; all where there are fewer."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def shared(first: Iterable[Image], second: Iterable[Image]) -> list[tuple[Image, Image]]:
    """Pairs of images with the same content, one from each side."""
    by_content = {image.sha256: image for image in first}
    pairs = ((by_content.get(image.sha256), image) for image in second)
    return [(one, other) for one, other in pairs if one is not None]


def for_agent(preprocess: Preprocess, dtype: str = "float32") -> AgentPreprocess:
    """The recipe's preprocessing in the agent's terms."""
    return AgentPreprocess(layout="nchw", dtype=dtype, **preprocess.model_dump())


def tensors(images: Iterable[Image], preprocess: Preprocess) -> Iterator[NDArray[np.float32]]:
    """One input tensor [1,3,H,W] an image; InputError names the file that cannot be read."""
    for image in images:
        yield placed(image, preprocess)[0]


def placed(image: Image, preprocess: Preprocess) -> tuple[NDArray[np.float32], Geometry]:
    """The input tensor [1,3,H,W] of an image, and where in it the image lies.

    Raises InputError for a file that cannot be read, or is another than was listed.
    """
    try:
        pixels = read_image(image.path, image.sha256, image.stored)
    except AgentError as exc:
        raise InputError(str(image.path), exc.what, "replace or remove the image") from exc
    tensor, geometry = prepare(pixels, for_agent(preprocess))
    return np.asarray(tensor, np.float32), geometry

"""Predictions of one engine on a set of images, with the raw outputs of the first few.

What the host computes depends on nothing but model and images, so it is kept; a device is asked
again every time.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeq import cache
from edgeq.agent.errors import UNREADABLE_IMAGE
from edgeq.agent.vision import rle
from edgeq.agent.vision.detections import Output
from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.device.session.arrays import parsed_arrays
from edgeq.device.session.parsing import garbled
from edgeq.errors import DeviceError, EdgeqError, InputError, InputErrors
from edgeq.progress import Progress
from edgeq.records.accuracy import ImagePrediction
from edgeq.spec.images import Image

CACHE = cache.Cache("predictions")

Outputs = list[Output]
T = TypeVar("T")

DIVERGENCE_IMAGES = 4
"""Images whose raw outputs are compared between simulation and device."""
LARGEST_OUTPUTS = 1 << 30
"""Bytes of their raw outputs that are taken from a device."""


@dataclass(frozen=True)
class Predictions:
    """One prediction an image, and the raw outputs (image id/output name) of the first few."""

    images: tuple[ImagePrediction, ...]
    outputs: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Manner:
    """How an engine looks at images.

    `graph_optimization` disabled simulates a Q/DQ graph in float. The raw outputs of the first
    `keep_count` images are kept; outputs that `only_kept` names are there for nothing else.
    `is_known` says that it depends on nothing but model and images, so that it can be remembered.
    """

    threads: int
    graph_optimization: str = "all"
    keep_count: int = 0
    is_known: bool = True
    only_kept: tuple[str, ...] = ()


def predict(
    device: Device,
    artifact: Artifact,
    files: Mapping[int, Image],
    manner: Manner,
    progress: Progress,
    label: str,
) -> Predictions:
    """Have a device's agent predict on images by their ids; kept ones are read back.

    Raises DeviceError.
    """
    key = _key(artifact, files, manner.graph_optimization, manner.keep_count)
    known = CACHE.read(key) if manner.is_known else None
    if known is not None:
        return _decoded(known)
    found = answered(device, artifact, files, manner, progress, label)
    outputs = found.outputs() if manner.keep_count else {}
    if manner.is_known:
        CACHE.write(key, _encoded(found.images, outputs))
    return Predictions(found.images, outputs)


@dataclass(frozen=True)
class Answered:
    """What a device found on images; the raw outputs of the first `kept` are still there."""

    device: Device
    images: tuple[ImagePrediction, ...]
    kept: Sequence[str]
    name: str

    def outputs(self) -> dict[str, NDArray[Any]]:
        """Take the raw outputs from the device, once. Raises DeviceError."""
        content = self.device.files.take(self.name, LARGEST_OUTPUTS)
        outputs = parsed_arrays(content, "outputs", self.device.address)
        _require_outputs(outputs, self.kept, self.device.address)
        return outputs


def answered(
    device: Device,
    artifact: Artifact,
    files: Mapping[int, Image],
    manner: Manner,
    progress: Progress,
    label: str,
) -> Answered:
    """As `predict`, but nothing is remembered, and raw outputs are taken when somebody wants to."""
    release = device.push(artifact, progress, manner.graph_optimization)
    placed = device.files.put(files.values(), progress)
    images: list[ImagePrediction] = []
    job = {
        "release": release,
        "images": [
            {"id": id_, "path": placed[image.path], "stored": image.stored}
            for id_, image in files.items()
        ],
        "threads": manner.threads,
        "graph_optimization": manner.graph_optimization,
    }
    name, path = device.files.work_name(".npz")
    if manner.keep_count:
        job |= {"keep_outputs": path, "keep_count": manner.keep_count}
    if manner.only_kept:
        job["only_kept"] = list(manner.only_kept)

    def told(_: str, done: int, total: int) -> None:
        progress(label, done, total)

    def run() -> None:
        images.clear()
        device.predict(job, images.append, told)

    over_images(device, placed, run, progress)
    _require_answers(images, files, len(artifact.manifest.task.classes), device.address)
    if not manner.is_known:
        _require_masks(images, device.address)
    return Answered(device, tuple(images), [str(id_) for id_ in files][: manner.keep_count], name)


def _require_answers(
    images: Sequence[ImagePrediction], asked: Mapping[int, Image], classes: int, where: str
) -> None:
    """DeviceError unless there is one prediction of each image, with labels of the model."""
    if [image.id for image in images] != list(asked):
        what = f"it predicted on images {[image.id for image in images][:8]}"
        raise garbled(
            where, f"{what} of {len(images)}, asked for {list(asked)[:8]} of {len(asked)}"
        )
    for image in images:
        if any(label >= classes for label in image.labels):
            what = f"labels of image {image.id} go up to {max(image.labels)}"
            raise garbled(where, f"{what}; the model has {classes} classes")


def _require_masks(images: Sequence[ImagePrediction], where: str) -> None:
    """DeviceError unless all masks are of whole images; this machine's own are known to be."""
    for image in images:
        if not rle.fills([mask.counts for mask in image.masks], image.height, image.width):
            raise garbled(where, f"a mask of image {image.id} does not fill it")


def _require_outputs(outputs: Mapping[str, Any], asked: Sequence[str], where: str) -> None:
    """DeviceError unless there are raw outputs of the images asked for, and of no others."""
    there = {name.partition("/")[0] for name in outputs}
    if there != set(asked):
        what = f"its outputs are of images {sorted(there)[:8]}, {list(asked)} were asked for"
        raise garbled(where, what)


def over_images(
    device: Device,
    placed: Mapping[Path, str],
    run: Callable[[], T],
    progress: Progress,
) -> T:
    """What a job over images comes to (file to path on the device).

    Where it cannot read one, what is damaged there is sent again and the job run once more. Raises
    DeviceError, and InputError naming the files which are whole there and no images all the same.
    """
    try:
        return run()
    except DeviceError as exc:
        if exc.kind != UNREADABLE_IMAGE:
            raise
        if not device.files.mend(placed, progress):
            raise _naming(exc, placed) from exc
    try:
        return run()
    except DeviceError as exc:
        raise _naming(exc, placed) from exc


def _naming(exc: DeviceError, placed: Mapping[Path, str]) -> EdgeqError:
    """The agent's word on a blob that is no image as one on the file it was sent from."""
    named = [str(file) for file, path in placed.items() if path in exc.what]
    if exc.kind != UNREADABLE_IMAGE or not named:
        return exc
    what = "cannot be read as an image"
    problems = [InputError(name, what, "replace or remove it") for name in named]
    return problems[0] if len(problems) == 1 else InputErrors(problems)


def raw_outputs(
    first: dict[str, NDArray[Any]], second: dict[str, NDArray[Any]]
) -> Iterator[tuple[Outputs, Outputs]]:
    """The raw outputs of two engines, image by image."""
    for image in dict.fromkeys(name.partition("/")[0] for name in first):
        yield _of_image(first, image), _of_image(second, image)


def _of_image(outputs: dict[str, NDArray[Any]], image: str) -> Outputs:
    prefix = f"{image}/"
    return [
        Output(name.removeprefix(prefix), value)
        for name, value in outputs.items()
        if name.startswith(prefix)
    ]


def _key(artifact: Artifact, files: Mapping[int, Image], optimization: str, keep_count: int) -> str:
    described = {
        "artifact": artifact.id,
        "images": {str(id_): image.key for id_, image in files.items()},
        "optimization": optimization,
        "keep": keep_count,
    }
    return cache.key(described)


def _encoded(images: Sequence[ImagePrediction], outputs: dict[str, NDArray[Any]]) -> bytes:
    content = io.BytesIO()
    lines = [image.model_dump(mode="json") for image in images]
    np.savez_compressed(content, **{"edgeq images": np.array(json.dumps(lines)), **outputs})  # type: ignore[arg-type]
    return content.getvalue()


def _decoded(content: bytes) -> Predictions:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        lines = json.loads(str(stored["edgeq images"]))
        outputs = {name: stored[name] for name in stored.files if name != "edgeq images"}
    return Predictions(tuple(ImagePrediction.model_validate(line) for line in lines), outputs)

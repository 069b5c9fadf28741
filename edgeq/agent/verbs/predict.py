"""The verb `predict`: instances in images, one event an image."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from ..manifest import read_manifest
from ..runtimes.base import fit_tensor, load
from ..vision.decode import decode
from ..vision.image import check_present, read_image
from ..vision.letterbox import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from ..vision.detections import Detections, Output
    from ..vision.letterbox import Geometry
    from ..wire.events import Events
    from ..wire.job import PredictJob


def predict(job: PredictJob, events: Events) -> dict[str, Any]:
    """Send an `image` event an image and return the result: their number and the raw outputs.

    AgentError: bad-artifact, unreadable-image, missing-engine, engine or out-of-memory.
    """
    manifest = read_manifest(job.release)
    check_present([request.path for request in job.images])
    engine = load(manifest, job.threads, job.graph_optimization, job.engine)
    shapes: list[dict[str, Any]] = []
    kept = OutputFile(job.keep_outputs) if job.keep_outputs is not None else None
    for done, request in enumerate(job.images, 1):
        tensor, geometry = prepare(
            read_image(request.path, stored=request.stored), manifest.preprocess
        )
        outputs = engine.run(fit_tensor(tensor, engine.input))
        if kept is not None and done <= job.keep_count:
            kept.add(request.id, outputs)
        read = [output for output in outputs if output.name not in job.only_kept]
        found = decode(manifest.task, read, geometry)
        events.image({"id": request.id, **found_fields(found, geometry)})
        events.progress("predict", done, len(job.images))
        shapes = shapes or output_fields(outputs)
    if kept is not None:
        kept.finish()
    return {
        "release": manifest.id,
        "images": len(job.images),
        "outputs": shapes,
        "engine": {"name": engine.name, "version": engine.version},
        "kept_outputs": min(job.keep_count, len(job.images)) if kept is not None else 0,
    }


def found_fields(found: Detections, geometry: Geometry) -> dict[str, Any]:
    """The fields of an `image` event: boxes [x,y,w,h] in image pixels to a thousandth."""
    boxes = found.boxes.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    return {
        "height": geometry.image_height,
        "width": geometry.image_width,
        "boxes": np.round(boxes, 3).tolist(),
        "labels": found.labels.tolist(),
        "scores": [float(f"{score:.6g}") for score in found.scores.tolist()],
        "masks": found.masks,
    }


def output_fields(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Name, shape and dtype of every raw output."""
    return [
        {"name": o.name, "shape": list(o.array.shape), "dtype": o.array.dtype.name} for o in outputs
    ]


class OutputFile:
    """Raw outputs in an .npz as `<image id>/<output name>`, written one by one to save memory.

    The file appears under its name only when it is complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._archive = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_STORED, allowZip64=True)

    def add(self, image_id: int, outputs: Sequence[Output]) -> None:
        """Append all outputs of one image."""
        for name, array in outputs:
            with self._archive.open(f"{image_id}/{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)

    def finish(self) -> None:
        """Close the file and give it its name."""
        self._archive.close()
        self._partial.replace(self._path)

"""Artifacts to push."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import edgeq.demo
from edgeq.artifact import shelf
from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Input, Manifest, ManifestTask, RuntimeEntry, describe


def made(files: Mapping[str, bytes], note: str = "") -> Artifact:
    """An artifact of these files; `model.onnx` has to be one of them."""
    manifest = Manifest(
        runtime=RuntimeEntry(name="onnxruntime", model="model.onnx"),
        task=ManifestTask(
            decoder="yolov8-seg",
            classes=("pig", "sheep", "cow"),
            score_threshold=0.001,
            iou_threshold=0.6,
            max_detections=100,
            multi_label=True,
            mask_threshold=0.5,
        ),
        preprocess=Input(
            size=(256, 256),
            letterbox=True,
            pad_value=114,
            color="rgb",
            scale=1 / 255,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        files=describe(files),
        provenance={"note": note},
    )
    return shelf.keep(manifest, files)


def demo() -> Artifact:
    """The demo's float model, which an agent can load."""
    folder = Path(edgeq.demo.__file__ or "").parent
    return made({"model.onnx": (folder / "model.onnx").read_bytes(), "plan.json": b"{}"})

"""What is measured on: models and images that travel beside the repository, and a network of ours.

`../shared/data` is no part of the product; where it is missing, images are the demo's scenes and
figures of the real models are not measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "benchmarks" / "out"
CALIBRATION_IMAGES = 128
NO_DATA = "the real model and images are not at ../shared/data"


@dataclass(frozen=True)
class Subject:
    """A model file, its input size and what it is called in the table."""

    name: str
    path: Path
    size: int


def threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def yolov5n(size: int = 640) -> Subject | None:
    """The real model, None where it is not at hand."""
    path = DATA / "models" / ("yolov5n-seg.onnx" if size == 640 else f"yolov5n-seg-{size}.onnx")
    return Subject(f"yolov5n-seg {size}", path, size) if path.is_file() else None


def yolov8n_like() -> Subject:
    """The network in the form of YOLOv8n-seg, written into `out/` anew."""
    import onnx

    from benchmarks.network import yolov8n_seg

    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "yolov8n-seg-like.onnx"
    onnx.save(yolov8n_seg(), str(path))
    return Subject("yolov8n-seg-like 640", path, 640)


def calibration_images(count: int) -> list[str]:
    """That many images, repeated where there are fewer files."""
    return _repeated(sorted((DATA / "coco-calib").glob("*.jpg")) or _scenes(), count)


def validation_images(count: int) -> list[str]:
    """That many images of coco-val, spread evenly; fewer where there are fewer, or none."""
    files = sorted((DATA / "coco-val" / "images").glob("*.jpg"))
    count = min(count, len(files))
    return [str(files[i * len(files) // count]) for i in range(count)]


def _repeated(files: list[Path], count: int) -> list[str]:
    return [str(files[i % len(files)]) for i in range(count)]


def _scenes() -> list[Path]:
    """Images drawn by the demo, where no real ones are at hand."""
    from edgeq.demo.annotations import write_scenes

    folder = OUT / "scenes"
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob("*.jpg"))
    if len(found) < CALIBRATION_IMAGES:
        for _ in write_scenes(folder, 1, CALIBRATION_IMAGES):
            pass
        found = sorted(folder.glob("*.jpg"))
    return found

"""The demo project on disk: a model, images to calibrate and to evaluate with, and a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeq.demo.annotations import write_annotations, write_scenes
from edgeq.demo.paddock import Scene
from edgeq.errors import InputError
from edgeq.places import write_whole
from edgeq.progress import Progress, silent

CALIBRATION_SEED, EVALUATION_SEED = 2001, 3001
"""Neither is the series that the model was trained on."""
CALIBRATION_COUNT, EVALUATION_COUNT = 64, 100
MARKER = ".edgeq-demo"
"""The file by which a folder is known again as a demo project, written before all else."""


@dataclass(frozen=True)
class DemoProject:
    """Where the parts of a written project lie, and how many scenes and animals it holds."""

    folder: Path
    recipe: Path
    model: Path
    calibration: Path
    evaluation: Path
    annotations: Path
    calibration_count: int
    evaluation_count: int
    instance_count: int


def write_demo(
    folder: Path,
    calibration_count: int = CALIBRATION_COUNT,
    evaluation_count: int = EVALUATION_COUNT,
    progress: Progress = silent,
) -> DemoProject:
    """Write the demo project into a new or empty folder, or over an earlier demo project.

    `progress` is told (stage, scenes drawn, scenes to draw).

    A run that was killed is made good by the next one. Raises InputError when the folder holds
    anything else, or cannot be written.
    """
    require_free(folder)
    try:
        return _write(folder, calibration_count, evaluation_count, progress)
    except OSError as exc:
        raise InputError(
            str(folder), f"cannot be written ({exc.strerror})", "name a folder of your own"
        ) from exc


def require_free(folder: Path) -> None:
    """InputError unless the folder is new, empty or an earlier demo project."""
    if not folder.exists() or (folder / MARKER).is_file():
        return
    if not folder.is_dir():
        raise InputError(str(folder), "is a file", "name a new or empty folder")
    try:
        occupied = any(folder.iterdir())
    except OSError as exc:
        what = f"cannot be read ({exc.strerror})"
        raise InputError(str(folder), what, "name a folder of your own") from exc
    if occupied:
        raise InputError(
            str(folder), "is not empty and no demo project", "name a new or empty folder"
        )


def _write(
    folder: Path, calibration_count: int, evaluation_count: int, progress: Progress
) -> DemoProject:
    calibration, evaluation = folder / "calibration", folder / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("A demo project of edgeq; edgeq may write over it.\n", "utf-8")
    for part, count in ((calibration, calibration_count), (evaluation, evaluation_count)):
        part.mkdir(exist_ok=True)
        _drop_scenes(part, count)
    for name in ("model.onnx", "recipe.yaml"):
        write_whole(folder / name, (resources.files("edgeq.demo") / name).read_bytes())
    drawn = write_scenes(calibration, CALIBRATION_SEED, calibration_count)
    for _ in _watched(drawn, calibration_count, "draw calibration", progress):
        pass
    annotations = folder / "instances.json"
    drawn = write_scenes(evaluation, EVALUATION_SEED, evaluation_count)
    watched = _watched(drawn, evaluation_count, "draw evaluation", progress)
    instances = write_annotations(annotations, watched)
    return DemoProject(
        folder=folder,
        recipe=folder / "recipe.yaml",
        model=folder / "model.onnx",
        calibration=calibration,
        evaluation=evaluation,
        annotations=annotations,
        calibration_count=calibration_count,
        evaluation_count=evaluation_count,
        instance_count=instances,
    )


def _watched(
    scenes: Iterator[tuple[str, Scene]], count: int, stage: str, progress: Progress
) -> Iterator[tuple[str, Scene]]:
    for done, scene in enumerate(scenes, 1):
        yield scene
        progress(stage, done, count)


def _drop_scenes(folder: Path, count: int) -> None:
    """Remove scenes of a larger earlier project, and what a killed run left half written."""
    for path in (*folder.glob("scene-*.jpg"), *folder.glob(".scene-*")):
        number = path.stem[len("scene-") :]
        if path.name.startswith(".") or (number.isdigit() and int(number) >= count):
            path.unlink()

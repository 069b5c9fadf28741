"""Images and labels that do not belong together: refused before any work, or said."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

import edgeq
from edgeq.errors import InputError
from edgeq.evaluation.dataset import evaluation_of
from edgeq.progress import silent
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.stages.prepare import prepare

from .project import Project

Change = Callable[[Project], object]


@pytest.fixture
def project(small_demo: Path, spared: None, tmp_path: Path) -> Project:
    return Project(small_demo, tmp_path / "project")


def notes(project: Project) -> str:
    """What is said before any work; InputError(s) where the recipe is refused."""
    recipe = recipes.load(project.recipe)
    target = targets.load("local").model_copy(update={"activation_type": "uint8"})
    evaluation = evaluation_of(recipe)
    files = list(evaluation.files.values()) if evaluation else []
    prepared = prepare(recipe, target, None, files)
    return "\n".join((*prepared.notes, *(evaluation.notes if evaluation else ())))


def same_file(project: Project) -> None:
    def twice(document: dict[str, Any]) -> None:
        for folder, image in zip(("camA", "camB"), document["images"], strict=False):
            image["file_name"] = f"{folder}/scene-0000.jpg"

    project.relabel(twice)


def cut(folder: str) -> Change:
    def change(project: Project) -> None:
        file = sorted((project.folder / folder).iterdir())[1]
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return change


def crowds(share: float) -> Change:
    def mark(document: dict[str, Any]) -> None:
        count = round(share * len(document["annotations"]))
        for index, annotation in enumerate(document["annotations"]):
            annotation["iscrowd"] = int(index < count)

    return lambda project: project.relabel(mark)


def sideways(document: dict[str, Any]) -> None:
    for image in document["images"]:
        image["height"], image["width"] = image["width"], image["height"]
    document["annotations"] = []


def square(project: Project) -> None:
    def label(document: dict[str, Any]) -> None:
        document["images"][0] |= {"height": 240, "width": 240}
        document["annotations"] = [a for a in document["annotations"] if a["image_id"] != 1]

    project.relabel(label)
    with Pillow.open(project.image()) as picture:
        picture.crop((0, 0, 240, 240)).save(project.image(), "JPEG")


def named(*names: str) -> Change:
    def change(project: Project) -> None:
        project.set("task.categories", None)
        project.set("task.classes", list(names))

    return change


def also(*changes: Change) -> Change:
    def change(project: Project) -> None:
        for one in changes:
            one(project)

    return change


def put(name: str, value: object) -> Change:
    return lambda project: project.set(name, value)


REFUSED: dict[str, tuple[Change, str]] = {
    "mean in units of 0 to 255": (
        put("preprocess.mean", [123.7, 116.3, 103.5]),
        r"mean is \[123.7, 116.3, 103.5\], but pixels times scale are 0 to 1.* set the scale to 1",
    ),
    "std in units of 0 to 255": (put("preprocess.std", [58.4, 57.1, 57.4]), "std is .*0 to 1"),
    "scale is in std, too": (put("preprocess.std", [255.0, 255.0, 255.0]), "std is .*0 to 1"),
    "category map shifted by one": (
        put("task.categories", {0: 2, 1: 3, 2: 1}),
        r"contradicts equal names, as it maps class 0 'pig' to category 2 'sheep', not 1",
    ),
    "map names no category": (put("task.categories", {0: 1, 1: 2, 2: 9}), "mapped to category 9"),
    "map forgets an annotated category": (
        put("task.categories", {0: 1, 1: 2}),
        "1 annotated category has no class: 'cow', which the map leaves out",
    ),
    "one file for two images": (same_file, r"scene-0000.jpg: is what 2 images would be read from"),
    "class spelled otherwise": (
        named("pig", "sheeps", "cow"),
        r"1 class has no category: 'sheeps' \(nearest 'sheep'\); 1 annotated category has no class",
    ),
    "invisible character before a name": (named("\ufeffpig", "sheep", "cow"), "1 class has no"),
    "class that is not annotated": (named("pig", "sheep", "cow", "goat"), "1 class has no .*goat"),
    "no name in common": (
        also(named("a", "b", "c"), put("task.ignore_unmatched", True)),
        "3 classes have no category",
    ),
    "evaluation image cut short": (cut("evaluation"), "ends before the picture does"),
    "calibration image cut short": (cut("calibration"), "ends before the picture does"),
    "crowds only": (crowds(1), "instances are crowds, which no detection is scored against"),
    "EXIF turns half round": (
        lambda project: project.turn(3),
        r"6 images are turned by EXIF, and the size does not tell .* and 3 more; .*'exif' if",
    ),
    "EXIF turns squares": (
        also(square, lambda project: project.turn(6, 0)),
        "1 image is turned by EXIF, and the size does not tell",
    ),
    "EXIF turns what was annotated as stored, said otherwise": (
        also(lambda project: project.turn(6), put("evaluate.orientation", "exif")),
        r"320x240, EXIF 6, annotated as 320x240\) and 3 more",
    ),
    "images of another size": (
        lambda project: project.relabel(sideways),
        r"6 images are not of the annotated size: scene-0000.jpg \(320x240, ann",
    ),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_is_refused_before_any_work(situation: str, project: Project, edgeq_home: Path) -> None:
    change, message = REFUSED[situation]
    change(project)
    with pytest.raises(InputError, match=message):
        notes(project)


def heic(project: Project) -> None:
    files = sorted((project.folder / "calibration").iterdir())
    for file in files[1:]:
        file.rename(file.with_suffix(".heic"))
    project.set("calibration.count", None)


def in_folders(project: Project) -> None:
    for file in sorted((project.folder / "calibration").iterdir())[1:]:
        folder = file.parent / "day" / file.stem
        folder.mkdir(parents=True)
        shutil.move(file, folder)
    project.set("calibration.count", None)


SAID: dict[str, tuple[Change, str]] = {
    "few calibration images": (lambda project: None, "calibrated on 8 images: ranges of fewer"),
    "calibration images of another format": (
        heic,
        "passed over 7 files that are no images by their names: 7 .heic\ncalibrated on 1 image:",
    ),
    "calibration image whose link leads nowhere": (
        lambda project: (project.folder / "calibration" / "x.jpg").symlink_to("gone.jpg"),
        "passed over 1 name that cannot be read: x.jpg does not exist",
    ),
    "calibration images in folders": (in_folders, "passed over 1 folder, as 'recursive' is not"),
    "calibration images in folders, searched": (
        also(in_folders, put("calibration.recursive", True)),
        "^calibrated on 8 images",
    ),
    "half of the instances are crowds": (crowds(0.6), "instances are crowds, which are not scored"),
    "class that is not annotated, meant so": (
        also(named("pig", "sheep", "goat"), put("task.ignore_unmatched", True)),
        r"not scored: 1 class, 1 category \(\d+ instances\); 1 class has no category: 'goat'",
    ),
}


@pytest.mark.parametrize("situation", SAID)
def test_is_said(situation: str, project: Project) -> None:
    change, message = SAID[situation]
    change(project)
    assert re.search(message, notes(project)), notes(project)


def test_only_images_that_are_scored_count(project: Project) -> None:
    def later(document: dict[str, Any]) -> None:
        document["categories"].append({"id": 9, "name": "goat"})
        last = document["images"][-1]["id"]
        for annotation in document["annotations"]:
            if annotation["image_id"] == last:
                annotation |= {"category_id": 9, "iscrowd": 1}

    project.relabel(later)
    project.set("evaluate.count", 5)
    assert "not scored" not in notes(project)
    project.set("evaluate.count", None)
    with pytest.raises(InputError, match="1 annotated category has no class: 'goat'"):
        notes(project)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_photographs_are_read_as_they_were_annotated(orientation: int, project: Project) -> None:
    project.turn(orientation)
    if orientation < 5:
        project.set("evaluate.orientation", "stored")
    evaluation = evaluation_of(recipes.load(project.recipe))
    assert evaluation is not None
    assert all(image.stored for image in evaluation.files.values())


def test_photographs_annotated_as_stored_score_as_before(project: Project) -> None:
    project.turn(6, 0, 1)
    project.set("gates", {"mask_ap_drop": 0.3})
    report = edgeq.deploy(project.recipe, "local", progress=silent)
    column = report.column("float")
    assert column is not None and column.accuracy is not None
    assert column.accuracy.mask.ap is not None and column.accuracy.mask.ap > 0.7

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from edgeq.calibration import statistics
from edgeq.device.connection import host
from edgeq.evaluation.agreement import own_labels
from edgeq.progress import silent
from edgeq.records.accuracy import ImagePrediction
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.images import image_of
from edgeq.stages import predict as prediction
from edgeq.stages.build import build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.predict import Manner
from edgeq.stages.prepare import Prepared, prepare
from edgeq.stages.references import simulation
from edgeq.tuning import variants
from edgeq.tuning.journal import Journal
from edgeq.tuning.predicting import FLOAT, predict
from edgeq.tuning.scoring import drops
from edgeq.tuning.stopping import Budget


@pytest.fixture
def start(small_demo: Path) -> Prepared:
    recipe = recipes.load(small_demo / "recipe.yaml")
    return prepare(recipe, targets.load("arm-cpu-ort"), None)


def test_finds_what_a_deploy_finds(start: Prepared) -> None:
    files = dict(enumerate(start.calibration[:3], 7))
    built = build(start)
    models = {FLOAT: float_artifact(start), "all": simulation(start, built)}
    levels = {FLOAT: "all", "all": "disabled"}
    with host() as here:
        deployed = {
            name: prediction.predict(
                here, model, files, Manner(1, levels[name]), silent, name
            ).images
            for name, model in models.items()
        }

    found = predict(start, {FLOAT: None, "all": built.plan}, files, *_unlimited("key"))

    for name, expected in deployed.items():
        assert [one.id for one in found[name]] == list(files)
        labels = own_labels(expected, files, start.recipe.task.classes)
        assert labels.annotations.instances
        lost = drops(labels, expected, {"here": found[name]})["here"]
        # Half way between two integers another order of sums may round the other way.
        assert all(drop is not None and abs(drop.estimate) < 0.01 for drop in lost.values())


def test_photograph_annotated_as_stored_is_looked_at_and_kept_as_such(
    start: Prepared, tmp_path: Path
) -> None:
    file = tmp_path / "sideways.jpg"
    with Pillow.open(start.calibration[0].path) as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(file, "JPEG", exif=exif)
        width, height = picture.size
    upright = image_of(file)

    sizes = []
    for image in (upright, replace(upright, stored=True)):
        found = predict(start, {FLOAT: None}, {1: image}, *_unlimited("key"))
        sizes.append((found[FLOAT][0].height, found[FLOAT][0].width))

    assert sizes == [(width, height), (height, width)]


def _unlimited(key: str) -> tuple[Journal, Budget, Callable[[int], None]]:
    return Journal(key), Budget(None), lambda _: None


def test_a_spent_budget_gives_what_the_journal_has(start: Prepared) -> None:
    files = dict(enumerate(start.calibration[:2]))
    seen = statistics.gather(
        start.model, start.wanted, start.calibration, start.recipe.preprocess, 1
    )
    plan = variants.everything(start, seen)
    known = predict(start, {FLOAT: None}, files, *_unlimited("key"))

    journal = Journal("key")
    found = predict(start, {FLOAT: None, "all": plan}, files, journal, Budget(0), lambda _: None)

    assert found == known


def test_float_loses_nothing_against_its_own_detections(start: Prepared) -> None:
    files = dict(enumerate(start.calibration[:2]))
    found = predict(start, {FLOAT: None}, files, *_unlimited("key"))[FLOAT]
    labels = own_labels(found, files, start.recipe.task.classes)

    lost = drops(labels, found, {"itself": found, "nothing": _empty(found)})

    assert [drop and drop.estimate for drop in lost["itself"].values()] == [0, 0]
    assert [drop and drop.estimate for drop in lost["nothing"].values()] == [1, 1]


def _empty(found: tuple[ImagePrediction, ...]) -> list[ImagePrediction]:
    nothing: dict[str, object] = {"boxes": (), "labels": (), "scores": (), "masks": ()}
    return [one.model_copy(update=nothing) for one in found]


@pytest.mark.usefixtures("edgeq_home")
def test_arrays_of_either_kind_are_kept() -> None:
    journal = Journal("key")
    for number, kind in enumerate(("alone", "all but")):
        assert journal.arrays("image", kind) is None
        journal.keep_arrays("image", kind, {"x": np.array([number], np.float64)})
    found = [journal.arrays("image", kind) for kind in ("alone", "all but")]
    assert [arrays and arrays["x"].tolist() for arrays in found] == [[0], [1]]


def test_a_damaged_file_of_the_journal_counts_for_nothing(edgeq_home: Path) -> None:
    journal = Journal("key")
    journal.keep_arrays("image", "alone", {})
    assert journal.arrays("image", "alone") == {}
    [file] = (edgeq_home / "cache" / "sensitivity").rglob("*.entry")
    file.write_bytes(file.read_bytes()[:9])
    assert journal.arrays("image", "alone") is None

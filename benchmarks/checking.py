"""What looking at images, labels and answers costs, beside the deploy that they are for."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import inputs
from benchmarks.figure import Figure, at_most, missing

PART = "checking"
SHARE = at_most(0.03)
NAME = "checks / predicting, for float, simulation and device"
_PASSES = 3


def measure() -> Iterator[Figure]:
    """The checks of a deploy with all images of coco-val, one by one, in seconds of predicting."""
    subject = inputs.yolov5n(320)
    if subject is None:
        yield missing(PART, NAME, "x", inputs.NO_DATA, SHARE)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from _measured(subject, Path(folder))


def _measured(subject: inputs.Subject, folder: Path) -> Iterator[Figure]:
    from edgeq.agent.vision import rle
    from edgeq.device.connection import host
    from edgeq.evaluation.dataset import evaluation_of
    from edgeq.evaluation.doubt import doubt
    from edgeq.evaluation.matches import match
    from edgeq.progress import silent
    from edgeq.spec import recipe as recipes
    from edgeq.spec import target as targets
    from edgeq.spec.header import read_header
    from edgeq.stages.one_file import float_artifact
    from edgeq.stages.predict import Manner, predict
    from edgeq.stages.prepare import prepare

    file = folder / "recipe.json"
    file.write_text(json.dumps(_recipe(subject)), encoding="utf-8")
    recipe = recipes.load(file)
    evaluation = evaluation_of(recipe)
    assert evaluation is not None
    target = targets.load("local").model_copy(update={"activation_type": "uint8"})
    artifact = float_artifact(prepare(recipe, target, None))
    with host() as here:
        manner = Manner(inputs.threads(), is_known=False)
        predict(here, artifact, dict(list(evaluation.files.items())[:2]), manner, silent, "")
        started = time.perf_counter()
        found = predict(here, artifact, evaluation.files, manner, silent, "").images
        predicting_s = time.perf_counter() - started
    labels, ids = evaluation.annotations, list(evaluation.files)
    matches = match(labels, found, evaluation.categories, ids)
    contents = [image.path.read_bytes() for image in evaluation.files.values()]
    masks = [([mask.counts for mask in image.masks], image.height, image.width) for image in found]
    checks: dict[str, tuple[Callable[[], object], int]] = {
        "headers": (lambda: [read_header(content) for content in contents], 1),
        "hashes": (lambda: [hashlib.sha256(content).digest() for content in contents], _PASSES),
        "masks of the device": (lambda: [rle.fills(*image) for image in masks], 1),
        "float model as a reference": (lambda: doubt(matches, labels, found, 0.05), 1),
    }
    spent = {name: times * _seconds(check) for name, (check, times) in checks.items()}
    note = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    share = sum(spent.values()) / (_PASSES * predicting_s)
    note = f"{len(ids)} images, predicting {predicting_s:.1f} s; {note}"
    yield Figure(PART, NAME, share, "x", SHARE, note)


def _seconds(check: Callable[[], object]) -> float:
    started = time.perf_counter()
    check()
    return time.perf_counter() - started


def _recipe(subject: inputs.Subject) -> dict[str, Any]:
    labels = inputs.DATA / "coco-val" / "instances.json"
    categories = json.loads(labels.read_text(encoding="utf-8"))["categories"]
    names = [category["name"] for category in sorted(categories, key=lambda one: one["id"])]
    return {
        "model": str(subject.path),
        "task": {"decoder": "yolov5-seg", "classes": names},
        "preprocess": {"size": subject.size},
        "calibration": {"images": str(inputs.DATA / "coco-calib"), "count": 16},
        "evaluate": {"images": str(labels.parent / "images"), "annotations": str(labels)},
    }

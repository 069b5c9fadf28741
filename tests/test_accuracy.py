"""Accuracy of a real model on real images, against figures of an independent evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeq
from edgeq import building
from edgeq import recipe as recipes
from edgeq import target as targets
from edgeq.artifact import Artifact
from edgeq.device.connection import host
from edgeq.evaluation import annotations as coco
from edgeq.evaluation import resolve, score
from edgeq.evaluation.matches import match
from edgeq.images import images_of
from edgeq.measurement import Accuracy, Report
from edgeq.prediction import predict
from edgeq.progress import silent
from edgeq.recipe import Recipe

from .runtimes.trt import accepts

# Of the float model by this evaluator, which the first test compares with another's.
FLOAT_MASK_AP, FLOAT_BOX_AP = 0.2550, 0.3016
RECIPE = """\
model: {model}
task: {{decoder: yolov5-seg, classes: coco.names}}
preprocess: {{size: {size}}}
calibration: {{images: {calibration}}}
quantize:
  head: {head}
  activations: {{calibrator: percentile, percentile: {percentile}}}
evaluate: {{images: {images}, annotations: {annotations}}}
measure: {{warmup_s: 0, max_warmup_s: 1, min_duration_s: 0.5, min_count: 5}}
gates: {{mask_ap_drop: 0.004, box_ap_drop: 0.010, artifact_bytes: 4 MiB}}
"""


def written(
    folder: Path,
    real_data: Callable[[str], Path],
    model: str,
    size: int,
    head: str,
    percentile: float = 99.99,
) -> Path:
    annotations = real_data("coco-val/instances.json")
    categories = json.loads(annotations.read_text())["categories"]
    names = [category["name"] for category in sorted(categories, key=lambda c: c["id"])]
    (folder / "coco.names").write_text("\n".join(names))
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        RECIPE.format(
            model=real_data(f"models/{model}"),
            size=size,
            calibration=real_data("coco-calib"),
            head=head,
            images=real_data("coco-val/images"),
            annotations=annotations,
            percentile=percentile,
        )
    )
    return recipe


def deployed(
    folder: Path, real_data: Callable[[str], Path], model: str, size: int, head: str
) -> Report:
    return edgeq.deploy(written(folder, real_data, model, size, head), "local")


def accuracy(report: Report, column: str) -> Accuracy:
    found = report.column(column)
    assert found is not None and found.accuracy is not None
    return found.accuracy


@pytest.mark.real
def test_int8_of_yolov5n_seg_keeps_its_accuracy_at_640(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    report = deployed(tmp_path, real_data, "yolov5n-seg.onnx", 640, "float-tail")

    reference, device = accuracy(report, "float"), accuracy(report, "device")
    assert reference.mask.ap == pytest.approx(0.2525, abs=0.003)
    assert reference.box.ap == pytest.approx(0.3018, abs=0.003)
    assert reference.mask.ap is not None and device.mask.ap is not None
    assert reference.box.ap is not None and device.box.ap is not None
    assert reference.mask.ap - device.mask.ap <= 0.004
    assert reference.box.ap - device.box.ap <= 0.010
    assert report.exit_code == 0
    # Its size is what the weights leave no way around: a byte each, and scales.
    assert report.artifact_bytes < 0.35 * 7.71 * 2**20


@pytest.mark.real
@pytest.mark.parametrize("version", ["10.3", "11.4"])
def test_graph_for_tensorrt_keeps_the_accuracy_at_640_and_builds(
    version: str, tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    recipe = recipes.load(
        written(tmp_path, real_data, "yolov5n-seg.onnx", 640, "float-tail", 99.999)
    )
    target = targets.load("jetson-orin").model_copy(update={"engine_version": version})
    prepared = building.prepare(recipe, target, None)
    made = building.build(prepared)
    assert accepts(made.artifact.path("model.onnx").read_bytes())

    found = scored(recipe, building.simulation(prepared, made), "disabled")

    assert found.mask.ap is not None and found.mask.ap >= FLOAT_MASK_AP - 0.004
    assert found.box.ap is not None and found.box.ap >= FLOAT_BOX_AP - 0.012


@pytest.mark.real
def test_flatbuffer_for_litert_keeps_the_accuracy_at_640(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    recipe = recipes.load(written(tmp_path, real_data, "yolov5n-seg.onnx", 640, "float-tail"))
    made = building.build(building.prepare(recipe, targets.load("local:litert"), None))
    assert made.plan.layers_float == 0

    found = scored(recipe, made.artifact, "all")

    assert found.mask.ap is not None and found.mask.ap >= FLOAT_MASK_AP - 0.005
    assert found.box.ap is not None and found.box.ap >= FLOAT_BOX_AP - 0.012


def scored(recipe: Recipe, artifact: Artifact, graph_optimization: str) -> Accuracy:
    """What this machine makes of the recipe's evaluation images with an artifact."""
    assert recipe.evaluate is not None
    annotations = coco.load(recipe.evaluate.annotations)
    files = resolve.image_files(annotations, recipe.evaluate.images)
    images = dict(zip(files, images_of(list(files.values())), strict=True))
    categories = resolve.categories_by_name(annotations, recipe.task.classes)
    with host() as here:
        found = predict(
            here, artifact, images, graph_optimization, building.threads(), silent, "scored"
        )
    return score.accuracy(match(annotations, found.images, categories, list(files)))


@pytest.mark.real
def test_quantizing_the_tail_of_yolov5n_seg_loses_the_masks_and_the_lint_says_so(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    report = deployed(tmp_path, real_data, "yolov5n-seg-320.onnx", 320, "quantize")

    reference, device = accuracy(report, "float"), accuracy(report, "device")
    assert reference.mask.ap == pytest.approx(0.2104, abs=0.003)
    assert reference.box.ap == pytest.approx(0.2575, abs=0.003)
    # A step of the common scale is 1.4: scores above 0.7 survive as 1.4, all others are gone.
    assert device.mask.ap is not None and device.mask.ap < 0.1
    assert report.exit_code == 1
    warned = [note for note in report.notes if "expect a collapse" in note]
    for level in ("Concat_221", "Concat_235", "Concat_249"):
        assert any(f"'{level}'" in note for note in warned)


@pytest.mark.real
def test_pigs_are_found_by_the_animal_classes(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    annotations = real_data("pig/instances.json")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {real_data('models/yolov5n-seg.onnx')}\n"
        "task:\n"
        "  decoder: yolov5-seg\n"
        f"  classes: {[f'class {i}' for i in range(80)]}\n"
        "  multi_label: false\n"
        f"  categories: {real_data('pig/catmap.json')}\n"
        "preprocess: {size: 640}\n"
        f"calibration: {{images: {real_data('coco-calib')}, count: 16}}\n"
        f"evaluate: {{images: {real_data('pig/images')}, annotations: {annotations}}}\n"
        "measure: {warmup_s: 0, max_warmup_s: 1, min_duration_s: 0.5, min_count: 5}\n"
    )

    report = edgeq.deploy(recipe, "local")

    assert accuracy(report, "float").mask.ap == pytest.approx(0.524, abs=0.006)
    assert accuracy(report, "float").box.ap == pytest.approx(0.530, abs=0.006)
    simulated = accuracy(report, "simulated").mask.ap
    assert simulated is not None and simulated > 0.42

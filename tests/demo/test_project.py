"""The demo project on disk, and the model that travels with it."""

import hashlib
import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from pycocotools import mask as coco_mask

from edgeq.demo.annotations import HEIGHT_PX, WIDTH_PX
from edgeq.demo.paddock import CLASS_NAMES, draw
from edgeq.demo.project import EVALUATION_SEED, MARKER, DemoProject, write_demo
from edgeq.errors import InputError
from edgeq.spec import recipe

# pycocotools 2.0.11 hands numpy an array the way numpy 1 wanted it.
old_array_protocol = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
PREDICTIONS = 32 * 32 + 16 * 16 + 8 * 8
MEMBERS = 32


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DemoProject:
    return write_demo(tmp_path_factory.mktemp("demo"), calibration_count=1, evaluation_count=3)


@pytest.fixture(scope="module")
def coco(project: DemoProject) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(project.annotations.read_text())
    return content


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load_from_string((resources.files("edgeq.demo") / "model.onnx").read_bytes())


def digest(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def decoded(annotation: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    segmentation = annotation["segmentation"]
    rle = coco_mask.frPyObjects(segmentation, *segmentation["size"])
    return np.asarray(coco_mask.decode(rle))


@old_array_protocol
def test_masks_decode_to_what_was_drawn(coco: dict[str, Any]) -> None:
    for index, image in enumerate(coco["images"]):
        own = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        scene = draw(EVALUATION_SEED, index, HEIGHT_PX, WIDTH_PX)
        assert [a["category_id"] - 1 for a in own] == scene.labels.tolist()
        for annotation, mask in zip(own, scene.masks, strict=True):
            np.testing.assert_array_equal(decoded(annotation), mask)


@old_array_protocol
def test_boxes_and_areas_are_those_of_the_masks(coco: dict[str, Any]) -> None:
    assert coco["annotations"]
    for annotation in coco["annotations"]:
        rle = coco_mask.encode(np.asfortranarray(decoded(annotation)))
        assert annotation["area"] == coco_mask.area(rle)
        assert annotation["bbox"] == coco_mask.toBbox(rle).tolist()
        assert annotation["iscrowd"] == 0


def test_annotations_name_images_and_classes(project: DemoProject, coco: dict[str, Any]) -> None:
    assert [c["name"] for c in coco["categories"]] == list(CLASS_NAMES)
    assert len(coco["annotations"]) == project.instance_count
    assert len({a["id"] for a in coco["annotations"]}) == project.instance_count
    for image in coco["images"]:
        pixels = cv2.imread(str(project.evaluation / image["file_name"]))
        assert pixels is not None
        assert pixels.shape == (image["height"], image["width"], 3)


def test_recipe_of_the_project_loads(tmp_path: Path) -> None:
    # The recipe asks for as many images as a whole project has.
    written = write_demo(tmp_path, calibration_count=1, evaluation_count=1)
    for index in range(1, 64):
        first = written.calibration / "scene-0000.jpg"
        (written.calibration / f"scene-{index:04d}.jpg").hardlink_to(first)

    loaded = recipe.load(written.recipe)

    assert loaded.task.classes == CLASS_NAMES
    assert loaded.calibration.count == 64
    assert loaded.evaluate is not None
    assert loaded.evaluate.annotations == written.annotations


def test_writing_again_gives_the_same_files(tmp_path: Path) -> None:
    write_demo(tmp_path, calibration_count=1, evaluation_count=2)
    before = digest(tmp_path)
    (tmp_path / "evaluation" / "scene-0001.jpg").write_bytes(b"half")
    (tmp_path / "evaluation" / "scene-0007.jpg").write_bytes(b"of a larger project")
    (tmp_path / "instances.json").unlink()

    write_demo(tmp_path, calibration_count=1, evaluation_count=2)

    assert digest(tmp_path) == before


def test_run_killed_after_its_marker_is_made_good(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / ".scene-0000.jpg.x7").write_bytes(b"half")

    written = write_demo(tmp_path, calibration_count=1, evaluation_count=1)

    assert [path.name for path in written.evaluation.iterdir()] == ["scene-0000.jpg"]


def test_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(InputError, match="not empty") as caught:
        write_demo(tmp_path, calibration_count=1, evaluation_count=1)

    assert caught.value.where == str(tmp_path)
    assert caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo"
    path.write_text("")

    with pytest.raises(InputError, match="is a file"):
        write_demo(path, calibration_count=1, evaluation_count=1)


def test_model_is_small(model: onnx.ModelProto) -> None:
    values = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)

    assert 0.8e6 < values < 1.25e6
    assert model.ByteSize() <= 5_000_000
    assert model.opset_import[0].version == 17


def test_model_has_the_operators_of_a_yolov8_seg(model: onnx.ModelProto) -> None:
    operators = Counter(node.op_type for node in model.graph.node)

    assert operators["Conv"] > 60
    assert operators["ConvTranspose"] == 1
    assert operators["MaxPool"] == 3
    assert operators["Resize"] == 2
    assert operators["Softmax"] == 1
    assert operators["Sigmoid"] > 50
    assert {"Mul", "Concat", "Split", "Reshape", "Transpose"} <= set(operators)
    assert "BatchNormalization" not in operators
    for node in model.graph.node:
        if node.op_type == "Resize":
            modes = [a.s for a in node.attribute if a.name == "mode"]
            assert modes == [b"nearest"]


def test_convolutions_have_readable_names(model: onnx.ModelProto) -> None:
    names = {node.name for node in model.graph.node if node.op_type == "Conv"}

    assert "/model.4/cv1/conv/Conv" in names
    assert all(name.startswith("/model.") for name in names)


def test_outputs_are_laid_out_as_yolov8_seg(project: DemoProject) -> None:
    session = onnxruntime.InferenceSession(str(project.model), providers=["CPUExecutionProvider"])
    images = np.full((1, 3, 256, 256), 114 / 255, np.float32)

    (entry,) = session.get_inputs()
    predictions, prototypes = session.run(["output0", "output1"], {"images": images})

    assert (entry.name, entry.shape) == ("images", [1, 3, 256, 256])
    assert predictions.shape == (1, 4 + len(CLASS_NAMES) + MEMBERS, PREDICTIONS)
    assert prototypes.shape == (1, MEMBERS, 64, 64)
    scores = predictions[:, 4 : 4 + len(CLASS_NAMES)]
    assert 0.0 <= float(scores.min()) <= float(scores.max()) <= 1.0

"""What Ultralytics writes into a file is held against the recipe before anything runs."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import InputError
from edgeq.spec import recipe as recipes
from edgeq.stages.exported import Exported, check_exported, exported
from edgeq.stages.outputs import load_model

from .projects import project
from .test_outputs import V8, yolo

WRITTEN = {
    "description": "Ultralytics YOLOv8n-seg model",
    "author": "Ultralytics",
    "stride": "32",
    "task": "segment",
    "batch": "1",
    "imgsz": "[32, 32]",
    "names": "{0: 'pig', 1: 'cow'}",
    "args": "{'batch': 1, 'half': False, 'nms': False}",
    "end2end": "False",
}


def notes(folder: Path, changes: dict[str, str], size: str = "32") -> list[str]:
    proto = yolo()
    if size != "32":
        for dim in proto.graph.input[0].type.tensor_type.shape.dim[2:]:
            dim.Clear()
        del proto.graph.output[1].type.tensor_type.shape.dim[2:]
        proto.graph.output[0].type.tensor_type.ClearField("shape")
        proto.graph.output[1].type.tensor_type.ClearField("shape")
        del proto.graph.value_info[:]
    for key, value in {**WRITTEN, **changes}.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    path = project(folder, proto, V8)
    path.write_text(path.read_text().replace("size: 32", f"size: {size}"))
    recipe = recipes.load(path)
    return check_exported(load_model(recipe), recipe)


def test_all_of_it_is_read() -> None:
    assert exported(WRITTEN) == Exported(("pig", "cow"), "segment", (32, 32), 32, False)


def test_what_agrees_says_nothing(tmp_path: Path) -> None:
    assert notes(tmp_path, {}) == []
    assert notes(tmp_path, {"names": "{0: 'Pig', 1: 'COW '}"}) == []
    assert notes(tmp_path, {"task": "instance-segmentation"}) == []  # another exporter's word


@pytest.mark.parametrize(
    ("changes", "size", "where", "what"),
    [
        ({"task": "detect"}, "32", "task.decoder", "the file is for task 'detect'"),
        ({"task": "pose"}, "32", "task.decoder", "the file is for task 'pose'"),
        (
            {"names": "{0: 'pig', 1: 'cow', 2: 'hen', 3: 'dog'}"},
            "32",
            "task.classes",
            r"name 2 \(pig, cow\), and the file 4 \(pig, cow, hen, ...\)",
        ),
        (
            {"names": "['cow', 'pig']"},
            "32",
            "task.classes",
            "class 0 is 'pig', which is 1 in the file, class 1 is 'cow', which is 0",
        ),
        ({"end2end": "True"}, "32", "task.decoder", "chooses its detections itself"),
        ({"args": "{'nms': True}"}, "32", "task.decoder", "chooses its detections itself"),
        ({}, "48", "preprocess.size", "48x48 is no multiple of 32"),
    ],
)
def test_what_cannot_both_be_right_is_an_error(
    changes: dict[str, str], size: str, where: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        notes(tmp_path, changes, size)
    assert caught.value.where == where and caught.value.remedy


def test_what_may_be_meant_is_noted(tmp_path: Path) -> None:
    assert notes(tmp_path, {"names": "{0: 'swine', 1: 'cow'}"}) == [
        "the recipe has other class names than the file: 'pig' for 'swine'"
    ]
    assert notes(tmp_path, {}, "64") == [
        "the file was exported for 32x32, and 'preprocess: size' says 64x64"
    ]


@given(st.dictionaries(st.sampled_from(list(WRITTEN)), st.text(max_size=40)))
def test_nonsense_in_the_metadata_is_no_error(metadata: dict[str, str]) -> None:
    said = exported(metadata)
    assert said.names is None or all(isinstance(name, str) for name in said.names)


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 2_000_000, "{0: 1}", "{1: 'a'}", "\0", "-"])
def test_hostile_metadata_is_nothing(value: str) -> None:
    assert exported({"names": value, "imgsz": value, "args": value}).names is None


def test_parsers_advice_on_foreign_text_is_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exported({"names": "1if 1else 1", "stride": "0x1for x in y"}) == Exported()
    assert not recwarn.list

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as masks

from edgeq.errors import InputError, InputErrors
from edgeq.evaluation.annotations import load
from edgeq.evaluation.resolve import image_files
from edgeq.evaluation.segmentation import run_length

from .scenes import coco_json, draw, encoded

if TYPE_CHECKING:
    from pathlib import Path

# pycocotools' decode hands its arrays over in a way that NumPy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRIANGLE = [2.0, 1.0, 8.0, 1.0, 5.0, 7.0]


def _content(**annotation: Any) -> dict[str, Any]:
    """A file with one image of 10 x 12 pixels and one annotation, whose keys may be replaced."""
    entry = {"id": 1, "image_id": 5, "category_id": 3, "segmentation": [TRIANGLE], "iscrowd": 0}
    return {
        "images": [{"id": 5, "file_name": "sty/a.jpg", "height": 10, "width": 12}],
        "categories": [{"id": 3, "name": "pig", "supercategory": "animal"}],
        "annotations": [{**entry, **annotation}],
    }


def _written(folder: Path, content: object) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_file_comes_back_as_it_was_drawn(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = draw(seed).annotations
    loaded = load(_written(tmp_path_factory.mktemp("coco"), coco_json(drawn)))
    assert (loaded.images, loaded.instances) == (drawn.images, drawn.instances)
    assert loaded.categories == drawn.categories


@settings(max_examples=50)
@given(
    polygons=st.lists(
        st.lists(
            st.tuples(st.floats(-2, 32, width=16), st.floats(-2, 24, width=16)),
            min_size=3,
            max_size=8,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_polygons_are_rasterized_as_by_pycocotools(
    polygons: list[list[tuple[float, float]]],
) -> None:
    flat = [[value for point in polygon for value in point] for polygon in polygons]
    expected = masks.merge(masks.frPyObjects(flat, 22, 30))
    mask = run_length(flat, 22, 30, "here")
    assert mask.size == (22, 30)
    np.testing.assert_array_equal(_bitmap(mask.counts, 22, 30), masks.decode(expected))


@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_all_forms_of_run_lengths_give_one_mask(seed: int, share: float) -> None:
    bitmap = np.random.default_rng(seed).random((13, 9)) < share
    column_major = bitmap.T.ravel()
    edges = np.flatnonzero(np.diff(column_major)) + 1
    runs = np.diff([0, *edges, column_major.size]).tolist()
    runs = [0, *runs] if column_major[0] else runs
    uncompressed = run_length({"size": [13, 9], "counts": runs}, 13, 9, "here")
    compressed = encoded(bitmap)
    again = run_length({"size": [13, 9], "counts": compressed.counts}, 13, 9, "here")
    assert uncompressed == again == compressed


def _bitmap(counts: str, height: int, width: int) -> Any:
    return masks.decode({"size": [height, width], "counts": counts.encode()})


def test_area_and_box_that_are_missing_come_from_the_mask(tmp_path: Path) -> None:
    (instance,) = load(_written(tmp_path, _content())).instances
    bitmap = _bitmap(instance.mask.counts, 10, 12)
    rows, columns = np.nonzero(bitmap)
    assert instance.area == bitmap.sum() > 0
    around = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert instance.box == tuple(float(value) for value in around)


def test_area_and_box_of_the_file_are_kept(tmp_path: Path) -> None:
    path = _written(tmp_path, _content(area=17.5, bbox=[1, 2, 3, 4.5], iscrowd=1))
    (instance,) = load(path).instances
    assert (instance.area, instance.box, instance.crowd) == (17.5, (1, 2, 3, 4.5), True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 6}, r"annotations\[0\]: image 6 is not among the images"),
        ({"category_id": 4}, r"annotations\[0\]: category 4 is not among the categories"),
        ({"segmentation": None}, "has no segmentation"),
        ({"segmentation": []}, "has no segmentation"),
        ({"segmentation": 7}, "is no list or mapping"),
        ({"segmentation": [[1, 2, 3, 4]]}, "a polygon has 4 numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "a polygon has 7 numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "no list of finite numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e9]]}, "far outside its image of 12x10 pixels"),
        ({"segmentation": {"size": [12, 10], "counts": [120]}}, r"image's is \[10, 12\]"),
        ({"segmentation": {"size": [10, 12], "counts": [100]}}, "100 pixels, the image has 120"),
        ({"segmentation": {"size": [10, 12], "counts": [121, -1]}}, "no run lengths"),
        ({"segmentation": {"size": [10, 12], "counts": "\x07"}}, "no run lengths"),
        ({"segmentation": {"size": [10, 12], "counts": "Q"}}, "no run lengths"),
        ({"bbox": [1, 2, 3]}, r"annotations\[0\].bbox"),
        ({"area": -1}, r"annotations\[0\].area"),
        ({"image_id": "five"}, r"annotations\[0\].image_id"),
    ],
)
def test_wrong_annotation_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(_written(tmp_path, _content(**change)))
    assert str(tmp_path / "instances.json") in caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize("key", ["images", "categories", "annotations"])
def test_missing_list_is_named(tmp_path: Path, key: str) -> None:
    content = {name: value for name, value in _content().items() if name != key}
    with pytest.raises(InputError, match=f"instances.json: {key}: is missing"):
        load(_written(tmp_path, content))


def test_syntax_error_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    path.write_text('{"images": [],\n "categories": [,]}')
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.where == f"{path}:2:17"
    assert "is not JSON" in caught.value.what


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = _written(tmp_path, _content())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load(path).instances) == 1


def test_other_encodings_and_missing_files_are_input_errors(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    with pytest.raises(InputError, match="cannot be read"):
        load(path)
    path.write_bytes(b'{"images": "\xff"}')
    with pytest.raises(InputError, match="is not JSON"):
        load(path)


def test_ids_given_twice_are_reported_together(tmp_path: Path) -> None:
    content = _content()
    content["images"] *= 2
    content["categories"] *= 2
    with pytest.raises(InputErrors) as caught:
        load(_written(tmp_path, content))
    assert [problem.what for problem in caught.value.problems] == [
        "image id 5 is given more than once",
        "category id 3 is given more than once",
    ]


def test_many_problems_are_capped_and_counted(tmp_path: Path) -> None:
    content = _content(image_id=6)
    content["annotations"] *= 50
    with pytest.raises(InputErrors) as caught:
        load(_written(tmp_path, content))
    assert len(caught.value.problems) == 50
    shown = str(caught.value).splitlines()
    assert len(shown) == 21
    assert shown[-1] == "and 30 more problems"


@pytest.mark.parametrize("side", ["height", "width"])
def test_image_larger_than_any_is_refused(tmp_path: Path, side: str) -> None:
    content = _content()
    content["images"][0][side] = 2**31
    with pytest.raises(InputError, match=rf"images\[0\]\.{side}: input should be less than 65536"):
        load(_written(tmp_path, content))


def test_coordinate_beyond_every_number_is_refused(tmp_path: Path) -> None:
    content = _content(segmentation=[[1, 1, 10**400, 1, 5, 5]])
    with pytest.raises(InputError, match="a polygon lies far outside its image"):
        load(_written(tmp_path, content))


def test_run_of_endless_digits_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="are no run lengths"):
        run_length({"size": [4, 4], "counts": "P" * 2_000_000}, 4, 4, "here")


def test_images_are_found_with_and_without_their_folder(tmp_path: Path) -> None:
    annotations = load(_written(tmp_path, _content()))
    (tmp_path / "a.jpg").touch()
    assert image_files(annotations, tmp_path) == {5: tmp_path / "a.jpg"}
    (tmp_path / "sty").mkdir()
    (tmp_path / "sty" / "a.jpg").touch()
    assert image_files(annotations, tmp_path) == {5: tmp_path / "sty" / "a.jpg"}


def test_missing_images_and_folders_are_named(tmp_path: Path) -> None:
    annotations = load(_written(tmp_path, _content()))
    with pytest.raises(InputError, match=r"'sty/a\.jpg' is missing"):
        image_files(annotations, tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        image_files(annotations, tmp_path / "nowhere")

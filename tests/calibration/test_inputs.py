from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibration.inputs import choose, shared, tensors
from edgeq.errors import InputError
from edgeq.spec.images import image_of, images_of
from edgeq.spec.recipe import Preprocess


@given(st.integers(1, 40), st.data())
def test_images_are_chosen_evenly_and_once(have: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, have))
    files = [Path(f"{i:03}.jpg") for i in range(have)]

    chosen = choose(files, count)

    places = [files.index(file) for file in chosen]
    gaps = np.diff([*places, have])
    assert len(set(chosen)) == count
    assert places == sorted(places)
    assert gaps.max() - gaps.min() <= 1


def test_all_images_are_chosen_where_no_count_is_given() -> None:
    files = [Path("a.jpg"), Path("b.jpg")]

    assert choose(files, None) == files


def test_more_images_than_there_are_is_an_error() -> None:
    with pytest.raises(InputError, match="3 images are asked for, there are 2"):
        choose([Path("in/a.jpg"), Path("in/b.jpg")], 3)


def test_files_of_the_same_content_are_found_whatever_their_names(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c", "d")]
    for file, content in zip(files, (b"1", b"2", b"2", b"3"), strict=True):
        file.write_bytes(content)
    a, b, c, d = images_of(files)

    assert shared([a, b], [c, d]) == [(b, c)]


def test_a_file_becomes_the_tensor_that_the_recipe_describes(tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    cv2.imwrite(str(file), pixels)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)

    (found,) = tensors([image_of(file)], Preprocess(size=(8, 8), mean=mean, std=std))

    expected = (pixels[:, :, ::-1] / 255 - mean) / std
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), rtol=1e-5, atol=1e-6)

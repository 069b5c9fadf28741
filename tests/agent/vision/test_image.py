"""Reading images."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.vision.image import check_present, read_image

if TYPE_CHECKING:
    from pathlib import Path


def test_pixels_are_bgr(red_rectangle: Path) -> None:
    pixels = read_image(red_rectangle)
    assert pixels.shape == (96, 128, 3) and pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_grey_images_get_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((4, 5), np.uint8))
    assert read_image(tmp_path / "grey.png").shape == (4, 5, 3)


def test_a_photo_taken_sideways_comes_out_upright(tmp_path: Path) -> None:
    done, jpeg = cv2.imencode(".jpg", np.zeros((20, 40, 3), np.uint8))
    assert done
    # An EXIF segment that holds one tag: orientation 6, turn right.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    raw = jpeg.tobytes()
    (tmp_path / "turned.jpg").write_bytes(raw[:2] + segment + raw[2:])
    assert read_image(tmp_path / "turned.jpg").shape == (40, 20, 3)


@pytest.mark.parametrize(
    "content, reason", [(None, "is missing"), (b"", "is empty"), (b"no image", "can decode")]
)
def test_unreadable_images_are_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AgentError) as caught:
        read_image(path)
    assert caught.value.kind == "unreadable-image"
    assert str(path) in caught.value.message and reason in caught.value.message


def test_absent_images_are_listed_together(tmp_path: Path, red_rectangle: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    missing, empty = tmp_path / "missing.jpg", tmp_path / "empty.jpg"
    with pytest.raises(AgentError) as caught:
        check_present([missing, red_rectangle, empty, tmp_path])
    assert f"{missing} is missing" in caught.value.message
    assert f"{empty} is empty" in caught.value.message
    assert f"{tmp_path} is not a file" in caught.value.message
    assert str(red_rectangle) not in caught.value.message


def test_image_that_is_not_what_its_hash_says_is_not_decoded(red_rectangle: Path) -> None:
    content = red_rectangle.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert read_image(red_rectangle, digest).shape == (96, 128, 3)
    blob = red_rectangle.with_name(digest)
    blob.write_bytes(content)
    assert read_image(blob).shape == (96, 128, 3)
    # It decodes all the same, to other pixels.
    blob.write_bytes(content + b"more")
    for path, wanted in ((blob, None), (red_rectangle, "0" * 64)):
        with pytest.raises(AgentError, match="is not what its hash says") as caught:
            read_image(path, wanted)
        assert caught.value.kind == "unreadable-image"

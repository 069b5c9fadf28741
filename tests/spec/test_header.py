"""What image files say of themselves, against Pillow and OpenCV; files that were cut short."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from edgeq.spec.header import read_header

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
TURNED = ("JPEG", "PNG", "WEBP", "TIFF")  # BMP has no EXIF


def encoded(form: str, height: int, width: int, orientation: int = 1, **how: Any) -> bytes:
    pixels = np.random.default_rng(height).integers(0, 255, (height, width, 3), np.uint8)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    # A thumbnail's end within EXIF is not the picture's.
    comment = {"comment": b"\xff\xd9 not the end"} if form == "JPEG" else {}
    Pillow.fromarray(pixels).save(stream, form, exif=exif, **comment, **how)
    return stream.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70))
def test_size_is_pillows(form: str, height: int, width: int) -> None:
    found = read_header(encoded(form, height, width))
    assert found is not None
    assert (found.height, found.width, found.orientation, found.whole) == (height, width, 1, True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", TURNED)
def test_upright_size_is_what_opencv_decodes(form: str, orientation: int) -> None:
    content = encoded(form, 10, 24, orientation)
    found = read_header(content)
    assert found is not None and found.orientation == orientation
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None and found.upright == pixels.shape[:2]


@pytest.mark.parametrize(
    ("form", "how"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_blocks": 2}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": False}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_other_forms_of_a_format_are_whole_too(form: str, how: dict[str, Any]) -> None:
    found = read_header(encoded(form, 37, 53, **how))
    assert found is not None
    assert (found.height, found.width, found.whole) == (37, 53, True)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25)
@given(st.floats(0.02, 0.999))
def test_file_that_was_cut_short_does_not_reach_its_end(form: str, kept: float) -> None:
    content = encoded(form, 40, 60)
    found = read_header(content[: int(len(content) * kept)])
    assert found is None or not found.whole


def test_bytes_behind_the_end_do_no_harm() -> None:
    for form in FORMATS:
        found = read_header(encoded(form, 8, 8) + b"\0" * 100)
        assert found is not None and found.whole, form


@given(st.binary(max_size=300), st.sampled_from(FORMATS))
def test_rubbish_is_no_header_or_some_header(content: bytes, form: str) -> None:
    read_header(content)
    read_header(encoded(form, 4, 4)[:20] + content)


def test_directory_without_a_size_is_no_header() -> None:
    tags = struct.pack("<HHHII", 1, 257, 3, 1, 5)
    assert read_header(b"II*\0" + struct.pack("<I", 8) + tags) is None


def test_bitmap_of_another_form_is_left_to_whoever_decodes_it() -> None:
    head = b"BM" + struct.pack("<IHHI", 42, 0, 0, 26) + struct.pack("<IHHHH", 12, 2, 2, 1, 24)
    assert read_header(head + b"\0" * 16) is None

"""What the bytes of an image file say without decoding it: its size, EXIF's turn, whether it ends.

Decoders make grey of what is missing of a JPEG (libjpeg's default), so that a file cut short while
it was copied is a picture all the same. Sources: ITU-T T.81 annex B (JPEG), PNG 1.2 section 3 and
its eXIf chunk, Google's WebP container, BITMAPINFOHEADER, TIFF 6.0 section 2, EXIF 2.3 tag 0x0112.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Order = Literal["<", ">"]

STORED_UPRIGHT = 1
"""EXIF's orientation of a picture that is stored as it is to be looked at; 5 to 8 lie sideways."""
_ORIENTATION_TAG = 0x0112


class Header(NamedTuple):
    """Height and width in pixels as stored, EXIF's orientation (1 to 8), and whether it ends."""

    height: int
    width: int
    orientation: int = STORED_UPRIGHT
    whole: bool = True

    @property
    def sideways(self) -> bool:
        """Whether height and width change places when it is turned upright."""
        return self.orientation > 4

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width as EXIF turns it."""
        return (self.width, self.height) if self.sideways else (self.height, self.width)


def read_header(content: bytes) -> Header | None:
    """What an image file says of itself; None where it is of no format known here, or damaged."""
    for begins, parse in _FORMATS:
        if re.match(begins, content, re.DOTALL):
            try:
                return parse(content)
            except (struct.error, LookupError, ValueError, OverflowError):
                return None  # whoever decodes it says what is wrong
    return None


def _jpeg(content: bytes) -> Header | None:
    size, orientation, whole = None, STORED_UPRIGHT, False
    at = 2
    # A marker is FF and neither a stuffed zero, a restart within a scan, nor filling.
    while found := _MARKER.search(content, at):
        marker, at = content[found.start() + 1], found.end()
        if marker == 0xD9:
            whole = True
            break
        if marker in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", content, at)
        segment = content[at + 2 : at + length]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = struct.unpack_from(">HH", segment, 1)
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            orientation = _exif(segment[6:])
        at += length
    return None if size is None else Header(size[0], size[1], orientation, whole)


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def _png(content: bytes) -> Header:
    width, height = struct.unpack_from(">II", content, 16)
    orientation, at = STORED_UPRIGHT, 8
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        name, at = content[at + 4 : at + 8], at + 12 + length
        if name == b"eXIf":
            orientation = _exif(content[at - 4 - length : at - 4])
        if name == b"IEND":
            return Header(height, width, orientation, at <= len(content))
    return Header(height, width, orientation, whole=False)


def _webp(content: bytes) -> Header | None:
    (length,) = struct.unpack_from("<I", content, 4)
    size, orientation, at = None, STORED_UPRIGHT, 12
    while at + 8 <= len(content):
        name, (count,) = content[at : at + 4], struct.unpack_from("<I", content, at + 4)
        body, at = content[at + 8 : at + 8 + count], at + 8 + count + count % 2
        if name == b"VP8X":
            width, height = (int.from_bytes(body[i : i + 3], "little") + 1 for i in (4, 7))
            size = height, width
        elif name == b"VP8 " and size is None:
            width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
            size = height, width
        elif name == b"VP8L" and size is None:
            (bits,) = struct.unpack_from("<I", body, 1)
            size = ((bits >> 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        elif name == b"EXIF":
            orientation = _exif(body.removeprefix(b"Exif\0\0"))
    whole = length + 8 <= len(content)
    return None if size is None else Header(size[0], size[1], orientation, whole)


def _bmp(content: bytes) -> Header | None:
    offset, size, width, height, _, bits, packing, count = struct.unpack_from(
        "<IIiiHHII", content, 10
    )
    if size < 40:
        return None  # OS/2's, of other fields
    rows = (width * bits + 31) // 32 * 4 * abs(height)
    is_packed = packing not in (0, 3)  # BI_RGB, BI_BITFIELDS
    return Header(abs(height), width, whole=offset + (count if is_packed else rows) <= len(content))


def _tiff(content: bytes) -> Header:
    tags = dict(_entries(content, _order(content)))
    height, width = tags[257][0], tags[256][0]
    places = zip(tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ())), strict=False)
    ends = [offset + count for offset, count in places]
    orientation = tags.get(_ORIENTATION_TAG, (STORED_UPRIGHT,))[0]
    return Header(height, width, _known(orientation), bool(ends) and max(ends) <= len(content))


def _exif(content: bytes) -> int:
    try:
        tags = dict(_entries(content, _order(content)))
        return _known(tags.get(_ORIENTATION_TAG, (STORED_UPRIGHT,))[0])
    except (struct.error, IndexError, ValueError):
        return STORED_UPRIGHT  # as decoders take damaged EXIF


def _known(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else STORED_UPRIGHT


def _order(content: bytes) -> Order:
    if content[:2] not in (b"II", b"MM"):
        raise ValueError("no TIFF")
    return "<" if content[:2] == b"II" else ">"


def _entries(content: bytes, order: Order) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Tag and values of the whole numbers of TIFF's first directory."""
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", content, at)
        if kind not in (3, 4) or values > len(content):  # SHORT, LONG
            continue
        form = f"{order}{values}{'H' if kind == 3 else 'I'}"
        inline = struct.calcsize(form) <= 4
        (where,) = (at + 8,) if inline else struct.unpack_from(f"{order}I", content, at + 8)
        yield tag, struct.unpack_from(form, content, where)


_FORMATS: tuple[tuple[bytes, Callable[[bytes], Header | None]], ...] = (
    (rb"\xff\xd8\xff", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"RIFF....WEBP", _webp),
    (rb"BM", _bmp),
    (rb"II\*\0|MM\0\*", _tiff),
)

"""Which image files a folder or a list names."""

from __future__ import annotations

from pathlib import Path

from edgeq import reading
from edgeq.errors import InputError, raise_all

LARGEST_LIST = 64 * 2**20
"""Half a million long paths."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def image_files(source: Path, where: str) -> list[Path]:
    """The images of a folder by name, or of a list file by line; InputError when there are none."""
    if source.is_dir():
        files = sorted(
            f for f in source.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file()
        )
        if not files:
            raise InputError(
                where, f"no images in {source}", f"wanted: {', '.join(IMAGE_SUFFIXES)}"
            )
        return files
    try:
        text = reading.text(source, LARGEST_LIST)
    except InputError as exc:
        what = f"{source} is no list of images: it {exc.what}"
        raise InputError(where, what, "name a folder, or a text file with one path a line") from exc
    lines = enumerate(text.splitlines(), 1)
    listed = {number: source.parent / line.strip() for number, line in lines if line.strip()}
    raise_all(
        [
            InputError(f"{source}:{number}", f"'{file}' {what}", "correct the list")
            for number, file in listed.items()
            if (what := reading.why_no_file(file))
        ]
    )
    files = list(listed.values())
    if not files:
        raise InputError(where, f"{source} lists no images", "one path a line is expected")
    return files

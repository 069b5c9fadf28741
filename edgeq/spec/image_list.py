"""Which image files a folder or a list names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgeq import reading
from edgeq.errors import InputError, raise_all

LARGEST_LIST = 64 * 2**20
"""Half a million long paths."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def image_files(source: Path, where: str, recursive: bool = False) -> list[Path]:
    """The images of a folder by name, or of a list file by line; InputError when there are none.

    Folders within a folder are searched only where it is `recursive`.
    """
    if source.is_dir():
        files = sorted(file for file in _within(source, recursive) if _is_image(file))
        if not files:
            what = "; ".join([f"no images in {source}", *passed_over(source, recursive)])
            raise InputError(where, what, f"wanted: {', '.join(IMAGE_SUFFIXES)}")
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


def passed_over(source: Path, recursive: bool = False) -> list[str]:
    """What a folder holds beside images, counted, with the reason; nothing of a list file."""
    if not source.is_dir():
        return []
    others = [path for path in _within(source, recursive) if not _is_image(path)]
    folders = [path.name for path in others if path.is_dir() and not recursive]
    suffixes = Counter(path.suffix.lower() or path.name for path in others if not path.is_dir())
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(5))
    left = [f"{suffixes.total()} files that are no images by their names: {kinds}"] * bool(suffixes)
    if folders:
        named = ", ".join(sorted(folders)[:3])
        left.append(f"{len(folders)} folders, as 'recursive' is not set: {named}")
    return left


def _within(folder: Path, recursive: bool) -> Iterator[Path]:
    return folder.rglob("*") if recursive else folder.iterdir()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()

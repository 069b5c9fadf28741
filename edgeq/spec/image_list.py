"""Which image files a folder or a list names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgeq import reading
from edgeq.errors import InputError, listed, raise_all

LARGEST_LIST = 64 * 2**20
"""Half a million long paths."""
_NAMED = 5
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
    folders = sorted(path.name for path in others if path.is_dir() and not recursive)
    files = [path for path in others if not path.is_dir()]
    broken = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    suffixes = Counter(
        path.suffix.lower() or path.name
        for path in files
        if path.suffix.lower() not in IMAGE_SUFFIXES
    )
    kinds = [f"{count} {suffix}" for suffix, count in suffixes.most_common()]
    reasons = sorted(f"{path.name} {reading.why_no_file(path)}" for path in broken)
    left = []
    if count := suffixes.total():
        said = "1 file that is no image by its name" if count == 1 else ""
        said = said or f"{count} files that are no images by their names"
        left.append(f"{said}: {listed(kinds, _NAMED)}")
    if broken:
        left.append(
            f"{_counted(len(broken), 'name')} that cannot be read: {listed(reasons, _NAMED)}"
        )
    if folders:
        said = _counted(len(folders), "folder")
        left.append(f"{said}, as 'recursive' is not set: {listed(folders, _NAMED)}")
    return left


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _within(folder: Path, recursive: bool) -> Iterator[Path]:
    return folder.rglob("*") if recursive else folder.iterdir()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()

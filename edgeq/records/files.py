"""Reports, and what is made of records, as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import InputError
from edgeq.places import write_whole

if TYPE_CHECKING:
    from edgeq.records.report import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report as indented JSON. Raises InputError as `write_text`."""
    write_text(report.model_dump_json(indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a file; readers see the old one or the new one, never half.

    Raises InputError when the folder is missing or cannot be written.
    """
    check_writable(path)
    try:
        write_whole(path, text.encode())
    except OSError as exc:
        what = f"cannot be written ({exc.strerror})"
        raise InputError(str(path), what, "name a file in a folder that exists") from exc


def check_writable(path: Path) -> None:
    """InputError when nothing could be written to `path`; to be asked before any work."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        what = "cannot be written (it is a folder, or its folder is missing or not yours)"
        raise InputError(str(path), what, "name a file in a folder that exists")

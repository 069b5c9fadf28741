"""The report as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import InputError
from edgeq.places import write_whole

if TYPE_CHECKING:
    from edgeq.records.report import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report as indented JSON; readers see the old file or the new one, never half.

    Raises InputError when the folder is missing or cannot be written.
    """
    check_writable(path)
    try:
        write_whole(path, (report.model_dump_json(indent=2) + "\n").encode())
    except OSError as exc:
        what = f"cannot be written ({exc.strerror})"
        raise InputError(str(path), what, "name a file in a folder that exists") from exc


def check_writable(path: Path) -> None:
    """InputError when a report could not be written to `path`; to be asked before any work."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        what = "cannot be written (it is a folder, or its folder is missing or not yours)"
        raise InputError(str(path), what, "name a file in a folder that exists")

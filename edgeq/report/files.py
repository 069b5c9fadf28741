"""The report as a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import InputError

if TYPE_CHECKING:
    from edgeq.measurement import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report as indented JSON; readers see the old file or the new one, never half.

    Raises InputError when the folder is missing or cannot be written.
    """
    text = report.model_dump_json(indent=2) + "\n"
    try:
        # os.replace is atomic only within one file system, hence the same folder
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            partial = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                partial.chmod(0o666 & ~_umask())
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as exc:
        what = f"cannot be written ({exc.strerror})"
        raise InputError(str(path), what, "name a file in a folder that exists") from exc


def _umask() -> int:
    """The process's umask, which NamedTemporaryFile does not follow; it reads only by setting."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""What a study leaves behind: a folder with Markdown, JSON and pictures."""

from __future__ import annotations

from pathlib import Path

from edgeq.errors import InputError, require
from edgeq.places import write_whole
from edgeq.report.files import check_writable
from edgeq.tuning import plots
from edgeq.tuning.study import Study
from edgeq.tuning.trial_table import markdown


def check(folder: Path) -> None:
    """InputError when the files could not be written; to be asked before any work."""
    require("matplotlib", "plot")
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file", "name a folder")
    check_writable(folder / "study.json" if folder.exists() else folder)


def write(found: Study, folder: Path) -> None:
    """Write them; each is whole or as it was before."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(found, folder)
    write_whole(folder / "study.json", found.model_dump_json(indent=1).encode())
    write_whole(folder / "study.md", markdown(found, pictures).encode())

"""The page of a deploy of the demo, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.records.dossier import Dossier
from edgeq.report.html.page import render
from edgeq.store import open_store
from edgeq.verbs.dossier import dossier


def of_demo(home: Path) -> Dossier:
    """What is known of the demo's deploy that `home` has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        [run] = open_store().reports()
        return dossier([run.id])


def written(found: Dossier, folder: Path) -> Path:
    """The page of a dossier, as a file."""
    path = folder / "report.html"
    path.write_text(render(found), encoding="utf-8")
    return path

"""Figures that mean nothing: whole deploys that used to pass."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

import edgeq
from edgeq.report.terminal.report import render

from .project import Project


def test_float_model_that_scores_nothing_is_no_reference(
    small_demo: Path, tmp_path: Path, edgeq_home: Path
) -> None:
    project = Project(small_demo, tmp_path / "project")
    project.set("task.categories", None)
    project.set("task.classes", ["sheep", "cow", "pig"])

    report = edgeq.deploy(project.recipe, "local")

    verdicts = {verdict.gate: verdict for verdict in report.verdicts}
    assert verdicts["mask_ap_drop"].status == "not judged"
    assert verdicts["artifact_bytes"].status == "passed"
    assert report.exit_code == 1
    assert not (edgeq_home / "device" / "current").exists()
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(report))
    text = console.export_text()
    assert "calls them by other classes" in text
    assert "NOT JUDGED: 1 of 2 gates could not be judged: mask_ap_drop." in text

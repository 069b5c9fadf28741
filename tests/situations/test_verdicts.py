"""Figures that mean nothing: whole deploys that used to pass."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

import edgeq
from edgeq.report.terminal.report import render

from .project import Project


def test_float_model_that_scores_nothing_is_no_reference(
    small_demo: Path, spared: None, tmp_path: Path, edgeq_home: Path
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


def test_accuracy_is_told_at_the_score_of_the_application(
    small_demo: Path, spared: None, tmp_path: Path, edgeq_home: Path
) -> None:
    project = Project(small_demo, tmp_path / "project")
    project.set("task.deploy_threshold", 0.4)
    project.set("measure", {"warmup_s": 0.1, "min_duration_s": 0.2, "min_count": 5})
    project.set("gates", {"mask_recall_drop": 1.0, "box_f1_drop": 1.0, "score_shift": 1.0})

    report = edgeq.deploy(project.recipe, "local")

    assert [verdict.status for verdict in report.verdicts] == ["passed"] * 3
    for column in report.columns:
        assert column.deployed is not None
        assert column.deployed.threshold == 0.4
        assert column.deployed.mask.recall
        assert (column.deployed.score_shift is None) == (column.name == "float")
    seen = report.calibration
    assert seen is not None
    assert (seen.images, seen.evaluated) == (8, 4)
    assert [one.share for one in seen.outside] == sorted(
        (one.share for one in seen.outside), reverse=True
    )
    # It is the host's business: the release is the one that it would be without.
    project.set("task.deploy_threshold", None)
    project.set("gates", {})
    assert edgeq.build(project.recipe, "local").artifact.id == report.artifact_id

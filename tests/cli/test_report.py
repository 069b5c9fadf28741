"""The commands that write a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeq.cli.main import app
from edgeq.errors import InputError
from edgeq.store import open_store


@pytest.mark.usefixtures("before")
def test_report_writes_a_page_and_says_where(tmp_path: Path) -> None:
    [run] = open_store().reports()
    page = tmp_path / "page.html"

    said = CliRunner().invoke(app, ["report", run.id[:5], "-o", str(page)], catch_exceptions=False)
    first = page.read_text()
    told = CliRunner().invoke(app, ["report", run.id, "-o", str(page), "--json"])

    assert said.stdout == f"page: {page}\n"
    assert json.loads(told.stdout) == {"page": str(page)}
    assert first.startswith("<!doctype html>") and run.artifact_id in first
    assert page.read_text() == first


@pytest.mark.usefixtures("before")
def test_deploy_writes_one_beside_its_report(small_demo: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ["--target", "local", "--report", str(tmp_path / "r.json"), "--html", str(page)]

    done = CliRunner().invoke(app, ["deploy", str(small_demo / "recipe.yaml"), *options])

    newest, _ = open_store().reports()
    assert done.exit_code == newest.exit_code, done.output
    assert done.stdout.splitlines()[-1] == f"page: {page}"
    assert newest.id in page.read_text()


def test_a_page_that_cannot_be_written_is_refused_before_any_work(small_demo: Path) -> None:
    missing = small_demo / "absent" / "page.html"
    options = ["--target", "local", "--html", str(missing)]

    with pytest.raises(InputError, match="cannot be written"):
        CliRunner().invoke(
            app, ["deploy", str(small_demo / "recipe.yaml"), *options], catch_exceptions=False
        )
    assert open_store().reports() == []

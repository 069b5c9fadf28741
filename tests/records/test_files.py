from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgeq.errors import InputError
from edgeq.records.files import write_json
from edgeq.records.report import Report

from ..report.reports import divergence, full_columns, report

if TYPE_CHECKING:
    from pathlib import Path


def test_report_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    shown = report(full_columns(), diverged=divergence())
    write_json(shown, path)
    assert Report.model_validate_json(path.read_text()) == shown


def test_file_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    write_json(report(full_columns()), path)
    assert path.read_text() != "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_has_the_rights_of_an_ordinary_file(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_json(report(()), tmp_path / "report.json")
    assert (tmp_path / "report.json").stat().st_mode == ordinary.stat().st_mode


@pytest.mark.parametrize("name", ["missing/report.json", "folder"])
def test_place_that_cannot_be_written_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_json(report(()), tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]

"""What could be imported is known again, and tried again when anything around it is another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgeq.agent.system.import_trials import ImportTrials
from edgeq.agent.system.packages import Packages, looked_for
from edgeq.agent.system.reading import Reader

NAME = "gadget_of_trials"


@pytest.fixture
def gadget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that writes a line whenever it is imported."""
    site = tmp_path / "site"
    site.mkdir()
    file = site / f"{NAME}.py"
    file.write_text(f"__version__ = '1'\nopen({str(tmp_path / 'log')!r}, 'a').write('x')\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return file


@pytest.fixture
def trials(tmp_path: Path) -> ImportTrials:
    """Of an agent that lies in the folder that it keeps its trials in."""
    folder = tmp_path / "agent"
    folder.mkdir()
    return ImportTrials(folder, True, folder / "agent.pyz")


def looked(trials: ImportTrials | None, reader: Reader | None = None) -> Packages:
    with looked_for([NAME], trials) as tried:
        return tried(reader or Reader())


def imports(tmp_path: Path) -> int:
    log = tmp_path / "log"
    return len(log.read_text()) if log.exists() else 0


def test_what_worked_is_not_imported_again(
    gadget: Path, trials: ImportTrials, tmp_path: Path
) -> None:
    first, second = looked(trials), looked(trials)
    assert first == second and first.versions == {NAME: "1"}
    assert imports(tmp_path) == 1
    looked(None)
    assert imports(tmp_path) == 2


def test_other_files_other_folders_and_other_variables_are_tried(
    gadget: Path, trials: ImportTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(trials)
    gadget.write_text(gadget.read_text().replace("'1'", "'1.5'"))
    assert looked(trials).versions == {NAME: "1.5"}
    (gadget.parent / "another").mkdir()  # as an installation beside it does
    looked(trials)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    looked(trials)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    looked(trials)
    assert imports(tmp_path) == 5
    looked(trials)
    assert imports(tmp_path) == 5


def test_what_changes_while_it_is_tried_is_tried_again(
    gadget: Path, trials: ImportTrials, tmp_path: Path
) -> None:
    with looked_for([NAME], trials) as tried:
        gadget.write_text(gadget.read_text() + "\n")
        tried(Reader())
    looked(trials)
    looked(trials)
    assert imports(tmp_path) == 2


def test_what_failed_is_tried_again(gadget: Path, trials: ImportTrials, tmp_path: Path) -> None:
    gadget.write_text("raise ImportError('broken')")
    for _ in range(2):
        reader = Reader()
        assert looked(trials, reader).versions == {NAME: None}
        assert "broken" in reader.not_readable[f"packages.{NAME}"]
    assert list((tmp_path / "agent").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"gadget_of_trials": 1}', b'{"x": {}}', b"\xff"])
def test_damage_is_tried_again(
    content: bytes, gadget: Path, trials: ImportTrials, tmp_path: Path
) -> None:
    looked(trials)
    [file] = (tmp_path / "agent").iterdir()
    file.write_bytes(content)
    assert looked(trials).versions == {NAME: "1"}
    assert imports(tmp_path) == 2
    assert looked(trials).versions == {NAME: "1"}
    assert imports(tmp_path) == 2


def test_who_may_not_write_there_knows_what_others_kept(
    gadget: Path, trials: ImportTrials, tmp_path: Path
) -> None:
    looked(trials)
    looked(ImportTrials(tmp_path / "agent", False, tmp_path / "agent" / "agent.pyz"))
    assert imports(tmp_path) == 1


def test_an_agent_that_is_not_there_keeps_nothing(gadget: Path, tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    for _ in range(2):
        looked(ImportTrials(folder, True, tmp_path / "elsewhere.pyz"))
        looked(ImportTrials(tmp_path / "missing", True, tmp_path / "missing" / "agent.pyz"))
        looked(ImportTrials(folder, False, folder / "agent.pyz"))
    assert imports(tmp_path) == 6
    assert list(folder.iterdir()) == []

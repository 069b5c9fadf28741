"""Examining a board: here this machine plays it; over SSH it is tested in tests/device."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.device.connection import connect
from edgeq.errors import DeviceError
from edgeq.spec import target as targets
from edgeq.stages.fitness import check_device
from edgeq.verbs import boards
from edgeq.verbs.push import push

from ..device.artifacts import demo


@pytest.fixture
def broken_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an installation is whose files are there and of no use."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("broken_opencv")
def test_package_that_cannot_be_imported_is_missing() -> None:
    found = boards.check("local")
    [finding] = [one for one in found.findings if one.name == "opencv-python-headless"]
    assert finding.state == "missing" and not found.ready
    assert "importing it failed: ImportError: libGL.so.1: cannot open" in finding.found


@pytest.mark.usefixtures("broken_opencv")
def test_package_that_cannot_be_imported_stops_a_deploy_before_any_work(edgeq_home: Path) -> None:
    kind = targets.load("local")
    with connect(kind) as device, pytest.raises(DeviceError, match=r"broken .*libGL") as caught:
        check_device(kind, device)
    assert caught.value.kind == "missing-engine" and "targets setup" in caught.value.remedy
    assert not (edgeq_home / "device" / "releases").exists()
    with pytest.raises(DeviceError, match="broken"):
        push(demo(), "local")


@pytest.fixture
def no_litert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ai_edge_litert.py").write_text("raise ImportError('not for this CPU')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("no_litert")
def test_engine_that_this_machine_lacks_is_an_extra_of_edgeq() -> None:
    [finding] = [one for one in boards.check("local:litert").findings if one.state == "missing"]
    assert finding.name == "ai-edge-litert" and "not for this CPU" in finding.found
    assert finding.remedy == "run: pip install 'edgeq[litert]'"
    with (
        connect(kind := targets.load("local:litert")) as device,
        pytest.raises(DeviceError, match=r"ai-edge-litert is broken .*'edgeq\[litert\]'"),
    ):
        check_device(kind, device)


def test_engine_that_this_machine_has_is_named_with_its_version() -> None:
    found = {one.name: one for one in boards.check("local:litert").findings}
    assert found["ai-edge-litert"].state == "ok" and found["ai-edge-litert"].found[0].isdigit()


@pytest.mark.parametrize(
    ("free_mib", "environment", "state"),
    [
        (700, None, "ok"),
        (699, None, "wrong"),
        (699, "x", "ok"),
        (16, "x", "ok"),
        (15, "x", "wrong"),
    ],
)
def test_disk_without_the_reserve_is_not_ready(
    free_mib: int, environment: str | None, state: str
) -> None:
    found = boards.free_disk(free_mib << 20, environment)
    assert (found.state, bool(found.remedy)) == (state, state == "wrong")

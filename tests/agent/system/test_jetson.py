"""What a Jetson is and in which power mode, from its files and from what nvpmodel prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import pytest

from edgeq.agent.system.jetson import (
    PowerMode,
    is_jetson,
    l4t_release,
    module_model,
    parse_power_mode,
    parse_release,
    power_mode,
    power_modes,
)
from edgeq.agent.system.reading import Reader

from ..jetsons import AGX_ORIN, AGX_XAVIER, NANO_JETPACK_4, ORIN_NANO, THOR, XAVIER_NX, Files, plant

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Jetson that runs the tests has an nvpmodel of its own, which these must not ask."""
    monkeypatch.setattr("edgeq.agent.system.jetson._TOOLS", "")
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize(
    "board, release, model",
    [
        (NANO_JETPACK_4, "32.7.1", "NVIDIA Jetson Nano Developer Kit"),
        (XAVIER_NX, "35.4.1", "NVIDIA Jetson Xavier NX Developer Kit"),
        (AGX_XAVIER, "35.3.1", "Jetson-AGX"),
        (ORIN_NANO, "36.4.3", "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"),
        (AGX_ORIN, "35.2.1", "Jetson AGX Orin"),
        (THOR, "38.2.0", "NVIDIA Jetson AGX Thor Developer Kit"),
    ],
)
def test_boards_say_what_they_are(tmp_path: Path, board: Files, release: str, model: str) -> None:
    reader = Reader(plant(tmp_path, board))
    assert is_jetson(reader)
    assert l4t_release(reader) == release
    assert module_model(reader) == model
    assert reader.not_readable == {}


def test_another_board_is_no_jetson_and_that_is_no_trouble(tmp_path: Path) -> None:
    reader = Reader(
        plant(tmp_path, {"/proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0"})
    )
    assert not is_jetson(reader)
    assert l4t_release(reader) is None
    assert power_mode(reader) is None
    assert reader.not_readable == {}


def test_a_tegra_without_the_release_file_says_so(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, {"/proc/device-tree/compatible": "nvidia,tegra234\0"}))
    assert is_jetson(reader)
    assert l4t_release(reader) is None
    assert reader.not_readable == {
        "l4t_release": "/etc/nv_tegra_release: No such file or directory"
    }


def test_a_release_file_that_is_not_understood_is_quoted(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, {"/etc/nv_tegra_release": "# Yocto\n"}))
    assert l4t_release(reader) is None
    assert "'# Yocto'" in reader.not_readable["l4t_release"]
    assert parse_release("") is None


@pytest.mark.parametrize(
    "text, mode",
    [
        ("NV Power Mode: MAXN\n0\n", PowerMode(0, "MAXN")),
        ("NV Power Mode: 15W\n1\n", PowerMode(1, "15W")),
        ("NV Fan Mode:quiet\nNV Power Mode: MODE_15W_6CORE\n2\n", PowerMode(2, "MODE_15W_6CORE")),
        (
            "NVPM WARN: fan mode is not set!\nNV Power Mode: 25W\nNVPM WARN: 3 things\n1\n",
            PowerMode(1, "25W"),
        ),
        ("NV Power Mode: MAXN_SUPER", PowerMode(None, "MAXN_SUPER")),
        ("NVPM ERROR: optMask is 1, no request for power mode\n", None),
        ("", None),
    ],
)
def test_what_nvpmodel_prints(text: str, mode: Optional[PowerMode]) -> None:
    assert parse_power_mode(text) == mode


def test_nvpmodel_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "nvpmodel"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'NVPM WARN: x' >&2\necho 'NV Power Mode: MAXN'\necho 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}")
    reader = Reader(plant(tmp_path / "board", ORIN_NANO))
    assert power_mode(reader) == PowerMode(0, "MAXN")
    assert reader.not_readable == {}


def test_without_nvpmodel_its_own_files_tell(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, ORIN_NANO))
    assert power_mode(reader) == PowerMode(1, "25W")
    assert power_modes(reader) == (
        PowerMode(0, "15W"),
        PowerMode(1, "25W"),
        PowerMode(2, "MAXN_SUPER"),
    )


def test_a_mode_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, THOR, {"/var/lib/nvpmodel/status": "pmode:0003"}))
    mode = power_mode(reader)
    assert mode == PowerMode(3, "") and mode.text == "number 3"


def test_a_jetson_that_does_not_tell_its_mode_says_why(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, AGX_XAVIER))
    assert power_mode(reader) is None
    assert reader.not_readable["power_mode"].startswith("/var/lib/nvpmodel/status: ")

"""Power rails of known boards, and which of them are the total."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Tuple

import pytest

from edgeq.agent.measure.rails import channels, ina3221, total_rails
from edgeq.agent.system.reading import Reader

from ..jetsons import (
    AGX_ORIN,
    AGX_XAVIER,
    NANO_JETPACK_4,
    ORIN_NANO,
    THOR,
    XAVIER_NX,
    Files,
    plant,
    sensor,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "board, rails_mw, total",
    [
        (
            NANO_JETPACK_4,
            {"POM_5V_IN": 2532, "POM_5V_GPU": 80, "POM_5V_CPU": 521},
            ("POM_5V_IN",),
        ),
        (XAVIER_NX, {"VDD_IN": 4960, "VDD_CPU_GPU_CV": 992, "VDD_SOC": 1488}, ("VDD_IN",)),
        (
            AGX_XAVIER,
            {"GPU": 1900, "CPU": 760, "SOC": 1140, "CV": 0, "VDDRQ": 190, "SYS5V": 1710},
            ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
        ),
        (ORIN_NANO, {"VDD_IN": 4500, "VDD_CPU_GPU_CV": 500, "VDD_SOC": 1250}, ("VDD_IN",)),
        (
            AGX_ORIN,
            {"VDD_GPU_SOC": 2400, "VDD_CPU_CV": 800, "VIN_SYS_5V0": 4000, "VDDQ_VDD2_1V8AO": 600},
            ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"),
        ),
        # Its offset makes the rail of a GPU that sleeps negative.
        (
            THOR,
            {"VDD_GPU": -360, "VDD_CPU_SOC_MSS": 6000, "VIN_SYS_5V0": 6500},
            ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
        ),
    ],
)
def test_rails_of_known_boards(
    tmp_path: Path, board: Files, rails_mw: Dict[str, float], total: Tuple[str, ...]
) -> None:
    reader = Reader(plant(tmp_path, board))
    meter = ina3221(reader)
    assert meter is not None and reader.not_readable == {}
    assert meter.source == "INA3221"
    assert meter.read() == rails_mw
    assert total_rails(rails_mw) == total
    meter.close()


def test_a_meter_sees_what_changes(tmp_path: Path) -> None:
    meter = ina3221(Reader(plant(tmp_path, XAVIER_NX)))
    assert meter is not None
    (tmp_path / "sys/bus/i2c/drivers/ina3221/7-0040/hwmon/hwmon4/curr1_input").write_text("2000\n")
    assert meter.read()["VDD_IN"] == 9920
    meter.close()


def test_a_rail_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    files = sensor("1-0040", 1, ("VDD_IN", 5000, 900), ("VDD_SOC", 5000, 250))
    gone = "/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr2_input"
    meter = ina3221(Reader(plant(tmp_path, {**files, gone: "\n"})))
    assert meter is not None and meter.read() == {"VDD_IN": 4500}
    meter.close()


def test_what_only_root_may_read_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    # Tests may run as root, whom no file mode keeps out: the operating system's answer is forged.
    monkeypatch.setattr("edgeq.agent.measure.rails.os.open", refuse)
    reader = Reader(plant(tmp_path, ORIN_NANO))
    assert ina3221(reader) is None
    assert reader.not_readable == {"power": "not readable without root"}


def test_a_board_without_a_sensor_has_a_reason(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert channels(reader) == []
    assert ina3221(reader) is None
    assert reader.not_readable["power"].startswith(
        "this system has no /sys/bus/i2c/drivers/ina3221"
    )


def test_the_input_of_the_board_is_the_total_where_it_is_measured() -> None:
    assert total_rails(["VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0", "VIN"]) == ("VIN",)


@pytest.mark.parametrize("names", [[], ["VIN_SYS_5V0"], ["VDD_GPU_SOC", "VDD_CPU_CV"], ["X"]])
def test_no_total_is_made_up(names: List[str]) -> None:
    assert total_rails(names) == ()

"""Lines of tegrastats of several releases, odd ones among them, and following one that runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.agent.measure.power import find_meter
from edgeq.agent.measure.tegrastats import parse_tegrastats, tegrastats
from edgeq.agent.system.reading import Reader

if TYPE_CHECKING:
    from pathlib import Path

JETPACK_4 = (
    "RAM 1285/3964MB (lfb 450x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [8%@1479,off,off,4%@1479] EMC_FREQ 3%@1600 GR3D_FREQ 0%@76 APE 25 PLL@24.5C "
    "CPU@27.5C iwlwifi@33C PMIC@100C GPU@26.5C AO@34C thermal@27C "
    "POM_5V_IN 2532/2532 POM_5V_GPU 80/80 POM_5V_CPU 521/521"
)
JETPACK_5_AGX = (
    "04-24-2023 00:01:24 RAM 1282/62795MB (lfb 15152x4MB) SWAP 0/31398MB (cached 0MB) "
    "CPU [0%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@0 GPU@-256C "
    "VDD_GPU_SOC 2399mW/2399mW"
)
JETPACK_6 = (
    "RAM 5012/7620MB (lfb 2x4MB) SWAP 12/3810MB (cached 0MB) CPU [12%@1728,off] "
    "GR3D_FREQ 63%@[621] cpu@52.1C gpu@53.343C tj@53.968C VDD_IN 12479mW/12479mW "
    "VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW"
)
JETPACK_7 = (
    "RAM 9000/62841MB (lfb 3x4MB) CPU [1%@972,2%@972] GR3D_FREQ 12%@[1300,1300] tj@41.5C "
    "NC 0mW/0mW VDD_GPU_SOC 5139mW/5139mW/5139mW"
)


def test_jetpack_4_writes_no_unit() -> None:
    line = parse_tegrastats(JETPACK_4)
    assert line.rails_mw == {"POM_5V_IN": 2532, "POM_5V_GPU": 80, "POM_5V_CPU": 521}
    assert (line.ram_used_mb, line.ram_total_mb) == (1285, 3964)
    assert (line.gpu_percent, line.gpu_mhz) == (0, (76,))
    assert line.temperatures_c["PLL"] == 24.5 and line.temperatures_c["iwlwifi"] == 33


def test_jetpack_5_with_a_gpu_that_sleeps() -> None:
    line = parse_tegrastats(JETPACK_5_AGX)
    assert line.rails_mw == {"VDD_GPU_SOC": 2399}
    assert (line.ram_used_mb, line.ram_total_mb) == (1282, 62795)
    assert (line.emc_percent, line.emc_mhz) == (0, 2133)
    assert (line.gpu_percent, line.gpu_mhz) == (0, (0,))
    assert line.temperatures_c == {}


def test_jetpack_6_puts_the_clock_in_brackets() -> None:
    line = parse_tegrastats(JETPACK_6)
    assert line.rails_mw == {"VDD_IN": 12479, "VDD_CPU_GPU_CV": 4667, "VDD_SOC": 2817}
    assert (line.gpu_percent, line.gpu_mhz) == (63, (621,))
    assert line.temperatures_c == {"cpu": 52.1, "gpu": 53.343, "tj": 53.968}
    assert (line.emc_percent, line.emc_mhz) == (None, None)


def test_jetpack_7_has_three_figures_a_rail_and_a_clock_a_gpc() -> None:
    line = parse_tegrastats(JETPACK_7)
    assert line.rails_mw == {"VDD_GPU_SOC": 5139}
    assert (line.gpu_percent, line.gpu_mhz) == (12, (1300, 1300))


@pytest.mark.parametrize(
    "text, percent, mhz",
    [
        ("GR3D_FREQ @[1575,315,0] VDD_GPU 0mW/0mW", None, (1575, 315, 0)),
        ("GR3D_FREQ 99%", 99, ()),
        ("GR3D_FREQ 0%@[] tj@40C", 0, ()),
        ("GR3D_FREQ", None, ()),
        ("", None, ()),
    ],
)
def test_a_load_or_a_clock_may_be_missing(
    text: str, percent: Optional[int], mhz: Tuple[int, ...]
) -> None:
    line = parse_tegrastats(text)
    assert (line.gpu_percent, line.gpu_mhz) == (percent, mhz)


def test_a_rail_may_be_below_zero() -> None:
    line = parse_tegrastats("VDD_GPU -392mW/-392mW VDD_CPU_SOC_MSS 3961mW/3961mW")
    assert line.rails_mw == {"VDD_GPU": -392, "VDD_CPU_SOC_MSS": 3961}


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(
                [*JETPACK_4.split(), *JETPACK_7.split(), "@", "[", "%", "9" * 5000, "²", "٣mW"]
            )
        ).map(" ".join),
        st.integers(0, len(JETPACK_6)).map(lambda end: JETPACK_6[:end]),
    )
)
def test_any_line_can_be_parsed(text: str) -> None:
    line = parse_tegrastats(text)
    assert all(isinstance(mw, float) for mw in line.rails_mw.values())


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Reader:
    tool = tmp_path / "bin" / "tegrastats"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    return Reader(tmp_path)


def test_where_no_sensor_is_readable_a_running_tegrastats_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'test "$*" = "--interval 100" || exit 1\necho "{JETPACK_6}"\nexec sleep 60'
    reader = install(tmp_path, monkeypatch, script)
    meter = find_meter(reader)
    assert meter is not None and meter.source == "tegrastats"
    assert reader.not_readable == {}
    assert meter.read()["VDD_IN"] == 12479
    start_s = time.monotonic()
    meter.close()
    assert time.monotonic() - start_s < 5


def test_a_tegrastats_that_ended_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = tegrastats(install(tmp_path, monkeypatch, f'echo "{JETPACK_6}"'))
    assert meter is not None
    with pytest.raises(OSError, match="ended"):
        for _ in range(500):
            meter.read()
            time.sleep(0.01)
    meter.close()


def test_a_tegrastats_without_rails_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeq.agent.measure.tegrastats._FIRST_LINE_S", 0.1)
    reader = install(tmp_path, monkeypatch, "echo RAM 1/2MB; exec sleep 60")
    assert tegrastats(reader) is None
    assert reader.not_readable["power"].endswith("/tegrastats names no rail")


def test_nothing_that_measures_power_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeq.agent.measure.tegrastats._TOOLS", "")
    monkeypatch.setenv("PATH", "")
    reader = Reader(tmp_path)
    assert find_meter(reader) is None
    assert "ina3221" in reader.not_readable["power"]

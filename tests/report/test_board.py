"""What only some boards measure, in the report."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from edgeq.records.measurement import Measurement, Power
from edgeq.records.report import Report
from edgeq.report.terminal.report import render

from .reports import full_columns, measurement, report

JETSON = {"emc_hz": 2_133_000_000, "clocks_pinned": True, "gpu_clocks": {}, "throttle_states": {}}
POWER = Power(
    source="INA3221",
    rails_mw={"VDD_GPU_SOC": 5120.4, "VDD_CPU_CV": 880, "VIN_SYS_5V0": 4000},
    total_rails=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    total_mw=10_000.4,
    idle_mw=6000,
    energy_mj=160.2,
    energy_with_idle_mj=400.5,
    samples=104,
)


def jetson(power: Power | None = POWER, unstable: tuple[str, ...] = (), **more: Any) -> Measurement:
    fields = {
        "environment_after": {"jetson": JETSON},
        "power": power,
        "power_mode": "MAXN",
        "gpu_hz": 1_300_500_000,
        "memory_available_before_load_bytes": 5000 * 2**20,
        "memory_available_after_load_bytes": 4400 * 2**20,
        "memory_available_lowest_bytes": 4100 * 2**20,
        **more,
    }
    return measurement(unstable=unstable).model_copy(update=fields)


def text_of(shown: Report, width: int = 80) -> str:
    output = io.StringIO()
    Console(file=output, width=width, no_color=True).print(render(shown))
    return output.getvalue()


def row(text: str, label: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(label + "  ")]
    return [cell.strip() for cell in line[len(label) :].split("  ") if cell.strip()]


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_power_energy_and_clocks_stand_in_a_row_each(width: int) -> None:
    text = text_of(report(full_columns(jetson())), width)
    for label, cell in {
        "power mode": "MAXN",
        "GPU clock, MHz": "1300",
        "memory clock, MHz": "2133",
        "clocks pinned": "yes",
        "power VDD_GPU_SOC, mW": "5120",
        "power total, mW": "10000",
        "power idle, mW": "6000",
        "energy per inference, mJ": "160",
        "  with idle power, mJ": "400",
        "system memory loaded, MiB": "600",
        "system memory peak, MiB": "900",
    }.items():
        assert row(text, label) == ["not measured", "not measured", cell]
    assert max(map(len, text.splitlines())) <= width


def test_the_figures_are_defined() -> None:
    text = flat(text_of(report(full_columns(jetson())), 1000))
    assert "power (device): means over the timed part, 104 samples from INA3221;" in text
    assert "total = VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0;" in text
    assert "energy per inference = (total - idle) x duration / inferences" in text
    assert "system memory (device): MemAvailable before the load" in text


def test_what_is_not_measured_has_no_row() -> None:
    text = text_of(report(full_columns(jetson(None, power_mode=None, gpu_hz=None))))
    assert "power mode" not in text and "power total" not in text and "GPU clock" not in text
    assert "clocks pinned" in text


def test_a_jetson_without_power_says_why() -> None:
    shown = jetson(None, power_missing="not readable without root")
    text = flat(text_of(report(full_columns(shown))))
    assert "power (device): not measured: not readable without root" in text


def test_other_boards_show_none_of_it() -> None:
    plain = measurement().model_copy(
        update={
            "power_missing": "this system has no sensor",
            "memory_available_before_load_bytes": 2**30,
            "memory_available_lowest_bytes": 2**29,
        }
    )
    text = text_of(report(full_columns(plain)))
    assert "power" not in text and "system memory" not in text and "clocks" not in text


def test_rails_without_a_known_total_say_so() -> None:
    update = {"total_rails": (), "total_mw": None, "idle_mw": None, "energy_mj": None}
    power = POWER.model_copy(update={**update, "energy_with_idle_mj": None})
    text = text_of(report(full_columns(jetson(power))), 200)
    assert "power total" not in text and "energy per inference" not in text
    assert "no total, as these rails are not known to add up to one" in text


def test_without_idle_power_energy_includes_it() -> None:
    power = POWER.model_copy(update={"idle_mw": None, "energy_mj": None})
    text = text_of(report(full_columns(jetson(power))), 200)
    assert row(text, "  with idle power, mJ")[2] == "400"
    assert "no energy per inference, as there is no idle power" in text


def test_an_unstable_measurement_has_no_figures_of_power() -> None:
    text = text_of(report(full_columns(jetson(unstable=("drift: it fell",)))))
    assert row(text, "power total, mW")[2] == "unstable"
    assert row(text, "energy per inference, mJ")[2] == "unstable"
    assert row(text, "clocks pinned")[2] == "yes"


def test_a_measurement_comes_back_from_its_json_and_from_an_older_one() -> None:
    shown = jetson()
    assert Measurement.model_validate_json(shown.model_dump_json()) == shown
    older = json.loads(measurement().model_dump_json())
    for name in list(older):
        if name.startswith(("power", "gpu_hz", "memory_available")):
            del older[name]
    assert Measurement.model_validate(older) == measurement()

"""Alerts, alarms and counts that tell of a Jetson being slowed down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeq.agent.system.environment import environment
from edgeq.agent.system.reading import Reader
from edgeq.agent.system.throttling import over_current_counts, throttle_states
from edgeq.agent.system.zones import Zone, zones

from ..jetsons import AGX_ORIN, ORIN_NANO, cooling, plant
from ..jetsons import zones as thermal

if TYPE_CHECKING:
    from pathlib import Path


def test_only_alerts_of_cpu_and_gpu_are_throttling(tmp_path: Path) -> None:
    assert throttle_states(Reader(plant(tmp_path, ORIN_NANO))) == {
        "cpu-throttle-alert": 0,
        "gpu-throttle-alert": 1,
    }


def test_over_current_is_counted_by_the_chip_and_by_its_sensors(tmp_path: Path) -> None:
    assert over_current_counts(Reader(plant(tmp_path, ORIN_NANO))) == {
        "1-0040/curr1_crit_alarm": 0,
        "1-0040/curr2_crit_alarm": 0,
        "1-0040/curr3_crit_alarm": 0,
        "soctherm_oc/oc1_event_cnt": 0,
        "soctherm_oc/oc2_event_cnt": 2,
        "soctherm_oc/oc3_event_cnt": 37,
    }


def test_two_sensors_of_one_board_are_told_apart(tmp_path: Path) -> None:
    counts = over_current_counts(Reader(plant(tmp_path, AGX_ORIN)))
    assert len(counts) == 6
    assert "1-0041/curr2_crit_alarm" in counts


def test_a_sleeping_sensor_has_no_temperature(tmp_path: Path) -> None:
    reader = Reader(plant(tmp_path, thermal(gpu_thermal="-256000", tj_thermal="53968", off="?")))
    assert zones(reader) == (
        Zone("gpu-thermal", None),
        Zone("tj-thermal", 53.968),
        Zone("off", None),
    )
    assert reader.not_readable["zones.gpu-thermal"].endswith("/temp says -256 C")
    assert reader.not_readable["zones.off"].endswith("which is not a number")


def test_one_look_at_a_jetson_has_all_of_it(tmp_path: Path) -> None:
    look = environment(plant(tmp_path, ORIN_NANO))
    assert look.jetson is not None
    assert look.jetson.throttle_states["gpu-throttle-alert"] == 1
    assert look.jetson.clocks_pinned is False
    assert look.throttle_counts["soctherm_oc/oc3_event_cnt"] == 37
    fields = look.fields()["jetson"]
    assert isinstance(fields, dict)
    assert fields["gpu_clocks"]["17000000.gpu"]["current_hz"] == 306_000_000


def test_one_look_at_another_board_has_none_of_it(tmp_path: Path) -> None:
    look = environment(plant(tmp_path, cooling(("cpu-throttle-alert", 3))))
    assert look.jetson is None
    assert look.fields()["jetson"] is None

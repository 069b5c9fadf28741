"""Times, memory and energy of two that took turns."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.cost.turns import COSTS, change, typical
from edgeq.records.turns import Turns

POWER = {
    "source": "ina3221",
    "rails_mw": {"VDD_IN": 4000.0},
    "total_rails": ("VDD_IN",),
    "total_mw": 4000.0,
    "idle_mw": 1000.0,
    "energy_mj": 30.0,
    "samples": 40,
}


def turns(factor: float = 1.0, memory: int = 100, mj: float | None = None, **changes: Any) -> Turns:
    """A load in which B takes `factor` times as long in the engine; A meets a neighbour once."""
    base = [10_000_000, 10_100_000, 9_900_000, 10_050_000, 200_000_000]

    def side(letter: str, times: float, rss: int) -> dict[str, Any]:
        power = None if mj is None else {**POWER, "energy_with_idle_mj": mj * times}
        return {
            "release": letter * 64,
            "engine": {"name": "onnxruntime", "version": "1.32.0"},
            "load_ns": 1,
            "peak_rss_bytes": rss,
            "peak_rss_source": "VmHWM",
            "preprocess_ns": [1_000_000] * 5,
            "inference_ns": [int(ns * times) for ns in base],
            "postprocess_ns": [2_000_000] * 5,
            "power": power,
        }

    told: dict[str, Any] = {
        "sides": [side("a", 1.0, 100 << 20), side("b", factor, memory << 20)],
        "threads": 1,
        "duration_ns": 10**10,
        "other_cores": 0.1,
        "power_mode": None,
        "slowed": [],
        "wrong_mode": [],
    }
    return Turns.model_validate({**told, **changes})


def test_the_engine_and_the_frame_are_told_apart() -> None:
    loads = [turns(1.10), turns(1.10), turns(1.10)]
    inference, frame = (change(loads, COSTS[name].figures, 0.99) for name in ("inference", "frame"))
    assert inference is not None and frame is not None
    assert inference.mean == pytest.approx(0.10, abs=1e-6)
    # 10 of 13 ms are the engine's.
    assert frame.mean == pytest.approx(0.10 * 10 / 13, rel=0.02)
    assert typical(loads, COSTS["inference"].figures) == pytest.approx((10_050_000, 11_055_000))


def test_loads_that_differ_widen_the_interval() -> None:
    loads = [turns(factor) for factor in (1.01, 1.05, 1.09)]
    found = change(loads, COSTS["inference"].figures, 0.99)
    assert found is not None and found.low < 0 < found.mean < found.high


def test_memory_is_one_figure_a_load() -> None:
    found = change([turns(memory=105)] * 3, COSTS["peak memory"].figures, 0.99)
    assert found is not None and found[:3] == pytest.approx((0.05, 0.05, 0.05))


def test_energy_needs_rails_on_both_sides() -> None:
    assert change([turns(), turns(), turns()], COSTS["energy"].figures, 0.99) is None
    found = change([turns(1.2, mj=40.0)] * 3, COSTS["energy"].figures, 0.99)
    assert found is not None and found.mean == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration_ns": 1},
        {"other_cores": float("nan")},
        {"threads": "two"},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        turns(**wrong)


def test_sides_must_have_as_many_passes() -> None:
    told = turns().model_dump()
    told["sides"][1]["inference_ns"] = told["sides"][1]["inference_ns"][:-1]
    with pytest.raises(ValueError, match="as many of each"):
        Turns.model_validate(told)

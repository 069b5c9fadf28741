"""int8 against fp16, from profiles as TensorRT names its layers."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.cost.profile import float_costs_ms, speedup
from edgeq.records.measurement import Measurement
from edgeq.records.report import Column, Speedup
from edgeq.report.speedup import explanation
from edgeq.spec.gates import Gates, judge

from ..report.reports import measurement

LAYERS = ("/model.1/conv/Conv", "/model.10/conv/Conv", "/model.2/cv1/conv/Conv")


def measured(name: Any, ms: float, profile: dict[str, float] | None, **fields: Any) -> Column:
    times = [{"layer": layer, "ms": took} for layer, took in (profile or {}).items()]
    facts = {"layer_times": times} if profile is not None else None
    made: Measurement = measurement().model_copy(
        update={
            "preprocess_ns": (1_000_000,) * 9,
            "inference_ns": (int(ms * 1e6),) * 9,
            "postprocess_ns": (4_000_000,) * 9,
            "engine_facts": facts,
            "unstable": (),
            **fields,
        }
    )
    return Column(name=name, where="board", measurement=made)


def test_layers_count_with_their_reformats() -> None:
    int8 = measured(
        "device",
        5.0,
        {
            "/model.1/conv/Conv + PWN(PWN(/model.1/act/Sigmoid), /model.1/act/Mul)": 0.25,
            "Reformatting CopyNode for Input Tensor 0 to /model.1/conv/Conv + PWN(...)": 0.5,
            "/model.10/conv/Conv": 0.25,
            "/model.2/cv1/conv/Conv || /model.2/cv2/conv/Conv": 1.0,
        },
    )
    fp16 = measured(
        "fp16",
        4.0,
        {
            "/model.1/conv/Conv + PWN(PWN(/model.1/act/Sigmoid), /model.1/act/Mul)": 0.5,
            "/model.10/conv/Conv": 0.75,
            "/model.2/cv1/conv/Conv": 0.5,
            "Reformatting CopyNode for Output Tensor 0 to output0": 0.125,
        },
    )

    found = speedup([fp16, int8], LAYERS)

    assert found is not None and found.ratio == pytest.approx(0.8)
    assert (found.reformat_int8_ms, found.reformat_fp16_ms) == (0.5, 0.125)
    assert [(s.name, s.int8_ms, s.fp16_ms) for s in found.slower] == [
        ("/model.2/cv1/conv/Conv", 1.0, 0.5),
        ("/model.1/conv/Conv", 0.75, 0.5),
    ]
    said = explanation(found)
    assert "5 ms against 4 ms" in said[0] and "reformats take 0.5 ms" in said[1]
    assert said[-1] == "try: exclude: [/model.2/cv1/conv/Conv, /model.1/conv/Conv]"


def test_nothing_is_explained_where_int8_is_faster() -> None:
    found = speedup([measured("fp16", 4.0, None), measured("device", 2.0, None)], LAYERS)
    assert found is not None and found.ratio == 2.0
    assert found.reformat_int8_ms is None and found.slower == ()
    assert explanation(found) == []


def test_without_fp16_there_is_nothing_to_compare() -> None:
    assert speedup([measured("device", 2.0, None)], LAYERS) is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, "passed"), ({"unstable": ("hot",)}, "unstable"), ({"emulated": True}, "not measured")],
)
def test_gate_needs_both_to_be_steady(fields: dict[str, Any], status: str) -> None:
    columns = [measured("fp16", 4.0, None), measured("device", 2.0, None, **fields)]
    gates = Gates(int8_speedup_over_fp16=1.5)

    [verdict] = judge(gates, columns, 0, None, speedup(columns, LAYERS))

    assert verdict.status == status


def test_gate_fails_where_int8_does_not_pay_and_is_open_without_fp16() -> None:
    gates = Gates(int8_speedup_over_fp16=1.5)
    [verdict] = judge(gates, [], 0, None, Speedup(int8_ms=2.0, fp16_ms=2.0))
    assert (verdict.status, verdict.measured) == ("failed", 1.0)
    [verdict] = judge(gates, [], 0, None, None)
    assert verdict.status == "not measured"
    assert "no fp16 model" in verdict.reason


def test_costs_in_float_are_those_of_the_layers_that_both_profiles_name() -> None:
    int8 = measured("device", 1.0, {LAYERS[0]: 0.25, LAYERS[1]: 0.5})
    fp16 = measured("fp16", 2.0, {LAYERS[0]: 1.0, LAYERS[1]: 0.25, LAYERS[2]: 1.0})

    assert float_costs_ms([fp16, int8], LAYERS) == {LAYERS[0]: 0.75, LAYERS[1]: -0.25}
    assert float_costs_ms([int8], LAYERS) == {}
    assert float_costs_ms([fp16, measured("device", 1.0, None)], LAYERS) == {}

"""int8 beside the float model in the device's own engine: how fast, and what is to blame."""

from __future__ import annotations

from typing import Any

import pytest

from edgeq.cost.gain import gain
from edgeq.records.report import Column, Gain
from edgeq.report.speedup import frames, worth
from edgeq.spec.gates import Gates, judge

from ..report.reports import measurement


def measured(name: Any, ms: float, **fields: Any) -> Column:
    around = {"preprocess_ns": (1_000_000,) * 9, "postprocess_ns": (4_000_000,) * 9}
    samples = {"inference_ns": (int(ms * 1e6),) * 9, "unstable": (), **around, **fields}
    return Column(name=name, where="board", measurement=measurement().model_copy(update=samples))


OUTSIDE: dict[str, Any] = {
    "delegate": "xnnpack",
    "partitions": 17,
    "outside": {"BATCH_MATMUL": 15, "SOFTMAX": 8},
}


def test_engine_that_tells_is_believed() -> None:
    columns = (measured("float", 167), measured("device", 319, engine_facts=OUTSIDE))
    found = gain(columns, {"Resize": 3})
    assert found == Gain(
        int8_ms=319,
        float_ms=167,
        blamed=OUTSIDE["outside"],
        partitions=17,
        frame_int8_ms=324,
        frame_float_ms=172,
        postprocess_int8_ms=4,
    )
    assert worth(found) == [
        "0.52 times as fast",
        "int8 DOES NOT EARN ITS PLACE in time: 319 ms, float 167; to blame are 15 BATCH_MATMUL, "
        "8 SOFTMAX, which the engine does not compute in int8 or not fast (17 partitions)",
    ]


def test_else_what_the_plan_leaves_in_float_is_to_blame() -> None:
    found = gain((measured("float", 10), measured("device", 12)), {"Resize": 3})
    assert found is not None and "to blame are 3 Resize" in worth(found)[1]
    alone = gain((measured("float", 10), measured("device", 12)), {})
    assert alone is not None and "to blame" not in worth(alone)[1]


def test_int8_that_earns_its_place_is_a_figure_alone() -> None:
    found = gain((measured("float", 30), measured("device", 10)), {"Resize": 3})
    assert found is not None and worth(found) == ["3.00 times as fast"]


@pytest.mark.parametrize("exact_ms, decoder", [(30, False), (13, True), (10, False), (9, False)])
def test_decoder_that_takes_what_the_engine_saves_is_named(exact_ms: float, decoder: bool) -> None:
    found = gain((measured("float", exact_ms), measured("device", 10)), {})
    assert found is not None and found.frame_ratio == pytest.approx((exact_ms + 5) / 15)
    ratio, *more = frames(found)
    assert ratio == f"whole frames: {(exact_ms + 5) / 15:.2f} times as fast"
    expected = (
        "the decoder (postprocess) takes 4 ms a frame, more than the 3 ms that the engine saves"
    )
    assert more == ([expected] if decoder else [])


def test_reports_of_before_have_no_whole_frames_to_compare() -> None:
    assert frames(Gain(int8_ms=1.0, float_ms=2.0)) == []


def test_without_both_there_is_nothing_to_compare() -> None:
    assert gain((measured("device", 10),), {}) is None
    assert gain((Column(name="float", where="host"), measured("device", 10)), {}) is None


@pytest.mark.parametrize(("limit", "status"), [(1.2, "passed"), (2.0, "failed")])
def test_gate_asks_for_a_ratio(limit: float, status: str) -> None:
    columns = (measured("float", 15), measured("device", 10))
    gates = Gates(int8_speedup_over_float=limit)
    [found] = judge(gates, columns, 1, None, None, gain(columns, {}))
    assert found.status == status and found.measured == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"emulated": True}, "not measured"), ({"unstable": ("drift",)}, "unstable")],
)
@pytest.mark.parametrize("name", ["float", "device"])
def test_gate_is_not_judged_on_what_is_no_figure(
    name: str, fields: dict[str, Any], status: str
) -> None:
    others = {"float": 15.0, "device": 10.0}
    columns = tuple(
        measured(each, ms, **(fields if each == name else {})) for each, ms in others.items()
    )
    [found] = judge(Gates(int8_speedup_over_float=1.2), columns, 1, None, None, gain(columns, {}))
    assert found.status == status

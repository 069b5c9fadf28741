from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgeq.records.report import Divergence, Gain, Speedup
from edgeq.spec.gates import Gates, judge, percentiles

from ..report.reports import (
    ARTIFACT_BYTES,
    agreement,
    column,
    divergence,
    full_columns,
    interval,
    measurement,
)

if TYPE_CHECKING:
    from edgeq.records.report import Column, Verdict

ALL: dict[str, Any] = {
    "mask_ap_drop": 0.02,
    "box_ap_drop": 0.02,
    "agreement": 0.85,
    "mask_precision_drop": 0.02,
    "mask_recall_drop": 0.02,
    "mask_f1_drop": 0.02,
    "box_precision_drop": 0.02,
    "box_recall_drop": 0.02,
    "box_f1_drop": 0.02,
    "score_shift": 0.02,
    "threshold_drop": 0.02,
    "latency_p50_ms": 50,
    "latency_p90_ms": 50,
    "latency_p99_ms": 50,
    "frame_p50_ms": 50,
    "frame_p90_ms": 50,
    "frame_p99_ms": 50,
    "peak_memory_bytes": 200 * 2**20,
    "artifact_bytes": 3 * 2**20,
    "divergence_mask_ap": 0.01,
    "divergence_snr_db": 20.0,
    "int8_speedup_over_fp16": 1.5,
    "int8_speedup_over_float": 1.5,
}
OVER_FP16, OVER_FLOAT = Speedup(int8_ms=40.0, fp16_ms=64.0), Gain(int8_ms=40.0, float_ms=64.0)


def _judge(
    columns: tuple[Column, ...], diverged: Divergence | None = None, **gates: Any
) -> dict[str, Verdict]:
    device = any(column.name == "device" for column in columns)
    found = (OVER_FP16, OVER_FLOAT) if device else ()
    verdicts = judge(Gates(**gates), columns, ARTIFACT_BYTES, diverged, *found)
    assert len({verdict.gate for verdict in verdicts}) == len(verdicts)
    return {verdict.gate: verdict for verdict in verdicts}


def test_every_gate_of_the_recipe_is_judged_once_in_its_order() -> None:
    assert ALL.keys() == Gates.model_fields.keys()
    verdicts = _judge(full_columns(), divergence(), **ALL)
    assert list(verdicts) == list(ALL)
    assert {verdict.status for verdict in verdicts.values()} == {"passed"}


def test_no_gates_no_verdicts() -> None:
    assert _judge(full_columns()) == {}


@pytest.mark.parametrize(
    ("gate", "limit", "measured"),
    [
        ("mask_ap_drop", 0.0062, 0.0063),
        ("box_ap_drop", 0.0062, 0.0063),
        ("agreement", 0.8701, 0.87),
        *((name, 0.0062, 0.0063) for name in ALL if name.endswith(("precision_drop", "f1_drop"))),
        ("mask_recall_drop", 0.0062, 0.0063),
        ("box_recall_drop", 0.0062, 0.0063),
        ("score_shift", 0.0099, 0.01),
        ("threshold_drop", 0.0062, 0.0063),
        ("latency_p50_ms", 40.0, 40.365714),
        ("latency_p90_ms", 43.2, 43.417143),
        ("latency_p99_ms", 43.95, 43.988571),
        ("frame_p50_ms", 43.6, 43.948171),
        ("frame_p90_ms", 47.0, 47.270414),
        ("frame_p99_ms", 47.85, 47.892555),
        ("peak_memory_bytes", 142 * 2**20, 143 * 2**20),
        ("artifact_bytes", 2**20, 2 * 2**20),
        ("divergence_mask_ap", 0.0028, 0.0029),
        ("divergence_snr_db", 31.3, 31.2),
        ("int8_speedup_over_fp16", 1.61, 1.6),
        ("int8_speedup_over_float", 1.61, 1.6),
    ],
)
def test_gate_fails_beyond_its_limit_and_passes_at_it(
    gate: str, limit: float, measured: float
) -> None:
    failed = _judge(full_columns(), divergence(), **{gate: limit})[gate]
    assert (failed.status, failed.limit) == ("failed", limit)
    assert failed.measured == pytest.approx(measured)
    assert failed.measured is not None
    passed = _judge(full_columns(), divergence(), **{gate: failed.measured})[gate]
    assert passed.status == "passed"


def test_drop_says_when_the_interval_does_not_resolve_the_limit() -> None:
    inside = _judge(full_columns(), mask_ap_drop=0.01)["mask_ap_drop"]
    assert inside.status == "passed"
    assert "not resolved" in inside.reason
    assert "-0.0021 to 0.0134" in inside.reason
    assert _judge(full_columns(), mask_ap_drop=0.02)["mask_ap_drop"].reason == ""


@pytest.mark.parametrize(("mask", "box", "worse"), [(0.9, 0.86, "box"), (0.86, 0.9, "mask")])
def test_agreement_is_judged_on_the_worse_of_mask_and_box(
    mask: float, box: float, worse: str
) -> None:
    device = column("device", 0.25, drop=interval()).model_copy(
        update={"agreement": agreement(mask, box)}
    )
    passed = _judge((device,), agreement=0.84)["agreement"]
    assert (passed.status, passed.measured, passed.reason) == ("passed", 0.86, worse)
    near = _judge((device,), agreement=0.87)["agreement"]
    assert near.status == "failed"
    assert near.reason.startswith(f"{worse}; not resolved: the limit lies inside the 95% interval")
    assert "0.8450 to 0.8750" in near.reason
    assert _judge((device,), agreement=0.88)["agreement"].reason == worse


def test_agreement_with_a_float_model_that_finds_nothing_is_not_judged() -> None:
    silent = column("device", 0.25)
    verdict = _judge((silent,), agreement=0.9)["agreement"]
    assert (verdict.status, verdict.measured) == ("not judged", None)
    assert "finds nothing" in verdict.reason
    assert _judge((column("device"),), agreement=0.9)["agreement"].status == "not measured"


def test_device_that_gains_passes() -> None:
    gained = (column("device", 0.26, drop=interval(-0.004, -0.009, -0.001)),)
    assert _judge(gained, mask_ap_drop=0.0)["mask_ap_drop"].status == "passed"


def test_unstable_measurement_neither_passes_nor_fails() -> None:
    reasons = ("the clock moved", "drifting by 14%")
    for limit_ms in (1, 1000):
        gates: dict[str, Any] = {
            "latency_p50_ms": limit_ms,
            "latency_p99_ms": limit_ms,
            "peak_memory_bytes": 1,
        }
        verdicts = _judge(full_columns(measurement(unstable=reasons)), **gates)
        assert {verdict.status for verdict in verdicts.values()} == {"unstable"}
        assert {v.reason for v in verdicts.values()} == {"the clock moved; drifting by 14%"}
        assert verdicts["latency_p50_ms"].measured == pytest.approx(40.365714)


def test_unstable_measurement_does_not_touch_the_other_gates() -> None:
    verdicts = _judge(full_columns(measurement(unstable=("hot",))), divergence(), **ALL)
    unstable = [gate for gate, verdict in verdicts.items() if verdict.status == "unstable"]
    timed = [name for name in ALL if name.startswith(("latency", "frame"))]
    speedups = ["int8_speedup_over_fp16", "int8_speedup_over_float"]
    assert unstable == [*timed, "peak_memory_bytes", *speedups]


def test_latency_is_judged_on_the_bound_and_says_the_estimate_too() -> None:
    verdict = _judge(full_columns(), latency_p90_ms=43.3)["latency_p90_ms"]
    assert verdict.status == "failed" and verdict.measured == pytest.approx(43.417143)
    assert verdict.reason == "p90 of 700 is 43.19 ms, at most 43.42 ms by 99%"


def test_percentile_of_too_few_samples_is_not_measured() -> None:
    verdict = _judge(full_columns(measurement(count=661)), latency_p99_ms=1000)["latency_p99_ms"]
    assert (verdict.status, verdict.measured) == ("not measured", None)
    assert verdict.reason == (
        "unresolved: p99 needs 662 samples, 661 were taken; raise measure.max_duration_s"
    )


def test_only_gates_that_are_set_ask_for_their_percentiles() -> None:
    assert percentiles(Gates(mask_ap_drop=0.1, latency_p99_ms=3, frame_p50_ms=3)) == (50, 99)
    assert percentiles(Gates(frame_p90_ms=3)) == (90,)
    assert percentiles(Gates()) == ()


def test_emulated_latency_is_not_a_measurement() -> None:
    emulated = measurement(emulated=True, unstable=("hot",))
    verdict = _judge(full_columns(emulated), latency_p50_ms=1000)["latency_p50_ms"]
    assert (verdict.status, verdict.measured, verdict.reason) == ("not measured", None, "emulated")


def test_nothing_measured_is_said_with_a_reason() -> None:
    verdicts = _judge((column("float", 0.25), column("simulated", 0.24, drop=interval())), **ALL)
    assert verdicts.pop("artifact_bytes").status == "passed"
    assert {(v.status, v.measured) for v in verdicts.values()} == {("not measured", None)}
    assert all(verdict.reason for verdict in verdicts.values())


def test_device_without_accuracy_or_samples_is_not_measured() -> None:
    silent = measurement().model_copy(update={"inference_ns": ()})
    verdicts = _judge((column("device", measured=silent),), mask_ap_drop=0.1, latency_p50_ms=10)
    assert {verdict.status for verdict in verdicts.values()} == {"not measured"}


def test_divergence_counts_in_both_directions() -> None:
    better = Divergence(mask_ap=-0.02, snr_db={})
    verdicts = _judge(full_columns(), better, divergence_mask_ap=0.01, divergence_snr_db=10)
    assert verdicts["divergence_mask_ap"].status == "failed"
    assert verdicts["divergence_snr_db"].status == "not measured"


def test_worst_output_decides_and_is_named() -> None:
    apart = Divergence(mask_ap=None, snr_db={"a": 50.0, "b": 12.0, "c": None})
    verdict = _judge(full_columns(), apart, divergence_snr_db=20)["divergence_snr_db"]
    assert (verdict.status, verdict.measured, verdict.reason) == ("failed", 12.0, "part 'b'")


def test_equal_outputs_pass_any_ratio() -> None:
    equal = Divergence(mask_ap=0.0, snr_db={"a": None})
    verdict = _judge(full_columns(), equal, divergence_snr_db=500)["divergence_snr_db"]
    assert (verdict.status, verdict.reason) == ("passed", "bit for bit equal")

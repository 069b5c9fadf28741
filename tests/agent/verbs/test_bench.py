"""Benchmarks of the tiny model."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgeq.agent.measure import gauges
from edgeq.agent.verbs import bench as bench_module
from edgeq.agent.verbs.bench import bench
from edgeq.agent.wire.events import Events
from edgeq.agent.wire.job import BenchJob
from edgeq.records.measurement import StreamRun

from ..jetsons import ORIN_NANO, plant


def benched(release: Path, image: Path, root: Path = Path("/"), **changes: Any) -> Any:
    job = BenchJob(release, (image, image), 1, 0.05, 0.5, 0.2, 10, 5.0)._replace(**changes)
    return json.loads(json.dumps(bench(job, Events(io.BytesIO()), root), allow_nan=False))


def test_samples_come_raw_with_their_conditions(release: Path, red_rectangle: Path) -> None:
    result = benched(release, red_rectangle)
    count = len(result["inference_ns"])
    assert count >= 10
    assert len(result["preprocess_ns"]) == len(result["postprocess_ns"]) == count
    stages = ("preprocess_ns", "inference_ns", "postprocess_ns")
    total_ns = sum(sum(result[stage]) for stage in stages)
    assert all(ns > 0 for stage in stages for ns in result[stage])
    assert total_ns <= result["duration_ns"]
    assert result["duration_ns"] >= 0.2e9
    assert result["throughput_per_s"] == pytest.approx(count * 1e9 / result["duration_ns"])
    assert result["load_ns"] > 0 and result["first_inference_ns"] > 0
    assert result["warmup_count"] > 1
    assert 0 < result["rss_before_load_bytes"] <= result["peak_rss_bytes"]
    assert result["rss_after_load_bytes"] <= result["peak_rss_bytes"]
    assert result["threads"] == 1
    before, warm, after = (
        result[f"environment_{when}"]["monotonic_ns"] for when in ("before", "warm", "after")
    )
    assert before < warm < after and after - warm >= result["duration_ns"]


def test_too_little_time_for_the_count_makes_it_unstable(
    release: Path, red_rectangle: Path
) -> None:
    result = benched(release, red_rectangle, min_count=10**6, max_duration_s=0.1)
    assert any(reason.startswith("count: ") for reason in result["unstable"])


def test_a_warm_up_cut_short_makes_it_unstable(release: Path, red_rectangle: Path) -> None:
    result = benched(release, red_rectangle, max_warmup_s=0.0)
    assert any(reason.startswith("warm-up: ") for reason in result["unstable"])
    assert result["warmup_count"] == 1


def test_a_board_without_sensors_gives_a_reason_for_each(
    release: Path, red_rectangle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    root = plant(tmp_path / "board", {"/proc/meminfo": "MemAvailable: 1000 kB\n"})
    result = benched(release, red_rectangle, root, power_mode="15W")
    assert result["power"] is None and "ina3221" in result["power_missing"]
    assert result["gpu_hz"] is None and result["power_mode"] is None
    assert any(reason.startswith("power mode: the board's") for reason in result["unstable"])
    for when in ("before_load", "after_load", "lowest"):
        assert result[f"memory_available_{when}_bytes"] == 1000 * 1024


def test_a_jetson_has_power_energy_and_its_mode(
    release: Path, red_rectangle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(gauges, "IDLE_S", 0.1)
    root = plant(tmp_path / "board", ORIN_NANO)
    result = benched(release, red_rectangle, root, power_mode="25W")
    power = result["power"]
    assert (power["total_rails"], power["total_mw"], power["idle_mw"]) == (["VDD_IN"], 4500, 4500)
    # The files do not change: an inference adds nothing to what the board uses anyway.
    assert power["energy_mj"] == 0
    assert power["energy_with_idle_mj"] == pytest.approx(4500 / result["throughput_per_s"])
    assert power["samples"] >= 3
    assert result["power_missing"] == ""
    assert (result["power_mode"], result["gpu_hz"]) == ("25W", 306_000_000)
    assert result["environment_after"]["jetson"]["clocks_pinned"] is False
    reasons = [reason for reason in result["unstable"] if reason.startswith(("power", "throttled"))]
    (reason,) = reasons
    assert reason.startswith("throttled: gpu-throttle-alert is at 1 (0: not) (in ")


def test_it_runs_on_until_percentiles_are_resolved_or_time_is_up(
    release: Path, red_rectangle: Path, tmp_path: Path
) -> None:
    # Where nothing is known of others there is nothing to be disturbed by.
    root = plant(tmp_path / "board", {"/proc/meminfo": "MemAvailable: 1000 kB\n"})
    wide = {"max_duration_s": 0.3, "aim_count": 10**6}
    result = benched(release, red_rectangle, root, aim_count=400, max_duration_s=20.0)
    assert len(result["inference_ns"]) + result["left_out"]["samples"] >= 400
    short = benched(release, red_rectangle, root, **wide)
    assert 10 <= len(short["inference_ns"]) < 10**6
    assert not any(reason.startswith("count") for reason in short["unstable"])


def test_a_machine_whose_cores_all_burn_gives_no_calm_figure(
    release: Path, red_rectangle: Path
) -> None:
    burn = [sys.executable, "-c", "while True: pass"]
    burning = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.3)
        threads = os.cpu_count() or 1
        result = benched(release, red_rectangle, threads=threads, max_duration_s=1.5)
    finally:
        for process in burning:
            process.kill()
            process.wait()
    assert any(reason.startswith("contention: ") for reason in result["unstable"])
    assert result["left_out"]["stretches"] == 0


def test_what_slows_a_soaked_device_down_is_what_is_measured(
    release: Path, red_rectangle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(gauges, "IDLE_S", 0.1)
    root = plant(tmp_path / "board", ORIN_NANO)  # which is throttled all the while
    result = benched(release, red_rectangle, root, soak_s=0.2)
    (minute,) = result["soak"]
    assert minute["reasons"] == ["throttled"] and minute["passes"] > 0
    assert not any(reason.startswith("throttled") for reason in result["unstable"])
    assert benched(release, red_rectangle, root)["soak"] == []


def test_streams_and_a_pipeline_are_timed_behind_the_rest(
    release: Path, red_rectangle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "FRAMES_S", 0.1)
    result = benched(release, red_rectangle, streams=(1, 3), threads=2)
    assert [run["streams"] for run in result["streams"]] == [0, 1, 3]
    assert [run["threads"] for run in result["streams"]] == [2, 2, 1]
    for run in result["streams"]:
        assert len(run["frame_ns"]) == max(1, run["streams"])
        read = StreamRun.model_validate(run, from_attributes=True)
        assert read.frames_per_s > 0
    assert benched(release, red_rectangle)["streams"] == []

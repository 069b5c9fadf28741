"""Benchmarks of the tiny model."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from edgeq.agent.bench import bench
from edgeq.agent.job import BenchJob
from edgeq.agent.protocol import Events

if TYPE_CHECKING:
    from pathlib import Path


def benched(release: Path, image: Path, **changes: Any) -> Any:
    job = BenchJob(release, (image, image), 1, 0.05, 0.5, 0.2, 10, 5.0)._replace(**changes)
    return json.loads(json.dumps(bench(job, Events(io.BytesIO())), allow_nan=False))


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

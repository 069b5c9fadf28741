"""Job files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.wire import job, job_file
from edgeq.agent.wire.fields import Fields


def fields(document: Any) -> Fields:
    return Fields(document, [])


def test_defaults_of_a_bench_job() -> None:
    given = job_file.bench_job(fields({"release": "r", "images": ["a.jpg"], "threads": 2}))
    assert given == job.BenchJob(Path("r"), (Path("a.jpg"),), 2, 1.0, 15.0, 5.0, 50, 120.0)


def test_a_bench_job_may_name_a_power_mode() -> None:
    document = {"release": "r", "images": ["a.jpg"], "threads": 2, "power_mode": "MAXN"}
    assert job_file.bench_job(fields(document)).power_mode == "MAXN"


def test_a_predict_job_carries_ids_and_paths(tmp_path: Path) -> None:
    given = job_file.predict_job(
        fields(
            {
                "release": "r",
                "images": [{"id": 7, "path": "a.jpg"}],
                "threads": 1,
                "keep_outputs": str(tmp_path / "kept.npz"),
                "keep_count": 3,
                "only_kept": ["inside"],
            }
        )
    )
    assert given.images == (job.ImageRequest(7, Path("a.jpg")),)
    assert (given.keep_outputs, given.keep_count) == (tmp_path / "kept.npz", 3)
    assert given.only_kept == ("inside",)
    assert given.graph_optimization == "all"


@pytest.mark.parametrize(
    "read, document, problems",
    [
        (job_file.bench_job, {}, ["release is missing", "images is missing", "threads is missing"]),
        (
            job_file.bench_job,
            {"release": 3, "images": [], "threads": 0, "min_count": 1.5, "warmup_s": -1},
            [
                "release must be a string, not 3",
                "images is empty",
                "threads is 0; it must be at least 1",
                "min_count must be a whole number, not 1.5",
                "warmup_s is -1; it must lie from 0 to 3600",
            ],
        ),
        (
            job_file.predict_job,
            {
                "release": "r",
                "images": [{"id": 1}, 5, {"id": "x", "path": "p"}],
                "threads": 1,
                "graph_optimization": "some",
                "keep_outputs": "no/such/folder/kept.npz",
            },
            [
                "images[0].path is missing",
                "images[1] must be an object, not 5",
                'images[2].id must be a whole number, not "x"',
                "graph_optimization is 'some'; it must be one of: all, disabled",
                "keep_outputs is in no/such/folder, which is not a folder",
            ],
        ),
        (job_file.verify_job, {"release": "r", "load": "yes"}, ["load must be true or false"]),
        (job_file.verify_job, [], ["the document must be an object, not []"]),
    ],
)
def test_every_problem_of_a_job_is_named(read: Any, document: Any, problems: Any) -> None:
    with pytest.raises(AgentError) as caught:
        read(fields(document))
    assert caught.value.kind == "bad-job"
    for problem in problems:
        assert problem in caught.value.message


def test_a_job_is_read_from_a_file_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.json"
    path.write_text('{"root": "/a"}')
    assert job_file.probe_job(job_file.read_document(str(path))).root == Path("/a")
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"root": "/b"}'))
    assert job_file.probe_job(job_file.read_document("-")).root == Path("/b")
    assert job_file.probe_job(job_file.read_document(None)).root == Path("/")


@pytest.mark.parametrize("text", [None, "{", "\xff"])
def test_a_job_that_cannot_be_read_is_a_bad_job(tmp_path: Path, text: Any) -> None:
    path = tmp_path / "job.json"
    if text is not None:
        path.write_text(text, "latin-1")
    with pytest.raises(AgentError, match="cannot be read") as caught:
        job_file.read_document(str(path))
    assert caught.value.kind == "bad-job"

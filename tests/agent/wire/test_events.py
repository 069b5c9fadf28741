"""Events as JSON lines."""

from __future__ import annotations

import io
import json
from typing import Any, List

import pytest

from edgeq.agent.main import run
from edgeq.agent.wire.events import Events


def lines(stream: io.BytesIO) -> List[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_progress_is_thinned_out_but_ends_complete() -> None:
    stream = io.BytesIO()
    events = Events(stream)
    for done in range(1, 1001):
        events.progress("predict", done, 1000)
    sent = lines(stream)
    assert sent[0] == {"event": "progress", "stage": "predict", "done": 1, "total": 1000}
    assert sent[-1]["done"] == 1000
    assert len(sent) < 10


def test_every_event_is_one_ascii_line() -> None:
    stream = io.BytesIO()
    Events(stream).error("bug", "two\nlines, and a ü")
    assert stream.getvalue().count(b"\n") == 1
    assert lines(stream) == [{"event": "error", "kind": "bug", "message": "two\nlines, and a ü"}]


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Events(io.BytesIO()).result({"score": float("nan")})


@pytest.mark.parametrize("arguments", [[], ["fly"], ["probe", "a", "b"]])
def test_an_unknown_command_line_is_a_bad_job(arguments: List[str]) -> None:
    stream = io.BytesIO()
    assert run(arguments, Events(stream)) == 1
    (event,) = lines(stream)
    assert (event["event"], event["kind"]) == ("error", "bad-job")
    assert "probe|verify|bench|predict" in event["message"]


def test_a_fault_of_our_own_is_a_bug_with_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("edgeq.agent.verbs.probe.probe", broken)
    stream = io.BytesIO()
    assert run(["probe"], Events(stream)) == 1
    (event,) = lines(stream)
    assert event["kind"] == "bug" and "KeyError" in event["message"]
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raised, kind",
    [
        (MemoryError(), "out-of-memory"),
        (RuntimeError("(-4:Insufficient memory) Failed to allocate"), "out-of-memory"),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), "missing-engine"),
        (ImportError("libGL.so.1: cannot open", name="cv2"), "missing-engine"),
        (ImportError("something else", name="nothing"), "bug"),
    ],
)
def test_what_python_raises_becomes_a_kind(
    raised: Exception, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise raised

    monkeypatch.setattr("edgeq.agent.verbs.probe.probe", broken)
    stream = io.BytesIO()
    assert run(["probe"], Events(stream)) == 1
    assert lines(stream)[-1]["kind"] == kind

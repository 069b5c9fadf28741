"""The agent as it travels: one file, under every Python there is, with its four verbs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHATTY_ENGINE = """
import os
import sys
import numpy

__version__ = "0.0"


class SessionOptions:
    def add_session_config_entry(self, key, value):
        pass


class GraphOptimizationLevel:
    ORT_DISABLE_ALL, ORT_ENABLE_ALL = 0, 99


class Value:
    def __init__(self, name, shape, type):
        self.name, self.shape, self.type = name, shape, type


class InferenceSession:
    def __init__(self, path, options, providers):
        os.write(1, b"Engine v0 loading\\n{not json}\\n")
        print("greetings from python", flush=True)

    def get_inputs(self):
        return [Value("images", [1, 3, 64, 64], "tensor(float)")]

    def get_outputs(self):
        return [Value("output0", [1, 4, 10], "tensor(float)"), Value("p", [1, 3, 16, 16], "")]

    def run(self, names, feed):
        os.write(1, b"running...")
        os.system("echo from a child")
        zeros = numpy.zeros
        return [zeros((1, 4, 10), numpy.float32), zeros((1, 3, 16, 16), numpy.float32)]
"""


def events_of(output: bytes) -> List[Any]:
    return [json.loads(line) for line in output.splitlines()]


def run(
    pyz: Path, verb: str, job: Optional[Path] = None, python: str = sys.executable, **env: str
) -> Any:
    command = [python, str(pyz), verb, *([str(job)] if job else [])]
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, timeout=60, check=False
    )


def test_four_verbs_run_from_one_file(
    agent_as_sent: Path, agent_python: str, release: Path, red_rectangle: Path, tmp_path: Path
) -> None:
    common = {"release": str(release), "threads": 1}
    bench = {"warmup_s": 0.05, "max_warmup_s": 0.3, "min_duration_s": 0.1, "min_count": 5}
    jobs: Dict[str, Dict[str, Any]] = {
        "probe": {"root": str(tmp_path)},
        "verify": common,
        "bench": {**common, **bench, "images": [str(red_rectangle)]},
        "predict": {**common, "images": [{"id": 3, "path": str(red_rectangle)}]},
    }
    for verb, fields in jobs.items():
        job = tmp_path / f"{verb}.json"
        job.write_text(json.dumps(fields))
        done = run(agent_as_sent, verb, job, agent_python)
        assert done.returncode == 0, done.stderr.decode()
        events = events_of(done.stdout)
        assert [event["event"] for event in events].count("result") == 1
        assert events[-1]["event"] == "result"
        if verb == "probe":
            assert events[-1]["python"]["executable"] == agent_python
        if verb == "predict":
            assert [event["id"] for event in events if event["event"] == "image"] == [3]
            assert events[0]["labels"] == [0, 1]


def test_a_chatty_engine_does_not_disturb_the_protocol(
    agent_as_sent: Path,
    release: Path,
    red_rectangle: Path,
    tmp_path: Path,
    write_job: Callable[..., Path],
) -> None:
    (tmp_path / "onnxruntime.py").write_text(CHATTY_ENGINE)
    job = write_job(release=release, threads=1, images=[{"id": 1, "path": red_rectangle}])
    done = run(agent_as_sent, "predict", job, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr.decode()
    assert [event["event"] for event in events_of(done.stdout)] == ["image", "progress", "result"]
    for words in (b"Engine v0 loading", b"greetings from python", b"from a child"):
        assert words in done.stderr


def test_a_missing_engine_says_what_to_install(
    agent_as_sent: Path, release: Path, tmp_path: Path, write_job: Callable[..., Path]
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('wrong architecture')")
    done = run(agent_as_sent, "verify", write_job(release=release), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and done.stderr == b""
    last = events_of(done.stdout)[-1]
    assert (last["event"], last["kind"]) == ("error", "missing-engine")
    assert "pip install onnxruntime" in last["message"]


def test_probe_works_without_numpy_and_opencv(agent_as_sent: Path, tmp_path: Path) -> None:
    for name in ("numpy", "cv2"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name}', name='{name}')")
    done = run(agent_as_sent, "probe", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr.decode()
    found = events_of(done.stdout)[-1]
    assert found["packages"]["numpy"] is found["packages"]["cv2"] is None
    assert found["not_readable"]["packages.cv2"] == "importing it failed: ImportError: no cv2"


def test_a_missing_numpy_or_opencv_says_what_to_install(
    agent_as_sent: Path, release: Path, tmp_path: Path, write_job: Callable[..., Path]
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('no cv2', name='cv2')")
    done = run(agent_as_sent, "verify", write_job(release=release), PYTHONPATH=str(tmp_path))
    last = events_of(done.stdout)[-1]
    assert (done.returncode, last["kind"]) == (1, "missing-engine")
    assert "pip install opencv-python-headless" in last["message"]
    assert "edgeq targets setup" in last["message"]


def test_a_bad_release_is_an_error_event_without_a_traceback(
    agent_as_sent: Path, tmp_path: Path, write_job: Callable[..., Path]
) -> None:
    done = run(agent_as_sent, "verify", write_job(release=tmp_path / "nowhere"))
    assert done.returncode == 1 and done.stderr == b""
    (event,) = events_of(done.stdout)
    assert (event["event"], event["kind"]) == ("error", "bad-artifact")


@pytest.fixture
def long_bench(
    agent_as_sent: Path, release: Path, red_rectangle: Path, write_job: Callable[..., Path]
) -> Any:
    """A bench that would run for minutes, already past its first event."""
    job = write_job(
        release=release,
        images=[red_rectangle],
        threads=1,
        min_duration_s=300,
        max_duration_s=300,
    )
    process = subprocess.Popen(
        [sys.executable, str(agent_as_sent), "bench", str(job)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "progress"
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def test_sigterm_ends_it_quietly_and_at_once(long_bench: Any) -> None:
    start_s = time.monotonic()
    long_bench.send_signal(signal.SIGTERM)
    output, errors = long_bench.communicate(timeout=10)
    assert time.monotonic() - start_s < 8
    assert long_bench.returncode == -signal.SIGTERM
    assert errors == b""
    assert all(event["event"] == "progress" for event in events_of(output))


def test_a_host_that_hangs_up_ends_it_quietly(long_bench: Any) -> None:
    long_bench.stdout.close()
    assert long_bench.wait(timeout=10) == -signal.SIGPIPE
    assert long_bench.stderr.read() == b""


@pytest.mark.parametrize("verb", ["probe", "predict"])
def test_nothing_is_written_beside_what_the_job_names(
    verb: str, agent_as_sent: Path, release: Path, red_rectangle: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = tmp_path / "kept.npz"
    job = tmp_path / "job.json"
    images = [{"id": 1, "path": str(red_rectangle)}]
    fields = {"release": str(release), "threads": 1, "images": images, "keep_outputs": str(kept)}
    job.write_text(json.dumps(fields))
    before = set(tmp_path.rglob("*"))
    # Engines keep diaries in the home folder, though not where they see themselves in a CI.
    settings = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    done = subprocess.run(
        [sys.executable, str(agent_as_sent), verb, str(job)],
        env={**settings, "HOME": str(home), "TMPDIR": str(home)},
        cwd=str(home),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert set(tmp_path.rglob("*")) - before == ({kept} if verb == "predict" else set())

"""The verb `build`: watched, cached, and explained when it fails; with a fake TensorRT."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.processes import supervision
from edgeq.agent.runtimes.parts import tensorrt_module
from edgeq.agent.verbs.build import build
from edgeq.agent.wire.events import Events
from edgeq.agent.wire.fields import Fields
from edgeq.agent.wire.job import BuildJob
from edgeq.agent.wire.job_file import build_job

from ..fakes import make_module
from ..serving import Host, eventually

Run = Callable[..., Dict[str, Any]]

TRTEXEC = """#!{python}
import json, os, sys
arguments = dict(a.partition("=")[::2] for a in sys.argv[1:])
print("&&&& RUNNING TensorRT.trtexec [TensorRT v{version}] # trtexec")
if "--help" in arguments:
    print("=== Build Options ===")
    for option in "{options}".split():
        print("  " + option + "=x    does something")
    sys.exit(0)
open(os.environ["FAKE_LOG"], "a").write(json.dumps(sys.argv[1:]) + chr(10))
if os.environ.get("FAKE_TRTEXEC") == "fail":
    sys.exit("[E] Engine could not be created from network")
open(arguments["--saveEngine"], "w").write("a plan")
open(arguments["--timingCacheFile"], "a").write("measured.")
open(arguments["--exportLayerInfo"], "w").write('{{"Layers": ["conv", "head"]}}')
"""
OPTIONS = {"8502": "--int8 --fp16 --buildOnly", "100300": "--int8 --fp16 --stronglyTyped"}
OPTIONS["110400"] = "--skipInference --verbose"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def environ(tmp_path: Path) -> Dict[str, str]:
    """An environment with the fake module, nothing else of NVIDIA's, and places to look at."""
    module = make_module(tmp_path / "modules")
    kept = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    (tmp_path / "bin").mkdir()
    return {
        **kept,
        "PYTHONPATH": str(module),
        "PATH": str(tmp_path / "bin"),
        "FAKE_LOG": str(tmp_path / "log"),
        "FAKE_PID": str(tmp_path / "pid"),
    }


@pytest.fixture
def job(release: Path, root: Path) -> Dict[str, Any]:
    return {"release": str(release), "root": str(root), "reserve_bytes": 0}


@pytest.fixture
def start(agent_pyz: Path, environ: Dict[str, str]) -> Callable[..., Any]:
    """Start the verb as a process: everything is there under its own interpreter."""

    def run(job: Dict[str, Any], python: str = sys.executable, **changed: str) -> Any:
        process = subprocess.Popen(
            [python, str(agent_pyz), "build", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environ, **changed},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        process.stdin = None
        return process

    return run


@pytest.fixture
def run(start: Callable[..., Any]) -> Run:
    """Run the verb to its end; its last event, with all the others under `events`."""

    def finish(job: Dict[str, Any], python: str = sys.executable, **changed: str) -> Dict[str, Any]:
        output, errors = start(job, python, **changed).communicate(timeout=60)
        events: List[Dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
        return {**events[-1], "events": events, "stderr": errors.decode()}

    return finish


def builds(environ: Dict[str, str]) -> int:
    log = Path(environ["FAKE_LOG"])
    return len(log.read_text().splitlines()) if log.exists() else 0


def engines_of(root: Path) -> List[str]:
    return sorted(path.name for path in (root / "engines").iterdir())


def test_an_engine_is_built_once(
    run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str], agent_python: str
) -> None:
    first = run(job, agent_python)
    assert first["event"] == "result", first
    assert first["built"] and builds(environ) == 1
    path = Path(first["path"])
    assert path == root / "engines" / first["fingerprint"] / "engine.plan"
    assert path.stat().st_size == first["engine_bytes"]
    assert json.loads(path.read_text())["flags"] == ["INT8", "FP16"]
    assert first["layers"] == [{"Name": "conv"}, {"Name": "head"}]
    assert json.loads((path.parent / "layers.json").read_text()) == first["layers"]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "engine.plan",
        "fingerprint.json",
        "layers.json",
    ]
    record = json.loads((path.parent / "fingerprint.json").read_text())
    assert record["fields"] == first["fields"] and record["flags"][-2:] == ["INT8", "FP16"]
    done = [event["done"] for event in first["events"] if event["event"] == "progress"]
    assert done == sorted(done) and done[-1] == 1000
    second = run(job, agent_python)
    assert not second.pop("built") and builds(environ) == 1
    assert all(second[key] == first[key] for key in second if key not in ("events", "stderr"))
    caches = [name for name in engines_of(root) if name.endswith(".cache")]
    assert len(caches) == 1 and len(engines_of(root)) == 2


def test_settings_and_the_version_make_another_engine(
    run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str]
) -> None:
    answers = [run(job), run({**job, "precision": "fp16"}), run({**job, "typing": "strong"})]
    answers += [run({**job, "workspace_bytes": 2 << 20}), run(job, FAKE_VERSION="10.16.0.72")]
    assert len({answer["fingerprint"] for answer in answers}) == builds(environ) == 5
    plans = [json.loads(Path(answer["path"]).read_text()) for answer in answers]
    assert [plan["flags"] for plan in plans[:3]] == [["INT8", "FP16"], ["FP16"], []]
    assert [plan["network"] for plan in plans[:3]] == [1, 1, 3]
    # What was measured serves every engine of the board, and another version begins anew.
    caches = sorted(path.read_text() for path in (root / "engines").glob("timing.*.cache"))
    assert caches == ["measured.", "measured." * 4]


def test_an_engine_built_anew_owes_nothing_to_others(
    run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str]
) -> None:
    own = run(job)
    (cache,) = (root / "engines").glob("timing.*.cache")
    measured = cache.read_text()
    answers = [run({**job, "anew": number}) for number in (1, 2)]
    assert all(answer["built"] for answer in answers) and builds(environ) == 3
    assert len({answer["fingerprint"] for answer in [own, *answers]}) == 3
    # Neither were they built of what was measured before, nor do others know what they measured.
    assert cache.read_text() == measured
    assert run(job)["path"] == own["path"] and builds(environ) == 3


def test_a_board_begins_with_what_an_identical_one_measured(
    run: Run, job: Dict[str, Any], root: Path
) -> None:
    told = run({**job, "only_find": True})
    assert told["path"] is None and not told["has_timings"]
    content = b"of another board;"
    digest = hashlib.sha256(content).hexdigest()
    blobs = root / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    began = run({**job, "timings": digest})
    assert began.get("built"), began
    cache = root / "engines" / f"timing.{told['timings']}.cache"
    assert cache.read_bytes() == content + b"measured."
    # One that has measured itself goes on with that.
    other = {**job, "precision": "fp16"}
    assert run({**other, "only_find": True})["has_timings"]
    assert run({**other, "timings": digest})["built"]
    assert cache.read_bytes() == content + b"measured." * 2
    (blobs / digest).write_bytes(b"rotten")
    cache.unlink()
    assert run({**job, "typing": "strong", "timings": digest})["kind"] == "bad-blob"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "engine.plan").write_bytes(b"half"),
        lambda folder: (folder / "engine.plan").unlink(),
        lambda folder: (folder / "fingerprint.json").write_text("{"),
        lambda folder: (folder / "fingerprint.json").write_text("[]"),
        lambda folder: (folder / "layers.json").write_text("nothing"),
    ],
)
def test_a_damaged_engine_is_built_again(
    run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str], damage: Any
) -> None:
    first = run(job)
    damage(Path(first["path"]).parent)
    again = run(job)
    assert again["built"] and builds(environ) == 2 and again["path"] == first["path"]
    assert not run(job)["built"]
    assert [name for name in engines_of(root) if name.startswith(".")] == []


def test_a_damaged_timing_cache_is_begun_anew(run: Run, job: Dict[str, Any], root: Path) -> None:
    run(job)
    (cache,) = (root / "engines").glob("timing.*.cache")
    cache.write_text("damaged")
    assert run({**job, "precision": "fp16"})["event"] == "result"
    assert cache.read_text() == "measured."


@pytest.mark.parametrize(
    "mode, kind, said",
    [
        ("abort", "engine", "signal 6; terminate called after throwing an instance of 'nvinfer1"),
        ("killed", "out-of-memory", "signal 9"),
        ("nothing", "engine", "Could not find any implementation for node X"),
        ("grow", "out-of-memory", "Requested amount of GPU memory"),
        ("raise", "engine", "TypeError: factory function returned nullptr"),
        ("hang", "build-timeout", "took longer than the 2 seconds"),
    ],
)
def test_a_build_that_fails_is_explained(
    run: Run,
    job: Dict[str, Any],
    root: Path,
    environ: Dict[str, str],
    agent_python: str,
    mode: str,
    kind: str,
    said: str,
) -> None:
    limit = 2 if mode == "hang" else 60
    answer = run({**job, "timeout_s": limit}, agent_python, FAKE_TENSORRT=mode)
    assert (answer["event"], answer["kind"]) == ("error", kind), answer
    assert said in answer["message"] and "\n" not in answer["message"]
    assert len(answer["message"].rsplit("; ", 1)) == 2
    assert engines_of(root) == []
    assert not is_alive(int(Path(environ["FAKE_PID"]).read_text()))


@pytest.mark.parametrize("mode, name", [("", "/model.7/conv/Conv"), ("old", "/model.7/conv/Conv")])
def test_all_that_the_parser_refuses_is_named(
    run: Run, job: Dict[str, Any], mode: str, name: str
) -> None:
    answer = run(job, FAKE_TENSORRT=mode, FAKE_REFUSE="1")
    assert answer["kind"] == "bad-artifact"
    assert "2 problems:" in answer["message"]
    assert f"node '{name}'" in answer["message"] and "no importer registered" in answer["message"]
    assert "int32 is not allowed" in answer["message"]
    if not mode:
        assert "node 'bias_dq' (DequantizeLinear)" in answer["message"]


def test_a_free_input_size_is_refused(run: Run, job: Dict[str, Any]) -> None:
    shapes = '{"images": ["FLOAT", [-1, 3, 64, 64]]}'
    answer = run(job, FAKE_SHAPES=shapes)
    assert answer["kind"] == "bad-artifact"
    assert "input 'images' is [-1, 3, 64, 64]" in answer["message"]


@pytest.mark.parametrize(
    "mode, typing, said",
    [
        ("old", "strong", "has no strongly typed networks; build with typing 'weak'"),
        ("new", "weak", "has no flags INT8 and FP16; build with typing 'strong'"),
    ],
)
def test_typing_that_this_tensorrt_has_not_is_an_error(
    run: Run, job: Dict[str, Any], mode: str, typing: str, said: str
) -> None:
    answer = run({**job, "typing": typing}, FAKE_TENSORRT=mode)
    assert answer["kind"] == "engine" and said in answer["message"]


@pytest.mark.parametrize("mode, typing, network", [("old", "weak", 1), ("new", "strong", 1)])
def test_old_and_new_build(
    run: Run, job: Dict[str, Any], mode: str, typing: str, network: int
) -> None:
    answer = run({**job, "typing": typing}, FAKE_TENSORRT=mode)
    assert answer["event"] == "result", answer
    plan = json.loads(Path(answer["path"]).read_text())
    assert plan["network"] == network
    assert plan["flags"] == (["INT8", "FP16"] if mode == "old" else [])


def test_a_killed_supervisor_leaves_no_builder(
    start: Callable[..., Any], job: Dict[str, Any], environ: Dict[str, str], agent_python: str
) -> None:
    process = start(job, agent_python, FAKE_TENSORRT="hang")
    pid_file = Path(environ["FAKE_PID"])
    assert eventually(lambda: pid_file.exists() and bool(pid_file.read_text()), 30)
    pid = int(pid_file.read_text())
    assert pid != process.pid and is_alive(pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert eventually(lambda: not is_alive(pid))


def test_what_a_killed_build_left_is_no_hindrance(
    start: Callable[..., Any], run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str]
) -> None:
    process = start(job, FAKE_TENSORRT="hang")
    assert eventually(Path(environ["FAKE_PID"]).exists, 30)
    process.kill()
    process.communicate()
    assert [name[0] for name in engines_of(root)] == ["."]
    assert run(job)["built"]


def test_the_builder_is_ended_before_memory_runs_out(
    job: Dict[str, Any],
    environ: Dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**environ, "FAKE_TENSORRT": "hang"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8000000 kB\nMemAvailable:  102400 kB\n")
    monkeypatch.setattr(supervision, "MEMINFO", meminfo)
    given = build_job(Fields({**job, "reserve_bytes": 200 << 20}, []))
    with (tmp_path / "events").open("wb") as stream, pytest.raises(AgentError) as caught:
        build(given, Events(stream))
    assert caught.value.kind == "out-of-memory"
    assert "100 MiB of memory left, as 200 MiB must be left" in caught.value.message


@pytest.fixture
def trtexec(environ: Dict[str, str], tmp_path: Path) -> Callable[[str], Path]:
    """Put a trtexec of a version on the path, and take the module away."""

    def write(version: str) -> Path:
        (tmp_path / "modules" / "tensorrt.py").unlink()
        path = tmp_path / "bin" / "trtexec"
        path.write_text(
            TRTEXEC.format(python=sys.executable, version=version, options=OPTIONS[version])
        )
        path.chmod(0o755)
        return path

    return write


@pytest.mark.parametrize(
    "version, typing, options, last",
    [
        ("8502", "weak", ["--int8", "--fp16"], "--buildOnly"),
        ("100300", "weak", ["--int8", "--fp16"], None),
        ("100300", "strong", ["--stronglyTyped"], None),
        ("110400", "strong", [], "--skipInference"),
    ],
)
def test_trtexec_builds_where_the_module_is_missing(
    run: Run,
    job: Dict[str, Any],
    root: Path,
    environ: Dict[str, str],
    trtexec: Callable[[str], Path],
    version: str,
    typing: str,
    options: List[str],
    last: Optional[str],
) -> None:
    trtexec(version)
    first = run({**job, "typing": typing, "workspace_bytes": 512 << 20})
    assert first["event"] == "result", first
    assert Path(first["path"]).read_text() == "a plan"
    assert first["layers"] == ["conv", "head"] and first["fields"]["tensorrt"] == version
    given = json.loads(Path(environ["FAKE_LOG"]).read_text())
    flags = [argument for argument in given if "=" not in argument]
    assert flags == [*options, *([last] if last else [])]
    assert "--memPoolSize=workspace:512" in given and "--profilingVerbosity=detailed" in given
    assert not run({**job, "typing": typing, "workspace_bytes": 512 << 20})["built"]
    (cache,) = (root / "engines").glob("timing.*.cache")
    assert cache.read_text() == "measured."
    again = run({**job, "typing": typing, "workspace_bytes": 512 << 20, "anew": 7})
    assert again["built"] and again["path"] != first["path"]
    assert cache.read_text() == "measured."


@pytest.mark.parametrize(
    "version, typing, said",
    [("8502", "strong", "knows no --stronglyTyped"), ("110400", "weak", "no --int8 and --fp16")],
)
def test_typing_that_trtexec_has_not_is_an_error(
    run: Run,
    job: Dict[str, Any],
    trtexec: Callable[[str], Path],
    version: str,
    typing: str,
    said: str,
) -> None:
    trtexec(version)
    answer = run({**job, "typing": typing})
    assert answer["kind"] == "engine" and said in answer["message"]


def test_trtexec_that_fails_says_why(
    run: Run, job: Dict[str, Any], root: Path, trtexec: Callable[[str], Path]
) -> None:
    trtexec("8502")
    answer = run(job, FAKE_TRTEXEC="fail")
    assert answer["kind"] == "engine"
    assert "status 1; [E] Engine could not be created from network" in answer["message"]
    assert engines_of(root) == []


def test_without_tensorrt_the_package_is_named(
    run: Run, job: Dict[str, Any], tmp_path: Path, agent_python: str
) -> None:
    if tensorrt_module.find_trtexec() is not None:
        pytest.skip("TensorRT is installed on this machine")
    (tmp_path / "modules" / "tensorrt.py").unlink()
    answer = run(job, agent_python)
    assert answer["kind"] == "missing-engine"
    for said in ("no TensorRT on this board", "nvidia-jetpack", "python3-libnvinfer", "system"):
        assert said in answer["message"]


def test_a_module_that_cannot_be_imported_is_explained(
    run: Run, job: Dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "modules" / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.8')")
    answer = run(job)
    assert answer["kind"] == "missing-engine" and "libnvinfer.so.8" in answer["message"]


def test_a_model_that_is_not_in_the_release_is_refused(run: Run, job: Dict[str, Any]) -> None:
    answer = run({**job, "model": "other.onnx"})
    assert answer["kind"] == "bad-job" and "other.onnx" in answer["message"]
    assert run({**job, "model": "model.onnx"})["event"] == "result"


def test_what_the_disk_refuses_is_no_bug(
    run: Run, job: Dict[str, Any], root: Path, environ: Dict[str, str]
) -> None:
    root.write_text("not a folder")
    answer = run(job)
    assert answer["kind"] == "not-a-folder" and builds(environ) == 0
    root.unlink()
    assert run(job)["built"]


def test_defaults_and_problems_of_a_build_job() -> None:
    given = build_job(Fields({"release": "r", "root": "s"}, []))
    assert given == BuildJob(
        Path("r"), Path("s"), "int8", "weak", None, "tensorrt", 1 << 30, 3600.0, 256 << 20
    )
    with pytest.raises(AgentError) as caught:
        build_job(Fields({"precision": "int4", "typing": 1, "timeout_s": 0}, []))
    for said in ("release is missing", "root is missing", "precision is 'int4'", "typing must be"):
        assert said in caught.value.message


def test_a_build_is_a_job_of_a_session(
    connect: Callable[..., Host], root: Path, release: Path, environ: Dict[str, str]
) -> None:
    host = connect(PYTHONPATH=environ["PYTHONPATH"])
    digests = [host.put((release / n).read_bytes()) for n in ("model.onnx", "manifest.json")]
    path = host.do("release", id=digests[1])["path"]
    fields = {"release": path, "root": str(root), "reserve_bytes": 0}
    answer = host.do("job", verb="build", job=fields)
    assert answer["built"] and any(event.get("stage") == "build" for event in host.events)
    answer = host.do("job", verb="build", job=fields)
    assert not answer["built"]
    host.lock()
    # Its release was named in this session: the engine stays with it.
    host.do("collect")
    assert Path(answer["path"]).is_file()
    host.__exit__()
    later = connect()
    (root / "engines" / "unclear").mkdir()
    (root / "engines" / f".{answer['fingerprint']}.x.partial").mkdir()
    later.lock()
    later.do("collect")
    assert [Path(name).suffix for name in engines_of(root)] == [".cache"]

"""The verbs `lend` and `adopt`: an engine counts on a second board when it computes the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import read_manifest
from edgeq.agent.verbs import sharing
from edgeq.agent.wire.fields import Fields
from edgeq.agent.wire.job_file import adopt_job, lend_job

from ..fakes import make_cudart, make_module
from ..serving import Host, eventually, sha256

Run = Callable[..., Dict[str, Any]]
Lent = Dict[str, Any]


@pytest.fixture
def environ(tmp_path: Path) -> Dict[str, str]:
    """The fake module, the fake CUDA, and nothing else of NVIDIA's."""
    modules = make_module(tmp_path / "modules")
    make_cudart(modules)
    return {
        **os.environ,
        "PYTHONPATH": str(modules),
        "LD_LIBRARY_PATH": str(modules),
        "FAKE_LOG": str(tmp_path / "log"),
    }


@pytest.fixture
def start(agent_pyz: Path, environ: Dict[str, str]) -> Callable[..., Any]:
    """Start a verb as a process."""

    def begin(verb: str, job: Dict[str, Any], python: str = sys.executable, **changed: str) -> Any:
        process = subprocess.Popen(
            [python, str(agent_pyz), verb, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environ, **changed},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(job, default=str).encode())
        process.stdin.close()
        process.stdin = None
        return process

    return begin


@pytest.fixture
def run(start: Callable[..., Any]) -> Run:
    """The last event of a verb."""

    def finish(verb: str, job: Dict[str, Any], *python: str, **changed: str) -> Dict[str, Any]:
        output, errors = start(verb, job, *python, **changed).communicate(timeout=60)
        event: Dict[str, Any] = json.loads(output.splitlines()[-1])
        return {**event, "stderr": errors.decode()}

    return finish


@pytest.fixture
def job(release: Path, tmp_path: Path) -> Dict[str, Any]:
    """What an identical board is asked for; its root has the folders of a session."""
    root = tmp_path / "second"
    (root / "blobs" / "sha256").mkdir(parents=True)
    return {"release": release, "root": root, "reserve_bytes": 0}


@pytest.fixture(scope="module")
def first_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first test leaves of it for the others."""
    return tmp_path_factory.mktemp("first")


@pytest.fixture
def lent(run: Run, job: Dict[str, Any], tmp_path: Path, first_board: Path) -> Lent:
    """An engine of a first board with its golden outputs, and what was told of it."""
    names = {"plan": "lent.plan", "golden": "lent.npz"}
    if not (first_board / "told.json").exists():
        first = {**job, "root": first_board / "root"}
        built = run("build", first)
        assert built["event"] == "result", built
        files = {key: first_board / name for key, name in names.items()}
        told = run("lend", {**first, "fingerprint": built["fingerprint"], **files})
        assert told["event"] == "result", told
        assert {key: sha256(file.read_bytes()) for key, file in files.items()} == {
            key: told[key] for key in files
        }
        (first_board / "told.json").write_text(json.dumps(told))
        shutil.move(str(tmp_path / "log"), str(first_board / "log"))
    for name in (*names.values(), "log"):
        shutil.copy(str(first_board / name), str(tmp_path / name))
    told = json.loads((first_board / "told.json").read_text())
    return {name: told[name] for name in ("fields", "plan", "golden", "build_s")}


def put(job: Dict[str, Any], *contents: bytes) -> List[str]:
    """Put blobs where a session puts them."""
    for content in contents:
        (job["root"] / "blobs" / "sha256" / sha256(content)).write_bytes(content)
    return [sha256(content) for content in contents]


def put_lent(job: Dict[str, Any], tmp_path: Path) -> None:
    put(job, (tmp_path / "lent.plan").read_bytes(), (tmp_path / "lent.npz").read_bytes())


def engines_of(job: Dict[str, Any]) -> List[str]:
    folder = job["root"] / "engines"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def builds(tmp_path: Path) -> int:
    log = tmp_path / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_an_identical_board_takes_the_engine(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path, agent_python: str
) -> None:
    put_lent(job, tmp_path)
    there = run("build", {**job, "only_find": True}, agent_python)
    assert there["path"] is None and not engines_of(job)
    taken = run("adopt", {**job, **lent}, agent_python)
    assert taken["event"] == "result", taken
    assert taken["fingerprint"] == there["fingerprint"] and taken["fields"] == there["fields"]
    assert Path(taken["path"]).read_bytes() == (tmp_path / "lent.plan").read_bytes()
    assert taken["layers"] == [{"Name": "conv"}, {"Name": "head"}]
    assert taken["build_s"] == lent["build_s"] and not taken["built"]
    # From now on it is as if it had been built here.
    found = run("build", job, agent_python)
    assert all(found[name] == taken[name] for name in taken if name != "stderr")
    assert run("build", {**job, "only_find": True})["path"] == taken["path"]
    assert run("adopt", {**job, **lent})["path"] == taken["path"]
    assert engines_of(job) == [taken["fingerprint"]] and builds(tmp_path) == 1


def test_the_golden_outputs_are_of_known_inputs(
    lent: Lent, job: Dict[str, Any], tmp_path: Path
) -> None:
    inputs = list(sharing.inputs(read_manifest(job["release"]).preprocess))
    assert [tensor.shape for tensor in inputs] == [(1, 3, 64, 64)] * 3
    assert all(tensor.min() >= 0 and tensor.max() <= 1 for tensor in inputs)
    # A change here makes every engine that is kept be built again.
    assert [float(tensor[0, 0, 0, 0]) for tensor in inputs[:2]] == pytest.approx([117 / 255] * 2)
    assert np.ptp(inputs[2]) == 0 and (inputs[1][0, :, :16, :16] == inputs[1][0, :, :1, :1]).all()
    with np.load(str(tmp_path / "lent.npz")) as golden:
        assert sorted(golden.files) == [f"{n}/output{m}" for n in range(3) for m in range(2)]
        for number, tensor in enumerate(inputs):
            assert (golden[f"{number}/output0"] == tensor.flat[0] * 2).all()


def test_another_board_is_refused_with_what_differs(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    answer = run("adopt", {**job, **lent}, FAKE_VERSION="10.16.0")
    assert answer["kind"] == "engine"
    assert "tensorrt is '10.16.0' here and was '10.3.0'" in answer["message"]
    fields = {**lent["fields"], "l4t_release": "36.4", "another": 1}
    answer = run("adopt", {**job, **lent, "fields": fields})
    assert "l4t_release is None here and was '36.4'" in answer["message"]
    assert "another is None here and was 1" in answer["message"]
    answer = run("adopt", {**job, **lent, "precision": "fp16"})
    assert "precision is 'fp16' here and was 'int8'" in answer["message"]
    assert not engines_of(job)


@pytest.mark.parametrize("name", ["plan", "golden"])
@pytest.mark.parametrize("left", [b"damaged", None])
def test_what_arrived_damaged_is_refused(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path, name: str, left: Any
) -> None:
    put_lent(job, tmp_path)
    blob = job["root"] / "blobs" / "sha256" / lent[name]
    if left is None:
        blob.unlink()
    else:
        blob.write_bytes(left)
    answer = run("adopt", {**job, **lent})
    assert answer["kind"] == "bad-blob" and lent[name] in answer["message"]
    assert not engines_of(job)
    assert run("build", job)["built"]


def test_a_plan_that_does_not_load_is_refused(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    (digest,) = put(job, b"no plan")
    answer = run("adopt", {**job, **lent, "plan": digest})
    assert answer["kind"] == "engine" and "magicTag" in answer["message"]
    assert not engines_of(job)


def test_a_plan_that_crashes_tensorrt_leaves_nothing_that_counts(
    run: Run, start: Callable[..., Any], job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    module = tmp_path / "modules" / "tensorrt.py"
    original = module.read_text()
    module.write_text(original + "\nRuntime = lambda log: os.abort()\n")
    process = start("adopt", {**job, **lent})
    assert process.communicate()[0] == b"" and process.returncode == -signal.SIGABRT
    module.write_text(original)
    assert [name[0] for name in engines_of(job)] == ["."]
    assert run("build", {**job, "only_find": True})["path"] is None


def rewritten(golden: Path, change: Callable[[Dict[str, Any]], None]) -> bytes:
    """Golden outputs with something changed in them."""
    with np.load(str(golden)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    change(arrays)
    path = golden.with_name("changed.npz")
    with zipfile.ZipFile(str(path), "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w") as member:
                np.lib.format.write_array(member, array)
    return path.read_bytes()


def scaled(factor: float) -> Callable[[Dict[str, Any]], None]:
    return lambda arrays: arrays.update({"1/output0": arrays["1/output0"] * np.float32(factor)})


@pytest.mark.parametrize(
    "change, said",
    [
        (scaled(0.98), "output 'output0' of input 1 differs: 33.8 dB, at least 40 dB"),
        (scaled(0), "output 'output0' of input 1 differs: -inf dB"),
        (scaled(float("nan")), "output 'output0' of input 1 differs: nan dB"),
        (lambda a: a.update({"0/output1": a["0/output1"].astype(np.float32)}), "was [1, 3, 16, 16"),
        (lambda a: a.update({"2/more": a["0/output1"]}), "output 2/more is missing"),
        (lambda a: a.pop("2/output1"), "output 'output1' of input 2 was not there"),
    ],
)
def test_an_engine_that_computes_something_else_is_refused(
    run: Run,
    job: Dict[str, Any],
    lent: Lent,
    tmp_path: Path,
    change: Callable[[Dict[str, Any]], None],
    said: str,
) -> None:
    put_lent(job, tmp_path)
    (digest,) = put(job, rewritten(tmp_path / "lent.npz", change))
    answer = run("adopt", {**job, **lent, "golden": digest})
    assert answer["kind"] == "engine" and said in answer["message"], answer
    assert not engines_of(job)
    assert run("build", {**job, "only_find": True})["path"] is None


def test_what_rounds_differently_is_taken(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    (digest,) = put(job, rewritten(tmp_path / "lent.npz", scaled(0.995)))
    assert run("adopt", {**job, **lent, "golden": digest})["event"] == "result"


@pytest.mark.parametrize("content", [b"nothing", b"", b"PK\x03\x04 cut"])
def test_golden_outputs_that_cannot_be_read_are_refused(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path, content: bytes
) -> None:
    put_lent(job, tmp_path)
    (digest,) = put(job, content)
    answer = run("adopt", {**job, **lent, "golden": digest})
    assert (answer["event"], answer["kind"]) == ("error", "bad-blob"), answer
    assert not engines_of(job)


def test_a_kill_before_the_end_leaves_nothing_that_counts(
    start: Callable[..., Any], run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    stop = tmp_path / "stop"
    os.mkfifo(str(stop))
    module = tmp_path / "modules" / "tensorrt.py"
    waits = f"\nif 'adopt' in __import__('sys').argv: open({str(stop)!r}).read()\n"
    original = module.read_text()
    module.write_text(original + waits)
    process = start("adopt", {**job, **lent})
    assert eventually(lambda: bool(engines_of(job)), 30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    module.write_text(original)
    assert [name[0] for name in engines_of(job)] == ["."]
    assert run("build", {**job, "only_find": True})["path"] is None
    assert run("adopt", {**job, **lent})["event"] == "result"


def test_a_board_that_demands_signatures_takes_no_engine(
    run: Run, job: Dict[str, Any], lent: Lent, tmp_path: Path
) -> None:
    put_lent(job, tmp_path)
    (job["root"] / "allowed_signers").write_text("")
    answer = run("adopt", {**job, **lent})
    assert answer["kind"] == "not-signed" and not engines_of(job)


def test_only_a_whole_engine_of_this_release_is_lent(
    run: Run, job: Dict[str, Any], release: Path, tmp_path: Path
) -> None:
    built = run("build", job)
    files = {"plan": tmp_path / "a.plan", "golden": tmp_path / "a.npz"}
    ask = {**job, "fingerprint": built["fingerprint"], **files}
    assert run("lend", {**ask, "fingerprint": "0" * 64})["kind"] == "missing-engine"
    (release / "manifest.json").write_text((release / "manifest.json").read_text() + " ")
    answer = run("lend", ask)
    assert answer["kind"] == "bad-artifact" and "was built of release" in answer["message"]
    Path(built["path"]).write_bytes(b"damaged")
    assert run("lend", ask)["kind"] == "missing-engine"
    assert not any(file.exists() for file in files.values())


def test_signal_to_noise() -> None:
    ones = np.ones((2, 3), np.float16)
    assert sharing.snr_db(ones, ones) == float("inf")
    assert sharing.snr_db(ones * 0, ones * -0.0) == float("inf")
    assert sharing.snr_db(ones * 0, ones) == float("-inf")
    assert sharing.snr_db(np.full(4, 10, np.int32), np.full(4, 11, np.int32)) == pytest.approx(20)


def test_problems_of_the_jobs() -> None:
    with pytest.raises(AgentError) as caught:
        adopt_job(Fields({"plan": "../x", "build_s": -1, "fields": [], "only_find": 1}, []))
    for said in ("release is missing", "plan is no sha256", "golden is missing", "fields must be"):
        assert said in caught.value.message
    with pytest.raises(AgentError) as caught:
        lend_job(Fields({"fingerprint": "../../etc"}, []))
    assert "fingerprint is no sha256" in caught.value.message


def test_both_are_jobs_of_a_session(
    connect: Callable[..., Host],
    root: Path,
    release: Path,
    environ: Dict[str, str],
    lent: Lent,
    tmp_path: Path,
) -> None:
    given = {name: environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    host = connect(**given)
    for name in ("lent.plan", "lent.npz"):
        host.put((tmp_path / name).read_bytes())
    digests = [host.put((release / n).read_bytes()) for n in ("model.onnx", "manifest.json")]
    host.do("commit")
    path = host.do("release", id=digests[1])["path"]
    fields = {"release": path, "root": str(root)}
    taken = host.do("job", verb="adopt", job={**fields, **lent})
    assert [e["done"] for e in host.events if e.get("stage") == "adopt"][-1] == 3
    work = {"plan": str(root / "work" / "plan"), "golden": str(root / "work" / "golden")}
    again = {**fields, "fingerprint": taken["fingerprint"], **work}
    told = host.do("job", verb="lend", job=again)
    assert {name: told[name] for name in lent} == lent

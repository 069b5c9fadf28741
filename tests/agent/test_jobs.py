"""Jobs: relayed while they run, gone when they must be, with whatever they started."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from .serving import Host, eventually, sha256

Connect = Callable[..., Host]

GRANDCHILD = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
open(sys.argv[1] + ".new", "w").write("%d %d" % (os.getpid(), child.pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
print('{"event": "progress", "stage": "x", "done": 1, "total": 2}', flush=True)
"""


@pytest.fixture
def play(root: Path) -> Callable[[str], None]:
    """Have jobs run a program of ours in the environment's place."""

    def write(program: str) -> None:
        binary = root / "env" / "other" / "bin" / "python"
        binary.parent.mkdir(parents=True)
        script = binary.with_name("job.py")
        script.write_text(program)
        pids = root / "pids"
        binary.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "{pids}" "$@"\n')
        binary.chmod(0o755)
        (root / "env" / "current").symlink_to("other")

    return write


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_of(root: Path) -> Any:
    assert eventually((root / "pids").exists)
    pids = [int(text) for text in (root / "pids").read_text().split()]
    assert len(pids) == 2 and all(map(is_alive, pids))
    return pids


def test_verbs_run_in_a_session(
    connect: Connect, root: Path, release: Path, red_rectangle: Path, agent_python: str
) -> None:
    host = connect(agent_python)
    for name in ("model.onnx", "manifest.json"):
        host.put((release / name).read_bytes())
    digest = sha256((release / "manifest.json").read_bytes())
    path = host.do("release", id=digest)["path"]
    job = {"release": path, "id": digest, "load": True, "threads": 1}
    assert host.do("job", verb="verify", job=job)["release"] == digest
    images = [{"id": number, "path": str(red_rectangle)} for number in (3, 4)]
    kept = str(root / "work" / "kept.npz")
    fields = {"release": path, "threads": 1, "images": images, "keep_outputs": kept}
    host.events.clear()
    assert "event" not in host.do("job", verb="predict", job=fields)
    assert [event["id"] for event in host.events if event["event"] == "image"] == [3, 4]
    assert host.ask("get", name="kept.npz")["raw"][:2] == b"PK"


def test_error_of_a_job_keeps_its_kind_and_words(host: Host, root: Path) -> None:
    answer = host.ask("job", verb="verify", job={"release": str(root / "nowhere")})
    assert answer["error"]["kind"] == "bad-artifact"
    assert answer["error"]["message"].startswith(f"{root}/nowhere/manifest.json: cannot be read")
    assert host.ask("job", verb="bench", job={})["error"]["kind"] == "bad-job"
    assert host.refused("job", verb="bench", job=[])[0] == "bad-request"


def test_a_release_is_checked_by_hash_without_a_process(
    host: Host, root: Path, play: Callable[[str], None]
) -> None:
    digest = host.push("a")
    play("import sys; sys.exit('a process was started')")
    job = {"release": str(root / "releases" / digest), "id": digest}
    assert host.do("job", verb="verify", job={**job, "load": False})["files"] == 2
    assert [event["done"] for event in host.events if event["stage"] == "verify"][-1] == 2
    model = root / "releases" / digest / "model.onnx"
    model.resolve().write_bytes(b"damaged")
    kind, message = host.refused("job", verb="verify", job={**job, "load": False})
    assert kind == "bad-artifact" and "model.onnx has 7 bytes" in message
    kind, message = host.refused("job", verb="verify", job={"load": False})
    assert kind == "bad-job" and "release is missing" in message
    assert "a process was started" in host.refused("job", verb="verify", job=job)[1]


def test_job_gets_all_of_a_long_request(host: Host) -> None:
    images = [{"id": number, "path": "/nowhere/" + "x" * 200} for number in range(5000)]
    answer = host.ask("job", verb="predict", job={"release": "/nowhere", "images": images})
    assert answer["error"]["kind"] == "bad-job"
    assert "threads is missing" in answer["error"]["message"]


@pytest.mark.parametrize(
    "program, kind, said",
    [
        ("import os; os._exit(0)", "died", "status 0"),
        ("import sys; sys.exit('out of luck')", "died", "status 1; out of luck"),
        ("import os; os.kill(os.getpid(), 9)", "died", "signal 9"),
        ("print('Engine v0 loading')", "garbled", "Engine v0 loading"),
        ("print('[1]')", "garbled", "[1]"),
        ('print(\'{"event": "party"}\')', "garbled", "party"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", "garbled", "xff"),
    ],
)
def test_job_that_makes_no_sense_is_explained(
    host: Host, play: Callable[[str], None], program: str, kind: str, said: str
) -> None:
    play(program)
    found, message = host.refused("job", verb="probe", job={})
    assert found == kind and said in message


def test_job_that_cannot_start_is_explained(host: Host, root: Path) -> None:
    (root / "env" / "x" / "bin").mkdir(parents=True)
    (root / "env" / "current").symlink_to("x")
    (root / "env" / "x" / "bin" / "python").write_text("no program")
    assert host.refused("job", verb="probe", job={})[0] == "died"


def test_flood_on_standard_error_stops_nothing(host: Host, play: Callable[[str], None]) -> None:
    play("import sys\nsys.stderr.write('x' * 5_000_000)\nprint('{\"event\": \"result\"}')")
    assert host.do("job", verb="probe", job={}) == {}


def test_what_a_job_leaves_running_is_killed(
    host: Host, root: Path, play: Callable[[str], None]
) -> None:
    play(GRANDCHILD + 'print(\'{"event": "result", "a": 1}\', flush=True)')
    start_s = time.monotonic()
    assert host.do("job", verb="probe", job={}) == {"a": 1}
    # What it started holds its pipes for a minute.
    assert time.monotonic() - start_s < 20
    pids = [int(text) for text in (root / "pids").read_text().split()]
    assert eventually(lambda: not any(map(is_alive, pids)), 5)


@pytest.mark.parametrize("way", ["hang up", "close output", "terminate", "kill"])
def test_job_ends_with_the_session(
    host: Host, root: Path, play: Callable[[str], None], way: str
) -> None:
    play(
        GRANDCHILD + 'while True:\n    print(\'{"event": "progress"}\', flush=True)\n'
        "    time.sleep(0.1)"
    )
    host.lock()
    host.send("job", verb="probe", job={})
    pids = pids_of(root)
    if way == "hang up":
        host.hang_up()
    elif way == "close output":
        host.stdout.close()
    elif way == "terminate":
        host.process.terminate()
    else:
        host.process.kill()
        os.kill(pids.pop(), signal.SIGKILL)  # the kernel kills the job only, not its children
    # It would go on for a minute.
    assert eventually(lambda: not any(map(is_alive, pids)), 5)
    host.process.wait(timeout=5)


def test_job_of_a_silent_host_is_killed(
    host: Host, root: Path, play: Callable[[str], None]
) -> None:
    play(GRANDCHILD + "time.sleep(600)")
    host.do("patience", seconds=0.7)
    host.send("job", verb="probe", job={})
    pids = pids_of(root)
    for _ in range(8):
        time.sleep(0.2)
        host.send("alive")
    assert all(map(is_alive, pids))
    assert eventually(lambda: not any(map(is_alive, pids)), 4)
    assert host.process.wait(timeout=5) == 0


def test_file_behind_a_job_waits_for_its_end(
    host: Host, root: Path, play: Callable[[str], None]
) -> None:
    play('import time; time.sleep(1); print(\'{"event": "result"}\')')
    raw = os.urandom(200_000)
    host.do("patience", seconds=0.5)
    host.send("job", verb="probe", job={})
    host.send("put", raw, hash=sha256(raw), size=len(raw), offset=0)
    host.send("commit")
    assert host.answer() == {"ok": {}}
    assert host.answer() == {"ok": {"new": True}}
    assert host.answer() == {"ok": {"blobs": 1}}


def test_large_events_arrive_whole(host: Host, play: Callable[[str], None]) -> None:
    play(
        "import json\n"
        "for n in range(20):\n"
        "    print(json.dumps({'event': 'image', 'id': n, 'text': 'x' * 500_000}))\n"
        "print(json.dumps({'event': 'result'}))"
    )
    assert host.do("job", verb="predict", job={}) == {}
    assert [event["id"] for event in host.events] == list(range(20))
    assert {len(event["text"]) for event in host.events} == {500_000}

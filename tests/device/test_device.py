from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeq import artifact, target
from edgeq.device.bundle import bundle
from edgeq.device.device import Device, connect, host
from edgeq.device.local import LocalTransport
from edgeq.errors import DeviceError, EdgeqError

from .artifacts import demo, made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def device(root: Path) -> Device:
    return Device(LocalTransport(), str(root))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((240, 320, 3), 114, np.uint8))
    return path


def say(root: Path, script: str) -> None:
    """Put another program where the device keeps its agent."""
    agent = root / "blobs" / "sha256" / hashlib.sha256(bundle()).hexdigest()
    agent.parent.mkdir(parents=True)
    agent.write_text(script)


def test_probe_says_what_this_machine_is(device: Device) -> None:
    found = device.probe()
    assert found["arch"] == platform.machine()
    assert "event" not in found


def test_pushed_artifact_is_verified_by_loading_it(device: Device) -> None:
    release = Path(device.push(demo()))
    assert artifact.read(release).id == demo().id


def test_damaged_blob_is_sent_again(device: Device, root: Path) -> None:
    device.push(demo())
    blob = root / "blobs" / "sha256" / demo().manifest.files["model.onnx"].sha256
    blob.write_bytes(b"rotten")
    later = Device(LocalTransport(), str(root))

    release = Path(later.push(demo()))

    assert artifact.read(release).id == demo().id


def test_damaged_release_is_made_again(device: Device, root: Path) -> None:
    release = Path(device.push(demo()))
    (release / "model.onnx").unlink()
    later = Device(LocalTransport(), str(root))

    later.push(demo())

    assert artifact.read(release).id == demo().id
    assert [path.name for path in release.parent.iterdir()] == [demo().id]


def test_artifact_that_cannot_be_loaded_is_refused(device: Device) -> None:
    with pytest.raises(DeviceError) as caught:
        device.push(made({"model.onnx": b"no model"}))
    assert caught.value.where == device.address
    assert caught.value.exit_code == 3


def test_bench_and_predict_report_their_progress(device: Device, image: Path) -> None:
    release = device.push(demo())
    [path] = device.releases.put_files([image]).values()
    stages: list[str] = []
    images: list[dict[str, Any]] = []

    def progress(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        assert 0 <= done <= total

    job = {"release": release, "threads": 1, "warmup_s": 0.0, "min_duration_s": 0.0, "min_count": 2}
    timed = device.bench({**job, "images": [path], "max_duration_s": 5.0}, progress)
    predict = {"release": release, "threads": 1, "images": [{"id": 7, "path": path}]}
    device.predict(predict, images.append, progress)

    assert timed
    assert [event["id"] for event in images] == [7]
    assert stages


def test_nothing_is_left_in_work(device: Device, root: Path) -> None:
    device.push(demo())
    with pytest.raises(DeviceError):
        device.bench({"release": "nowhere"})
    assert list((root / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({}, "release"),
        ({"release": "/nowhere", "images": ["/nowhere.jpg"], "threads": 1}, "nowhere"),
    ],
)
def test_error_of_the_agent_is_a_device_error(
    device: Device, job: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeviceError, match=words) as caught:
        device.bench(job)
    assert caught.value.where == device.address


def test_unreadable_image_is_a_device_error(device: Device, tmp_path: Path) -> None:
    release = device.push(demo())
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    job = {
        "release": release,
        "threads": 1,
        "images": [{"id": 1, "path": f"{tmp_path}/broken.jpg"}],
    }
    with pytest.raises(DeviceError, match=r"broken\.jpg"):
        device.predict(job, lambda _: None)


@pytest.mark.parametrize("kind", ["bad-job", "engine", "out-of-memory", "something-new"])
def test_every_kind_of_error_carries_its_message(device: Device, root: Path, kind: str) -> None:
    event = {"event": "error", "kind": kind, "message": "model.onnx: is odd; push it again"}
    say(root, f"print({json.dumps(event)!r})\nraise SystemExit(1)")
    with pytest.raises(DeviceError) as caught:
        device.probe()
    assert str(caught.value) == f"{device.address}: model.onnx: is odd; push it again"


def test_bug_of_the_agent_is_a_bug_of_ours(device: Device, root: Path) -> None:
    say(root, """print('{"event": "error", "kind": "bug", "message": "agent: KeyError"}')""")
    with pytest.raises(EdgeqError, match="agent: KeyError") as caught:
        device.probe()
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "line", ["hello", "5", "null", "[]", '"event"', "{}", '{"event": "party"}', '{"event": 1}', ""]
)
def test_garbage_is_a_device_error(device: Device, root: Path, line: str) -> None:
    say(root, f"print({line!r})")
    with pytest.raises(DeviceError, match="said something unintelligible during probe"):
        device.probe()


def test_bytes_that_are_no_text_are_a_device_error(device: Device, root: Path) -> None:
    say(root, r"import sys; sys.stdout.buffer.write(b'\xff\xfe\x00\n')")
    with pytest.raises(DeviceError, match="said something unintelligible"):
        device.probe()


def test_killed_agent_is_a_device_error(device: Device, root: Path) -> None:
    say(
        root,
        "import os, sys; print('last words', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)",
    )
    with pytest.raises(DeviceError, match="ended with status -9 during probe: last words"):
        device.probe()


def test_silent_agent_is_a_device_error(device: Device, root: Path) -> None:
    say(root, "")
    with pytest.raises(DeviceError, match="ended with status 0 during probe: it said nothing"):
        device.probe()


def test_agent_is_sent_once(device: Device, root: Path) -> None:
    device.probe()
    [agent] = (root / "blobs" / "sha256").iterdir()
    before = agent.stat()
    Device(LocalTransport(), str(root)).probe()
    assert (agent.stat().st_ino, agent.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_root_that_cannot_be_written_is_a_device_error(device: Device, root: Path) -> None:
    root.write_text("a file where the folder should be")
    with pytest.raises(DeviceError, match="'mkdir' failed"):
        device.probe()


def test_local_target_lives_in_the_own_folder(edgeq_home: Path) -> None:
    assert connect(target.load("local")).releases.root == f"{edgeq_home}/device"
    assert host().releases.root == f"{edgeq_home}/device"


def test_target_over_ssh_is_not_there_yet() -> None:
    kind = target.load("local").model_copy(update={"transport": "ssh", "name": "board"})
    with pytest.raises(DeviceError, match="target board: transport ssh is not there yet"):
        connect(kind)

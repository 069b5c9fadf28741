from __future__ import annotations

import platform
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeq.artifact import archive as archives
from edgeq.device.connection import Address, connect, host
from edgeq.device.device import Device
from edgeq.device.examination import require_fit
from edgeq.device.installing import install
from edgeq.device.local.transport import LocalTransport
from edgeq.errors import DeviceError, InputError
from edgeq.records.accuracy import ImagePrediction
from edgeq.spec import target
from edgeq.spec.images import Image, image_of

from .artifacts import demo, made

REMOTE = """
runtime: onnxruntime
architecture: aarch64
activation_type: int8
transport: ssh
root: ~/.edgeq
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((240, 320, 3), 114, np.uint8))
    return image_of(path)


def at(root: Path) -> Device:
    return Device(LocalTransport(), str(root))


def test_probe_says_what_this_machine_is(root: Path) -> None:
    with at(root) as device:
        found = device.probe()
        assert found.arch == device.architecture == platform.machine()
        assert device.root == str(root)
        assert device.probe(["numpy", "yaml"]).packages["yaml"]
        assert "yaml" not in found.packages


def test_device_that_was_only_looked_at_is_left_as_it_was(root: Path) -> None:
    with at(root) as device:
        device.probe()
        assert [path.name for path in root.iterdir()] == ["agent"]
        device.forget()
    assert not root.exists()
    with at(root) as device:
        device.lock("deploy")
    with at(root) as device:
        device.forget()
        assert device.status().lock is None
    assert (root / "agent").is_dir()


def test_pushed_artifact_is_verified_by_loading_it(root: Path) -> None:
    with at(root) as device:
        release = Path(device.push(demo()))
    assert archives.read(release).id == demo().id


def test_release_that_was_there_is_verified_by_hash_alone(root: Path) -> None:
    broken = made({"model.onnx": b"no model"})
    with at(root) as device, pytest.raises(DeviceError):
        device.push(broken)
    with at(root) as later:
        later.push(broken)  # what runs it loads it
    with at(root) as last, pytest.raises(DeviceError, match="cannot be loaded"):
        last.verify(broken)


def test_damaged_blob_is_sent_again(root: Path) -> None:
    with at(root) as device:
        device.push(demo())
    blob = root / "blobs" / "sha256" / demo().manifest.files["model.onnx"].sha256
    blob.write_bytes(b"rotten")
    with at(root) as later:
        release = Path(later.push(demo()))
    assert archives.read(release).id == demo().id


def test_damaged_release_is_made_again(root: Path) -> None:
    with at(root) as device:
        release = Path(device.push(demo()))
    (release / "model.onnx").unlink()
    with at(root) as later:
        later.push(demo())
    assert archives.read(release).id == demo().id
    assert [path.name for path in release.parent.iterdir()] == [demo().id]


def test_artifact_that_cannot_be_loaded_is_refused(root: Path) -> None:
    with at(root) as device, pytest.raises(DeviceError) as caught:
        device.push(made({"model.onnx": b"no model"}))
    assert caught.value.where == device.address
    assert caught.value.exit_code == 3


def test_bench_and_predict_report_their_progress(root: Path, image: Image) -> None:
    stages: list[str] = []
    images: list[ImagePrediction] = []

    def progress(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        assert 0 <= done <= total

    with at(root) as device:
        release = device.push(demo())
        [path] = device.files.put([image]).values()
        job = {"release": release, "threads": 1, "warmup_s": 0.0, "min_duration_s": 0.0}
        more = {"min_count": 2, "images": [path], "max_duration_s": 5.0}
        timed = device.bench({**job, **more}, progress)
        predict = {"release": release, "threads": 1, "images": [{"id": 7, "path": path}]}
        device.predict(predict, images.append, progress)

    assert len(timed.inference_ns) >= 2
    assert [found.id for found in images] == [7]
    assert {"warm-up", "bench"} & set(stages)


def test_files_are_sent_once(root: Path, image: Image) -> None:
    with at(root) as device:
        first = device.files.put([image])
        assert device.files.sent.blobs == 1
    with at(root) as device:
        assert device.files.put([image]) == first
        assert device.files.sent.blobs == 0
    assert Path(first[image.path]).read_bytes() == image.path.read_bytes()


def test_files_survive_a_collection(root: Path, image: Image) -> None:
    with at(root) as device:
        device.files.put([image])
    with at(root) as device:
        device.lock("test")
        device.collect()
        device.files.put([image])
        assert device.files.sent.blobs == 0


def test_file_of_a_run_is_taken(root: Path, image: Image) -> None:
    with at(root) as device:
        name, path = device.files.work_name(".npz")
        job = {"release": device.push(demo()), "threads": 1, "keep_outputs": path, "keep_count": 1}
        images = [{"id": 1, "path": device.files.put([image])[image.path]}]
        device.predict({**job, "images": images}, lambda _: None)
        assert device.files.take(name, 1 << 20)[:2] == b"PK"
        assert list((root / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({}, "release"),
        ({"release": "/nowhere", "images": ["/nowhere.jpg"], "threads": 1}, "nowhere"),
    ],
)
def test_error_of_the_agent_is_a_device_error(root: Path, job: dict[str, Any], words: str) -> None:
    with at(root) as device, pytest.raises(DeviceError, match=words) as caught:
        device.bench(job)
    assert caught.value.where == device.address


def test_unreadable_image_is_a_device_error(root: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with at(root) as device:
        job = {
            "release": device.push(demo()),
            "threads": 1,
            "images": [{"id": 1, "path": f"{tmp_path}/broken.jpg"}],
        }
        with pytest.raises(DeviceError, match=r"broken\.jpg") as caught:
            device.predict(job, lambda _: None)
    assert caught.value.kind == "unreadable-image"


def test_second_deploy_is_told_who_is_at_work(root: Path) -> None:
    with at(root) as first, at(root) as second:
        first.lock("deploy pigs.yaml")
        with pytest.raises(
            DeviceError, match=r"is using this device \(deploy pigs\.yaml\)"
        ) as caught:
            second.lock("deploy cows.yaml", wait_s=0.0)
        assert caught.value.kind == "locked"
    with at(root) as third:
        third.lock("deploy cows.yaml", wait_s=0.0)


def test_local_target_lives_in_the_own_folder(edgeq_home: Path) -> None:
    with connect(target.load("local")) as device:
        assert device.root == f"{edgeq_home}/device"


def test_predictions_of_two_deploys_do_not_wait_for_each_other(edgeq_home: Path) -> None:
    with host() as one, host() as other:
        assert one.root == other.root == f"{edgeq_home}/host"


def test_local_target_takes_no_address() -> None:
    with pytest.raises(InputError, match="--host: target 'local' is this machine"):
        connect(target.load("local"), Address("pi@barn"))


def test_remote_target_wants_an_address(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(REMOTE)
    with pytest.raises(InputError, match="--host: target 'desk' is reached over SSH"):
        connect(target.load(str(tmp_path / "desk.yaml")))


@pytest.mark.parametrize(
    ("off_s", "words"),
    [(-90 * 86400.0, "clock: is 90 days behind"), (7500.0, "clock: is 2 hours ahead")],
)
def test_clock_that_is_far_off_is_refused(root: Path, off_s: float, words: str) -> None:
    patient, strict = (
        target.load("local").model_copy(update={"limits": target.Limits(clock_skew_s=seconds)})
        for seconds in (86400.0 * 365, 3600.0)
    )
    with at(root) as device:
        device.session.clock_off_s = off_s
        require_fit(patient, device)
        with pytest.raises(DeviceError, match=words) as caught:
            require_fit(strict, device)
    assert caught.value.kind == "clock"


def test_everything_that_is_wrong_is_said_at_once(root: Path) -> None:
    elsewhere = target.load("raspberry-pi-5").model_copy(update={"architecture": "aarch64"})
    with at(root) as device:
        device.session.clock_off_s = -1e9
        other = {"writable": False, "machine": "armv7l"}
        device.session.hello = device.hello.model_copy(update=other)
        with pytest.raises(DeviceError) as caught:
            require_fit(elsewhere, device)
    assert caught.value.kind == "architecture"
    for words in ("is armv7l, the target is for aarch64", "not yours to write", "clock: is"):
        assert words in caught.value.what


def test_damaged_blob_is_found_by_a_plain_send_too(root: Path) -> None:
    with at(root) as device:
        device.send(demo())
    blob = root / "blobs" / "sha256" / demo().manifest.files["model.onnx"].sha256
    blob.write_bytes(b"rotten")
    with at(root) as later:
        later.send(demo())
    assert archives.read(root / "releases" / demo().id).id == demo().id


def test_room_is_asked_for_an_environment_with_what_is_in_its_wheels(
    root: Path, tmp_path: Path
) -> None:
    wheels = {name: tmp_path / name for name in ("pip-1-py3-none-any.whl", "a-1-py3-none-any.whl")}
    for file in wheels.values():
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("content", bytes(3 << 20))
    with Device(LocalTransport(), str(root), limit_bytes=2 << 20) as device:
        device.lock("setup")
        install(device, "small", {}, [])
        for anew in (False, True):
            with pytest.raises(DeviceError, match=r"3\.0 MiB are to come.*limit is 2\.0") as caught:
                install(device, "x", wheels, [], anew=anew)
            assert caught.value.kind == "no-room"
        assert device.files.sent.blobs == 0
    with Device(LocalTransport(), str(root), limit_bytes=6 << 20) as device:
        assert install(device, "x", wheels, [])


def test_room_is_asked_for_what_is_missing_only(root: Path, image: Image) -> None:
    size = image.path.stat().st_size
    with Device(LocalTransport(), str(root), limit_bytes=size + (1 << 20)) as device:
        device.lock("test")
        device.files.require_room([image], 0)
        device.files.put([image])
        device.files.require_room([image], 0)
        with pytest.raises(DeviceError, match="are to come"):
            device.files.require_room([image], 2 << 20)


def test_file_that_cannot_be_read_is_named(root: Path, image: Image) -> None:
    image.path.unlink()
    with at(root) as device, pytest.raises(InputError, match=r"grey\.png: cannot be read"):
        device.files.put([image])


def test_file_that_changed_since_it_was_hashed_is_not_taken(root: Path, image: Image) -> None:
    image.path.write_bytes(image.path.read_bytes() + b"more")
    with at(root) as device, pytest.raises(InputError, match=r"grey\.png: changed while"):
        device.files.put([image])

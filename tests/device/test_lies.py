"""A device that is not believed: each lie, one a row, is a DeviceError with device and field."""

from __future__ import annotations

import io
import json
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeq import cache, places
from edgeq.artifact.manifest import Compile
from edgeq.device.device import Device
from edgeq.device.session import deadlines
from edgeq.errors import DeviceError
from edgeq.progress import silent
from edgeq.records.answers import Probe
from edgeq.spec import recipe, target
from edgeq.spec.images import Image, images_of
from edgeq.stages.bench import bench
from edgeq.stages.predict import Manner, predict
from edgeq.verbs.releases import status_of

from .artifacts import made
from .liar import FINGERPRINT, OUTPUTS, PROBE, Frames, Liar, Lie, outputs, says, says_lines

COMPILE = Compile(precision="int8", typing="weak")


@pytest.fixture
def images(tmp_path: Path) -> tuple[Image, ...]:
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), np.full((4, 6, 3), number, np.uint8))
    return images_of(files)


def use(device: Device, op: str, images: tuple[Image, ...]) -> object:
    """Ask a device for what makes edgeq ask for `op`, as the stages of a deploy do."""
    if op in ("predict", "get", "set", "have"):
        manner = Manner(1, keep_count=1, is_known=False)
        files = dict(enumerate(images, 1))
        return predict(device, made({"model.onnx": b"m"}), files, manner, silent, "device")
    if op == "bench":
        wanted = recipe.Measure(min_count=50)
        kind, probe = target.load("local"), Probe.model_validate(PROBE)
        return bench(device, "/nowhere/r", images, wanted, kind, probe, silent)
    if op in ("build", "lend"):
        device.engines.make("/nowhere/r", COMPILE, silent)
        return None
    if op == "hello":
        return device.hello
    return status_of(device) if op == "status" else device.probe()


def npz(header: bytes, content: bytes = b"", **changed: Any) -> Lie:
    """An .npz whose one member says of itself what it likes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", changed.pop("packed", zipfile.ZIP_STORED)) as archive:
        head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        archive.writestr("1/output0.npy", head + content)
    return lambda _: [{"ok": {}, "bytes": len(stream.getvalue())}, stream.getvalue()]


def shape(text: str, kind: str = "<f4") -> bytes:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {text}, }}\n".encode()


def image_says(value: Any, *path: Any) -> Lie:
    return says(value, *path, at=1)


NAN = json.dumps({"ok": {"a": [float("nan")]}}).encode() + b"\n"
DEEP = b'{"ok": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
FLAT = b'{"ok": {"a": [' + b"[]," * 20_000_000 + b"[]]}}\n"
NUMBERS = b'{"ok": {"a": [' + b"1e9," * 15_000_000 + b"1]}}\n"

STAGES = ("preprocess", "inference", "postprocess")


def samples(taken: list[int]) -> Lie:
    """A measurement of these samples alone."""

    def lie(frames: Frames) -> Frames:
        measured: Any = frames[0]
        return [{"ok": measured["ok"] | {f"{stage}_ns": taken for stage in STAGES}}]

    return lie


LIES: dict[str, tuple[str, Lie, str]] = {
    # What becomes part of a path
    "fingerprint of two dots": ("build", says("..", "ok", "fingerprint"), "fingerprint"),
    "fingerprint that is absolute": ("build", says("/tmp/x", "ok", "fingerprint"), "fingerprint"),
    "fingerprint in a folder": ("build", says(f"a/{FINGERPRINT}", "ok", "fingerprint"), "finger"),
    "fingerprint and a newline": ("build", says(f"{FINGERPRINT}\n", "ok", "fingerprint"), "finger"),
    "fingerprint that is none": ("build", says(None, "ok", "fingerprint"), "fingerprint"),
    "engine elsewhere": ("build", says("../plan", "ok", "path"), "path"),
    "root that is no path": ("hello", says("..", "root"), "root"),
    "hash of what is missing": ("have", says(["../x"], "ok", "missing"), "missing"),
    "part of a stranger": ("have", says({"/etc/passwd": 1}, "ok", "partial"), "partial"),
    # Sizes
    "answer of 1e11 bytes": ("get", says(100_000_000_000, "bytes", at=0), "100000000000 bytes"),
    "answer of fewer bytes than none": ("get", says(-1, "bytes", at=0), "-1 bytes"),
    "answer of half a byte": ("get", says(0.5, "bytes", at=0), "0.5 bytes"),
    "bytes that nobody asked for": ("status", says(10, "bytes"), "10 bytes"),
    "twenty million lists": ("status", says_lines(FLAT), "lists and texts"),
    "fifteen million numbers": ("status", says_lines(NUMBERS), "values"),
    "lists in lists in lists": ("status", says_lines(DEEP), "nested"),
    "lists in lists": ("status", says_lines(b'{"ok": ' + b"[" * 90 + b"]" * 90 + b"}\n"), "deep"),
    "a number of 5000 digits": ("status", says_lines(b'{"ok": ' + b"9" * 5000 + b"}\n"), "no JSON"),
    "a number of 300 digits": ("status", says(10**300, "ok", "used_bytes"), "too large"),
    "not a number": ("status", says_lines(NAN), "no number"),
    "infinity": ("status", says_lines(b'{"ok": {"a": 1e999}}\n'), "no number"),
    "half a character": ("status", says("\ud800", "ok", "environment"), "text"),
    "an answer to nothing": ("status", lambda f: [*f, *f, *f], "nobody asked"),
    # Arrays
    "array of 1e12 numbers": ("get", npz(shape("(1000000000000,)")), "1/output0"),
    "array of fewer than none": ("get", npz(shape("(-1, -4)"), bytes(16)), "1/output0"),
    "array of objects": ("get", npz(shape("(1,)", "|O"), b"cos\nsystem\n"), "1/output0"),
    "array of texts": ("get", npz(shape("(1,)", "<U1"), bytes(4)), "1/output0"),
    "packed array": ("get", npz(shape("(1,)"), bytes(4), packed=zipfile.ZIP_DEFLATED), "packed"),
    "array that is cut": ("get", lambda f: [{"ok": {}, "bytes": 99}, OUTPUTS[:99]], "outputs"),
    "no arrays": ("get", lambda f: [{"ok": {}, "bytes": 3}, b"abc"], "outputs"),
    "header that is a program": ("get", npz(b"__import__('os')\n"), "outputs"),
    "arrays of a stranger": ("get", lambda f: npz_of({"2/output0": [0.0]}), "images ['2']"),
    # Measurements
    "latency below zero": ("bench", says(-5, "ok", "inference_ns", 0), "inference_ns"),
    "latency of nothing": ("bench", says(0, "ok", "inference_ns", 0), "inference_ns"),
    "latency of half a nanosecond": ("bench", says(0.5, "ok", "inference_ns", 0), "inference_ns"),
    "latency in words": ("bench", says("5", "ok", "inference_ns", 0), "inference_ns"),
    "latency of true": ("bench", says(True, "ok", "inference_ns", 0), "inference_ns"),
    "memory below zero": ("bench", says(-1, "ok", "peak_rss_bytes"), "peak_rss_bytes"),
    "one sample": ("bench", samples([5]), "inference_ns"),
    "no sample": ("bench", samples([]), "inference_ns"),
    "a sample more of one stage": ("bench", says([1] * 101, "ok", "preprocess_ns"), "preprocess"),
    "longer than it took": ("bench", says(1, "ok", "duration_ns"), "duration_ns"),
    "throughput below zero": ("bench", says(-1.0, "ok", "throughput_per_s"), "throughput_per_s"),
    "reasons without end": ("bench", says(["x" * 30_000], "ok", "unstable"), "unstable"),
    "a board that is a list": ("bench", says({"jetson": []}, "ok", "environment_after"), "jetson"),
    "a clock in words": (
        "bench",
        says({"jetson": {"emc_hz": "fast"}}, "ok", "environment_after"),
        "emc_hz",
    ),
    "layers without a time": ("bench", says({"layer_times": [{}]}, "ok", "engine_facts"), "layer"),
    "operators that are a text": (
        "bench",
        says({"delegate": "xnnpack", "package": "p", "outside": "all"}, "ok", "engine_facts"),
        "outside",
    ),
    "power without a name": ("bench", says({"total_mw": 5}, "ok", "power"), "power"),
    # Predictions
    "box to infinity": ("predict", image_says(1e300, "boxes", 0, 2), "boxes"),
    "box outside of the image": ("predict", image_says(100.0, "boxes", 0, 0), "box"),
    "score of 1e300": ("predict", image_says(1e300, "scores", 0), "scores"),
    "score below zero": ("predict", image_says(-0.1, "scores", 0), "scores"),
    "label that no class has": ("predict", image_says(3, "labels", 0), "labels"),
    "label below zero": ("predict", image_says(-1, "labels", 0), "labels"),
    "image of another size": ("predict", image_says(5, "height"), "mask"),
    "image without an end": ("predict", image_says(1 << 40, "width"), "width"),
    "mask that does not fill it": ("predict", image_says("04", "masks", 0, "counts"), "mask"),
    "mask of other letters": ("predict", image_says("\u00e4\u0001", "masks", 0, "counts"), "mask"),
    "mask without runs": ("predict", image_says("", "masks", 0, "counts"), "mask"),
    "mask of endless runs": ("predict", image_says("o" * 400, "masks", 0, "counts"), "mask"),
    "masks missing": ("predict", image_says([], "masks"), "masks"),
    "image twice": ("predict", lambda f: [f[0], f[1], f[1], f[-1]], "images"),
    "image missing": ("predict", lambda f: [f[1], f[-1]], "images"),
    "image of a stranger": ("predict", image_says(99, "id"), "images"),
    "step without a stage": ("predict", says(None, "stage", at=0), "stage"),
    "step below zero": ("predict", says(-1, "done", at=0), "done"),
    "step that is a list": ("predict", says([[]], "total", at=0), "total"),
    # Answers
    "python without a version": ("probe", says("three", "ok", "python", "version"), "version"),
    "no cores": ("probe", says(0, "ok", "cpu", "cores_available"), "cores_available"),
    "packages that are a list": ("probe", says([], "ok", "packages"), "packages"),
    "free disk below zero": ("status", says(-1, "ok", "free_bytes"), "free_bytes"),
    "releases that are a number": ("status", says(5, "ok", "releases"), "releases"),
    "clock that is a text": ("hello", says("now", "clock_unix_s"), "clock_unix_s"),
}


def npz_of(arrays: dict[str, Any]) -> list[Any]:
    content = outputs(arrays)
    return [{"ok": {}, "bytes": len(content)}, content]


@pytest.mark.parametrize("name", LIES)
def test_lie_is_refused_with_device_and_field(name: str, images: tuple[Image, ...]) -> None:
    op, lie, field = LIES[name]
    kept = cache.Cache("statistics")
    kept.write("a" * 64, b"kept")
    liar = Device(Liar(op, lie), "/nowhere", share_engines=True)
    with liar as device, pytest.raises(DeviceError) as caught:
        use(device, op, images)
        # What is not asked for is noticed by whoever asks next.
        device.status()
    assert caught.value.where == "barn7"
    assert field in caught.value.what, caught.value.what
    assert caught.value.exit_code == 3
    assert kept.read("a" * 64) == b"kept"
    assert len(str(caught.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20  # KiB


@pytest.mark.parametrize("op", ["hello", "status", "probe", "predict", "bench", "build"])
def test_who_does_not_lie_is_believed(op: str, images: tuple[Image, ...]) -> None:
    with Device(Liar(), "/nowhere") as device:
        assert use(device, op, images) is not None or op == "build"


def test_score_that_int8_rounded_up_is_no_lie(images: tuple[Image, ...]) -> None:
    """320 pixels and scores under one scale: a step is 1.255, of objectness and class alike."""
    with Device(Liar("predict", image_says(1.255**2, "scores", 0)), "/nowhere") as device:
        assert use(device, "predict", images) is not None


def test_engine_that_is_not_what_was_said_is_not_kept_for_others(images: tuple[Image, ...]) -> None:
    with Device(Liar(), "/nowhere", share_engines=True) as device:
        use(device, "build", images)
        assert "could not be kept" in device.notes[0]
    assert list(places.cache("engines").iterdir()) == []


@pytest.mark.parametrize("meanwhile", [b'{"alive": 1}\n', b"x"])
@pytest.mark.parametrize("op", ["hello", "status", "probe", "get"])
def test_who_only_lives_is_given_up(
    meanwhile: bytes, op: str, images: tuple[Image, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUICK_S", "_JOB_S", "_IMAGE_S"):
        monkeypatch.setattr(deadlines, name, 0.3)
    monkeypatch.setattr(deadlines, "SLOWEST_LINK", 1 << 40)
    device = Device(Liar(op, lambda frames: frames[:0], meanwhile), "/nowhere")
    with device, pytest.raises(DeviceError, match=r"answer to '\w+' did not come") as caught:
        use(device, op, images)
    assert caught.value.kind == "too-slow"


def test_content_that_comes_by_the_byte_is_given_up(
    images: tuple[Image, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "QUICK_S", 0.5)
    monkeypatch.setattr(deadlines, "SLOWEST_LINK", 1 << 40)
    device = Device(Liar("get", lambda frames: [frames[0]], b"x"), "/nowhere")
    with device, pytest.raises(DeviceError, match="answer to 'get' did not come"):
        use(device, "get", images)


@pytest.mark.parametrize(
    ("op", "fields", "size", "least_s", "most_s"),
    [
        ("status", {}, 0, 60, 300),
        ("lock", {"wait_s": 500.0}, 0, 500, 1000),
        ("put", {}, 100 << 20, 3600, 10 * 3600),
        ("job", {"verb": "probe", "job": {}}, 0, 600, 2 * 3600),
        ("job", {"verb": "bench", "job": {"max_duration_s": 86400.0}}, 0, 86400, 30 * 3600),
        ("job", {"verb": "predict", "job": {"images": [0] * 1000}}, 0, 86400, 50 * 3600),
        ("job", {"verb": "build", "job": {"timeout_s": 7200.0}}, 0, 7200, 4 * 3600),
    ],
)
def test_time_follows_from_what_is_asked(
    op: str, fields: dict[str, Any], size: int, least_s: float, most_s: float
) -> None:
    assert least_s <= deadlines.answer_s(op, fields, size) <= most_s

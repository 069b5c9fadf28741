"""What is fuzzed: for each reader of foreign bytes, inputs that are almost right, and the reading.

Adding one is a function that reads bytes, and a line in `SUBJECTS`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from hypothesis import strategies as st

from edgeq.agent.errors import BUG, AgentError
from edgeq.agent.manifest import parse_manifest
from edgeq.agent.serve import work_off
from edgeq.agent.store.session import AgentSession
from edgeq.agent.vision.image import read_image
from edgeq.agent.wire.frames import Gone, Wire
from edgeq.artifact import archive
from edgeq.artifact.manifest import Input, Manifest, ManifestTask, RuntimeEntry, describe
from edgeq.demo import project
from edgeq.device.device import Device
from edgeq.errors import InputError
from edgeq.evaluation.dataset import annotated
from edgeq.spec import document, recipe, target
from edgeq.spec.fleet import file as fleets
from edgeq.spec.image_list import IMAGE_SUFFIXES
from edgeq.spec.images import image_of
from edgeq.spec.recipe import Evaluate, Task
from edgeq.verbs.inspect import inspect
from tests.fuzz.campaign import Subject
from tests.fuzz.mutation import bytes_like, json_like, lines_like
from tests.fuzz.network import network_like
from tests.fuzz.replay import TRANSCRIPT, Replay

RECIPE = (Path(project.__file__).parent / "recipe.yaml").read_bytes().replace(b": 64", b": 2")
TARGET = b"""\
description: a board
runtime: onnxruntime
alternatives: [litert]
architecture: aarch64
activation_type: probe
weight_bits: 7
bounded_pairs: true
threads: 4
transport: ssh
root: ~/edgeq
python: python3
xnnpack: true
facts: {model: Raspberry Pi, cores: 4, dot_product: true, memory: [4 GiB, 8 GiB]}
limits: {memory_bytes: 900 MiB, disk_bytes: 8GB, build_s: 60, clock_skew_s: 1e4}
"""
FLEET = b"""\
defaults: {target: raspberry-pi-5, jump: "gate@barns,x", labels: {site: barn7}, frame_rate: 15}
devices:
  cam1: pi@10.0.7.1
  cam2: {address: "pi@10.0.7.2:2222", labels: {row: a}, jump: none, identity: key}
  cam3: {address: pi@10.0.7.3, target: "raspberry-pi-5:litert"}
groups: {rest: not canary, canary: "row=a or name in (cam1, 'cam 9') and (row!=b)"}
include: [fleet.yaml]
"""
INVENTORY = b"""\
all:
  vars: {edgeq_target: raspberry-pi-5, ansible_user: pi}
  children:
    barns: {hosts: {"barn[01:03]": {ansible_port: 22, edgeq_labels: {row: a}}, "rack[a:c:2]:23": }}
    eu: {children: {barns: }, vars: {ansible_group_priority: 10, edgeq_frame_rate: 5}}
"""
INI = b"""\
gate ansible_host=10.0.0.1   # a comment
[barns]
barn[01:03] ansible_user=pi edgeq_labels="{'row': 'a'}"
rack[a:c:2]:2222 edgeq_frame_rate=15
[barns:vars]
ansible_ssh_common_args=-o ProxyJump=edge@gate -o ProxyCommand="ssh -W %h:%p gate"
edgeq_target=raspberry-pi-5
[eu:children]
barns
"""
_YAML = (
    b"&a ", b"*a", b"<<: *a\n", b"<<: [*a, *a]\n", b"!!bool ", b"!!int ", b"!!float ", b"!!set ",
    b"!!binary ", b"!!timestamp ", b"!!omap ", b"!!python/none ", b"? ", b": ", b"- ", b"|\n",
    b">\n", b"{", b"}", b"[", b"]", b"---\n", b"...\n", b"%YAML 1.1\n", b"# ", b"no", b"~", b"010",
    b"1:30", b"1_000", b".nan", b".inf", b"2024-01-01", b'"\\ud800"', b'"\\x00"', b"{}", b"[]",
    b"int8-mse", b"categories", b"classes", b"images", b"count", b"overrides", b"exclude", b"4 MiB",
    b"1e400",
)  # fmt: skip
COCO = json.dumps(
    {
        "images": [
            {"id": 1, "file_name": "a.png", "height": 20, "width": 30},
            {"id": 2, "file_name": "sub/b.png", "height": 20, "width": 30},
        ],
        "categories": [{"id": 1, "name": "pig"}, {"id": 2, "name": "cow"}],
        "annotations": [
            {
                "image_id": 1,
                "category_id": 1,
                "segmentation": [[1, 1, 9.5, 1, 9.5, 9, 1, 9]],
                "bbox": [1, 1, 8.5, 8],
                "area": 68,
                "iscrowd": 0,
            },
            {
                "image_id": 2,
                "category_id": 2,
                "segmentation": {"size": [20, 30], "counts": [100, 50, 450]},
                "iscrowd": 1,
            },
            {
                "image_id": 2,
                "category_id": 2,
                "segmentation": {"size": [20, 30], "counts": "T35a0"},
            },
        ],
    }
).encode()
FILES = {"model.onnx": b"weights" * 20, "plan.json": b"{}"}
MANIFEST = Manifest(
    runtime=RuntimeEntry(name="onnxruntime", model="model.onnx"),
    task=ManifestTask(
        decoder="yolov8-seg",
        classes=("pig", "cow"),
        score_threshold=0.001,
        iou_threshold=0.6,
        max_detections=100,
        multi_label=True,
        mask_threshold=0.5,
    ),
    preprocess=Input(
        size=(64, 64),
        letterbox=True,
        pad_value=114,
        color="rgb",
        scale=1.0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    ),
    files=describe(FILES),
    provenance={"note": "fuzz"},
)
_TASK = Task(decoder="yolov8-seg", classes=("pig", "cow"))
_HASH = "ab" * 32
REQUESTS = [
    json.dumps(request).encode()
    for request in (
        {"op": "lock", "who": "me", "what": "fuzz", "shared": False, "wait_s": 0.0},
        {"op": "patience", "seconds": 5},
        {"op": "status"},
        {"op": "have", "hashes": [_HASH]},
        {"op": "put", "hash": _HASH, "offset": 0, "size": 4, "limit_bytes": None, "bytes": 4},
        {"op": "commit"},
        {"op": "set", "name": _HASH, "hashes": [_HASH]},
        {"op": "room", "bytes": 10, "limit_bytes": 10**9},
        {"op": "recheck", "hashes": [_HASH]},
        {"op": "release", "id": _HASH, "signature": None},
        {"op": "activate", "id": _HASH, "signers": []},
        {"op": "rollback", "signers": []},
        {"op": "collect"},
        {"op": "get", "name": "x.npz"},
        {"op": "remove", "name": "x.npz"},
        {"op": "forget"},
    )
]
_UNSAFE = (b"job", b"environment", b"\\u")
"""Requests that start programs, and how they might be written else."""


def _recipe(content: bytes, folder: Path) -> None:
    _demo(folder)
    (folder / "recipe.yaml").write_bytes(content)
    recipe.load(folder / "recipe.yaml")


def _demo(folder: Path) -> None:
    """What the demo's recipe names."""
    if not (folder / "calibration").exists():
        for name in ("calibration", "evaluation"):
            (folder / name).mkdir()
            for number in range(3):
                (folder / name / f"{number}.png").write_bytes(b"image")
        (folder / "model.onnx").write_bytes(b"onnx")
        (folder / "instances.json").write_bytes(COCO)


def _target(content: bytes, folder: Path) -> None:
    (folder / "board.yaml").write_bytes(content)
    target.load(str(folder / "board.yaml"))


def _fleet(content: bytes, folder: Path) -> None:
    """As fleet.yaml or an inventory in YAML, which are told apart by what they say, and as INI."""
    for name in ("fleet.yaml", "hosts.ini"):
        (folder / name).write_bytes(content)
        with suppress(InputError):
            fleets.load(folder / name)


def _names(content: bytes, folder: Path) -> None:
    """As names, as a map of classes, and as a list of images."""
    _demo(folder)
    (folder / "named").write_bytes(content)
    for old, new in (
        (b"[pig, sheep, cow]", b"named"),
        (b"{0: 1, 1: 2, 2: 3}", b"named"),
        (b"images: calibration", b"images: named"),
    ):
        (folder / "recipe.yaml").write_bytes(RECIPE.replace(old, new))
        with suppress(InputError):
            recipe.load(folder / "recipe.yaml")


def _coco(content: bytes, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        if not (folder / name).exists():
            cv2.imwrite(str(folder / name), np.zeros((20, 30, 3), np.uint8))
    (folder / "coco.json").write_bytes(content)
    annotated(Evaluate(images=folder, annotations=folder / "coco.json"), _TASK)


def _artifact(content: bytes, folder: Path) -> None:
    (folder / "a.edgeq").write_bytes(content)
    try:
        archive.read(folder / "a.edgeq")
    finally:
        shutil.rmtree(folder / "cache", ignore_errors=True)


def _manifest(content: bytes, folder: Path) -> None:
    """On both sides: the device reads what the host has sent."""
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(content)
    with suppress(AgentError):
        parse_manifest(content, folder)
    archive.read(folder)


def _frames(content: bytes, folder: Path) -> None:
    if any(word in content for word in _UNSAFE):
        return
    said = os.memfd_create("said")
    heard = os.memfd_create("heard")
    try:
        os.write(said, content)
        os.lseek(said, 0, os.SEEK_SET)
        session = AgentSession(folder / "root", Wire(said, heard))
        try:
            with suppress(Gone):
                work_off(session)
        finally:
            session.lock.release()
        os.lseek(heard, 0, os.SEEK_SET)
        with os.fdopen(os.dup(heard), "rb") as answers:
            for line in answers:
                if b'"kind":"%s"' % BUG.encode() in line:
                    raise AssertionError(f"the agent calls it a bug: {line.decode()}")
    finally:
        os.close(said)
        os.close(heard)
        shutil.rmtree(folder / "root", ignore_errors=True)


def _answers(content: bytes, folder: Path) -> None:
    del folder
    with Device(Replay(content), "/root") as device:
        device.status()
        device.probe()
        device.bench({})
        device.predict({"images": []}, lambda found: None)
        device.files.take("x.npz", 1 << 20)


def _network(content: bytes, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(content)
    inspect(folder / "model.onnx")


def _zip(compression: int, manifest: bytes = MANIFEST.encoded()) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as packed:
        for name, data in {"manifest.json": manifest, **FILES}.items():
            packed.writestr(name, data)
    return content.getvalue()


_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
_WORDS = (
    "model.onnx",
    "calibration",
    "recipe.yaml",
    "/dev/zero",
    "int8-mse",
    "float",
    "4 MiB",
    "*",
)
_ZIP_TOKENS = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"\x0e\0", b"\x63\0")
_INI_TOKENS = (b"[", b":", b"=", b"[all:vars]\n", b":children]", b"[1:9]", b"{{ x }}", b"'", b"#")
_COCO_WORDS = ("a.png", "T35a0", "pig")
_MANIFEST_WORDS = ("litert", "tensorrt", "model.onnx", "../x", "nhwc", "uint8")


def _yaml_like(text: bytes) -> st.SearchStrategy[bytes]:
    """Changed as text, and as what it says: JSON is YAML, too."""
    said = json.dumps(document.parse(text.decode(), Path()).content).encode()
    return st.one_of(bytes_like([text], _YAML), json_like([said], _WORDS))


def _manifests() -> st.SearchStrategy[bytes]:
    content = [MANIFEST.encoded()]
    return st.one_of(json_like(content, _MANIFEST_WORDS), bytes_like(content))


def _changed_json(line: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(json_like([line]), bytes_like([line]))


def _pictures() -> list[bytes]:
    pixels = np.arange(12 * 8 * 3, dtype=np.uint8).reshape(12, 8, 3)
    return [cv2.imencode(suffix, pixels)[1].tobytes() for suffix in IMAGE_SUFFIXES]


def _image(content: bytes, folder: Path) -> None:
    file = folder / "image"
    file.write_bytes(content)
    image_of(file)
    read_image(file)


SUBJECTS: dict[str, Subject] = {
    "recipe": Subject(_yaml_like(RECIPE), _recipe),
    "target": Subject(_yaml_like(TARGET), _target),
    "fleet": Subject(
        st.one_of(_yaml_like(FLEET), _yaml_like(INVENTORY), bytes_like([INI], _INI_TOKENS)), _fleet
    ),
    "names": Subject(
        bytes_like(
            [b"pig\nsheep\ncow\n", b'{"0": 1, "1": 2}', b"0.png\n1.png\n"], [b"calibration/0.png"]
        ),
        _names,
    ),
    "image": Subject(bytes_like(_pictures(), [b"\xff\xd9", b"Exif\0\0II*\0", b"IEND"]), _image),
    "coco": Subject(st.one_of(json_like([COCO], _COCO_WORDS), bytes_like([COCO])), _coco),
    "artifact": Subject(
        st.one_of(
            bytes_like([_zip(how) for how in _WAYS], _ZIP_TOKENS),
            st.builds(_zip, st.just(zipfile.ZIP_STORED), _manifests()),
        ),
        _artifact,
    ),
    "manifest": Subject(_manifests(), _manifest),
    "frames": Subject(lines_like([REQUESTS], _changed_json), _frames),
    "answers": Subject(lines_like([TRANSCRIPT], _changed_json), _answers),
    "network": Subject(network_like(), _network),
}
"""By name, in the order of the issue of what is foreign: files first, then devices, then models."""

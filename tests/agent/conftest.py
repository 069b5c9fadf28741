"""A tiny model whose answer is known, releases of it, and the agent as one file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.agent.store.bytecode import compiled
from edgeq.device.session.bundle import bundle
from tests import sampling

from .serving import Host, command

SIDE = 64
CLASSES = ["cat", "dog"]
PYTHONS_VARIABLE = "EDGEQ_AGENT_PYTHONS"

# cx, cy, w, h, objectness, two classes, coefficients of red, green and blue.
ROWS = np.array(
    [
        [32, 32, 56, 40, 0.9, 0.8, 0.3, 1, 0, -1],
        [33, 32, 56, 40, 0.9, 0.7, 0.0, 1, 0, -1],  # The same again: goes in the NMS.
        [16, 32, 20, 20, 0.5, 0.1, 0.9, 0, 0, 1],
        [50, 50, 10, 10, 0.0005, 1, 1, 1, 1, 1],  # Below the score threshold.
    ],
    np.float32,
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yolov5-seg model [1,3,64,64]: fixed boxes, and the image's own colours as prototypes.

    A detection's mask is where (coefficients . RGB) of the image is positive after subtracting 0.5.
    """
    constants: Dict[str, Any] = {
        "rows": ROWS[None],
        "nothing": np.zeros(1, np.float32),
        "half": np.array(0.5, np.float32),
        "flat": np.array([1, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Sub", ["cells", "half"], ["output1"]),
        helper.make_node("ReduceMean", ["images"], ["mean"]),
        helper.make_node("Reshape", ["mean", "flat"], ["mean3"]),
        helper.make_node("Mul", ["mean3", "nothing"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 4, 10]),
            helper.make_tensor_value_info("output1", TensorProto.FLOAT, [1, 3, 16, 16]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    # What onnxruntime 1.19, the last for Python 3.8, can read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture
def manifest_document(tiny_model: Path) -> Dict[str, Any]:
    """The manifest of a release of the tiny model, to be changed by a test."""
    raw = tiny_model.read_bytes()
    return {
        "format": 1,
        "runtime": {"name": "onnxruntime", "model": "model.onnx"},
        "task": {
            "decoder": "yolov5-seg",
            "classes": CLASSES,
            "score_threshold": 0.25,
            "iou_threshold": 0.6,
            "max_detections": 100,
            "multi_label": False,
            "mask_threshold": 0.5,
        },
        "preprocess": {
            "size": [SIDE, SIDE],
            "letterbox": True,
            "pad_value": 114,
            "color": "rgb",
            "scale": 1 / 255,
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
            "layout": "nchw",
            "dtype": "float32",
        },
        "files": {
            "model.onnx": {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)},
        },
        "provenance": {"anything": "else is left alone"},
    }


@pytest.fixture
def release(tmp_path: Path, tiny_model: Path, manifest_document: Dict[str, Any]) -> Path:
    """A release folder of the tiny model."""
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(tiny_model.read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest_document))
    return folder


@pytest.fixture
def red_rectangle(tmp_path: Path) -> Path:
    """An image, 128 wide and 96 high, blue with a red rectangle: x 32..95, y 40..71."""
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[..., 0] = 255
    pixels[40:72, 32:96] = (0, 0, 255)
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture(scope="session")
def agent_pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as a device runs it: compiled for this Python; others run its sources."""
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    path.write_bytes(compiled(bundle()))
    return path


@pytest.fixture(scope="session")
def agent_as_sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as it travels."""
    path = tmp_path_factory.mktemp("sent") / "agent.pyz"
    path.write_bytes(bundle())
    return path


def agent_pythons(whole: bool) -> List[str]:
    """This interpreter, and those that the environment variable lists, or the ends of that."""
    others = [path for path in os.environ.get(PYTHONS_VARIABLE, "").split(os.pathsep) if path]
    return [sys.executable, *(others if whole else dict.fromkeys(others[:1] + others[-1:]))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `agent_python` under every interpreter there is.

    In a sample, only what takes the agent as it is sent; the others under the oldest, the newest
    and this one.
    """
    if "agent_python" not in metafunc.fixturenames:
        return
    whole = sampling.WHOLE or "agent_as_sent" in metafunc.fixturenames
    pythons: List[Any] = list(agent_pythons(whole))
    if len(pythons) == 1:
        reason = f"{PYTHONS_VARIABLE} is not set: paths of Pythons with numpy, opencv, onnxruntime"
        pythons.append(pytest.param("", marks=pytest.mark.skip(reason=reason)))
    metafunc.parametrize("agent_python", pythons, scope="session")


@pytest.fixture
def write_job(tmp_path: Path) -> Callable[..., Path]:
    """Write a job file from keyword arguments; paths become text."""

    def write(**fields: Any) -> Path:
        path = tmp_path / "job.json"
        path.write_text(json.dumps(fields, default=str))
        return path

    return write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder that is not there yet."""
    return tmp_path / "a root"


@pytest.fixture
def connect(agent_pyz: Path, root: Path) -> Iterator[Callable[..., Host]]:
    """Start sessions with `root`; they end with the test."""
    hosts: List[Host] = []

    def start(python: str = sys.executable, **environ: str) -> Host:
        hosts.append(Host(command(agent_pyz, root, python), **environ))
        return hosts[-1]

    yield start
    for host in hosts:
        host.__exit__()


@pytest.fixture
def host(connect: Callable[..., Host]) -> Host:
    """One session with `root`."""
    return connect()

"""ONNX Runtime's own kernels on an x86 without VNNI: where they saturate, and that ours do not.

Elsewhere a CPU of that kind is imitated; qemu has no AVX512, whose kernels read the same packed
weights as those of AVX2.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeq.graph.model import Model
from edgeq.quantization.neighbours import PAIR_LIMIT
from edgeq.quantization.rules import Placement
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize
from tests.cpu import cpu_class
from tests.nets import Net

from .builds import placement, plan_of, run

Floats = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int, int], Floats]
"""Weights [outputs, k] in the order in which a kernel reads them."""

RUNNER = """
import pathlib, sys
import numpy as np
import onnxruntime as ort
folder = pathlib.Path(sys.argv[1])
fed, found = np.load(folder / "fed.npz"), {}
for file in sorted(folder.glob("*.onnx")):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    [found[file.stem]] = session.run(None, {"x": fed[file.stem]})
np.savez(folder / "found.npz", **found)
"""
CONVOLUTIONS = {  # outputs, channels of a group, side of the window, groups
    "symmetric": (16, 16, 3, 1),
    "symmetric-pointwise": (16, 16, 1, 1),
    "image": (16, 3, 3, 1),
    "narrow": (5, 6, 3, 1),
    "grouped": (4, 3, 3, 2),
    "two-outputs-a-channel": (8, 1, 3, 4),
    "depthwise-packed": (16, 1, 3, 16),
    "depthwise": (5, 1, 3, 5),
}
PRODUCTS = {  # operator, rows of the input, k, columns
    "gemm": ("Gemm", 7, 15, 16),
    "gemm-one-row": ("Gemm", 1, 34, 16),
    "gemm-transposed": ("Gemm", 3, 16, 6),
    "matmul": ("MatMul", 7, 15, 5),
    "matmul-one-row": ("MatMul", 1, 34, 16),
}
LAYERS = (*CONVOLUTIONS, *PRODUCTS)
IN_32_BITS = ("depthwise-packed", "depthwise")
QUANTIZE = Quantize.model_validate({"head": "quantize", "activations": {"calibrator": "max"}})
PLAIN = placement(bits=8)
BOUNDED = replace(PLAIN, pair_limit=PAIR_LIMIT)


def tight(rng: np.random.Generator, outputs: int, k: int) -> Floats:
    """Integers of which every two neighbours sum to just what they may; other pairs would not."""
    pairs = np.array([(127, 1), (1, 127), (64, 64), (-127, -1), (-64, -64), (127, -127)])
    drawn = pairs[rng.choice(len(pairs), (outputs, k // 2 + 1), p=[0.2, 0.2, *[0.15] * 4])]
    drawn[:, 0] = 127, 1  # the largest weight makes the scale
    return (drawn.reshape(outputs, -1)[:, :k] / 127).astype(np.float32)


def large(rng: np.random.Generator, outputs: int, k: int) -> Floats:
    """Weights of one sign a row."""
    signs = np.where(rng.random((outputs, 1)) < 0.5, -1, 1)
    return (signs * rng.uniform(0.4, 1, (outputs, k))).astype(np.float32)


KINDS: dict[str, tuple[Draw, Placement]] = {
    "tight": (tight, BOUNDED),
    "bounded": (large, BOUNDED),
    "plain": (large, PLAIN),
}


def layer(name: str, draw: Draw, folder: Path) -> Model:
    net = Net()
    if name in PRODUCTS:
        op_type, rows, k, columns = PRODUCTS[name]
        net.shape = [rows, k]
        weight, transposed = draw(net.rng, columns, k), name == "gemm-transposed"
        attributes = {"transB": 1} if transposed else {}
        inputs = ["x", net.constant("w", weight if transposed else weight.T)]
        net.node(op_type, inputs, "y", **attributes)
    else:
        outputs, channels, side, groups = CONVOLUTIONS[name]
        net.shape[1] = channels * groups
        read = draw(net.rng, outputs, side * side * channels)
        weight = read.reshape(outputs, side, side, channels).transpose(0, 3, 1, 2)
        pads = [side // 2] * 4
        net.node("Conv", ["x", net.constant("w", weight)], "y", pads=pads, group=groups)
    return net.model(folder, ["y"])


def imitation() -> list[str]:
    """What a program is run by so that it sees an x86 without VNNI."""
    if cpu_class() == "AVX2 only":
        return []
    program = shutil.which("qemu-x86_64-static")
    if program is None or cpu_class() == "ARM":
        pytest.skip("no x86 without VNNI, nor one to imitate (Debian package qemu-user-static)")
    return [program, "-cpu", "Haswell-noTSX"]


@pytest.fixture(scope="module")
def deviations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """By layer and kind, how many of its output's steps a kernel is off, at most."""
    begin, folder = imitation(), tmp_path_factory.mktemp("kernels")
    fed: dict[str, Floats] = {}
    expected: dict[str, Floats] = {}
    steps: dict[str, float] = {}
    for kind, (draw, rules) in KINDS.items():
        for name in LAYERS:
            model, case = layer(name, draw, tmp_path_factory.getbasetemp()), f"{name}.{kind}"
            shape = next(iter(model.inputs.values()))
            # Mostly the largest integer there is.
            fed[case] = (np.random.default_rng(1).random(shape) < 0.9).astype(np.float32)
            plan = plan_of(model, QUANTIZE, [fed[case]], rules)
            content = write_qdq(model, plan)
            (folder / f"{case}.onnx").write_bytes(content)
            expected[case], steps[case] = run(content, fed[case])["y"], plan.tensors["y"].scale
    np.savez(folder / "fed.npz", allow_pickle=False, **fed)
    subprocess.run([*begin, sys.executable, "-c", RUNNER, str(folder)], check=True, timeout=300)
    with np.load(folder / "found.npz") as found:
        return {
            case: float(np.abs(found[case] - expected[case]).max()) / steps[case] for case in steps
        }


@pytest.mark.parametrize("name", LAYERS)
def test_bounded_pairs_never_saturate(name: str, deviations: dict[str, float]) -> None:
    assert deviations[f"{name}.tight"] <= 1.01
    assert deviations[f"{name}.bounded"] <= 1.01


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in IN_32_BITS])
def test_plain_8_bit_weights_do(name: str, deviations: dict[str, float]) -> None:
    assert deviations[f"{name}.plain"] > 10


@pytest.mark.parametrize("name", IN_32_BITS)
def test_depthwise_kernels_have_no_neighbours(name: str, deviations: dict[str, float]) -> None:
    assert deviations[f"{name}.plain"] <= 1.01

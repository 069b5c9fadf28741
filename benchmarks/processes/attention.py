"""Latency of two attention blocks in LiteRT: float, all in int8, and as the rules place them."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.litert import engine_of, run_ms
from edgeq.graph.model import Model
from edgeq.runtimes.litert import RUNTIME
from edgeq.runtimes.litert.rules import RULES
from edgeq.runtimes.litert.writer import write_tflite
from edgeq.spec import target as targets
from tests.nets import Net
from tests.runtimes.builds import plan_of

BLOCKS, HEADS = 2, 4


def main() -> None:
    """Run {side, channels, rounds}; the answer holds samples of each in ms, in turns."""
    warnings.simplefilter("ignore")
    given = arguments()
    model = network(given["side"], given["channels"])
    ours, _ = RUNTIME.placement(targets.load("arm-cpu-tflite"), None)
    plans = {
        "float": None,
        "int8": plan_of(model, rules=replace(ours, rules=RULES)),
        "edgeq": plan_of(model, rules=ours),
    }
    engines = {name: engine_of(write_tflite(model, plan).content) for name, plan in plans.items()}
    side = 4 * given["side"]
    tensor = np.random.default_rng(0).standard_normal((1, side, side, 3)).astype(np.float32)
    samples_ms: dict[str, list[float]] = {name: [] for name in engines}
    for done in range(given["rounds"] + 3):
        for name, engine in engines.items():
            spent_ms = run_ms(engine, tensor)
            if done >= 3:  # warmed up
                samples_ms[name].append(spent_ms)
    answer({"samples_ms": samples_ms})


def network(side: int, channels: int) -> Model:
    """Two convolutions, then blocks of attention over side² pixels, as YOLO11 and 12 have them."""
    net = Net(3, 4 * side)
    half, dim = channels // 2, channels // HEADS
    x = net.silu(net.conv("x", "stem", (half, 3, 3, 3), strides=[2, 2]), "stem.act")
    x = net.silu(net.conv(x, "down", (channels, half, 3, 3), strides=[2, 2]), "down.act")
    for block in range(BLOCKS):
        x = _block(net, x, f"{block}", (channels, dim, side))
    net.conv(x, "last", (16, channels, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        return net.model(Path(folder), ["last"])


def _block(net: Net, x: str, name: str, sizes: tuple[int, int, int]) -> str:
    channels, dim, side = sizes
    apart = net.constant(f"{name}.apart", np.array([1, HEADS, 3 * dim, side * side]))
    back = net.constant(f"{name}.back", np.array([1, channels, side, side]))
    parts = net.constant(f"{name}.parts", np.array([dim] * 3))
    scale = net.constant(f"{name}.scale", np.array(dim**-0.5, np.float32))
    rows = net.conv(x, f"{name}.qkv", (3 * channels, channels, 1, 1))
    rows = net.node("Reshape", [rows, apart], f"{name}.rows")
    net.node("Split", [rows, parts], f"{name}.split", 3, axis=2)
    query, key, value = (f"{name}.split.{i}" for i in range(3))
    query = net.node("Transpose", [query], f"{name}.query", perm=[0, 1, 3, 2])
    scores = net.node("MatMul", [query, key], f"{name}.scores")
    scores = net.node("Mul", [scores, scale], f"{name}.scaled")
    scores = net.node("Softmax", [scores], f"{name}.soft", axis=-1)
    scores = net.node("Transpose", [scores], f"{name}.turned", perm=[0, 1, 3, 2])
    mixed = net.node("MatMul", [value, scores], f"{name}.mixed")
    image = net.node("Reshape", [mixed, back], f"{name}.image")
    x = net.node(
        "Add", [x, net.conv(image, f"{name}.out", (channels, channels, 1, 1))], f"{name}.a"
    )
    wide = net.conv(x, f"{name}.wide", (2 * channels, channels, 1, 1))
    narrow = net.conv(
        net.silu(wide, f"{name}.act"), f"{name}.narrow", (channels, 2 * channels, 1, 1)
    )
    return net.node("Add", [x, narrow], f"{name}.b")


if __name__ == "__main__":
    main()

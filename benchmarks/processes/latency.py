"""Latency and signal-to-noise ratio of int8 models beside the float model, one thread."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.float_inference import letterboxed
from benchmarks.processes.onnxruntime_calibration import Reader
from benchmarks.processes.plans import CALIBRATORS, Calibrated, calibrated, written
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare
from edgeq.quantization.plan import Plan

PEER = "onnxruntime"
TIMED = ("float", "percentile 99.99", PEER, "percentile 99.999", "mse")
CLASS_SCORES = slice(5, 85)
PEER_IMAGES = 16


def main() -> None:
    """Run {model, size, images, scored, threads, rounds}.

    The answer holds samples of each model in ms, in turns, the SNR of the class scores in dB, and
    how many nodes of each type each int8 model has after ONNX Runtime's optimizations.
    """
    given = arguments()
    size = given["size"]
    subject = calibrated(Path(given["model"]), size, given["images"], given["threads"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"float": Path(given["model"])}
        for calibrator, activations in CALIBRATORS.items():
            files[calibrator] = folder / f"{calibrator}.onnx"
            plan = written(subject, activations, files[calibrator])
        files[PEER] = folder / "peer.onnx"
        _write_peer(subject, plan, given["images"][:PEER_IMAGES], size, files[PEER])
        inputs = [_tensor(image, size) for image in given["scored"]]
        samples_ms = _timed({label: files[label] for label in TIMED}, inputs, given["rounds"])
        snr_db = _snr_db(files, inputs, given["threads"])
        nodes = {label: _nodes(files[label], folder) for label in ("percentile 99.99", PEER)}
    answer(
        {
            "samples_ms": samples_ms,
            "snr_db": snr_db,
            "optimized_nodes": nodes,
            "layers_quantized": plan.layers_quantized,
            "images_scored": len(inputs),
        }
    )


def _write_peer(subject: Calibrated, plan: Plan, images: list[str], size: int, file: Path) -> None:
    """onnxruntime.quantization's QDQ model with the nodes in int8 that the plan has in int8."""
    from onnxruntime.quantization import (
        QuantFormat,
        QuantType,
        quantize_static,
    )

    source = file.with_name("simplified.onnx")
    onnx.save(subject.model.proto, str(source))
    quantize_static(
        str(source),
        str(file),
        Reader(images, size),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name, d in plan.decisions.items() if not d.quantized],
    )


def _timed(
    files: dict[str, Path], inputs: list[NDArray[np.float32]], rounds: int
) -> dict[str, list[float]]:
    sessions = {label: _session(file, threads=1) for label, file in files.items()}
    for session in sessions.values():
        for tensor in inputs[:3]:
            session.run(None, {"images": tensor})
    samples: dict[str, list[float]] = {label: [] for label in files}
    labels = list(sessions)
    for i in range(rounds):
        fed = {"images": inputs[i % len(inputs)]}
        # Each takes every place in turn: behind the float model the caches are full of it.
        for label in (*labels[i % len(labels) :], *labels[: i % len(labels)]):
            started = time.perf_counter()
            sessions[label].run(None, fed)
            samples[label].append((time.perf_counter() - started) * 1e3)
    return samples


def _snr_db(
    files: dict[str, Path], inputs: list[NDArray[np.float32]], threads: int
) -> dict[str, float]:
    """10 log10 of signal to noise power of the class scores, over all images together."""
    expected = _class_scores(files["float"], inputs, threads)
    power = float((expected**2).sum())
    return {
        label: float(
            10 * np.log10(power / ((_class_scores(file, inputs, threads) - expected) ** 2).sum())
        )
        for label, file in files.items()
        if label != "float"
    }


def _class_scores(
    file: Path, inputs: list[NDArray[np.float32]], threads: int
) -> NDArray[np.float64]:
    session = _session(file, threads)
    tables = [session.run(["output0"], {"images": tensor})[0] for tensor in inputs]
    return np.concatenate([t[..., CLASS_SCORES].astype(np.float64) for t in tables])


def _session(file: Path, threads: int, optimized: Path | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _nodes(file: Path, folder: Path) -> dict[str, int]:
    """How many nodes of each type are left to run."""
    optimized = folder / "optimized.onnx"
    _session(file, 1, optimized)
    count: dict[str, int] = {}
    for node in onnx.load(str(optimized)).graph.node:
        count[node.op_type] = count.get(node.op_type, 0) + 1
    return dict(sorted(count.items()))


def _tensor(image: str, size: int) -> NDArray[np.float32]:
    return np.asarray(prepare(read_image(Path(image)), letterboxed(size))[0], np.float32)


if __name__ == "__main__":
    main()

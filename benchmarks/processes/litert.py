"""Latency and signal-to-noise ratio of int8 flatbuffers beside the float one, one thread."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.float_inference import letterboxed
from benchmarks.processes.plans import CALIBRATORS, calibrated, planned_for_litert
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare
from edgeq.runtimes.litert.writer import write_tflite
from tests.runtimes.litert.peer import quantized_by_peer

CALIBRATOR = "percentile 99.99"
CLASS_SCORES = slice(5, 85)
TABLE = "output0"

Floats = NDArray[np.float32]


def main() -> None:
    """Run {model, size, images, scored, threads, rounds}.

    The answer holds samples of float, edgeq and peer in ms, in turns, and the SNR of the class
    scores of both in dB, over all scored images together.
    """
    warnings.simplefilter("ignore")
    given = arguments()
    subject = calibrated(Path(given["model"]), given["size"], given["images"], given["threads"])
    plan = planned_for_litert(subject, CALIBRATORS[CALIBRATOR])
    inputs = [_tensor(image, given["size"]) for image in given["scored"]]
    files = {
        "float": write_tflite(subject.model, None).content,
        "edgeq": write_tflite(subject.model, plan).content,
        "peer": quantized_by_peer(subject.model, plan, inputs[:2]),
    }
    engines = {label: engine_of(content) for label, content in files.items()}
    samples_ms: dict[str, list[float]] = {label: [] for label in engines}
    labels = list(engines)
    for engine in engines.values():
        for tensor in inputs[:3]:
            run_ms(engine, tensor)
    for i in range(given["rounds"]):
        # Each takes every place in turn: behind the float model the caches are full of it.
        for label in (*labels[i % 3 :], *labels[: i % 3]):
            samples_ms[label].append(run_ms(engines[label], inputs[i % len(inputs)]))
    answer({"samples_ms": samples_ms, "snr_db": _snr_db(engines, inputs)})


def _tensor(image: str, size: int) -> Floats:
    tensor, _ = prepare(read_image(Path(image)), letterboxed(size))
    return np.ascontiguousarray(np.moveaxis(np.asarray(tensor, np.float32), 1, -1))


def engine_of(content: bytes) -> Any:
    """An interpreter with XNNPACK, on one thread."""
    engine = Interpreter(model_content=content, num_threads=1)
    engine.allocate_tensors()
    return engine


def run_ms(engine: Any, tensor: Floats) -> float:
    """Milliseconds of one inference, without the copy of its input."""
    engine.set_tensor(engine.get_input_details()[0]["index"], tensor)
    started = time.perf_counter()
    engine.invoke()
    return (time.perf_counter() - started) * 1e3


def _snr_db(engines: dict[str, Any], inputs: list[Floats]) -> dict[str, float]:
    scores = {label: _scores(engine, inputs) for label, engine in engines.items()}
    expected = scores.pop("float")
    power = float((expected**2).sum())
    return {
        label: float(10 * np.log10(power / ((found - expected) ** 2).sum()))
        for label, found in scores.items()
    }


def _scores(engine: Any, inputs: list[Floats]) -> NDArray[np.float64]:
    tables = []
    for tensor in inputs:
        run_ms(engine, tensor)
        by_name = {detail["name"]: detail for detail in engine.get_output_details()}
        table = engine.get_tensor(by_name[TABLE]["index"])
        tables.append(table[..., CLASS_SCORES].astype(np.float64))
    return np.concatenate(tables)


if __name__ == "__main__":
    main()

"""From raw outputs to RLE masks, beside the inference that makes the outputs; one thread."""

from __future__ import annotations

import time
from pathlib import Path

import cv2

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.float_inference import letterboxed
from edgeq.agent.manifest import ReleaseTask
from edgeq.agent.runtimes.onnxruntime import load
from edgeq.agent.vision.decode import decode
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare


def main() -> None:
    """Run {model, size, images, rounds}; only images with 100 detections are timed, in ms."""
    cv2.setNumThreads(1)
    given = arguments()
    engine = load(Path(given["model"]), 1, "all")
    classes = tuple(f"class {i}" for i in range(80))
    task = ReleaseTask("yolov5-seg", classes, 0.001, 0.6, 100, True, 0.5)
    inference_ms: list[float] = []
    decoding_ms: list[float] = []
    full = 0
    for image in given["images"]:
        tensor, geometry = prepare(read_image(Path(image)), letterboxed(given["size"]))
        if len(decode(task, engine.run(tensor), geometry).scores) < task.max_detections:
            continue
        full += 1
        for _ in range(given["rounds"]):
            started = time.perf_counter()
            outputs = engine.run(tensor)
            inferred = time.perf_counter()
            decode(task, outputs, geometry)
            decoded = time.perf_counter()
            inference_ms.append((inferred - started) * 1e3)
            decoding_ms.append((decoded - inferred) * 1e3)
    answer({"images": full, "inference_ms": inference_ms, "decoding_ms": decoding_ms})


if __name__ == "__main__":
    main()

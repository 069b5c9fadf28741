"""edgeq's calibration from the model file to four ranges for every tensor that is wanted."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from benchmarks.processes.exchange import answer, arguments


def main() -> None:
    """Run {model, size, images, threads, accelerated}; the answer says what took how long."""
    given = arguments()
    from edgeq.calibration import statistics
    from edgeq.calibration.counting import accelerated
    from edgeq.calibrators.base import calibrate
    from edgeq.graph.load import load
    from edgeq.graph.tail import find_tail
    from edgeq.spec.images import images_of
    from edgeq.spec.quantize import Activations
    from edgeq.spec.recipe import Preprocess

    quantizers = [
        Activations(calibrator="max"),
        Activations(calibrator="entropy"),
        Activations(calibrator="percentile", percentile=99.99),
        Activations(calibrator="mse"),
    ]
    size, files = given["size"], images_of([Path(image) for image in given["images"]])
    clock = [time.process_time()]
    model = load(Path(given["model"]))
    wanted = statistics.wanted_tensors(model, find_tail(model).nodes)
    clock.append(time.process_time())
    seen = statistics.gather(model, wanted, files, Preprocess(size=(size, size)), given["threads"])
    clock.append(time.process_time())
    ranges: dict[str, list[tuple[float, float]]] = {}
    for tensor in wanted:
        histogram = seen.histogram(tensor)
        spans = [calibrate(histogram, quantizer, symmetric=False) for quantizer in quantizers]
        ranges[tensor] = [(span.low, span.high) for span in spans]
    clock.append(time.process_time())
    stages = ("imports", "load", "pass", "calibrators")
    answer(
        {
            "accelerated": accelerated(),
            "tensors": len(wanted),
            "sources": len(seen.sources),
            "stage_cpu_s": dict(zip(stages, _differences([0.0, *clock]), strict=True)),
            "ranges": ranges,
        }
    )


def _differences(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


if __name__ == "__main__":
    main()

"""Writing a flatbuffer: seconds, and the peak of a process that loads the model and writes it."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.processes.exchange import answer, arguments
from edgeq.graph.load import load
from edgeq.quantization.plan import Plan
from edgeq.runtimes.litert.writer import write_tflite


def main() -> None:
    """Run {model, plan}; the answer holds the seconds of writing alone."""
    given = arguments()
    model = load(Path(given["model"]))
    plan = Plan.from_json(Path(given["plan"]).read_text(encoding="utf-8"))
    started = time.perf_counter()
    written = write_tflite(model, plan)
    answer({"seconds": time.perf_counter() - started, "bytes": len(written.content)})


if __name__ == "__main__":
    main()

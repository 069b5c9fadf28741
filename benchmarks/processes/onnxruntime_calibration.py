"""onnxruntime.quantization's calibrators, each of them alone: it has no pass for all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    create_calibrator,
)

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.float_inference import letterboxed
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Images as ONNX Runtime's calibrators take them: read when they are asked for."""

    def __init__(self, images: list[str], size: int, name: str = "images") -> None:
        self._fed: Iterator[dict[str, Any]] = (
            {name: prepare(read_image(Path(image)), letterboxed(size))[0]} for image in images
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next input, None after the last."""
        return next(self._fed, None)


def main() -> None:
    """Run {model, size, images, method}; method is MinMax, Entropy or Percentile."""
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            given["model"],
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod[given["method"]],
            extra_options={"percentile": 99.99} if given["method"] == "Percentile" else {},
        )
        calibrator.collect_data(Reader(given["images"], given["size"]))
        ranges = calibrator.compute_data()
    answer({"tensors": len(ranges.keys())})


if __name__ == "__main__":
    main()

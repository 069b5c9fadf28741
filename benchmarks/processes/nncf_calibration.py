"""NNCF's post-training quantization without its bias correction: in effect its calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nncf
import onnx

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.float_inference import letterboxed
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare


def main() -> None:
    """Run {model, size, images}."""
    given = arguments()

    def fed(image: str) -> dict[str, Any]:
        return {"images": prepare(read_image(Path(image)), letterboxed(given["size"]))[0]}

    images = given["images"]
    advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
    quantized = nncf.quantize(
        onnx.load(given["model"]),
        nncf.Dataset(images, fed),
        subset_size=len(images),
        advanced_parameters=advanced,
    )
    answer({"nodes": len(quantized.graph.node)})


if __name__ == "__main__":
    main()

"""A recipe around a small network, with drawn images to calibrate on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx


def project(
    folder: Path,
    proto: onnx.ModelProto,
    task: str = "{decoder: mask-rcnn, classes: [pig]}",
    quantize: str = "{}",
    side: int = 32,
) -> Path:
    """The recipe, beside the model and three images."""
    folder.mkdir(exist_ok=True)
    onnx.save(proto, folder / "model.onnx")
    (folder / "images").mkdir(exist_ok=True)
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (side, side, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), pixels)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"model: model.onnx\ntask: {task}\npreprocess: {{size: {side}}}\n"
        f"calibration: {{images: images}}\nquantize: {quantize}\n"
    )
    return recipe

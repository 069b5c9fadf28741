"""Plain float inference over images: what every calibration is compared with."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.processes.exchange import answer, arguments
from edgeq.agent.manifest import ReleaseInput
from edgeq.agent.vision.image import read_image
from edgeq.agent.vision.letterbox import prepare


def main() -> None:
    """Run {model, size, images, threads, stop_spinning}.

    The answer holds a sum, so that all was computed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    given = arguments()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = given["threads"]
    options.log_severity_level = 3
    if given.get("stop_spinning", False):
        options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        given["model"], options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    preprocess = letterboxed(given["size"])
    total = 0.0
    for image in given["images"]:
        tensor, _ = prepare(read_image(Path(image)), preprocess)
        total += float(np.ravel(session.run(None, {name: tensor})[0])[0])
    answer({"sum": total})


def letterboxed(size: int) -> ReleaseInput:
    """RGB 0 to 1 on grey padding: what the YOLO models take."""
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return ReleaseInput((size, size), True, 114, "rgb", 1 / 255, zero, one, "nchw", "float32")


if __name__ == "__main__":
    main()

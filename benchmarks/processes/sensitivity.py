"""edgeq's sensitivity analysis; or only what it builds on; or every layer in a run of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes.exchange import answer, arguments
from edgeq.calibration import statistics
from edgeq.calibration.inputs import tensors
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import target as targets
from edgeq.spec.images import Image
from edgeq.spec.quantize import Activations, Quantize
from edgeq.spec.recipe import Calibration, Preprocess, Recipe, Task
from edgeq.stages.prepare import Prepared, cores, prepare
from edgeq.tuning import variants
from edgeq.tuning.compared import compared_tensors
from edgeq.tuning.energies import Energies
from edgeq.tuning.sensitivity import Options, rank

Floats = NDArray[np.float64]


def main() -> None:
    """Run {model, size, decoder, calibration, images, top, only_calibrate, separate}."""
    given = arguments()
    with tempfile.TemporaryDirectory() as folder:
        start = _prepared(given, Path(folder))
        if given.get("only_calibrate"):
            _statistics(start)
            answer({})
            return
        files = list(start.calibration[: given["images"]])
        found = rank(start, files, None, Options(top=given.get("top", 0)))
    fields: dict[str, Any] = {"layers": len(found.layers)}
    if given.get("separate"):
        snr_db = _separately(start, files)
        order = sorted(snr_db, key=snr_db.__getitem__)
        ours = {layer.node: layer.alone.snr_db or 0.0 for layer in found.layers}
        pairs = zip(order, ours, strict=True)
        fields["differing"] = sum(one != other for one, other in pairs)
        fields["error_db"] = max(abs(ours[node] - snr_db[node]) for node in order)
    answer(fields)


def _prepared(given: dict[str, Any], folder: Path) -> Prepared:
    listed = folder / "images.txt"
    listed.write_text("\n".join(given["calibration"]), encoding="utf-8")
    recipe = Recipe(
        model=Path(given["model"]),
        task=Task(decoder=given["decoder"], classes=tuple(f"class {i}" for i in range(80))),
        preprocess=Preprocess(size=(given["size"], given["size"])),
        calibration=Calibration(images=listed),
        quantize=Quantize(activations=Activations(calibrator="percentile", percentile=99.99)),
    )
    return prepare(recipe, targets.load("arm-cpu-ort"), None)


def _statistics(start: Prepared) -> statistics.Statistics:
    return statistics.gather(
        start.model,
        start.wanted,
        start.calibration,
        start.recipe.preprocess,
        cores(),
    )


def _separately(start: Prepared, files: list[Image]) -> dict[str, float]:
    """SNR by layer in dB: a whole Q/DQ graph and a session for each."""
    images = list(tensors(files, start.recipe.preprocess))
    expected = _run(start.model.proto.SerializeToString(), images)
    axes = list(compared_tensors(start.model).values())
    signal = sum(_squares(one, axes) for one in expected)
    seen, rows = _statistics(start), []
    nodes = list(variants.everything(start, seen).weights)
    for node in nodes:
        found = _run(write_qdq(start.model, variants.alone(start, seen, node)), images)
        pairs = zip(expected, found, strict=True)
        errors = [[a - b for a, b in zip(one, other, strict=True)] for one, other in pairs]
        rows.append(sum(_squares(one, axes) for one in errors))
    figures = Energies(len(images), np.asarray(signal), np.array(rows)).snr_db()
    return {node: figure or 0.0 for node, figure in zip(nodes, figures, strict=True)}


def _run(content: bytes, images: list[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Another order of sums would round some values to the other integer: 0.003 dB, once 0.27.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.intra_op_num_threads = cores()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [session.run(None, {name: image}) for image in images]


def _squares(arrays: list[NDArray[np.float32]], axes: list[tuple[int, ...]]) -> Floats:
    parts = zip(arrays, axes, strict=True)
    return np.concatenate([np.square(a, dtype=np.float64).sum(axis).ravel() for a, axis in parts])


if __name__ == "__main__":
    main()

"""ai-edge-quantizer's int8 of a float flatbuffer, with the ranges and exclusions of a plan."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.runtimes.litert.emission import Origin
from edgeq.runtimes.litert.writer import write_tflite


def quantized_by_peer(model: Model, plan: Plan, images: Sequence[NDArray[np.float32]]) -> bytes:
    """Its int8 of our float model; `images` [1, H, W, 3] are for ranges that a plan has not.

    Inputs and outputs stay float, as in ours.
    """
    from ai_edge_quantizer import qtyping, quantizer, recipe

    written = write_tflite(model, None)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        path = Path(folder) / "float.tflite"
        path.write_bytes(written.content)
        peer = quantizer.Quantizer(str(path))
        peer.load_quantization_recipe(recipe.static_wi8_ai8())
        floats = [re.escape(o.output) for o in written.origins if not _is_int8(o, plan)]
        names = qtyping.TFLOperationName
        for scope, operation in (
            (f"^({'|'.join(floats)});?$", names.ALL_SUPPORTED),
            (".*", names.INPUT),
            (".*", names.OUTPUT),
        ):
            peer.update_quantization_recipe(scope, operation, algorithm_key="no_quantize")
        fed = next(iter(model.inputs))
        ranges = peer.calibrate({"serving_default": [{fed: image} for image in images]})
        for name, scale in plan.tensors.items():
            if name in ranges:
                _give(ranges[name], "min", (-128 - scale.zero_point) * scale.scale)
                _give(ranges[name], "max", (127 - scale.zero_point) * scale.scale)
        return bytes(peer.quantize(ranges).quantized_model)


def _is_int8(origin: Origin, plan: Plan) -> bool:
    """Whether all that an operator computes is int8 in the plan."""
    known = [plan.decisions[node] for node in origin.nodes if node in plan.decisions]
    return bool(known) and all(decision.quantized for decision in known)


def _give(ranges: dict[str, Any], end: str, value: float) -> None:
    ranges[end] = np.full_like(np.asarray(ranges[end], np.float32), value)

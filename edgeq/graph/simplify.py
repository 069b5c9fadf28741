"""Simplification by ONNX Runtime's basic optimizations, in the standard domain.

They fold constants and BatchNorm, remove exporters' Shape and Gather chains, and keep node names.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from edgeq.errors import InputError, require

KEPT_APART = [
    "GemmSumFusion",
    "GemmTransposeFusion",
    "MatMulAddFusion",
    "MatMul_BatchNormalization_Fusion",
    "TransposeOptimizer",
]
"""Optimizations that rename or move what a recipe's patterns name."""


def simplify(proto: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """The simplified model with inferred shapes; InputError when ONNX Runtime refuses it."""
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "simplified.onnx")
        try:
            ort.InferenceSession(
                proto.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=KEPT_APART,
            )
        except Exception as exc:  # ONNX Runtime raises a dozen types of its own
            reason = str(exc).strip().splitlines()[0]
            raise InputError(where, f"ONNX Runtime cannot load it: {reason}", "") from exc
        simplified = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in simplified.graph.node}
    kept = [o for o in simplified.opset_import if o.domain in used or o.domain in ("", "ai.onnx")]
    del simplified.opset_import[:]
    simplified.opset_import.extend(kept)
    simplified.producer_name, simplified.producer_version = "edgeq", ""
    return onnx.shape_inference.infer_shapes(simplified, data_prop=True)

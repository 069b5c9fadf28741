"""Simplification by ONNX Runtime's basic optimizations, in the standard domain.

They fold constants and BatchNorm, remove exporters' Shape and Gather chains, and keep node names.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from edgeq.graph.session import open_session

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
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "simplified.onnx"
        content = proto.SerializeToString()
        # Weights that come as integers and their scales are folded like all other constants.
        open_session(
            content,
            where,
            optimization="basic",
            fuse_qdq=False,
            left_out=KEPT_APART,
            optimized=file,
        )
        simplified = onnx.load(str(file))
    used = {node.domain for node in simplified.graph.node}
    kept = [o for o in simplified.opset_import if o.domain in used or o.domain in ("", "ai.onnx")]
    del simplified.opset_import[:]
    simplified.opset_import.extend(kept)
    simplified.producer_name, simplified.producer_version = "edgeq", ""
    return onnx.shape_inference.infer_shapes(simplified, data_prop=True)

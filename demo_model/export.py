"""Export to ONNX with static shapes, checked against torch."""

# The checks run without torch, so its types are unknown there.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# mypy: no-warn-unused-ignores

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch  # type: ignore[import-not-found]
from torch.nn.utils.fusion import fuse_conv_bn_eval  # type: ignore[import-not-found]

from demo_model.network import Conv, DemoNetwork

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference from torch: absolute below 1, relative to the row's largest value above."""


def fold_batch_norms(network: DemoNetwork) -> DemoNetwork:
    """Return a copy whose convolutions carry the batch norms' scale and shift."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, Conv):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.add_module("bn", torch.nn.Identity())
    return folded


def export(network: DemoNetwork, path: Path, size: int = 256) -> None:
    """Write `images` [1, 3, size, size] -> `output0` [1, 4 + C + M, N], `output1` [1, M, s/4, s/4].

    Raises RuntimeError when onnxruntime disagrees with torch.
    """
    folded = fold_batch_norms(network)
    torch.manual_seed(0)
    images = torch.rand(1, 3, size, size)
    torch.onnx.export(
        folded,
        (images,),
        str(path),
        input_names=["images"],
        output_names=["output0", "output1"],
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(str(path))
    # Shapes of the inner tensors make the file easier to read in a viewer.
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path))
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = [output.numpy() for output in network.eval()(images)]
    for name, want, got in zip(
        ("output0", "output1"), wanted, session.run(None, {"images": images.numpy()}), strict=True
    ):
        scale = np.maximum(np.abs(want).max(axis=-1, keepdims=True), 1.0)
        gap = float((np.abs(want - got) / scale).max())
        print(f"{name} {got.shape}: onnxruntime differs from torch by {gap:.1e}")
        if gap > TOLERANCE:
            raise RuntimeError(f"{name} differs by {gap:.1e}, more than {TOLERANCE:.0e}")
    weights = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    print(f"{path}: {path.stat().st_size:,} bytes, {weights:,} values in initializers")

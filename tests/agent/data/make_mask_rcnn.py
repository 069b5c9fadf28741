"""Make mask_rcnn.onnx and mask_rcnn.npz: a tiny Mask R-CNN of torchvision, and its own answer.

Random weights, seeded; needs torch and torchvision (CPU builds), which the tests do not. The npz
holds an RGB image, the exported model's outputs and the masks as torchvision itself pastes them, so
that the decoder is compared with the original and not with a retelling of it.

    python tests/agent/data/make_mask_rcnn.py [--without-operators]
"""

# mypy: ignore-errors
# torch is no dependency of this project; the checker does not see it.

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
HEIGHT, WIDTH = 64, 96
CLASSES = 4  # with background


def define_operators() -> None:
    """Stand-ins for torchvision's C++ operators where its build does not match torch's.

    Only while the graph is traced: the exporter writes ONNX's own NonMaxSuppression and RoiAlign.
    """
    library = torch.library.Library("torchvision", "DEF")
    globals()["_library"] = library  # It unregisters when it is collected.
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
        "int pooled_width, int sampling_ratio, bool aligned) -> Tensor"
    )

    def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
        kept: list[int] = []
        for index in scores.argsort(descending=True, stable=True).tolist():
            corner = torch.minimum(boxes[index, 2:], boxes[kept, 2:])
            sides = (corner - torch.maximum(boxes[index, :2], boxes[kept, :2])).clamp(min=0)
            area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
            shared = sides.prod(1)
            if not kept or (shared / (area[index] + area[kept] - shared)).max() <= iou_threshold:
                kept.append(index)
        return torch.tensor(kept, dtype=torch.int64)

    def roi_align(
        features: torch.Tensor,
        rois: torch.Tensor,
        scale: float,
        height: int,
        width: int,
        ratio: int,
        aligned: bool,
    ) -> torch.Tensor:
        return features.new_zeros(len(rois), features.shape[1], height, width)

    library.impl("nms", nms, "CPU")
    library.impl("roi_align", roi_align, "CPU")


def operators_exist() -> bool:
    """In the place of torchvision's own check, which looks for its C++ library."""
    return True


def build() -> Any:
    """A Mask R-CNN of torchvision with one small feature map."""
    import torchvision
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

    torch.manual_seed(0)
    channels = 8
    backbone = torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, 7, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(channels, channels, 3, 2, 1),
        torch.nn.ReLU(),
    )
    backbone.out_channels = channels
    model = MaskRCNN(
        backbone,
        min_size=HEIGHT,
        max_size=WIDTH,
        rpn_anchor_generator=AnchorGenerator(((24, 48),), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_test=60,
        rpn_post_nms_top_n_test=20,
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], 5, 2),
        box_head=TwoMLPHead(channels * 25, 16),
        box_predictor=FastRCNNPredictor(16, CLASSES),
        box_score_thresh=0.05,
        box_detections_per_img=12,
        mask_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], 14, 2),
        mask_head=MaskRCNNHeads(channels, (8,), 1),
        mask_predictor=MaskRCNNPredictor(8, 8, CLASSES),
    ).eval()
    with torch.no_grad():
        # Untrained weights give flat masks; louder ones cross the threshold inside their boxes.
        for parameter in model.roi_heads.mask_predictor.parameters():
            parameter.mul_(8)
        for parameter in model.roi_heads.box_predictor.parameters():
            parameter.mul_(4)
    return model


def leave_soft(masks: Any, boxes: Any, img_shape: Any, padding: int = 1) -> Any:
    """In the place of torchvision's paste_masks_in_image."""
    return masks


def export(model: Any, image: torch.Tensor, path: Path) -> None:
    """Write the model as torchvision's users do; its transform pastes masks at input size."""
    torch.onnx.export(
        model,
        ([image],),
        str(path),
        dynamo=False,
        opset_version=16,
        input_names=["image"],
        output_names=["boxes", "labels", "scores", "masks"],
    )


def main() -> None:
    """Make both models (soft and pasted masks) and the expected values."""
    if "--without-operators" in sys.argv:
        define_operators()
    import torchvision
    import torchvision.extension
    import torchvision.ops

    if "--without-operators" in sys.argv:
        torchvision.extension._has_ops = operators_exist  # noqa: SLF001
        sys.modules["torchvision.ops.roi_align"].__dict__["_has_ops"] = operators_exist
    import onnxruntime
    from torchvision.models.detection import roi_heads, transform

    model = build()
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    image = torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255))
    export(model, image, HERE / "mask_rcnn_pasted.onnx")
    # Without the last step the export keeps its 28 x 28 masks.
    transform.paste_masks_in_image = leave_soft
    export(model, image, HERE / "mask_rcnn.onnx")

    def answer(name: str) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(str(HERE / name))
        return session.run(None, {session.get_inputs()[0].name: image.numpy()})

    boxes, labels, scores, soft = answer("mask_rcnn.onnx")
    pasted_by_graph = answer("mask_rcnn_pasted.onnx")[3]
    pasted = roi_heads.paste_masks_in_image(
        torch.from_numpy(soft), torch.from_numpy(boxes), (HEIGHT, WIDTH)
    ).numpy()
    print(boxes.round(1), labels, scores, soft.shape, pasted_by_graph.shape)
    print("graph against torchvision:", np.abs(pasted_by_graph - pasted).max())
    print("set pixels:", (pasted > 0.5).sum(axis=(1, 2, 3)))
    np.savez_compressed(
        HERE / "mask_rcnn.npz",
        image=pixels,
        boxes=boxes,
        labels=labels,
        scores=scores,
        soft=soft,
        pasted=np.packbits(pasted >= 0.5, axis=None),
    )


if __name__ == "__main__":
    main()

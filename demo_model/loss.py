"""The losses of YOLOv8-seg: task-aligned assignment, class BCE, CIoU, DFL and cropped mask BCE."""

# The checks run without torch, so its types are unknown there.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# mypy: no-warn-unused-ignores

import math
from dataclasses import dataclass

import torch  # type: ignore[import-not-found]
from torch import Tensor
from torch.nn.functional import (  # type: ignore[import-not-found]
    binary_cross_entropy_with_logits,
    one_hot,
)

from demo_model.network import REG_MAX

TOP_K = 10
ALPHA, BETA = 0.5, 6.0  # TOOD (Feng et al. 2021), exponents as in YOLOv8
BOX_GAIN, CLASS_GAIN, DFL_GAIN, MASK_GAIN = 7.5, 0.5, 1.5, 7.5


@dataclass(frozen=True)
class Targets:
    """Ground truth padded to g rows per picture.

    `boxes` x1 y1 x2 y2 in input pixels [b, g, 4]; `labels` [b, g]; `masks` cell coverage 0..1
    [b, g, 64, 64]; `valid` bool [b, g].
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    valid: Tensor


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return CIoU (Zheng et al. 2020) of boxes x1 y1 x2 y2, broadcast over leading axes."""
    eps = 1e-7
    width_a, height_a = a[..., 2] - a[..., 0], a[..., 3] - a[..., 1] + eps
    width_b, height_b = b[..., 2] - b[..., 0], b[..., 3] - b[..., 1] + eps
    inner_w = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp(0)
    inner_h = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp(0)
    inner = inner_w * inner_h
    iou = inner / (width_a * height_a + width_b * height_b - inner + eps)
    outer_w = torch.maximum(a[..., 2], b[..., 2]) - torch.minimum(a[..., 0], b[..., 0])
    outer_h = torch.maximum(a[..., 3], b[..., 3]) - torch.minimum(a[..., 1], b[..., 1])
    gap_x = b[..., 0] + b[..., 2] - a[..., 0] - a[..., 2]
    gap_y = b[..., 1] + b[..., 3] - a[..., 1] - a[..., 3]
    distance = (gap_x**2 + gap_y**2) / 4 / (outer_w**2 + outer_h**2 + eps)
    skew = torch.atan(width_b / height_b) - torch.atan(width_a / height_a)
    aspect = 4 / math.pi**2 * skew**2
    with torch.no_grad():
        weight = aspect / (aspect - iou + 1 + eps)
    return iou - distance - aspect * weight


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, anchors: Tensor, targets: Targets
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the target row of each anchor [b, n], who is positive [b, n] and its weight [b, n].

    `scores` are probabilities [b, n, C]; `boxes` and `anchors` are in input pixels, [b, n, 4]
    and [n, 2].
    """
    low = anchors[None, None] - targets.boxes[:, :, None, :2]
    high = targets.boxes[:, :, None, 2:] - anchors[None, None]
    inside = (torch.cat((low, high), -1).amin(-1) > 1e-9) & targets.valid[..., None]
    overlap = complete_iou(targets.boxes[:, :, None], boxes[:, None]).clamp(0) * inside
    index = targets.labels[:, None, :].expand(-1, scores.shape[1], -1)
    chance = scores.gather(2, index).transpose(1, 2)
    metric = chance.pow(ALPHA) * overlap.pow(BETA) * inside
    top, place = metric.topk(TOP_K, dim=-1)
    chosen = torch.zeros_like(metric).scatter_(-1, place, (top > 1e-12).to(metric.dtype)) * inside
    # An anchor wanted by several animals goes to the one that it overlaps most.
    best = one_hot(overlap.argmax(1), metric.shape[1]).transpose(1, 2).to(metric.dtype)
    crowded = chosen.sum(1, keepdim=True) > 1
    chosen = torch.where(crowded, best * inside, chosen)
    row = chosen.argmax(1)
    positive = chosen.sum(1) > 0
    metric = metric * chosen
    scale = (overlap * chosen).amax(-1, keepdim=True) / (metric.amax(-1, keepdim=True) + 1e-9)
    return row, positive, (metric * scale).amax(1)


def segmentation_loss(
    outputs: tuple[Tensor, ...], anchors: Tensor, strides: Tensor, targets: Targets
) -> dict[str, Tensor]:
    """Return the weighted terms box, class, dfl and mask of one batch; their sum is the loss.

    `outputs` are the four training outputs of `Segment`; `anchors` [2, n] and `strides` [1, n]
    are its buffers.
    """
    raw_boxes, raw_scores, coefficients, prototypes = outputs
    points, stride = anchors.t(), strides.t()
    batch, _, count = raw_boxes.shape
    bins = raw_boxes.transpose(1, 2).reshape(batch, count, 4, REG_MAX)
    steps = torch.arange(REG_MAX, dtype=bins.dtype, device=bins.device)
    reach = (bins.softmax(-1) * steps).sum(-1)
    boxes = torch.cat((points - reach[..., :2], points + reach[..., 2:]), -1)
    scores = raw_scores.transpose(1, 2)
    row, positive, weight = assign(
        scores.detach().sigmoid(), boxes.detach() * stride, points * stride, targets
    )
    goal = torch.zeros_like(scores)
    label = targets.labels.gather(1, row)
    goal.scatter_(2, label[..., None], (weight * positive)[..., None])
    total = goal.sum().clamp(min=1.0)
    terms = {"class": CLASS_GAIN * binary_cross_entropy_with_logits(scores, goal, reduction="sum")}
    picture, anchor = positive.nonzero(as_tuple=True)
    owner = row[picture, anchor]
    strength = weight[picture, anchor]
    wanted = targets.boxes[picture, owner] / stride[anchor]
    terms["box"] = BOX_GAIN * ((1 - complete_iou(boxes[picture, anchor], wanted)) * strength).sum()
    centre = points[anchor]
    distance = torch.cat((centre - wanted[:, :2], wanted[:, 2:] - centre), -1)
    distance = distance.clamp(0, REG_MAX - 1 - 0.01)
    lower = distance.long()
    share = distance - lower
    logits = bins[picture, anchor].log_softmax(-1)
    near = logits.gather(-1, lower[..., None])[..., 0]
    far = logits.gather(-1, lower[..., None] + 1)[..., 0]
    spread = -(near * (1 - share) + far * share).mean(-1)
    terms["dfl"] = DFL_GAIN * (spread * strength).sum()
    terms = {name: value / total for name, value in terms.items()}
    terms["mask"] = MASK_GAIN * _mask_loss(
        coefficients[picture, :, anchor], prototypes, picture, targets, owner
    )
    return terms


def _mask_loss(
    coefficients: Tensor, prototypes: Tensor, picture: Tensor, targets: Targets, owner: Tensor
) -> Tensor:
    """Return the mean over positives of the BCE inside the box, per cell of the box."""
    if len(picture) == 0:
        return coefficients.sum() * 0.0
    batch, masks, rows, columns = prototypes.shape
    parts = []
    axis = torch.arange(columns, device=prototypes.device, dtype=prototypes.dtype)
    cell = 256 / columns
    for number in range(batch):
        mine = picture == number
        if not bool(mine.any()):
            continue
        logits = (coefficients[mine] @ prototypes[number].reshape(masks, -1)).view(
            -1, rows, columns
        )
        truth = targets.masks[number][owner[mine]]
        x1, y1, x2, y2 = (targets.boxes[number][owner[mine]] / cell).t()[..., None]
        # One cell beyond the box: a box that comes out a little large must not fill its rim.
        across = (axis > x1 - 2) & (axis < x2 + 1)
        down = (axis > y1 - 2) & (axis < y2 + 1)
        inside = down[:, :, None] & across[:, None, :]
        error = binary_cross_entropy_with_logits(logits, truth, reduction="none") * inside
        parts.append(error.sum((1, 2)) / inside.sum((1, 2)))
    return torch.cat(parts).mean()

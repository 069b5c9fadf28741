"""The range of an activation, whose two ends are learned (Wu et al. 2020, section 5.3).

With the gradients of LSQ (Esser et al. 2020, arXiv 1902.08153) for the scale and those of LSQ+
(Bhalgat et al. 2020, arXiv 2004.09576) for the zero point. Ends are learned rather than these two,
and as logarithms: an end stays on its side of zero, that of a ReLU at zero, and one that gives up
outliers leaves the other where it is.
"""

from __future__ import annotations

from typing import Any

from edgeq.errors import require
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.learnable import Learnable
from edgeq.repair.reconstruction.inputs import Tensor

torch = require("torch", "train")


class TrainedRange:
    """The scale and zero point of one tensor, as a training loop sees them.

    `factors` is what is learned: the logarithms of how many times what they were the low and the
    high end are; of a symmetric range of its one end. None where nothing is.
    """

    def __init__(self, start: Learnable, device: str, written: Scale | None = None) -> None:
        self._start, self._device = start, device
        self._written = written or start.scale(start.low, start.high)
        self.factors: Tensor | None = None

    def learn(self) -> None:
        """Let the range be learned."""
        count = 1 if self._start.symmetric else 2
        self.factors = torch.zeros(count, device=self._device, requires_grad=True)

    @property
    def learned(self) -> list[Tensor]:
        """What a training loop changes."""
        return [] if self.factors is None else [self.factors]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point; while they are learned the latter lies between integers."""
        if self.factors is None:
            found = self._written
            scale = torch.tensor([found.scale], dtype=torch.float32, device=self._device)
            return scale, torch.full_like(scale, found.zero_point)
        start, ends = self._start, self.factors.double().exp()
        least, greatest = arithmetic.LIMITS[start.dtype]
        if start.symmetric:
            scale = (start.high * ends / 127).float()
            return scale, torch.full_like(scale, least + 128)
        low, high = start.low * ends[:1], start.high * ends[1:]
        scale = (high - low) / (greatest - least)
        return scale.float(), (least - low / scale).float()

    def trained(self) -> Scale | None:
        """The new scale and zero point; None where nothing was learned."""
        if self.factors is None or not bool(self.factors.any()):
            return None
        ends = self.factors.detach().double().exp().tolist()
        return self._start.scale(self._start.low * ends[0], self._start.high * ends[-1])


def rounded(x: Tensor, scale: Tensor, zero_point: Tensor, dtype: Any) -> Tensor:
    """Values on a grid of integers of a type, with gradients for the scale and the zero point.

    Those of PyTorch's own kernel for it are off by a step where a zero point is negative.
    """
    limits, step = torch.iinfo(dtype), scale.detach()
    point = zero_point.detach().round().clamp(limits.min, limits.max)
    with torch.no_grad():
        found, inside = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(
            x, float(step), int(point), limits.min, limits.max
        )
    kept = inside * x
    # What is added is zero, and has the gradients.
    found = found + (kept - kept.detach()) + (scale - step) * ((found - kept.detach()) / step)
    return found - (zero_point - zero_point.detach()) * step * ~inside

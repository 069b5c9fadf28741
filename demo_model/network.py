"""A small YOLOv8-seg: the original's blocks, head and outputs, a million weights."""

# The checks run without torch, so its types are unknown there.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# mypy: no-warn-unused-ignores

import torch  # type: ignore[import-not-found]
from torch import Tensor, nn

REG_MAX = 16
STRIDES = (8, 16, 32)


class Conv(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, outputs, h / stride, w / stride]."""
        y: Tensor = self.act(self.bn(self.conv(x)))
        return y


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, with a shortcut in the backbone."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = Conv(channels, channels, 3)
        self.cv2 = Conv(channels, channels, 3)
        self.add = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C2f(nn.Module):
    """Split, a chain of bottlenecks, and a concat of every intermediate."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, shortcut: bool = False) -> None:
        super().__init__()
        self.width = outputs // 2
        self.cv1 = Conv(inputs, outputs)
        self.cv2 = Conv((2 + depth) * self.width, outputs)
        self.m = nn.ModuleList(Bottleneck(self.width, shortcut) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, outputs, h, w]."""
        parts = list(self.cv1(x).split((self.width, self.width), 1))
        for block in self.m:
            parts.append(block(parts[-1]))
        y: Tensor = self.cv2(torch.cat(parts, 1))
        return y


class SPPF(nn.Module):
    """Three chained 5x5 max pools, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cv1 = Conv(channels, channels // 2)
        self.cv2 = Conv(channels * 2, channels)
        self.m = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        parts = [self.cv1(x)]
        for _ in range(3):
            parts.append(self.m(parts[-1]))
        y: Tensor = self.cv2(torch.cat(parts, 1))
        return y


class Concat(nn.Module):
    """Concatenation over channels, a module so that the exported node has a readable name."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        """Return the parts side by side, [b, sum of channels, h, w]."""
        return torch.cat(parts, 1)


class Proto(nn.Module):
    """Mask prototypes at a quarter of the input size."""

    def __init__(self, inputs: int, width: int, masks: int) -> None:
        super().__init__()
        self.cv1 = Conv(inputs, width, 3)
        self.upsample = nn.ConvTranspose2d(width, width, 2, 2, 0, bias=True)
        self.cv2 = Conv(width, width, 3)
        self.cv3 = Conv(width, masks)

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, masks, 2 h, 2 w]."""
        y: Tensor = self.cv3(self.cv2(self.upsample(self.cv1(x))))
        return y


class DFL(nn.Module):
    """Expected distance under a softmax over bins, as a fixed 1x1 convolution."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
        self.conv.weight.data[:] = torch.arange(bins, dtype=torch.float32).view(1, bins, 1, 1)
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        """Return distances in strides [b, 4, n] from logits [b, 4 bins, n]."""
        batch, _, count = x.shape
        shares = x.view(batch, 4, self.bins, count).transpose(2, 1).softmax(1)
        y: Tensor = self.conv(shares).view(batch, 4, count)
        return y


class Segment(nn.Module):
    """Detection head with mask coefficients; trains on raw maps, exports decoded boxes."""

    anchors: Tensor
    strides: Tensor

    def __init__(self, classes: int, masks: int, channels: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.classes, self.masks = classes, masks
        width = 32
        self.proto = Proto(channels[0], 48, masks)
        self.cv2 = nn.ModuleList(self._branch(c, width, 4 * REG_MAX) for c in channels)
        self.cv3 = nn.ModuleList(self._branch(c, width, classes) for c in channels)
        self.cv4 = nn.ModuleList(self._branch(c, width, masks) for c in channels)
        self.dfl = DFL(REG_MAX)
        for box, score, stride in zip(self.cv2, self.cv3, STRIDES, strict=True):
            box[-1].bias.data.fill_(1.0)
            # A prior of five objects per picture keeps the first class loss small.
            prior = torch.log(torch.tensor(5.0 / classes / (size / stride) ** 2))
            score[-1].bias.data.fill_(float(prior))
        points, strides = [], []
        for stride in STRIDES:
            axis = torch.arange(size // stride) + 0.5
            ys, xs = torch.meshgrid(axis, axis, indexing="ij")
            points.append(torch.stack((xs, ys), 0).view(2, -1))
            strides.append(torch.full((1, points[-1].shape[1]), float(stride)))
        self.register_buffer("anchors", torch.cat(points, 1), persistent=False)
        self.register_buffer("strides", torch.cat(strides, 1), persistent=False)

    @staticmethod
    def _branch(inputs: int, width: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            Conv(inputs, width, 3), Conv(width, width, 3), nn.Conv2d(width, outputs, 1)
        )

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, ...]:
        """Return raw boxes, class logits, coefficients and prototypes, or decoded outputs.

        In training: [b, 64, n], [b, C, n], [b, M, n], [b, M, 64, 64]. In evaluation:
        [b, 4 + C + M, n] with x, y, w, h in input pixels, and the prototypes.
        """
        prototypes = self.proto(levels[0])
        batch = levels[0].shape[0]
        coefficients = torch.cat(
            [cv(x).view(batch, self.masks, -1) for cv, x in zip(self.cv4, levels, strict=True)], 2
        )
        raw = [
            torch.cat((box(x), score(x)), 1).view(batch, 4 * REG_MAX + self.classes, -1)
            for box, score, x in zip(self.cv2, self.cv3, levels, strict=True)
        ]
        boxes, scores = torch.cat(raw, 2).split((4 * REG_MAX, self.classes), 1)
        if self.training:
            return boxes, scores, coefficients, prototypes
        near, far = self.dfl(boxes).split((2, 2), 1)
        low, high = self.anchors - near, self.anchors + far
        decoded = torch.cat(((low + high) / 2, high - low), 1) * self.strides
        detections = torch.cat((decoded, scores.sigmoid()), 1)
        return torch.cat((detections, coefficients), 1), prototypes


class DemoNetwork(nn.Module):
    """Backbone, PAN neck and segmentation head; input [b, 3, size, size] RGB in 0..1."""

    def __init__(self, classes: int, masks: int = 32, size: int = 256) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = 16, 32, 64, 80, 112
        self.model = nn.ModuleList(
            [
                Conv(3, c1, 3, 2),
                Conv(c1, c2, 3, 2),
                C2f(c2, c2, 1, True),
                Conv(c2, c3, 3, 2),
                C2f(c3, c3, 2, True),
                Conv(c3, c4, 3, 2),
                C2f(c4, c4, 2, True),
                Conv(c4, c5, 3, 2),
                C2f(c5, c5, 1, True),
                SPPF(c5),
                nn.Upsample(scale_factor=2.0, mode="nearest"),
                Concat(),
                C2f(c5 + c4, c4),
                nn.Upsample(scale_factor=2.0, mode="nearest"),
                Concat(),
                C2f(c4 + c3, c3),
                Conv(c3, c3, 3, 2),
                Concat(),
                C2f(c3 + c4, c4),
                Conv(c4, c4, 3, 2),
                Concat(),
                C2f(c4 + c5, c5),
                Segment(classes, masks, (c3, c4, c5), size),
            ]
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what `Segment` returns."""
        m = self.model
        p3 = m[4](m[3](m[2](m[1](m[0](images)))))
        p4 = m[6](m[5](p3))
        p5 = m[9](m[8](m[7](p4)))
        n4 = m[12](m[11]([m[10](p5), p4]))
        n3 = m[15](m[14]([m[13](n4), p3]))
        o4 = m[18](m[17]([m[16](n3), n4]))
        o5 = m[21](m[20]([m[19](o4), p5]))
        y: tuple[Tensor, ...] = m[22]([n3, o4, o5])
        return y

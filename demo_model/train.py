"""Train, export and evaluate the network of the demo project.

Run in the repository root, with the package installed and `torch`, `onnx`, `onnxruntime` and
`pycocotools` present:

    python -m demo_model.train --out edgeq/demo/model.onnx
    python -m demo_model.train --evaluate edgeq/demo/model.onnx

On Linux without a GPU, a step is several times faster when freed memory is kept:

    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=2000000000
"""

# The checks run without torch, so its types are unknown there.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# mypy: no-warn-unused-ignores

import argparse
import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found]
from numpy.typing import NDArray

from demo_model.evaluation import evaluate
from demo_model.export import export
from demo_model.loss import Targets, segmentation_loss
from demo_model.network import DemoNetwork
from demo_model.scenes import Samples, load_samples
from edgeq.demo.paddock import CLASS_NAMES

TRAINING_SEED = 1001
REPORT_EVERY = 100
PEAK_RATE, WARMUP_STEPS, WEIGHT_DECAY = 2.5e-3, 300, 0.02


def batch_of(
    samples: Samples, chosen: NDArray[np.int64], rng: np.random.Generator, device: torch.device
) -> tuple[torch.Tensor, Targets]:
    """Return pictures [b, 3, 256, 256] in 0..1 and their targets, each one turned at random.

    A paddock seen from above has no upright: every one of the eight symmetries is a fair view.
    """
    counts = samples.starts[chosen + 1] - samples.starts[chosen]
    most = max(int(counts.max()), 1)
    size, cells = samples.images.shape[-1], samples.masks.shape[-1]
    images = np.zeros((len(chosen), 3, size, size), np.uint8)
    boxes = np.zeros((len(chosen), most, 4), np.float32)
    labels = np.zeros((len(chosen), most), np.int64)
    masks = np.zeros((len(chosen), most, cells, cells), np.uint8)
    for row, index in enumerate(chosen):
        first, count = samples.starts[index], counts[row]
        image = samples.images[index]
        own_boxes = samples.boxes[first : first + count].copy()
        own_masks = samples.masks[first : first + count]
        if rng.random() < 0.5:
            image, own_masks = image[..., ::-1], own_masks[..., ::-1]
            own_boxes[:, [0, 2]] = size - own_boxes[:, [2, 0]]
        if rng.random() < 0.5:
            image, own_masks = image[..., ::-1, :], own_masks[..., ::-1, :]
            own_boxes[:, [1, 3]] = size - own_boxes[:, [3, 1]]
        if rng.random() < 0.5:
            image, own_masks = image.swapaxes(-1, -2), own_masks.swapaxes(-1, -2)
            own_boxes = own_boxes[:, [1, 0, 3, 2]]
        images[row], boxes[row, :count], masks[row, :count] = image, own_boxes, own_masks
        labels[row, :count] = samples.labels[first : first + count]
    valid = np.arange(most)[None, :] < counts[:, None]
    pictures = torch.from_numpy(images).to(device).float().div_(255.0)
    return pictures.contiguous(memory_format=torch.channels_last), Targets(
        torch.from_numpy(boxes).to(device),
        torch.from_numpy(labels).to(device),
        torch.from_numpy(masks).to(device).float().div_(255.0),
        torch.from_numpy(valid).to(device),
    )


def rate_at(step: int, share: float) -> float:
    """Return the learning rate: linear warm-up, then half a cosine down to a hundredth.

    `share` is the part of the training that is done, 0 to 1.
    """
    warm = min((step + 1) / WARMUP_STEPS, 1.0)
    return PEAK_RATE * warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0))))


def follow(average: DemoNetwork, network: DemoNetwork, step: int) -> None:
    """Move the averaged weights a little towards the trained ones, in place."""
    keep = min(0.998, step / (step + 50.0))
    with torch.no_grad():
        pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
        for mean, value in pairs:
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1.0 - keep)


def batches(count: int, size: int, epochs: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the scene indices [size] of one batch after another, shuffled anew every epoch."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        yield from rng.permutation(count)[: count // size * size].reshape(-1, size)


def train(arguments: argparse.Namespace) -> DemoNetwork:
    """Return the averaged network after `arguments.epochs` passes over the drawn scenes."""
    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = load_samples(arguments.cache, TRAINING_SEED, arguments.scenes, arguments.threads)
    count = len(samples.images)
    network = DemoNetwork(len(CLASS_NAMES)).to(memory_format=torch.channels_last)
    network.to(device).train()
    head = network.model[-1]
    average = copy.deepcopy(network).eval().requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, fused=True)
    steps = count // arguments.batch * arguments.epochs
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, {steps} steps", flush=True)
    rng = np.random.default_rng(arguments.seed + 1)
    started = time.monotonic()
    order = batches(count, arguments.batch, arguments.epochs, arguments.seed)
    for step, chosen in enumerate(order):
        # Whichever ends first, the epochs or the time: the rate has come down by then.
        share = max(step / steps, (time.monotonic() - started) / (60.0 * arguments.minutes))
        if share >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, share)
        pictures, targets = batch_of(samples, chosen, rng, device)
        # Convolutions in bfloat16 where asked for, losses and weights in float32.
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.bf16):
            raw = network(pictures)
        outputs = tuple(output.float() for output in raw)
        terms = segmentation_loss(outputs, head.anchors, head.strides, targets)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(trained, 10.0)
        optimizer.step()
        follow(average, network, step + 1)
        if step % REPORT_EVERY == REPORT_EVERY - 1:
            shown = ", ".join(f"{name} {value.item():.3f}" for name, value in terms.items())
            print(f"step {step + 1}, {time.monotonic() - started:.0f} s: {shown}", flush=True)
            torch.save(average.state_dict(), arguments.cache / "average.pt")
    return average.cpu()


def main() -> None:
    """Train and export, or evaluate an exported model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("edgeq/demo/model.onnx"))
    parser.add_argument("--evaluate", type=Path, help="score this model instead of training")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/edgeq-paddocks"))
    parser.add_argument("--scenes", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=240.0, help="at most, schedule included")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="convolve in bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # Saturated masks leave gradients so small that a processor handles them in microcode.
    torch.set_flush_denormal(True)
    torch.set_num_threads(arguments.threads)
    if arguments.evaluate is None:
        export(train(arguments), arguments.out)
    evaluate(arguments.evaluate or arguments.out)


if __name__ == "__main__":
    main()

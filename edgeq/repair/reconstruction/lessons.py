"""What a whole network is trained for: what the float one puts out, or a loss of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from edgeq.errors import InputError, require
from edgeq.evaluation.dataset import Dataset
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.repair.reconstruction.end_to_end import Lesson, body, everything
from edgeq.repair.reconstruction.graphs import float_parts
from edgeq.repair.reconstruction.inputs import Tensor
from edgeq.repair.reconstruction.labels import Batch, batch_of
from edgeq.repair.reconstruction.network import Network, Values
from edgeq.repair.reconstruction.reconstruct import BATCH, DEVICE, Subject
from edgeq.repair.reconstruction.training import Schedule, computed, weight_of
from edgeq.spec.recipe import Preprocess

torch = require("torch", "train")

Loss = Callable[[Mapping[str, Tensor], Batch], Tensor]
"""Of the model's outputs by name and the images with their labels: a scalar with gradients"""


def distilled(subject: Subject) -> Lesson:
    """The float network's own values where its tail begins, of the subject's images.

    Each tensor's squared error counts over its variance, as in reconstruction.
    """
    model, segment = subject.model, body(subject.model, subject.plan)
    [part] = float_parts(model, [segment])
    images = torch.from_numpy(subject.images)
    whole = Schedule(0, BATCH, 0, subject.rigid, DEVICE)
    name = next(iter(model.inputs))
    exact = Network(model.proto, DEVICE)
    targets = computed(exact, part.nodes, {name: images}, part.outputs, whole)
    weights = {name: weight_of(target) for name, target in targets.items()}

    def chosen(some: Sequence[int], of: Tensor) -> Tensor:
        # A rigid network takes one image, which has its batch of one already.
        return of[some[0]] if subject.rigid else of[list(some)]

    def loss(found: Values, some: Sequence[int]) -> Tensor:
        return sum(
            weights[name] * (found[name] - chosen(some, target).to(DEVICE)).square().mean()
            for name, target in targets.items()
        )

    at_once = 1 if subject.rigid else BATCH
    return Lesson(segment, len(images), at_once, lambda some: chosen(some, images), loss)


def labelled(
    model: Model, plan: Plan, dataset: Dataset, preprocess: Preprocess, own: Loss
) -> Lesson:
    """A loss of the user's own over labels, of the model's outputs, image by image.

    Raises InputError, when it is asked for, where that raises anything or gives no scalar.
    """
    ids = list(dataset.files)
    shape = next(iter(model.inputs.values()))

    @lru_cache(maxsize=1)  # its images are asked for first, then what the loss makes of it
    def batch(some: tuple[int, ...]) -> Batch:
        return batch_of(dataset, preprocess, [ids[i] for i in some], DEVICE)

    def images(some: Sequence[int]) -> Tensor:
        return batch(tuple(some)).images.reshape(shape).clone()

    def loss(found: Values, some: Sequence[int]) -> Tensor:
        try:
            value = own(found, batch(tuple(some)))
        except Exception as exc:
            what = f"raised {type(exc).__name__}: {exc}"
            raise InputError("--loss", what, "see docs/tuning.md for what it is given") from exc
        finally:
            batch.cache_clear()  # the loss may have written into it
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
            what = "gave no scalar tensor that depends on the outputs"
            raise InputError("--loss", what, "return one, such as the mean of a squared error")
        return value.reshape(())

    return Lesson(everything(model, plan), len(ids), 1, images, loss)

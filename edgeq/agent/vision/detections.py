"""What a decoder gives, and the seam that every decoder fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Sequence

from ..errors import BAD_ARTIFACT, AgentError

if TYPE_CHECKING:
    from .arrays import Array, Floats, Ints
    from .letterbox import Geometry


class Output(NamedTuple):
    """One output of the model under its name in the model."""

    name: str
    array: Array


class Detections(NamedTuple):
    """What was found in one image, by score descending; all positions in image pixels.

    boxes [n,4] float32 x1,y1,x2,y2 clipped to the image; labels [n] int64, indices of the task's
    classes; scores [n] float32; masks n RLEs of the image's size.
    """

    boxes: Floats
    labels: Ints
    scores: Floats
    masks: list[dict[str, Any]]


PARTS = ("boxes", "scores", "coefficients", "prototypes", "masks")
"""What raw outputs can hold: figures of a model are told apart by these."""


class Parts(NamedTuple):
    """Raw outputs by what they mean; the names are among PARTS.

    `rows` hold one candidate each along their first axis, `whole` one image. `labels` [n] are the
    classes of detections that the model chose itself, and brings in an order of its own; None where
    all candidates come, in fixed places.
    """

    rows: dict[str, Array]
    whole: dict[str, Array]
    labels: Ints | None = None


class Decoder(Protocol):
    """Raw outputs to boxes, labels, scores and masks; made by `decode.decoder_for`."""

    name: str
    expects: str
    selected: bool
    """whether the rows are detections that the model chose, in an order of its own"""

    def fits(self, outputs: Sequence[Output]) -> bool:
        """Whether the outputs have this decoder's layout, by their shapes and not their names."""
        ...

    def parts(self, outputs: Sequence[Output]) -> Parts:
        """What in outputs that fit is what; of chosen detections those that `decode` looks at."""
        ...

    def decode(self, outputs: Sequence[Output], geometry: Geometry) -> Detections:
        """The detections in outputs that fit."""
        ...


def mismatch(outputs: Sequence[Output], expects: str, fitting: Sequence[str] = ()) -> AgentError:
    """The error for outputs that a decoder cannot read; `fitting` names decoders that could."""
    found = ", ".join(f"{o.name} {list(o.array.shape)} {o.array.dtype}" for o in outputs)
    remedy = (
        f"set the task's decoder to '{' or '.join(fitting)}'"
        if fitting
        else "check the decoder and the number of classes in the recipe's task"
    )
    return AgentError(BAD_ARTIFACT, "model outputs", f"found {found}, expected {expects}", remedy)

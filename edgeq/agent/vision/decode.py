"""From a task to its decoder, and from raw outputs to detections with a clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Sequence

import numpy as np

from ..errors import BAD_ARTIFACT, AgentError
from ..members import members
from . import decoders
from .detections import Decoder, Detections, Output, mismatch

if TYPE_CHECKING:
    from ..manifest import ReleaseTask
    from .letterbox import Geometry

DECODERS: dict[str, Callable[[ReleaseTask], Decoder]] = {
    decoder.name: decoder
    for found in members(decoders.__name__, decoders.__path__, "DECODERS")
    for decoder in found
}
"""Every decoder by its name: the modules in `decoders/` say which."""


def decoder_for(task: ReleaseTask) -> Decoder:
    """The decoder that the task names; AgentError (bad-artifact) when the name is unknown."""
    try:
        return DECODERS[task.decoder](task)
    except KeyError:
        raise AgentError(
            BAD_ARTIFACT,
            "task.decoder",
            f"'{task.decoder}' is unknown",
            f"use one of: {', '.join(DECODERS)}",
        ) from None


def decode(task: ReleaseTask, outputs: Sequence[Output], geometry: Geometry) -> Detections:
    """The detections in raw outputs; AgentError (bad-artifact) names a decoder that would fit."""
    decoder = decoder_for(task)
    outputs = [_widened(output) for output in outputs]
    if not decoder.fits(outputs):
        fitting = [name for name, make in DECODERS.items() if make(task).fits(outputs)]
        raise mismatch(outputs, f"{decoder.expects} for decoder '{decoder.name}'", fitting)
    return decoder.decode(outputs, geometry)


def _widened(output: Output) -> Output:
    """Sums of float16 would lose what the engine kept."""
    if output.array.dtype != np.float16:
        return output
    return Output(output.name, output.array.astype(np.float32))

"""What training came to, for a terminal."""

from __future__ import annotations

from pathlib import Path

from edgeq.records.accuracy import Interval
from edgeq.records.training import Training


def training_text(found: Training) -> str:
    """Agreement before and after, and what to do with what was written."""
    to = "what the float model puts out" if found.loss is None else found.loss
    speed = "" if found.rate is None else f", learning rate {found.rate:g} {found.unit}"
    lines = [
        *found.notes,
        f"trained {found.layers} layers towards {to}: {found.iterations} iterations on "
        f"{found.images} images{speed}, {found.seconds / 60:.1f} min",
        f"agreement with float on {found.held_out} images that were held out, mask / box:",
        f"  before   {_said(found.before.mask)} / {_said(found.before.box)}",
        f"  trained  {_said(found.after.mask)} / {_said(found.after.box)}",
    ]
    build = f"to build from it write in {Path(found.recipe).name}: model: {found.output}"
    if found.better:
        lines.append(f"it agrees better; {build}")
    elif found.loss is None:
        lines.append(f"it agrees no better: {found.output} was written, and brings nothing")
    else:
        lines.append(
            f"it agrees no better with that; what it does on labels is to be seen: {build}"
        )
    return "\n".join(lines)


def _said(one: Interval) -> str:
    return f"{one.estimate:.3f} [{one.low:.3f}, {one.high:.3f}]"

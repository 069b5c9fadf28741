"""Entropy on outputs of SiLU, whose many small values make it clip the few large ones too early.

Most of what SiLU gives lies between its minimum and a little above zero. The divergence that
entropy minimises (calibrators/entropy.py) is one of shares of values: it gains more by resolving
these finely than it loses by clipping the rest, which is what later layers go by.
"""

from __future__ import annotations

from collections.abc import Collection

from edgeq.calibration.derive import derivations
from edgeq.calibration.statistics import Statistics
from edgeq.calibrators.base import calibrate
from edgeq.graph.model import Model
from edgeq.quantization.decide import Choices
from edgeq.quantization.rules import Placement
from edgeq.spec.quantize import Activations

_KEEPS = Activations(calibrator="percentile", percentile=99.99)
_OTHERS = {"99.99%": _KEEPS, "mse": Activations(calibrator="mse"), "max": Activations()}


def overclipping(
    model: Model,
    wanted: Collection[str],
    choices: Choices,
    placement: Placement,
    seen: Statistics | None,
) -> str | None:
    """What is to be said of entropy, of the tensors that a plan may need; None if nothing is.

    With statistics also where the tensor that it clips most would end by other calibrators; if it
    clips none of them earlier than 99.99% does, nothing is said.
    """
    rules = derivations(model, wanted).rules
    asked = {
        name: how
        for name in wanted
        if name in rules
        and rules[name].silu
        and (maker := model.producers[name].name) not in choices.excluded
        and (how := choices.activations(maker)).calibrator == "entropy"
    }
    if not asked:
        return None
    outputs = "1 output" if len(asked) == 1 else f"{len(asked)} outputs"
    said = f"entropy clips SiLU too early ({outputs} here), as most of its values are small"
    if seen is None:
        return f"{said}; percentile 99.99 and mse keep more"
    ends = {
        name: [_end(seen, name, one, how, placement) for one in (how, _KEEPS)]
        for name, how in asked.items()
        if seen.histogram(name).total
    }
    worst = min(ends, key=lambda name: ends[name][0] / max(ends[name][1], 1e-30), default=None)
    if worst is None or ends[worst][0] >= ends[worst][1]:
        return None
    others = (
        f"{_end(seen, worst, one, asked[worst], placement):.3g} by {name}"
        for name, one in _OTHERS.items()
    )
    return f"{said}: '{worst}' ends at {ends[worst][0]:.3g} by it, at {', '.join(others)}"


def _end(
    seen: Statistics, tensor: str, by: Activations, asked: Activations, placement: Placement
) -> float:
    """Where a tensor's range ends by a calibrator, in the scheme that was asked for."""
    scheme = placement.scheme if asked.scheme == "target" else asked.scheme
    return calibrate(seen.histogram(tensor), by, symmetric=scheme == "scale").high

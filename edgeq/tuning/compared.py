"""Which tensors tell how far a quantized model is from the float one, element by element.

The outputs, unless they come out of a selection: rows that TopK or NonMaxSuppression picks change
places or number at the least error. Then it is what such a selection reads.
"""

from __future__ import annotations

from edgeq.errors import InputError
from edgeq.graph.model import Model, Shape

SELECTING = ("TopK", "NonMaxSuppression", "ArgMax", "ArgMin", "NonZero", "Unique")


def compared_tensors(model: Model) -> dict[str, tuple[int, ...]]:
    """Tensors and the axes that are summed over; what is left is one value a channel.

    Raises InputError for a model without any.
    """
    selected: set[str] = set()
    for node in model.nodes:
        picks = node.op_type in SELECTING or not all(_static(model, name) for name in node.output)
        if picks or selected.intersection(node.input):
            selected.update(node.output)
    ends = dict.fromkeys(model.outputs)
    for node in model.nodes:
        if selected.intersection(node.output):
            ends.update(dict.fromkeys(node.input))
    found = {
        name: _summed(model.shapes[name])
        for name in ends
        if name in model.producers and name not in selected and model.is_float(name)
    }
    if not found:
        what = "computes nothing that could be compared: no float tensor of static shape"
        raise InputError(str(model.path), what, "export it with static shapes")
    return found


def _static(model: Model, name: str) -> bool:
    return not name or (name in model.shapes and all(model.shapes[name]))


def _summed(shape: Shape) -> tuple[int, ...]:
    """All axes but that of the channels: the second of a feature map, else the shorter one.

    A head's table has the predictions in rows [1,N,C] or in columns [1,C,N], many more than
    channels.
    """
    rank = len(shape)
    if rank < 2:
        return tuple(range(rank))
    channels = 1 if rank > 3 else min(rank - 2, rank - 1, key=shape.__getitem__)
    return tuple(axis for axis in range(rank) if axis != channels)

"""What a model is made of, as inspected."""

from __future__ import annotations

from edgeq.records.record import Record


class InspectedLayer(Record):
    """One compute-heavy layer; counts for one inference, intensity in operations a byte.

    Both are None where only a run tells: a shape is not static.
    """

    name: str
    op_type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    macs: int | None
    intensity: float | None
    quantized: bool
    reason: str


class RangeMixing(Record):
    """A Concat whose parts would lose their levels under one scale."""

    node: str
    narrow: str
    narrow_range: tuple[float, float]
    wide: str
    wide_range: tuple[float, float]
    levels: float
    in_tail: bool
    quantized: bool
    text: str


class StaysFloat(Record):
    """Nodes that would not compute in int8, grouped by reason."""

    reason: str
    op_types: dict[str, int]


class Inspection(Record):
    """A model as edgeq sees it; `unknown_layers` are in none of the sums of multiply-adds."""

    model: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    opset: int
    nodes: int
    tail_nodes: int
    parameters: int
    macs: int
    unknown_layers: int
    layers: tuple[InspectedLayer, ...]
    stays_float: tuple[StaysFloat, ...]
    range_mixing: tuple[RangeMixing, ...]
    ranges_from: str
    notes: tuple[str, ...] = ()

"""Operators behind each other, with the layouts that they leave, in float and in int8."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeq.runtimes.litert.writer import write_tflite
from edgeq.runtimes.qdq import write_qdq
from tests.runtimes import builds
from tests.sampling import examples

from .chains import Chain, chains
from .engines import Array, assert_same, run_tflite
from .integers import planned


@given(chains(), st.booleans())
@examples(150)
def test_a_graph_of_many_operators_is_that_of_onnx(
    drawn: tuple[Chain, list[str]], folded: bool
) -> None:
    graph, outputs = drawn
    assert_same(graph, outputs, folded=folded, tolerance=3e-5)


@given(chains(), st.booleans())
@examples(80)
def test_int8_departs_from_its_simulation_by_less_than_that_from_floats(
    drawn: tuple[Chain, list[str]], delegates: bool
) -> None:
    graph, outputs = drawn
    model, plan = planned(graph, outputs)
    content = write_tflite(model, plan).content

    found = run_tflite(content, graph.feeds, delegates)

    (fed,) = graph.feeds.values()
    wanted = builds.run(write_qdq(model, plan), fed)
    floats = builds.run(model.proto.SerializeToString(), fed)
    for name in outputs:
        step = plan.tensors[name].scale if name in plan.tensors else 0.0
        # LiteRT's own MEAN is often a step off, and with it a whole image behind a Sub.
        assert rms(found[name] - wanted[name]) <= 4 * step + rms(wanted[name] - floats[name])


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))

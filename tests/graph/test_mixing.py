from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.network import yolov8n_seg
from edgeq.graph.mixing import FEWEST_LEVELS, LEVELS, concat_inputs, mixing
from edgeq.graph.model import Model

from .nets import loaded, net, node

Ranges = dict[str, tuple[float, float]]


@pytest.fixture(scope="module")
def two_parts(tmp_path_factory: pytest.TempPathFactory) -> Model:
    concat = node("Concat", ["a", "b"], ["y"], name="Concat", axis=1)
    proto = net([concat], {"a": [1, 4, 8], "b": [1, 2, 8]}, {"y": [1, 6, 8]})
    return loaded(proto, tmp_path_factory.mktemp("concat"))


def test_last_concat_of_a_v8_head_is_named(tmp_path: Path) -> None:
    model = loaded(yolov8n_seg(size=64), tmp_path)
    ranges: Ranges = dict.fromkeys(concat_inputs(model), (-3.0, 3.0))
    last = next(n for n in model.nodes if n.name == "model.22/Concat_6")
    boxes, scores, coefficients = last.input
    ranges |= {boxes: (0.0, 640.0), scores: (0.0, 1.0), coefficients: (-2.0, 2.0)}

    [found] = mixing(model, ranges)

    assert found.node == "model.22/Concat_6"
    assert (found.narrow, found.wide) == (scores, boxes)
    assert found.levels == pytest.approx(255 * 1 / 642)
    assert f"puts '{scores}' (0 to 1) beside '{boxes}' (0 to 640)" in str(found)


def test_every_input_of_a_concat_is_wanted(two_parts: Model) -> None:
    assert concat_inputs(two_parts) == ["a", "b"]


@given(st.floats(-1e3, 0), st.floats(0, 1e3))
def test_equal_ranges_are_silent(two_parts: Model, low: float, high: float) -> None:
    assert mixing(two_parts, {"a": (low, high), "b": (low, high)}) == []


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_reports_exactly_what_gets_too_few_levels(two_parts: Model, a: float, b: float) -> None:
    found = mixing(two_parts, {"a": (0.0, a), "b": (0.0, b)})
    assert bool(found) == (LEVELS * (min(a, b) / max(a, b)) < FEWEST_LEVELS)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_report_does_not_depend_on_the_unit(
    two_parts: Model, a: float, b: float, unit: float
) -> None:
    found = mixing(two_parts, {"a": (0.0, a), "b": (-b, 0.0)})
    scaled = mixing(two_parts, {"a": (0.0, a * unit), "b": (-b * unit, 0.0)})
    if abs(LEVELS * min(a, b) / (a + b) - FEWEST_LEVELS) > 1e-6:
        assert len(found) == len(scaled)


@pytest.mark.parametrize(
    "ranges",
    [{}, {"a": (0.0, 1.0)}, {"a": (0.0, 0.0), "b": (0.0, 0.0)}, {"a": (0, 0), "b": (0, 9)}],
)
def test_nothing_to_compare_is_silent(two_parts: Model, ranges: Ranges) -> None:
    assert mixing(two_parts, ranges) == []


def test_worst_concat_comes_first(tmp_path: Path) -> None:
    nodes = [
        node("Concat", ["a", "b"], ["c"], name="mild", axis=1),
        node("Concat", ["c", "d"], ["y"], name="severe", axis=1),
    ]
    shapes = {"a": [1, 4, 8], "b": [1, 2, 8], "d": [1, 1, 8]}
    model = loaded(net(nodes, shapes, {"y": [1, 7, 8]}), tmp_path)
    ranges = {"a": (0.0, 100.0), "b": (0.0, 5.0), "c": (0.0, 100.0), "d": (0.0, 0.1)}
    assert [found.node for found in mixing(model, ranges)] == ["severe", "mild"]

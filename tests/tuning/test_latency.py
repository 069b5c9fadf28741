"""Latency on the target beside the plan that tuning began with, measured on this machine."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq.device.connection import HERE, Address
from edgeq.progress import silent
from edgeq.spec.recipe import Compare, Recipe
from edgeq.stages.build import Build, build
from edgeq.stages.check import prepared_for_build
from edgeq.stages.prepare import Prepared
from edgeq.tuning.changes import left_float, with_head
from edgeq.tuning.latency import LONGEST_S, SAME, SHORTEST_S, Latencies, ratio

from ..cost.test_turns import turns

pytestmark = pytest.mark.usefixtures("spared")
BRIEF = Compare(duration_s=0.3, reloads=3, warmup_s=0.0)


@pytest.fixture
def prepared(small_demo: Path) -> Prepared:
    found = prepared_for_build(small_demo / "recipe.yaml", "local")
    return replace(found, recipe=found.recipe.model_copy(update={"compare": BRIEF}))


def built(prepared: Prepared, recipe: Recipe) -> Build:
    from edgeq.quantization.decide import resolve_choices

    choices = resolve_choices(prepared.model, recipe.quantize)
    return build(replace(prepared, recipe=recipe, choices=choices))


def latencies(prepared: Prepared, address: Address = HERE) -> Latencies:
    return Latencies(prepared, address, time.monotonic() + 60, silent)


def test_layer_in_float_is_measured_once_and_other_ranges_are_the_same_graph(
    prepared: Prepared,
) -> None:
    recipe = prepared.recipe
    start = build(prepared)
    other = with_head(recipe, "float-head")
    first = latencies(prepared)

    assert first.of(start) == SAME
    maximum = recipe.quantize.activations.model_copy(
        update={"calibrator": "max", "percentile": None}
    )
    quantize = recipe.quantize.model_copy(update={"activations": maximum})
    rescaled = built(prepared, recipe.model_copy(update={"quantize": quantize}))
    assert rescaled.artifact.id != start.artifact.id and first.of(rescaled) == SAME
    found = first.of(built(prepared, other))
    assert found is not None and not first.unmeasured
    assert 0 < found.low <= found.estimate <= found.high
    assert found.pairs >= 6 and not found.is_exact

    again = latencies(prepared)
    assert again.of(start) == SAME
    # A second measurement would be another figure.
    assert again.of(built(prepared, other)) == found


def test_without_a_board_only_the_start_is_known(prepared: Prepared) -> None:
    kind = prepared.target.model_copy(update={"transport": "ssh"})
    found = latencies(replace(prepared, target=kind))
    assert found.unmeasured == "no board is named (--host)"
    assert found.of(build(prepared)) == SAME
    layer = next(iter(build(prepared).plan.weights))
    assert found.of(built(prepared, left_float(prepared.recipe, [layer]))) is None


def test_board_that_cannot_be_reached_is_said_and_not_tried_again(prepared: Prepared) -> None:
    kind = prepared.target.model_copy(update={"transport": "ssh"})
    found = latencies(replace(prepared, target=kind), Address("nobody@barn.invalid"))
    assert not found.unmeasured and found.of(build(prepared)) == SAME
    first, second, *_ = build(prepared).plan.weights
    assert found.of(built(prepared, left_float(prepared.recipe, [first]))) is None
    why = found.unmeasured
    assert "barn.invalid" in why
    started = time.monotonic()
    assert found.of(built(prepared, left_float(prepared.recipe, [second]))) is None
    assert found.unmeasured is why and time.monotonic() - started < 60


def test_way_that_is_none_loses_nothing_of_what_was_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    kind = prepared.target.model_copy(update={"transport": "ssh"})
    way = Address("nobody@barn.invalid", identity=tmp_path / "none")
    found = latencies(replace(prepared, target=kind), way)
    assert found.of(build(prepared)) == SAME
    layer = next(iter(build(prepared).plan.weights))
    assert found.of(built(prepared, left_float(prepared.recipe, [layer]))) is None
    assert "there is no key" in found.unmeasured


def test_ratio_is_what_the_loads_have_with_its_interval() -> None:
    found = ratio([turns(1.05), turns(1.06), turns(1.07)])
    assert found.estimate == pytest.approx(1.06, abs=1e-3)
    assert found.low < 1.05 and found.high > 1.07 and found.confidence == 0.95
    assert found.pairs == 15


@pytest.mark.parametrize(
    ("said_s", "left_s", "expected_s"),
    [(60.0, 3600.0, LONGEST_S), (60.0, 250.0, 5.0), (60.0, 10.0, SHORTEST_S), (0.3, 3600.0, 0.3)],
)
def test_measurement_takes_a_share_of_what_is_left(
    prepared: Prepared, said_s: float, left_s: float, expected_s: float
) -> None:
    told = BRIEF.model_copy(update={"duration_s": said_s})
    recipe = prepared.recipe.model_copy(update={"compare": told})
    found = Latencies(replace(prepared, recipe=recipe), HERE, time.monotonic() + left_s, silent)
    assert found.options().duration_s == pytest.approx(expected_s, rel=0.01)

"""The order in which layers are left in float."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.graph.layers import Layer, layers
from edgeq.graph.model import Model
from edgeq.tuning.float_costs import CONVERTED, by_worth, float_costs, of_few_channels

from . import subjects


def layer(name: str, macs: int | None, side: int = 4) -> Layer:
    shape = (1, 8, side, side)
    return Layer(name, "Conv", None, shape, shape, 1, macs, None)


def test_layer_costs_its_products_and_its_boundary() -> None:
    found = float_costs([layer("a", 1000), layer("b", 5000, side=2)], {})
    assert found == {"a": 1000 + CONVERTED * 256, "b": 5000 + CONVERTED * 64}


def test_what_is_not_known_is_the_dearest() -> None:
    found = float_costs([layer("a", 1000), layer("b", None), layer("c", 10**9)], {})
    assert found["b"] == found["c"] > found["a"]
    assert float_costs([layer("a", None)], {})["a"] > 0


def test_profile_counts_where_it_knows_every_layer() -> None:
    both = [layer("a", 1000), layer("b", 10**9)]
    assert float_costs(both, {"a": 0.4, "b": -0.1, "c": 2.0}) == {"a": 0.4, "b": -0.1}
    assert float_costs(both, {"a": 0.4}) == float_costs(both, {})


def test_less_noise_wins_where_it_is_cheaper() -> None:
    # 10 dB are ten times the noise.
    snr_db = {"loud": 10.0, "quiet": 20.0, "silent": None, "louder": 9.0}
    cheap = {"loud": 1.0, "quiet": 1.0, "silent": 0.1, "louder": 1.0}
    assert by_worth(snr_db, cheap) == ["louder", "loud", "quiet", "silent"]
    dear = {**cheap, "louder": 3.0, "loud": 11.0}
    assert by_worth(snr_db, dear) == ["louder", "quiet", "loud", "silent"]


def test_layer_that_is_faster_in_float_comes_before_those_that_cost() -> None:
    snr_db = {"loud": 10.0, "free": 20.0}
    assert by_worth(snr_db, {"loud": 1.0, "free": -0.2}) == ["free", "loud"]


@given(st.lists(st.tuples(st.floats(-20, 60), st.floats(-1, 100)), min_size=1, max_size=8))
def test_order_is_one_of_all_layers_whatever_they_cost(drawn: list[tuple[float, float]]) -> None:
    names = [str(i) for i in range(len(drawn))]
    snr_db = dict(zip(names, (snr for snr, _ in drawn), strict=True))
    costs = dict(zip(names, (cost for _, cost in drawn), strict=True))
    found = by_worth(snr_db, costs)
    assert sorted(found) == sorted(names)
    for a, b in pairwise(found):
        assert snr_db[a] <= snr_db[b] + 1e-6 or costs[a] <= costs[b]


@pytest.mark.parametrize("net", subjects.NETS)
def test_every_layer_of_a_network_has_a_cost(net: Callable[[Path], Model], tmp_path: Path) -> None:
    found = layers(net(tmp_path))
    costs = float_costs(found, {})
    assert costs.keys() == {one.name for one in found} and min(costs.values()) > 0


def test_layer_that_reads_the_image_has_few_channels(tmp_path: Path) -> None:
    found = layers(subjects.branches(tmp_path))
    assert of_few_channels(found) == ["stem"]
    unknown = Layer("odd", "Conv", None, (), (), 1, None, None)
    product = Layer("fc", "Gemm", None, (1, 8), (1, 4), 32, 32, None)
    assert of_few_channels([unknown, product]) == []

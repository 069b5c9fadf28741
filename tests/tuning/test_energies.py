"""One graph for all variants gives what separate runs of whole graphs give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from edgeq.calibration import statistics
from edgeq.calibration.statistics import Statistics
from edgeq.graph.merging import Merged
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.runtimes.qdq import qdq_nodes
from edgeq.spec.quantize import Activations, Quantize
from edgeq.stages.prepare import Prepared
from edgeq.tuning import variants
from edgeq.tuning.compared import compared_tensors
from edgeq.tuning.energies import Energies, energies
from edgeq.tuning.journal import Journal
from edgeq.tuning.stopping import Budget
from tests.tuning.subjects import (
    ENGINES,
    NETS,
    float_outputs,
    images,
    prepared,
    quantized_outputs,
)

QUANTIZE = Quantize(activations=Activations(calibrator="percentile", percentile=99.9))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=NETS, ids=lambda net: net.__name__)
def start(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> Prepared:
    make: Callable[[Path], Model] = request.param
    return prepared(make(tmp_path), images(tmp_path, 6), engine, QUANTIZE)


def seen(start: Prepared) -> Statistics:
    return statistics.gather(
        start.model, start.wanted, start.calibration, start.recipe.preprocess, 1
    )


def plans_of(start: Prepared, kind: str) -> dict[str, Plan]:
    found = seen(start)
    make = variants.alone if kind == "alone" else variants.all_but
    whole = variants.everything(start, found)
    assert len(whole.weights) >= 3
    return {node: make(start, found, node) for node in whole.weights} | {"everything": whole}


def measured(start: Prepared, plans: Mapping[str, Plan], key: str = "key") -> Energies:
    files = list(start.calibration)
    return energies(start, plans, files, "alone", Journal(key), Budget(None), lambda _: None)


@pytest.mark.parametrize("kind", ["alone", "all but"])
def test_equal_those_of_separate_graphs(start: Prepared, kind: str) -> None:
    plans = plans_of(start, kind)

    found = measured(start, plans)

    expected = _naive(start, plans)
    np.testing.assert_allclose(found.signal, expected.signal, rtol=1e-5)
    # A value half way between two integers may round either way after another order of sums.
    least = 1e-7 * float(expected.signal.max())
    np.testing.assert_allclose(found.noise, expected.noise, rtol=0.02, atol=least)


def _squares(arrays: list[np.ndarray], axes: list[tuple[int, ...]]) -> np.ndarray:
    parts = zip(arrays, axes, strict=True)
    return np.concatenate([np.square(a, dtype=np.float64).sum(axis).ravel() for a, axis in parts])


def test_ranking_equals_that_of_separate_graphs(start: Prepared) -> None:
    plans = plans_of(start, "alone")

    found, separate = (_figures(one(start, plans)) for one in (measured, _naive))

    np.testing.assert_allclose(found, separate, atol=0.05)
    assert np.argsort(found).tolist() == np.argsort(separate).tolist()


def _figures(found: Energies) -> list[float]:
    return [snr_db for snr_db in found.snr_db() if snr_db is not None]


def _naive(start: Prepared, plans: Mapping[str, Plan]) -> Energies:
    """By one run of a whole graph a variant."""
    expected = float_outputs(start, start.calibration)
    axes = list(compared_tensors(start.model).values())
    rows = []
    for plan in plans.values():
        pairs = zip(expected, quantized_outputs(start, plan, start.calibration), strict=True)
        errors = [[a - b for a, b in zip(one, other, strict=True)] for one, other in pairs]
        rows.append(sum(_squares(arrays, axes) for arrays in errors))
    signal = np.asarray(sum(_squares(arrays, axes) for arrays in expected))
    return Energies(len(expected), signal, np.array(rows))


def test_one_layer_alone_is_one_layer(start: Prepared) -> None:
    plans = plans_of(start, "alone")
    for node, plan in plans.items():
        if node != "everything":
            assert set(plan.weights) == {node}


def test_all_but_one_lacks_one(start: Prepared) -> None:
    plans = plans_of(start, "all but")
    layers = set(plans["everything"].weights)
    for node, plan in plans.items():
        if node != "everything":
            assert set(plan.weights) == layers - {node}


def test_clean_nodes_are_shared_and_all_others_are_not(start: Prepared) -> None:
    model = start.model
    for plan in plans_of(start, "alone").values():
        merged = Merged(model)
        before = len(merged.nodes)
        nodes, constants = qdq_nodes(model, plan)
        names = merged.add(nodes, constants)

        dirty: set[str] = set()
        for node in nodes:
            is_pair = node.op_type in ("QuantizeLinear", "DequantizeLinear")
            if is_pair or dirty.intersection(node.input):
                dirty.update(node.output)
        made = [name for node in nodes for name in node.output]
        shared = {name for name in made if names[name] == name and name in model.producers}
        assert shared == set(made) - dirty
        assert len(merged.nodes) - before <= sum(bool(dirty & {*n.output}) for n in nodes)

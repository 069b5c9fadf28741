"""Training brings a quantized network nearer to float, and changes nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeq.graph.model import Model
from edgeq.progress import silent
from edgeq.quantization import arithmetic
from edgeq.quantization.neighbours import PAIR_LIMIT, neighbours_of, rows_of
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.reconstruction import training
from edgeq.repair.refinement import plan_for
from edgeq.runtimes import runtime
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import target as targets
from edgeq.spec.repair import Reconstruct

from ...nets import Net
from ...runtimes.builds import run
from .nets import chain, images, planned

pytest.importorskip("torch")

from edgeq.repair.reconstruction.reconstruct import (
    CACHE,
    Reconstruction,
    Subject,
    reconstruct,
)

QUICK = Reconstruct(iterations=25)
Simulation = Callable[[Model, Plan], bytes]


def trained(
    model: Model,
    plan: Plan,
    options: Reconstruct = QUICK,
    key: str = "key",
    seed: int = 0,
    rigid: bool = False,
) -> Reconstruction:
    x = images(16)
    subject = Subject(model, plan, x[:, np.newaxis] if rigid else x, rigid)
    return reconstruct(subject, options, seed, key, write_qdq, 1, silent)


def error(model: Model, plan: Plan, exact: Model) -> float:
    """Squared error of the output, on images that were not trained on."""
    total = 0.0
    for x in images(8, seed=1):
        found = run(write_qdq(model, plan), x[np.newaxis])["last"]
        expected = run(exact.proto.SerializeToString(), x[np.newaxis])["last"]
        total += float(np.square(found - expected).sum())
    return total


def coarse(plan: Plan) -> Plan:
    """The plan with weights in 6 bits, so that their rounding is most of the error."""
    weights = {
        name: replace(one, bits=6, scales=tuple(s * 127 / 31 for s in one.scales))
        for name, one in plan.weights.items()
    }
    return replace(plan, weights=weights)


@pytest.mark.usefixtures("edgeq_home")
@pytest.mark.parametrize("options", [QUICK, QUICK.model_copy(update={"weights": False})])
def test_trained_network_is_nearer_to_float_on_other_images(
    options: Reconstruct, tmp_path: Path
) -> None:
    model = chain(tmp_path)
    plan = coarse(planned(model))
    found = trained(model, plan, options)
    made = with_constants(model, found.constants, "")
    assert max(found.gains) < 1
    enough = 0.9 if options.weights else 1.0
    assert error(made, plan_for(made, plan), model) < enough * error(model, plan, model)
    kinds = {index for _, index in found.constants}
    assert kinds == ({1, 2} if options.weights else {2})


@pytest.mark.usefixtures("edgeq_home")
def test_what_is_not_trained_is_written_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LEARNING_RATE", 0.0)
    model = chain(tmp_path)
    plan = planned(model)
    found = trained(model, plan)
    made = with_constants(model, found.constants, "")
    assert write_qdq(made, plan_for(made, plan)) == write_qdq(model, plan)


def test_the_same_is_learned_twice_and_another_by_another_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = chain(tmp_path)
    plan = coarse(planned(model))
    found = []
    for home, seed in (("one", 0), ("other", 0), ("third", 1)):
        monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / home))
        found.append(trained(model, plan, seed=seed).constants)
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def same(
    first: dict[tuple[str, int], NDArray[np.float32]],
    other: dict[tuple[str, int], NDArray[np.float32]],
) -> bool:
    return first.keys() == other.keys() and all(np.array_equal(first[k], other[k]) for k in first)


@pytest.mark.usefixtures("edgeq_home")
def test_killed_run_goes_on_behind_the_segments_that_it_had_done(tmp_path: Path) -> None:
    model = chain(tmp_path, depth=20)
    plan = planned(model)
    quick = Reconstruct(iterations=2)
    whole = trained(model, plan, quick, key="whole")
    stopped: list[int] = []

    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        stopped.append(done)
        if done == 3:
            raise KilledError

    x = images(16)
    with pytest.raises(KilledError):
        reconstruct(Subject(model, plan, x, False), quick, 0, "cut", write_qdq, 1, kill)
    assert CACHE.read("cut/0") is not None and CACHE.read("cut/1") is None
    seen: list[int] = []
    again = reconstruct(
        Subject(model, plan, x, False),
        quick,
        0,
        "cut",
        write_qdq,
        1,
        lambda stage, done, total: seen.append(done),
    )
    assert 1 not in seen and same(again.constants, whole.constants)


@pytest.mark.usefixtures("edgeq_home")
def test_network_of_a_fixed_size_is_trained_on_its_own(tmp_path: Path) -> None:
    model = chain(tmp_path)
    plan = coarse(planned(model))
    found = trained(model, plan, rigid=True)
    made = with_constants(model, found.constants, "")
    assert error(made, plan_for(made, plan), model) < error(model, plan, model)


@pytest.mark.usefixtures("edgeq_home")
def test_neighbours_stay_within_what_a_kernel_adds_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LEARNING_RATE", 0.2)
    model = chain(tmp_path)
    plan = planned(model, pair_limit=PAIR_LIMIT)
    found = trained(model, plan, Reconstruct(iterations=10))
    made = with_constants(model, found.constants, "")
    nodes = {node.name: node for node in made.nodes}
    assert any(index == 1 for _, index in found.constants)
    for name, one in plan_for(made, plan).weights.items():
        weight = np.asarray(made.constant(one.tensor), np.float32)
        scales = np.array(one.scales, np.float32)
        integers = arithmetic.quantize_weights(weight, scales, one.axis, one.bits)
        neighbours = neighbours_of(nodes[name], weight.shape, PAIR_LIMIT)
        assert neighbours is not None
        assert not neighbours.over(rows_of(nodes[name], integers.astype(np.float32))).any()


@pytest.mark.usefixtures("edgeq_home")
def test_operand_that_is_constant_goes_through_no_segment(tmp_path: Path) -> None:
    net = Net(3, 16)
    x = "x"
    for index in range(12):
        x = net.conv(x, f"conv{index}", (4, 3 if index == 0 else 4, 3, 3))
    factor = net.constant("factor", np.full((1, 4, 1, 1), 0.5, np.float32))
    net.conv(net.node("Mul", [net.silu(x, "silu"), factor], "scaled"), "last", (2, 4, 1, 1))
    model = net.model(tmp_path, ["last"])
    rules, _ = runtime("litert").placement(targets.load("arm-cpu-tflite"), None)
    plan = planned(model, rules=rules)
    assert any(name in model.initializers for name in plan.tensors)
    subject = Subject(model, plan, images(20, side=16), rigid=False)
    found = reconstruct(subject, Reconstruct(iterations=2), 0, "key", write_qdq, 1, silent)
    assert len(found.gains) > 1


@pytest.mark.usefixtures("edgeq_home")
def test_layers_without_a_bias_of_their_own_learn_none(tmp_path: Path) -> None:
    net = Net(3, 8)
    weight = net.constant("w", net.rng.standard_normal((8, 4)).astype(np.float32))
    net.node("MatMul", ["x", weight], "product")
    model = net.model(tmp_path, ["product"])
    plan = planned(model)
    subject = Subject(model, plan, images(8, side=8), rigid=False)
    options = Reconstruct(weights=False, iterations=2)
    assert not reconstruct(subject, options, 0, "key", write_qdq, 1, silent).constants

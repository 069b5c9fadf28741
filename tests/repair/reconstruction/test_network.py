"""A plan's graph in PyTorch: what is written, and gradients that are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeq.repair.reconstruction.graphs import float_parts, quantized_parts
from edgeq.repair.reconstruction.layers import TrainedLayer
from edgeq.repair.reconstruction.network import Network
from edgeq.repair.reconstruction.segments import segments
from edgeq.repair.reconstruction.training import Schedule, computed
from edgeq.runtimes.qdq import write_qdq

from ...nets import Net
from ...runtimes.builds import run
from .nets import chain, images, planned

torch = pytest.importorskip("torch")


def snr_db(found: object, expected: object) -> float:
    a, b = (np.asarray(value, np.float64) for value in (found, expected))
    return float(10 * np.log10((b**2).sum() / max(((a - b) ** 2).sum(), 1e-300)))


def test_float_network_is_onnx_runtimes(tmp_path: Path) -> None:
    model, x = chain(tmp_path), images(1)
    made = Network(model.proto).run(model.nodes, {"x": torch.from_numpy(x)}, ["last"])
    expected = run(model.proto.SerializeToString(), x)["last"]
    assert snr_db(made["last"].numpy(), expected) > 110


def test_first_layer_is_rounded_as_onnx_runtime_rounds_it(tmp_path: Path) -> None:
    model, x = chain(tmp_path), images(1)
    plan = planned(model)
    proto = onnx.load_model_from_string(write_qdq(model, plan))
    proto.graph.output.append(onnx.ValueInfoProto(name="first"))
    cut = segments(model, plan.weights)
    part = quantized_parts(model, proto, cut)[0]
    nodes = {node.name: node for node in model.nodes}
    layers = {
        name: TrainedLayer(model, nodes[name], plan.weights[name], 0.0, "cpu")
        for name in cut[0].layers
    }
    schedule = Schedule(iterations=1, batch=1, seed=0, rigid=False, device="cpu")
    values = {"x": torch.from_numpy(x)}
    found = computed(Network(proto), part.nodes, values, ["first"], schedule, layers)
    assert snr_db(found["first"].numpy(), run(proto.SerializeToString(), x)["first"]) > 70


def test_gradients_are_those_of_finite_differences(tmp_path: Path) -> None:
    model = chain(tmp_path, side=8)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in proto.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float64), tensor.name))
    network = Network(proto)
    x = torch.from_numpy(images(1, side=8)).double().requires_grad_()

    def made(values: object) -> object:
        return network.run(model.nodes, {"x": values}, ["last"])["last"]

    assert torch.autograd.gradcheck(made, (x,))


def test_straight_through_gradient_is_one_inside_of_the_range_and_none_outside(
    tmp_path: Path,
) -> None:
    model = chain(tmp_path)
    network = Network(onnx.load_model_from_string(write_qdq(model, planned(model))))
    pair = network.nodes[:1]
    assert pair[0].op_type == "QuantizeLinear"
    x = torch.tensor([-1.0, 0.25, 0.5, 2.0], requires_grad=True)
    [out] = network.run(pair, {"x": x}, list(pair[0].output)).values()
    out.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_segments_hold_every_layer_once_and_hand_on_what_is_read(tmp_path: Path) -> None:
    model = chain(tmp_path, depth=20)
    plan = planned(model)
    found = segments(model, plan.weights)
    assert len(found) > 1
    assert sorted(name for one in found for name in one.layers) == sorted(plan.weights)
    assert all(len(one.layers) <= 9 for one in found)
    # Behind each sum one tensor goes on; a cut elsewhere would take two.
    assert all(len(one.outputs) == 1 for one in found)
    proto = onnx.load_model_from_string(write_qdq(model, plan))
    for parts in (float_parts(model, found), quantized_parts(model, proto, found)):
        known = {"x", *(tensor.name for tensor in proto.graph.initializer), *model.initializers}
        for part in parts:
            for node in part.nodes:
                inputs = [n for i, n in enumerate(node.input) if n and i not in _own(node)]
                assert known.issuperset(inputs)
                known.update(node.output)
            known = known - {n for node in part.nodes for n in node.output} | {*part.live}


def _own(node: onnx.NodeProto) -> tuple[int, ...]:
    """What of a layer comes from outside: its weight and its bias."""
    return (1, 2) if node.op_type == "Conv" else ()


def test_bias_that_is_not_learned_is_there_all_the_same(tmp_path: Path) -> None:
    net = Net(3, 4)
    flat = net.node("Flatten", ["x"], "flat")
    for name, shape in (("w", (48, 4)), ("b", (4,))):
        net.constant(name, net.rng.standard_normal(shape).astype(np.float32))
    net.node("Gemm", [flat, "w", "b"], "out", beta=0.5)
    model = net.model(tmp_path, ["out"])
    plan, x = planned(model), images(1, side=4)
    proto = onnx.load_model_from_string(write_qdq(model, plan))
    cut = segments(model, plan.weights)
    [part], [node] = quantized_parts(model, proto, cut), [n for n in model.nodes if n.name == "out"]
    layers = {"out": TrainedLayer(model, node, plan.weights["out"], 0.0, "cpu")}
    schedule = Schedule(iterations=1, batch=1, seed=0, rigid=False, device="cpu")
    values = {"x": torch.from_numpy(x)}
    found = computed(Network(proto), part.nodes, values, ["out"], schedule, layers)
    assert snr_db(found["out"].numpy(), run(proto.SerializeToString(), x)["out"]) > 40

"""How much of a model is int8, and what lies in float between."""

from __future__ import annotations

from pathlib import Path

from edgeq.graph.tail import find_tail
from edgeq.quantization.coverage import between, coverage
from edgeq.quantization.decide import decide, resolve_choices
from edgeq.spec.quantize import Quantize

from ..nets import Net
from ..runtimes.builds import placement


def test_what_is_float_between_int8_is_counted_by_type(tmp_path: Path) -> None:
    net = Net(channels=4)
    q, k, v = (net.conv("x", name, (4, 4, 1, 1)) for name in "qkv")
    scores = net.node("Softmax", [net.node("MatMul", [q, k], "scores")], "soft", axis=-1)
    last = net.conv(net.node("MatMul", [scores, v], "mixed"), "last", (4, 4, 1, 1))
    net.node("Exp", [last], "end")
    model = net.model(tmp_path, ["end"])
    decisions = decide(model, find_tail(model), resolve_choices(model, Quantize()), placement())

    # Exp has nothing in int8 behind it, and nothing lies before the first layer.
    assert between(model, decisions) == {"MatMul": 2, "Softmax": 1}
    found = coverage(model, decisions)
    assert (found.layers, found.layers_int8, found.unknown) == (6, 4, 0)
    assert found.macs == 4 * 4 * 4 * 64 + 2 * 4 * 8 * 8 * 8
    assert found.macs_int8 == 4 * 4 * 4 * 64 and found.warning().startswith("only 50%") is False
    assert found.reasons == {"both inputs of this MatMul are computed, as in attention": 2}

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeq.repair.constants import with_constants

from ..nets import Net


def test_constant_that_another_node_reads_stays_there_what_it_was(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Relu", [net.conv("x", "first", (3, 3, 3, 3), bias=False)], "relu")
    made = net.node("Conv", [x, "first.w"], "second", pads=[1] * 4)
    model = net.model(tmp_path, [made])
    shared = model.nodes[0].input[1]
    changed = with_constants(model, {("second", 1): np.zeros((3, 3, 3, 3), np.float32)}, "why")
    first, second = (n for n in changed.nodes if n.op_type == "Conv")
    assert (changed.constant(first.input[1]) == model.constant(shared)).all()
    assert not changed.constant(second.input[1]).any()
    assert model.nodes[-1].input[1] == shared


def test_hash_depends_on_model_and_reason(tmp_path: Path) -> None:
    net = Net()
    model = net.model(tmp_path, [net.conv("x", "conv", (3, 3, 3, 3))])
    hashes = {with_constants(model, {}, reason).sha256 for reason in ("one", "other")}
    assert len(hashes | {model.sha256}) == 3

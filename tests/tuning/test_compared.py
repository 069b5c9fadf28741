from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import InputError
from edgeq.tuning.compared import compared_tensors
from tests.nets import Net


def test_outputs_are_compared_channel_by_channel(tmp_path: Path) -> None:
    net = Net(channels=3, side=8)
    feature = net.conv("x", "feature", (6, 3, 1, 1))
    rows = net.constant("rows", np.array([1, 6, -1], np.int64))
    columns = net.node("Reshape", [feature, rows], "columns")
    table = net.node("Transpose", [columns], "table", perm=[0, 2, 1])
    model = net.model(tmp_path, [feature, columns, table])

    assert compared_tensors(model) == {"feature": (0, 2, 3), "columns": (0, 2), "table": (0, 1)}


def test_what_a_selection_reads_stands_for_what_it_selects(tmp_path: Path) -> None:
    net = Net(channels=3, side=8)
    flat = net.constant("flat", np.array([1, 2, -1], np.int64))
    scores = net.node("Reshape", [net.conv("x", "head", (2, 3, 1, 1)), flat], "scores")
    count = net.constant("count", np.array([5], np.int64))
    net.node("TopK", [scores, count], "best", outputs=2, axis=2)
    doubled = net.node("Add", ["best.0", "best.0"], "doubled")
    model = net.model(tmp_path, [doubled, scores])

    assert compared_tensors(model) == {"scores": (0, 2)}


def test_a_model_without_anything_to_compare_is_refused(tmp_path: Path) -> None:
    net = Net(channels=3, side=8)
    count = net.constant("count", np.array([5], np.int64))
    net.node("TopK", ["x", count], "best", outputs=2)
    with pytest.raises(InputError, match="nothing that could be compared"):
        compared_tensors(net.model(tmp_path, ["best.0"]))

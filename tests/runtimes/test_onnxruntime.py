from __future__ import annotations

from pathlib import Path

from edgeq.runtimes import runtime
from edgeq.runtimes.onnxruntime import RULES, RUNTIME
from tests.nets import Net

from .builds import placement


def test_every_rule_says_its_name_reason_and_source() -> None:
    assert all(rule.name and rule.reason and rule.source and rule.op_types for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_no_op_type_has_two_rules() -> None:
    op_types = [op_type for rule in RULES for op_type in rule.op_types]

    assert len(op_types) == len(set(op_types))


def test_a_rule_is_found_by_op_type(tmp_path: Path) -> None:
    net = Net()
    net.node("Softmax", [net.node("Sigmoid", [net.conv("x", "one", (4, 3, 1, 1))], "gate")], "soft")
    model = net.model(tmp_path, ["soft"])

    names = {node.op_type: placement().rule(model, node) for node in model.nodes}

    assert {op: rule and rule.name for op, rule in names.items()} == {
        "Conv": "conv",
        "Sigmoid": "gate",
        "Softmax": None,
    }


def test_an_engine_is_found_by_its_name() -> None:
    assert runtime("onnxruntime") is RUNTIME
    assert RUNTIME.name == "onnxruntime"

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import InputError, InputErrors
from edgeq.significance.stopping import StopRule
from edgeq.spec import strategy


def load(tmp_path: Path, text: str) -> strategy.Strategy:
    file = tmp_path / "rollout.yaml"
    file.write_text(text)
    return strategy.load(file)


def test_what_is_written_is_the_rule(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "canary: {count: 3, on: row=a}\nwaves: [5%, 0.2]\n"
        "stop: {tolerated: 1%, feared: 20%, false_stops: 5%}\n",
    )
    assert found.waves == (0.05, 0.2)
    assert found.rule == StopRule(3, 0.01, 0.2, 0.05)


def test_a_number_is_a_canary_and_the_defaults_are_the_rules_own(tmp_path: Path) -> None:
    assert load(tmp_path, "canary: 8\n").rule == StopRule(8)
    assert strategy.Strategy().rule == StopRule(5)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("canary: 0\n", "1", "canary"),
        ("canary: true\n", "1", "canary"),
        ("waves:\n- 50%\n- 10%\n", "1", "growing"),
        ("waves: [100%]\n", "1", "less than 1"),
        ("stop:\n  tolerated: 20%\n  feared: 10%\n", "3", "raise the one"),
        ("canari: 3\n", "1", "canary"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, where: str, words: str
) -> None:
    with pytest.raises((InputError, InputErrors)) as caught:
        load(tmp_path, text)
    assert f"rollout.yaml:{where}: " in str(caught.value)
    assert words in str(caught.value)

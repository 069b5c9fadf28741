from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from edgeq.errors import InputError, InputErrors
from edgeq.significance.stopping import StopRule
from edgeq.spec import strategy


def load(tmp_path: Path, text: str) -> strategy.Strategy:
    file = tmp_path / "rollout.yaml"
    file.write_text(text)
    return strategy.load(file)


def test_rate_is_of_bytes_a_second(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text("rate: {link: 1.5 MB/s, total: 4 MiB}\n")
    assert strategy.load(file).rate == strategy.Rate(link=1_500_000, total=4 * 2**20)


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


def test_hours_may_pass_midnight() -> None:
    night = strategy.Strategy(windows=("22:00-05:00", "12:30-13:00"))
    for text in ("22:00", "23:59", "00:00", "04:59", "12:30", "12:59"):
        assert night.is_open(datetime.time.fromisoformat(text)), text
    for text in ("21:59", "05:00", "12:29", "13:00"):
        assert not night.is_open(datetime.time.fromisoformat(text)), text
    assert strategy.Strategy().is_open(datetime.time(3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("windows: [22-5]\n", "write the hours as '22:00-05:00'"),
        ("windows: ['24:00-05:00']\n", "is no window"),
        ("windows: ['05:00-05:00']\n", "no time at all"),
        ("approval: {by: command}\n", "no command is named"),
        ("approval: {command: [ask]}\n", "by is 'nobody', and a command is named"),
        ("soak: 10 moons\n", "is no time"),
        ("rate: {link: 2 MB/h}\n", "'2 MB/h' is no rate; write bytes a second"),
        ("rate: {total: 0}\n", "greater than 0"),
        ("board: {loads: 2}\n", "greater than or equal to 3"),
        ("stop: {then: pray}\n", "roll-back-all"),
        ("tries: 0\n", "greater than 0"),
    ],
)
def test_what_is_wrong_with_the_rest_is_told_too(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises((InputError, InputErrors)) as caught:
        load(tmp_path, text)
    assert "rollout.yaml:1: " in str(caught.value) and words in str(caught.value)


def test_strategy_comes_back_from_its_own_json() -> None:
    wanted = strategy.Strategy(windows=("22:00-05:00",), soak=60.0, waves=(0.5,))
    again = strategy.Strategy.model_validate(json.loads(wanted.model_dump_json()))
    assert again == wanted

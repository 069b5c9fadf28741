"""What docs/rollout.md says of the strategy is what a strategy is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from edgeq.records.rollout import DEVICE_STATES
from edgeq.spec import strategy
from edgeq.spec.strategy import Strategy

DOCUMENT = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)


def test_values_that_it_gives_are_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(BLOCKS[0])
    assert strategy.load(file) == Strategy()
    file.write_text(BLOCKS[1])
    assert strategy.load(file) != Strategy()
    named = yaml.safe_load(BLOCKS[0]).keys() | yaml.safe_load(BLOCKS[1]).keys()
    assert named == Strategy.model_fields.keys()


def test_every_state_is_told() -> None:
    table = DOCUMENT[DOCUMENT.index("| state |") : DOCUMENT.index("Until a device is activating")]
    first = [line.split("|")[1] for line in table.splitlines()[2:] if line]
    told = [word.strip() for cell in first for word in cell.split(",")]
    assert sorted(told) == sorted(DEVICE_STATES)

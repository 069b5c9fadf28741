"""Who goes when, and what is found when."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgeq.errors import InputError
from edgeq.report.terminal.rollout import percent, render
from edgeq.rollout.plan import plan_rollout
from edgeq.spec.strategy import Canary, Strategy


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A hundred devices; every tenth is in row a."""
    lines = [
        f"  cam{i}: {{address: pi@10.0.0.{i + 1}, labels: {{row: {'a' if i % 10 == 0 else 'b'}}}}}"
        for i in range(100)
    ]
    file = tmp_path / "fleet.yaml"
    file.write_text("\n".join(["defaults: {target: raspberry-pi-5}", "devices:", *lines, ""]))
    return file


def test_every_device_goes_once(fleet: Path) -> None:
    found = plan_rollout(fleet)
    names = [name for wave in found.waves for name in wave.devices]
    assert sorted(names) == sorted(f"cam{i}" for i in range(100))
    assert [wave.boards for wave in found.waves] == [5, 10, 50, 100]
    assert found == plan_rollout(fleet)
    # Not in the order of the file, where neighbours share a site.
    assert names[:5] != [f"cam{i}" for i in range(5)]


def test_canary_is_of_those_that_are_named(fleet: Path) -> None:
    found = plan_rollout(fleet, Strategy(canary=Canary(count=3, on="row=a"), waves=()), "all")
    assert [wave.boards for wave in found.waves] == [3, 100]
    assert all(int(name[3:]) % 10 == 0 for name in found.waves[0].devices)
    with pytest.raises(InputError, match="11 devices were asked for, and there are 10"):
        plan_rollout(fleet, Strategy(canary=Canary(count=11, on="row=a")))
    with pytest.raises(InputError, match="3 devices were asked for, and there are 0"):
        plan_rollout(fleet, Strategy(canary=Canary(count=3, on="row=a")), "row=b")


def test_a_share_that_adds_nobody_is_no_wave(fleet: Path) -> None:
    found = plan_rollout(fleet, Strategy(waves=(0.03, 0.5, 0.504)))
    assert [(wave.name, wave.boards) for wave in found.waves] == [
        ("canary", 5),
        ("wave 1", 50),
        ("wave 2", 100),
    ]


def test_what_is_found_is_told_beside_what_is_not(fleet: Path) -> None:
    found = plan_rollout(fleet)
    by_share = {one.bad_share: one for one in found.odds}
    assert by_share[0.1].seen_by_canary == pytest.approx(1 - 0.9**5)
    assert by_share[0.1].stopped_by == tuple(sorted(by_share[0.1].stopped_by))
    assert by_share[1.0].stopped_by[0] == pytest.approx(1.0)
    assert by_share[0.02].median_boards is None
    assert found.false_stops <= 0.01
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(found))
    text = console.export_text()
    assert "41%" in text and "goes on" in text
    assert "cam" in text and "and 44 more" in text


def test_nearly_nothing_is_not_nothing() -> None:
    shares = (0.0, 0.0001, 0.005, 0.41, 0.9999, 1.0)
    assert list(map(percent, shares)) == ["0%", "<.1%", "0.5%", "41%", ">99.9%", "100%"]

"""Roll-outs to boards over real SSH: one loses its power, one has a link that is slow."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import edgeq
from edgeq.verbs import boards

from ..rollout.barn import QUICK, Barn, make
from ..rollout.pretended import states
from ..rollout.test_boards import INSTALLED
from .board.board import Board
from .board.site import Site
from .boards_support import User, address, current, target_file, user

__all__ = ["user"]

MEASURE = "{warmup_s: 0, max_warmup_s: 1, min_duration_s: 0.1, min_count: 2, max_duration_s: 60}"
# Boards share the cores of this machine with each other: how long something takes says nothing.
BOARD = {**QUICK, "slower_by": "90%", "larger_by": "90%"}
STOP = {"slower_by": "90%"}
# A push takes some 15 s; at half of it nothing would be heard of the board for too long.
RATE_BITS_PER_S = 32e3


@contextmanager
def equipped(
    site: Site, user: User, target: str, count: int, *, emulated: bool
) -> Iterator[list[Board]]:
    """Boards that have what a target needs: one is set up, the others get a copy of its disk."""
    found = [site.board(emulated=emulated) for _ in range(count)]
    first, *others = found
    try:
        first.start()
        user.meet(*found)
        assert boards.setup(target, address(first)).ready
        first.crash()
        folder = Path("upper") / "home" / first.user
        for board in others:
            source, there = (str(one.folder / folder) for one in (first, board))
            subprocess.run(["cp", "-a", f"{source}/.edgeq", there], check=True)
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(Board.start, found))
        yield found
    finally:
        site.stop(found)


def barn_of(demo: Path, folder: Path, target: str, known: dict[str, Board]) -> Barn:
    """A recipe and a fleet of boards."""
    barn = make(demo, folder, 0)
    barn.recipe.write_text(re.sub(r"measure: .*", f"measure: {MEASURE}", barn.recipe.read_text()))
    [key] = {str(board.key) for board in known.values()}
    lines = [f"  {name}: {board.user}@{board.address}" for name, board in known.items()]
    head = f"defaults: {{target: {target}, identity: {key}}}"
    barn.fleet.write_text("\n".join([head, "devices:", *lines, ""]))
    return barn


CANARY = {"canary": {"count": 1, "on": "name=cam0"}, "board": BOARD}


@pytest.mark.long
def test_board_without_power_is_put_off_and_all_get_it_and_go_back(
    site: Site, user: User, small_demo: Path, tmp_path: Path
) -> None:
    with equipped(site, user, "arm-cpu-ort", 4, emulated=True) as herd:
        known = {f"cam{number}": board for number, board in enumerate(herd)}
        barn = barn_of(small_demo, tmp_path / "barn", "arm-cpu-ort", known)
        artifact = lose_power_while_it_measures(barn, known)
        # What follows takes turns, which take minutes there.
        barn.next_release()
        strategy = barn.strategy(**CANARY, stop=STOP)
        second = edgeq.start_rollout(barn.recipe, barn.fleet, strategy, on="name in (cam0, cam2)")
        assert states(second) == {**dict.fromkeys(("cam0", "cam2"), INSTALLED), "": ["done"]}
        devices = edgeq.rollout_status(second.id).devices
        assert {device.before for device in devices} == {artifact}
        assert all(device.losses for device in devices)
        [newer] = {device.artifact_id for device in devices}
        assert [current(board) for board in herd] == [newer, artifact] * 2
        back = ["rolling back", "rolled back"]
        goes = states(edgeq.roll_back_rollout(second.id))
        assert goes == dict.fromkeys(("cam0", "cam2", ""), back)
        assert {current(board) for board in herd} == {artifact}


def lose_power_while_it_measures(barn: Barn, known: dict[str, Board]) -> str:
    """The first release, which all have in the end."""
    strategy = barn.strategy(**CANARY, tries=1)
    first = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
    seen: dict[str, list[str]] = {}
    for event in first:
        seen.setdefault(event.device or "", []).append(event.state)
        if (event.device, event.state) == ("cam2", "measuring"):
            known["cam2"].crash()
    # It is tried once more behind all others.
    assert seen.pop("cam2") == [*INSTALLED[:4], "deferred", "checking", "deferred"]
    assert seen == {**dict.fromkeys(("cam0", "cam1", "cam3"), INSTALLED), "": ["done"]}
    status = edgeq.rollout_status(first.id)
    assert (status.state, status.exit_code) == ("done", 3)
    [lost] = [device for device in status.devices if device.state == "deferred"]
    assert (lost.device, lost.failure) == ("cam2", "transient")

    known["cam2"].start()
    assert current(known["cam2"]) is None
    assert states(edgeq.retry_rollout(first.id)) == {"cam2": INSTALLED, "": ["done"]}
    [artifact] = {device.artifact_id for device in edgeq.rollout_status(first.id).devices}
    assert artifact is not None
    assert {current(board) for board in known.values()} == {artifact}
    return artifact


@pytest.mark.long
def test_slow_link_of_one_board_holds_up_no_other(
    site: Site, user: User, small_demo: Path, tmp_path: Path
) -> None:
    file = target_file(tmp_path)
    file.write_text(file.read_text().replace("int8", "probe"))
    target = str(file)
    with equipped(site, user, target, 4, emulated=False) as herd:
        known = {f"cam{number}": board for number, board in enumerate(herd)}
        barn = barn_of(small_demo, tmp_path / "barn", target, known)
        strategy = barn.strategy(**CANARY, at_once=2)
        slow, *others = edgeq.plan_rollout(barn.fleet, strategy).waves[1].devices
        known[slow].rate(RATE_BITS_PER_S)
        healthy: list[str] = []
        begun: list[str] = []
        for event in edgeq.start_rollout(barn.recipe, barn.fleet, strategy):
            if event.device is not None and event.state == "checking":
                begun.append(event.device)
            if event.device is not None and event.state == "healthy":
                healthy.append(event.device)
                if set(others) <= set(healthy):
                    known[slow].rate(None)
    # It has one of two places for as long as it takes, and they go through the other one.
    assert set(begun[:3]) == {"cam0", slow, others[0]}
    assert healthy == ["cam0", *others, slow]

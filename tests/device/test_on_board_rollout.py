"""Roll-outs to boards over real SSH: one loses its power, one has a link that is slow."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
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
RATE_BITS_PER_S = 16e3


def equipped(site: Site, user: User, target: str, count: int, *, emulated: bool) -> list[Board]:
    """Boards that have what a target needs: one is set up, the others get a copy of its disk."""
    [first] = site.start(1, emulated=emulated)
    user.meet(first)
    assert boards.setup(target, address(first)).ready
    first.crash()
    found = [first, *(site.board(emulated=emulated) for _ in range(count - 1))]
    folder = Path("upper") / "home" / first.user
    for board in found[1:]:
        copied = [str(one.folder / folder) for one in (first, board)]
        subprocess.run(["cp", "-a", f"{copied[0]}/.edgeq", copied[1]], check=True)
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(Board.start, found))
    user.meet(*found[1:])
    return found


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
    herd = equipped(site, user, "arm-cpu-ort", 4, emulated=True)
    known = {f"cam{number}": board for number, board in enumerate(herd)}
    barn = barn_of(small_demo, tmp_path / "barn", "arm-cpu-ort", known)
    strategy = barn.strategy(**CANARY, tries=1, stop={"slower_by": "90%"})
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
    assert {current(board) for board in herd} == {artifact}

    barn.next_release()
    second = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
    assert states(second) == {**dict.fromkeys(known, INSTALLED), "": ["done"]}
    status = edgeq.rollout_status(second.id)
    assert status.exit_code == 0 and {device.before for device in status.devices} == {artifact}
    assert all(device.losses for device in status.devices)
    [newer] = {device.artifact_id for device in status.devices}
    assert newer != artifact and {current(board) for board in herd} == {newer}
    back = ["rolling back", "rolled back"]
    assert states(edgeq.roll_back_rollout(second.id)) == dict.fromkeys([*known, ""], back)
    assert {current(board) for board in herd} == {artifact}
    site.stop(herd)


@pytest.mark.long
def test_slow_link_of_one_board_holds_up_no_other(
    site: Site, user: User, small_demo: Path, tmp_path: Path
) -> None:
    file = target_file(tmp_path)
    file.write_text(file.read_text().replace("int8", "probe"))
    target = str(file)
    herd = equipped(site, user, target, 4, emulated=False)
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
    assert set(begun[:3]) == {"cam0", slow, others[0]} and len(begun) == 4
    assert healthy == ["cam0", *others, slow]
    site.stop(herd)

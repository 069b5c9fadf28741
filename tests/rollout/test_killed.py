"""Controllers that are killed at moments drawn by chance: the end is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import edgeq
from edgeq.artifact import archive
from edgeq.records.rollout import ENDED, UNFINISHED, DeviceProgress, RolloutEvent, RolloutStatus
from edgeq.store import open_store, rollouts

from .barn import QUICK, Barn, make
from .pretended import states
from .test_boards import let_go

SEEDS, SAMPLED = 50, (6, 7)
BOARDS = 3
# What other work on this machine does to a comparison of a moment is no matter here; and one bad
# device is enough to stop.
BOARD = {**QUICK, "slower_by": "90%", "larger_by": "90%"}
STOP = {"tolerated": "1%", "feared": "50%", "false_stops": "50%", "slower_by": "90%"}
# One process that has all of edgeq in memory; its children are the controllers.
STARTER = """
import json, os, signal, sys
import edgeq, edgeq.rollout.verbs
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order = json.loads(line)
    with open(order["says"], "w", buffering=1) as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os.environ["EDGEQ_HOME"] = order["home"]
        rollout = getattr(edgeq, order["verb"])(*order["arguments"])
        print("id", rollout.id, flush=True)
        for event in rollout:
            print(event.device or "all", event.state, flush=True)
    os._exit(0)
"""


@dataclass
class Process:
    """A controller in a process of its own."""

    file: int
    said: Path

    def says(self, word: str) -> bool:
        """Whether it says a word before it ends."""
        is_over = False
        while word not in self.said.read_text():
            if is_over:
                return False
            is_over = self.ends(0.01)
        return True

    def ends(self, within_s: float) -> bool:
        """Whether it ends by itself so soon."""
        return bool(select.select([self.file], [], [], within_s)[0])

    def kill(self) -> None:
        """Returns when nothing of it runs any more; its boards' agents find out for themselves."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.file, signal.SIGKILL)
        assert self.ends(30.0)
        os.close(self.file)
        assert "Traceback" not in self.said.read_text()


Start = Callable[..., Process]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts controllers."""
    folder = tmp_path_factory.mktemp("said")
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        ask, answer = starter.stdin, starter.stdout
        assert ask is not None and answer is not None
        with closing(ask):
            count = 0

            def begin(verb: str, *arguments: str | Path) -> Process:
                nonlocal count
                count += 1
                said = folder / str(count)
                said.touch()
                order = {
                    "says": str(said),
                    "home": os.environ["EDGEQ_HOME"],
                    "verb": verb,
                    "arguments": list(map(str, arguments)),
                }
                print(json.dumps(order), file=ask, flush=True)
                return Process(os.pidfd_open(int(answer.readline())), said)

            yield begin


@dataclass
class Undisturbed:
    """What comes of a roll-out that nobody kills, and how long that took."""

    status: RolloutStatus
    seconds: float
    back_s: float
    """of going back, at its end"""


@dataclass
class Kind:
    """A roll-out of some kind, on new boards."""

    is_update: bool
    is_bad: bool = False
    strategy: dict[str, Any] = field(default_factory=dict)


FRESH, UPDATE = Kind(False), Kind(True)
BAD = Kind(True, True, {"at_once": 1, "stop": {**STOP, "then": "roll-back-all"}})
"""The last of the devices does not keep up, and all go back."""


@pytest.fixture(scope="module")
def ran(small_demo: Path, rolled_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with a release on it."""
    folder = tmp_path_factory.mktemp("ran")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(folder / "home"))
        shutil.copytree(rolled_out / "cache", folder / "home" / "cache")
        barn = make(small_demo, folder, 1)
        states(edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1)))
    return barn.boards["cam0"]


Place = Callable[[Kind, dict[str, Any]], tuple[Barn, Path]]


@pytest.fixture
def place(small_demo: Path, rolled_out: Path, ran: Path, edgeq_home: Path, tmp_path: Path) -> Place:
    """Makes new boards of a kind and a strategy; both releases were built before."""
    shutil.copytree(rolled_out / "cache", edgeq_home / "cache")

    def put(kind: Kind, strategy: dict[str, Any]) -> tuple[Barn, Path]:
        folder = tmp_path / f"barn{len(list(tmp_path.iterdir()))}"
        barn = make(small_demo, folder, BOARDS)
        given = {"canary": 1, "board": BOARD, "stop": STOP, "tries": 8, **strategy, **kind.strategy}
        file = barn.strategy(**given)
        if kind.is_update:
            barn.next_release()
            for root in barn.boards.values():
                shutil.copytree(ran, root, symlinks=True)
        if kind.is_bad:
            last = edgeq.plan_rollout(barn.fleet, file).waves[-1].devices[-1]
            text = barn.fleet.read_text().replace(f"{last}: {{", f"{last}: {{frame_rate: 1.0e+6, ")
            barn.fleet.write_text(text)
        return barn, file

    return put


known: dict[str, Undisturbed] = {}


def undisturbed(place: Place, kind: Kind, soak: float | None) -> Undisturbed:
    """What comes of such a roll-out; asked once."""
    key = repr((kind, soak))
    if key not in known:
        barn, file = place(kind, {"soak": soak})
        began = time.monotonic()
        rollout, stopped = edgeq.start_rollout(barn.recipe, barn.fleet, file), None
        for event in rollout:
            stopped = time.monotonic() if event.state == "stopping" else stopped
        ended = time.monotonic()
        back_s = ended - stopped if stopped is not None else 0.0
        known[key] = Undisturbed(edgeq.rollout_status(rollout.id), ended - began, back_s)
    return known[key]


def logged(rollout: str) -> list[tuple[int, RolloutEvent]]:
    """The events of its journal, with the number of each."""
    return rollouts.events(open_store(), rollout)


def told(status: RolloutStatus) -> list[tuple[object, ...]]:
    """What has to be the same, whoever brought it to its end."""
    return [
        (one.device, one.wave, one.state, one.failure, one.before, one.artifact_id, one.may_have_it)
        for one in status.devices
    ]


def may_run(row: DeviceProgress, before: str | None) -> set[str | None]:
    """What a device may run while its line of the journal is this."""
    match row.state:
        case "healthy" | "soaking":
            return {row.artifact_id}
        case "activating" | "rolling back":
            return {before, row.artifact_id}
    return {before}


def require_agreement(barn: Barn, status: RolloutStatus, before: str | None) -> None:
    """The boards are as the journal has them, every byte of what is current, and so are events."""
    current = barn.current()
    for row in status.devices:
        allowed = may_run(row, before)
        assert current[row.device] in allowed, row
        if current[row.device] is not None:
            # The agent of a controller that was killed may switch at this moment.
            assert archive.read(barn.boards[row.device] / "current").id in allowed
    last: dict[str | None, str] = {}
    for _, event in logged(status.id):
        last[event.device] = event.state
    for row in status.devices:
        assert last.get(row.device, "pending") == row.state


def generations(barn: Barn) -> dict[str, str]:
    """The newest controller that each board heard."""
    files = {name: root / "generation" for name, root in barn.boards.items()}
    return {name: file.read_text() if file.exists() else "" for name, file in files.items()}


class Look:
    """How a roll-out and its boards stand when its controller was killed, or at its end."""

    def __init__(self, barn: Barn, rollout: str) -> None:
        self.status = edgeq.rollout_status(rollout)
        self.states = {row.device: row.state for row in self.status.devices}
        self.heard = generations(barn)
        self.count = max((number for number, _ in logged(rollout)), default=0)

    def require_untouched(self, later: Look) -> None:
        """What had ended was left alone since, but for what goes back."""
        since = [event for number, event in logged(self.status.id) if number > self.count]
        for name, state in self.states.items():
            seen = [event.state for event in since if event.device == name]
            if state == "healthy" and seen and "stopping" in [event.state for event in since]:
                assert set(seen) <= {"rolling back", "rolled back"}, name
            elif state in ENDED:
                assert (seen, self.heard[name]) == ([], later.heard[name]), name


@pytest.mark.parametrize(
    "seed", [pytest.param(n, marks=[] if n in SAMPLED else pytest.mark.long) for n in range(SEEDS)]
)
def test_end_is_that_of_a_run_that_nobody_killed(start: Start, place: Place, seed: int) -> None:
    chance = random.Random(seed)
    kind = BAD if seed % 12 == 5 else UPDATE if seed % 2 else FRESH
    soak = None if kind.is_update else chance.choice((None, 0.3))  # turns are dear
    expected = undisturbed(place, kind, soak)
    barn, file = place(kind, {"at_once": chance.choice((1, 3)), "soak": soak})
    before = barn.current()["cam0"]
    looks: list[Look] = []
    process = start("start_rollout", barn.recipe, barn.fleet, file)
    for _ in range(chance.randint(1, 2)):
        # Going back takes a moment only, in which some are to be killed.
        goes_back = kind.is_bad and chance.random() < 0.7
        assert process.says("id ")
        if not goes_back or process.says("all stopping"):
            process.ends(chance.uniform(0.0, expected.back_s if goes_back else expected.seconds))
        process.kill()
        looks.append(Look(barn, process.said.read_text().split()[1]))
        status = looks[-1].status
        print(f"seed {seed}: killed,", status.state, list(looks[-1].states.values()))
        require_agreement(barn, status, before)
        if status.state not in UNFINISHED:
            break
        let_go(status.id)
        process = start("resume_rollout", status.id)
    else:
        assert process.ends(120.0)
        process.kill()
    looks.append(Look(barn, status.id))
    for earlier, later in pairwise(looks):
        earlier.require_untouched(later)
    status = looks[-1].status
    print(f"seed {seed}: ended,", status.state, list(looks[-1].states.values()))
    assert (status.state, told(status)) == (expected.status.state, told(expected.status))
    assert not status.is_worked_on
    require_agreement(barn, status, before)

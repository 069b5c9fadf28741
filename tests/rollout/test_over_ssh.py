"""Roll-outs to hosts with a real sshd, the real agent and engine, and what happens to them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import edgeq
from edgeq.records.rollout import DeviceProgress, DeviceState, RolloutStatus
from edgeq.store.journal import RolloutJournal
from tests.device.sshd import USER, Home, Sshd, generate, need, public
from tests.verbs.test_fleet import TARGET

from ..demo_project import acquaint
from .barn import Barn, make
from .pretended import states
from .test_boards import INSTALLED, damage

HOSTS = 5


class Site(NamedTuple):
    """Hosts by name, and the home of who works on them."""

    servers: dict[str, Sshd]
    home: Home


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("sshd")
    folder = tmp_path_factory.mktemp("site")
    found = Site({}, Home(folder / "home"))
    try:
        for number in range(HOSTS):
            place = folder / f"cam{number}"
            place.mkdir()
            found.servers[place.name] = Sshd(place)
            found.servers[place.name].authorize(found.home.key)
        yield found
    finally:
        for server in found.servers.values():
            server.stop()


@pytest.fixture
def hosts(
    site: Site,
    small_demo: Path,
    tmp_path: Path,
    edgeq_home: Path,
    rolled_out: Path,
    known_agent: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Barn:
    """A fleet of them, on which there is nothing but the agent."""
    monkeypatch.setenv("HOME", str(site.home.folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    site.home.known_hosts.write_text("".join(one.known() for one in site.servers.values()))
    shutil.copytree(rolled_out / "cache", edgeq_home / "cache")
    acquaint(edgeq_home / "host", known_agent)
    barn = make(small_demo, tmp_path / "barn", 0)
    root = f"edgeq-{tmp_path.name}"
    (barn.folder / "board.yaml").write_text(TARGET.replace("~/edgeq", f"~/{root}"))
    devices = {name: f"{USER}@127.0.0.1:{one.port}" for name, one in site.servers.items()}
    barn.fleet.write_text(
        yaml.safe_dump({"defaults": {"target": "board.yaml"}, "devices": devices})
    )
    for name, server in site.servers.items():
        barn.boards[name] = server.authorized.parent / root
        acquaint(barn.boards[name], known_agent)
    return barn


def two(barn: Barn) -> None:
    """Leave no more than two of its boards."""
    content = yaml.safe_load(barn.fleet.read_text())
    content["devices"] = {name: content["devices"][name] for name in ("cam0", "cam1")}
    barn.fleet.write_text(yaml.safe_dump(content))
    for name in list(barn.boards)[2:]:
        del barn.boards[name]


def start(barn: Barn, **keys: object) -> str:
    """A roll-out whose canary is cam0, worked on to where it ends; its id."""
    strategy = barn.strategy(canary={"count": 1, "on": "name=cam0"}, **keys)
    rollout = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
    states(rollout)
    return rollout.id


def agreed(barn: Barn, rollout: str) -> RolloutStatus:
    """The status, of a journal that says what is true of each board."""
    status = edgeq.rollout_status(rollout)
    for device in status.devices:
        current = barn.boards[device.device] / "current"
        expected = _expected(device)
        assert (current.resolve().name if current.exists() else None) in expected, device
        if current.exists():
            require_whole(current.resolve())
    return status


def _expected(device: DeviceProgress) -> set[str | None]:
    """What a board may run."""
    if device.state == "healthy" or device.state == "soaking":
        return {device.artifact_id}
    if device.state in ("activating", "rolling back"):
        return {device.artifact_id, device.before}
    return {device.before}


def require_whole(release: Path) -> None:
    manifest = (release / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == release.name
    for name, file in json.loads(manifest)["files"].items():
        content = (release / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"], name


@pytest.fixture
def at_state(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Callable[[], None]], None]:
    """Has something happen, once, when a state of a device was written down and nothing else."""
    waiting: dict[tuple[str, str], Callable[[], None]] = {}
    move = RolloutJournal.move

    def moved(
        self: RolloutJournal, device: DeviceProgress, state: DeviceState, **changed: Any
    ) -> DeviceProgress:
        after = move(self, device, state, **changed)
        waiting.pop((device.device, state), lambda: None)()
        return after

    monkeypatch.setattr(RolloutJournal, "move", moved)

    def at(name: str, state: str, happens: Callable[[], None]) -> None:
        waiting[name, state] = happens

    return at


At = Callable[[str, str, Callable[[], None]], None]


def test_half_of_a_wave_is_bad_and_all_go_back(hosts: Barn) -> None:
    first = agreed(hosts, start(hosts))
    [older] = {device.artifact_id for device in first.devices}
    assert {device.state for device in first.devices} == {"healthy"}
    for name in ("cam3", "cam4"):
        damage(hosts.boards[name])
    hosts.next_release()
    stop = {"feared": "60%", "false_stops": "5%", "then": "roll-back-all"}
    second = start(hosts, stop=stop)
    status = agreed(hosts, second)
    assert (status.state, status.exit_code) == ("stopped", 1)
    assert {one.device for one in status.devices if one.is_bad} == {"cam3", "cam4"}
    assert hosts.current() == dict.fromkeys(hosts.boards, older)
    # Asked for once more, and again, nothing else happens.
    for _ in range(2):
        assert states(edgeq.roll_back_rollout(second)) == {"": ["rolling back", "rolled back"]}
        agreed(hosts, second)
    assert hosts.current() == dict.fromkeys(hosts.boards, older)


def mount(folder: Path, size: str) -> None:
    """Have a folder be a disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs the root user, to mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(command, check=True)


STATES = ("checking", "pushing", "verifying", "measuring", "activating", "soaking")


@pytest.mark.parametrize(
    "state",
    [
        s if s in ("pushing", "activating") else pytest.param(s, marks=pytest.mark.long)
        for s in STATES
    ],
)
def test_board_that_loses_power_gets_there_when_it_is_back(
    hosts: Barn, site: Site, at_state: At, state: str
) -> None:
    two(hosts)
    server = site.servers["cam1"]
    at_state("cam1", state, server.stop)
    try:
        rollout = start(hosts, tries=1, soak=0.1)
        status = agreed(hosts, rollout)
        [lost] = [one for one in status.devices if one.device == "cam1"]
        [other] = [one for one in status.devices if one.device == "cam0"]
        assert other.state == "healthy" and lost.failure == "transient" and not lost.is_bad
        assert lost.state == (state if state in ("activating", "soaking") else "deferred")
        assert status.state == ("paused" if state in ("activating", "soaking") else "done")
    finally:
        server.start()
    again = edgeq.resume_rollout if status.state == "paused" else edgeq.retry_rollout
    seen = states(again(rollout))
    assert set(seen) == {"cam1", ""} and seen["cam1"][-1] == "healthy"
    status = agreed(hosts, rollout)
    assert (status.state, status.exit_code) == ("done", 0)
    assert set(hosts.current().values()) == {other.artifact_id}
    assert {device.before for device in status.devices} == {None}


@pytest.mark.parametrize("state", ["pushing", pytest.param("measuring", marks=pytest.mark.long)])
def test_link_that_is_cut_and_comes_back_is_gone_on_with(
    hosts: Barn, site: Site, at_state: At, state: str
) -> None:
    two(hosts)
    at_state("cam1", state, site.servers["cam1"].cut)
    rollout = start(hosts)
    status = agreed(hosts, rollout)
    assert (status.state, status.exit_code) == ("done", 0)
    tries = {device.device: device.tries for device in status.devices}
    assert tries == {"cam0": 1, "cam1": 2}


def test_boards_in_trouble_of_their_own_hold_up_nobody(
    hosts: Barn, site: Site, tmp_path: Path
) -> None:
    full = hosts.boards["cam1"]
    shutil.rmtree(full)
    full.mkdir()
    other = public(generate(tmp_path / "other"))
    known = site.home.known_hosts.read_text().splitlines()
    known[2] = f"{known[2].split()[0]} {other}"
    site.home.known_hosts.write_text("\n".join([*known, ""]))
    mount(full, "2m")
    try:
        rollout = start(hosts, stop={"trouble": "60%"})
        status = agreed(hosts, rollout)
        found = {device.device: device for device in status.devices}
        assert (status.state, status.exit_code) == ("done", 3)
        for name in ("cam1", "cam2"):
            assert (found[name].state, found[name].failure) == ("failed", "board"), found[name]
        assert "free" in found["cam1"].reason
        assert "its host key is another one than before" in found["cam2"].reason
        assert {found[name].state for name in ("cam0", "cam3", "cam4")} == {"healthy"}
    finally:
        subprocess.run(["umount", "-l", full], check=True)
    site.home.known_hosts.write_text("".join(one.known() for one in site.servers.values()))
    seen = states(edgeq.retry_rollout(rollout))
    assert seen == {"cam1": INSTALLED, "cam2": INSTALLED, "": ["done"]}
    assert agreed(hosts, rollout).exit_code == 0


SLOW = """
import time
import onnxruntime
opened, intact = onnxruntime.InferenceSession.__init__, onnxruntime.InferenceSession.run
def opening(self, path, *arguments, **options):
    self.is_slow = "RELEASE" not in str(path)
    opened(self, path, *arguments, **options)
def slowly(self, *arguments, **options):
    started = time.perf_counter()
    found = intact(self, *arguments, **options)
    if self.is_slow:
        time.sleep(4 * (time.perf_counter() - started))
    return found
onnxruntime.InferenceSession.__init__ = opening
onnxruntime.InferenceSession.run = slowly
"""


@pytest.mark.long
def test_board_on_which_the_release_is_slower_keeps_the_one_before(hosts: Barn) -> None:
    two(hosts)
    first = agreed(hosts, start(hosts))
    [older] = {device.artifact_id for device in first.devices}
    damage(hosts.boards["cam1"], SLOW.replace("RELEASE", str(older)))
    hosts.next_release()
    status = agreed(hosts, start(hosts, board={"duration": "3 s", "loads": 5}))
    found = {device.device: device for device in status.devices}
    assert found["cam0"].state == "healthy"
    assert (found["cam1"].state, found["cam1"].failure) == ("failed", "model")
    assert f"does worse than {str(older)[:12]} did: inference +" in found["cam1"].reason
    assert hosts.current()["cam1"] == older

"""Roll-outs over a real sshd to hosts that run a release already: no fault takes it from them."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

import edgeq
from edgeq.records.rollout import DeviceProgress, RolloutStatus
from tests.device.sshd import USER, Sshd, generate

from .barn import Barn
from .pretended import states
from .test_boards import INSTALLED, damage
from .test_over_ssh import At, Site, at_state, hosts, mount, require_whole, site, start, two

__all__ = ["at_state", "hosts", "site"]

BACK = ["rolling back", "rolled back"]
FEW = {"feared": "60%", "false_stops": "5%"}
"""So that a rule tells something of few devices."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a host has that runs the first release, once one does."""
    return tmp_path_factory.mktemp("kept") / "edgeq"


@pytest.fixture
def older(hosts: Barn, kept: Path) -> str:
    """The release that every host runs; the recipe makes the next one."""
    if not kept.exists():
        strategy = hosts.strategy(canary=1)
        states(edgeq.start_rollout(hosts.recipe, hosts.fleet, strategy, on="name=cam0"))
        hosts.boards["cam0"].rename(kept)
    for root in hosts.boards.values():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(kept, root, symlinks=True)
    hosts.next_release()
    [release] = set(hosts.current().values())
    assert release is not None
    return release


def agreed(barn: Barn, rollout: str, older: str) -> RolloutStatus:
    """The status, of a journal that says what is true of hosts, which all run a whole release."""
    status = edgeq.rollout_status(rollout)
    assert {device.before for device in status.devices} <= {None, older}
    for device in status.devices:
        current = (barn.boards[device.device] / "current").resolve(strict=True)
        assert current.name in _expected(device, older), (device, current.name)
        require_whole(current)
        assert not list(barn.boards[device.device].glob("releases/.*"))
    return status


def _expected(device: DeviceProgress, older: str) -> set[str | None]:
    """What a host may run. One that may have got the release says so."""
    if device.state in ("healthy", "soaking"):
        return {device.artifact_id}
    if device.state in ("activating", "rolling back") or device.soaks_until is not None:
        return {device.artifact_id, older}
    return {older}


def of(status: RolloutStatus, name: str) -> DeviceProgress:
    [found] = [device for device in status.devices if device.device == name]
    return found


def finish(barn: Barn, rollout: str, older: str) -> RolloutStatus:
    """Go on with it until it is done, as one does; what was healthy is not touched on the way."""
    for _ in range(4):
        status = agreed(barn, rollout, older)
        if status.state == "done" and status.exit_code == 0:
            [newer] = {device.artifact_id for device in status.devices}
            assert newer != older and barn.current() == dict.fromkeys(barn.boards, newer)
            assert {device.before for device in status.devices} == {older}
            return status
        done = {device.device for device in status.devices if device.state == "healthy"}
        again = edgeq.retry_rollout if status.state == "done" else edgeq.resume_rollout
        assert not done & set(states(again(rollout)))
    raise AssertionError(f"{status.state}: {status.reason}")


@pytest.mark.long
def test_a_wave_begins_when_the_one_before_is_healthy(hosts: Barn, older: str) -> None:
    strategy = hosts.strategy(canary={"count": 1, "on": "name=cam0"}, waves=["60%"], soak=0.1)
    rollout = edgeq.start_rollout(hosts.recipe, hosts.fleet, strategy)
    seen = [(event.wave, event.state) for event in rollout if event.device]
    assert [wave for wave, _ in seen] == sorted(wave or 0 for wave, _ in seen)
    assert [seen.count((wave, "healthy")) for wave in range(3)] == [1, 2, 2]
    finish(hosts, rollout.id, older)
    # Taken back, twice is once.
    back = states(edgeq.roll_back_rollout(rollout.id))
    assert back == {"": BACK, **dict.fromkeys(hosts.boards, BACK)}
    assert states(edgeq.roll_back_rollout(rollout.id)) == {"": BACK}
    agreed(hosts, rollout.id, older)
    assert set(hosts.current().values()) == {older}


class Proxy:
    """A way to a server, which breaks after so many bytes to it, once, and works again."""

    def __init__(self, port: int) -> None:
        self.left: int | None = None
        self.carried = 0
        self._ends: list[socket.socket] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._ends += client, server
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, is_counted: bool) -> None:
        with suppress(OSError):
            while piece := one.recv(4096):
                self.carried += len(piece) if is_counted else 0
                if is_counted and self.left is not None:
                    self.left -= len(piece)
                    if self.left < 0:
                        self.left = None
                        break
                other.sendall(piece)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(site: Site, hosts: Barn) -> Iterator[Proxy]:
    """The way to cam1."""
    server = site.servers["cam1"]
    proxy = Proxy(server.port)
    fleet = yaml.safe_load(hosts.fleet.read_text())
    fleet["devices"]["cam1"] = f"{USER}@127.0.0.1:{proxy.port}"
    hosts.fleet.write_text(yaml.safe_dump(fleet))
    with site.home.known_hosts.open("a") as file:
        file.write(server.known(f"[127.0.0.1]:{proxy.port}"))
    yield proxy
    proxy.close()


def arrived(root: Path) -> int:
    """How many bytes of files that are not complete lie on a host."""
    return sum(path.stat().st_size for path in (root / "incoming").glob("*.part"))


def test_push_that_is_cut_in_the_middle_goes_on_where_it_was(
    hosts: Barn, older: str, proxy: Proxy, at_state: At
) -> None:
    two(hosts)
    root = hosts.boards["cam1"]
    found: list[tuple[int, int]] = []

    def note() -> None:
        found.append((arrived(root), proxy.carried))

    def break_soon() -> None:
        proxy.left = 1_000_000
        at_state("cam1", "pushing", note)
        at_state("cam1", "verifying", note)

    at_state("cam1", "pushing", break_soon)
    status = finish(hosts, start(hosts), older)
    assert {device.device: device.tries for device in status.devices} == {"cam0": 1, "cam1": 2}
    (part, before), (left, after) = found
    manifest = json.loads((root / "current" / "manifest.json").read_bytes())
    total = sum(file["bytes"] for file in manifest["files"].values())
    assert left == 0 < part < total
    assert after - before < total - part + 20_000


@contextmanager
def off(server: Sshd) -> Iterator[Callable[[], None]]:
    """What ends a server; it is there again at the end."""
    try:
        yield server.stop
    finally:
        server.stop()
        server.start()


STATES = ("checking", "pushing", "verifying", "measuring", "activating", "soaking")


@pytest.mark.parametrize("state", [pytest.param(s, marks=pytest.mark.long) for s in STATES])
def test_host_that_loses_power_goes_on_running_what_it_ran(
    hosts: Barn, older: str, site: Site, at_state: At, state: str
) -> None:
    two(hosts)
    with off(site.servers["cam1"]) as stop:
        at_state("cam1", state, stop)
        rollout = start(hosts, tries=1, **({"soak": 0.1} if state == "soaking" else {}))
        status = agreed(hosts, rollout, older)
        lost = of(status, "cam1")
        assert lost.state == (state if state in ("activating", "soaking") else "deferred")
        assert lost.failure == "transient" and of(status, "cam0").state == "healthy"
        assert (hosts.current()["cam1"] == older) is (state != "soaking")
    finish(hosts, rollout, older)


@pytest.mark.parametrize("seed", [pytest.param(n, marks=pytest.mark.long) for n in range(6)])
def test_host_that_loses_power_at_any_moment(
    hosts: Barn, older: str, site: Site, at_state: At, seed: int
) -> None:
    two(hosts)
    chance = random.Random(seed)
    state = chance.choice(STATES)
    with off(site.servers["cam1"]) as stop:
        timer = threading.Timer(chance.uniform(0.0, 1.0 if state == "measuring" else 0.2), stop)
        at_state("cam1", state, timer.start)
        rollout = start(hosts, tries=1, **({"soak": 0.1} if state == "soaking" else {}))
        agreed(hosts, rollout, older)
        timer.join()
    finish(hosts, rollout, older)


@pytest.mark.long
def test_whole_canary_that_is_bad_by_the_end_of_its_soak_goes_back(
    hosts: Barn, older: str, at_state: At
) -> None:
    canary = ("cam0", "cam1")
    for name in canary:
        at_state(name, "soaking", partial(damage, hosts.boards[name]))
    strategy = hosts.strategy(
        canary={"count": 2, "on": "name in (cam0, cam1)"}, soak=0.1, stop={"then": "roll-back-wave"}
    )
    rollout = edgeq.start_rollout(hosts.recipe, hosts.fleet, strategy)
    seen = states(rollout)
    status = agreed(hosts, rollout.id, older)
    assert (status.state, status.exit_code) == ("stopped", 1)
    assert "every device of the canary" in status.reason
    assert set(seen) == {*canary, ""}
    for name in canary:
        assert seen[name] == [*INSTALLED[:-1], "soaking", *BACK]
        assert of(status, name).failure == "artifact"
        assert "at its soak's end" in of(status, name).reason
    assert hosts.current() == dict.fromkeys(hosts.boards, older)


@pytest.mark.long
def test_host_key_that_changes_on_the_way_is_trouble_of_that_host(
    hosts: Barn, older: str, site: Site, at_state: At
) -> None:
    server = site.servers["cam1"]
    key = server.host_keys["ed25519"]
    files = {path: path.read_bytes() for path in (key, key.with_name(f"{key.name}.pub"))}

    def change() -> None:
        server.stop()
        for path in files:
            path.unlink()
        generate(key)
        server.start()

    at_state("cam1", "measuring", change)
    try:
        rollout = start(hosts)
        status = agreed(hosts, rollout, older)
    finally:
        server.stop()
        for path, content in files.items():
            path.write_bytes(content)
        server.start()
    assert (status.state, status.exit_code) == ("done", 3)
    bad = of(status, "cam1")
    assert (bad.state, bad.failure) == ("failed", "board")
    assert "its host key is another one than before" in bad.reason
    assert hosts.current()["cam1"] == older
    assert {device.state for device in status.devices if device != bad} == {"healthy"}
    finish(hosts, rollout, older)


@contextmanager
def small_disk(root: Path) -> Iterator[Path]:
    """A disk of its own for what a host has; fills up when what is yielded is written."""
    copy = root.with_name("copy")
    root.rename(copy)
    root.mkdir()
    mount(root, "96m")
    try:
        shutil.copytree(copy, root, symlinks=True, dirs_exist_ok=True)
        yield root / "ballast"
    finally:
        subprocess.run(["umount", "-l", root], check=True)
        shutil.rmtree(copy)


def fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.mark.long
@pytest.mark.parametrize("state", ["pushing", "verifying", "measuring", "activating"])
def test_disk_that_fills_up_leaves_the_release_that_runs(
    hosts: Barn, older: str, at_state: At, state: str
) -> None:
    two(hosts)
    with small_disk(hosts.boards["cam1"]) as ballast:
        at_state("cam1", state, lambda: fill(ballast))
        rollout = start(hosts, tries=1)
        status = agreed(hosts, rollout, older)
        assert of(status, "cam0").state == "healthy"
        full = of(status, "cam1")
        # Not everything needs room.
        assert full.state == "healthy" or (full.state, full.failure) == ("failed", "board"), full
        assert state != "pushing" or "free" in full.reason
        ballast.unlink()
        finish(hosts, rollout, older)


@pytest.mark.long
def test_host_with_a_full_disk_goes_back(hosts: Barn, older: str) -> None:
    two(hosts)
    with small_disk(hosts.boards["cam1"]) as ballast:
        rollout = start(hosts)
        finish(hosts, rollout, older)
        fill(ballast)
        states(edgeq.roll_back_rollout(rollout))
        status = agreed(hosts, rollout, older)
        assert of(status, "cam0").state == "rolled back"
        full = of(status, "cam1")
        if full.state != "rolled back":
            assert (full.state, full.failure) == ("rolling back", "board"), full
            ballast.unlink()
            states(edgeq.roll_back_rollout(rollout))
            agreed(hosts, rollout, older)
        assert set(hosts.current().values()) == {older}


@pytest.mark.long
def test_host_that_is_off_goes_back_when_it_is_there_again(
    hosts: Barn, older: str, site: Site
) -> None:
    two(hosts)
    rollout = start(hosts, tries=1)
    finish(hosts, rollout, older)
    with off(site.servers["cam1"]) as stop:
        stop()
        for _ in range(2):
            states(edgeq.roll_back_rollout(rollout))
            status = agreed(hosts, rollout, older)
            assert status.state == "rolling back" and "cam1" in status.reason
            assert of(status, "cam0").state == "rolled back"
    assert states(edgeq.resume_rollout(rollout)) == {"cam1": BACK[1:], "": BACK}
    status = agreed(hosts, rollout, older)
    assert (status.state, status.reason) == ("rolled back", "")
    assert (of(status, "cam1").failure, of(status, "cam1").reason) == (None, "")
    assert states(edgeq.roll_back_rollout(rollout)) == {"": BACK}
    assert set(hosts.current().values()) == {older}


@pytest.mark.long
def test_host_that_is_lost_while_all_go_back_is_not_forgotten(
    hosts: Barn, older: str, site: Site, at_state: At
) -> None:
    for name in ("cam3", "cam4"):
        damage(hosts.boards[name])
    with off(site.servers["cam0"]) as stop:
        at_state("cam0", "rolling back", stop)
        rollout = start(hosts, tries=1, stop={**FEW, "then": "roll-back-all"})
        status = agreed(hosts, rollout, older)
        assert status.state == "stopping" and "cam0" in status.reason
        assert of(status, "cam0").state == "rolling back"
    seen = states(edgeq.resume_rollout(rollout))
    assert set(seen) == {"cam0", ""} and seen["cam0"][-1] == "rolled back"
    status = agreed(hosts, rollout, older)
    assert (status.state, status.exit_code) == ("stopped", 1)
    assert "devices are bad" in status.reason and "cam0" not in status.reason
    home = of(status, "cam0")
    assert (home.failure, home.reason) == (None, "")
    assert hosts.current() == dict.fromkeys(hosts.boards, older)

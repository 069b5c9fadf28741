"""A fleet of real SSH servers on this machine: two that work, and others that do not."""

from __future__ import annotations

import getpass
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

import edgeq
from edgeq.artifact import archive
from edgeq.cli.main import app
from edgeq.device.connection import Address, connect
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError
from edgeq.records.fleet import COLUMNS
from edgeq.spec import target as targets
from edgeq.spec.fleet.fleet import Fleet, FleetDevice
from edgeq.spec.target import Target

from ..device.artifacts import demo
from ..device.sshd import USER, Home, Sshd, fingerprint, free_port, generate, need

TARGET = f"""\
description: a board like this machine
runtime: onnxruntime
architecture: host
activation_type: probe
transport: ssh
python: {sys.executable}
root: ~/edgeq
"""


class Barn(NamedTuple):
    """A fleet.yaml, the servers of its good devices, and the home of who uses it."""

    path: Path
    servers: dict[str, Sshd]
    home: Home


@pytest.fixture(scope="module")
def barn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Barn]:
    need("sshd")
    folder = tmp_path_factory.mktemp("barn")
    home = Home(folder / "home")
    servers = {}
    try:
        for name in ("cam1", "cam2", "changed"):
            (folder / name).mkdir()
            servers[name] = Sshd(folder / name)
            servers[name].authorize(home.key)
        known = [servers["cam1"].known(), servers["cam2"].known()]
        stale = generate(folder / "stale")
        wrong = servers["changed"].known().split()[0]
        known.append(f"{wrong} {stale.with_suffix('.pub').read_text()}")
        home.known_hosts.write_text("".join(known))
        (folder / "board.yaml").write_text(TARGET)
        address = {name: f"{USER}@127.0.0.1:{server.port}" for name, server in servers.items()}
        (folder / "fleet.yaml").write_text(
            "defaults: {target: board.yaml, labels: {site: barn7}}\n"
            "devices:\n"
            f"  cam1: {{address: '{address['cam1']}', labels: {{good: 'yes'}}}}\n"
            f"  gone: {USER}@127.0.0.1:{free_port()}\n"
            f"  cam2: {{address: '{address['cam2']}', labels: {{good: 'yes'}},"
            f" host_key: '{fingerprint(servers['cam2'].host_keys['ed25519'])}'}}\n"
            f"  changed: {address['changed']}\n"
            f"  nameless: {USER}@no-such-host.invalid\n"
        )
        yield Barn(folder / "fleet.yaml", servers, home)
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture(autouse=True)
def at_home(barn: Barn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(barn.home.folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def on_paper(count: int) -> Fleet:
    """A fleet whose devices nobody connects to."""
    target = targets.load("local")
    labels = [{"name": f"cam{n}", "target": "local"} for n in range(count)]
    devices = tuple(FleetDevice(own["name"], target, None, own) for own in labels)
    return Fleet(Path("paper.yaml"), devices)


def command(*arguments: str | Path) -> Result:
    """A command in this process, as starting one costs more than what it does."""
    return CliRunner().invoke(app, ["fleet", *map(str, arguments)])


# Looking


def test_check_says_of_each_device_how_far_it_got(barn: Barn) -> None:
    check = edgeq.check_fleet(barn.path)

    found = {d.device: {f.name: f for f in d.findings} for d in check.devices}
    assert list(found) == ["cam1", "gone", "cam2", "changed", "nameless"]
    assert (check.failed, check.exit_code) == (3, 3)
    for name, host_key in (("cam1", "known"), ("cam2", "as named")):
        good = found[name]
        assert list(good)[: len(COLUMNS)] == list(COLUMNS)
        assert {one.state for one in good.values()} <= {"ok", "note"}
        assert good["host key"].found == host_key
        assert good["agent"].found == f"Python {platform.python_version()}"
        assert good["engine"].found.startswith("onnxruntime ")
        assert good["power mode"].found == "not known"
    assert [name for name, one in found["gone"].items() if one.state == "wrong"] == ["reachable"]
    assert "refuses connections" in found["gone"]["reachable"].found
    assert "no-such-host.invalid" in found["nameless"]["reachable"].found
    assert list(found["changed"]) == ["reachable", "host key"]
    assert found["changed"]["host key"].state == "wrong"
    # Nothing was touched.
    assert not (barn.servers["cam1"].authorized.parent / "edgeq").exists()


def test_engine_that_is_missing_is_told_with_what_to_do(barn: Barn) -> None:
    fleet = edgeq.load_fleet(barn.path)
    [device] = fleet.select("name=cam1")
    jetson = replace(device, target=device.target.model_copy(update={"runtime": "tensorrt"}))
    check = edgeq.check_fleet(replace(fleet, devices=(jetson,)))
    [engine] = [one for one in check.devices[0].findings if one.name == "engine"]
    assert (engine.state, check.failed, check.exit_code) == ("missing", 1, 3)
    assert "no TensorRT on this board" in engine.found and "nvidia-jetpack" in engine.remedy


def test_device_that_lets_nobody_in_is_not_reachable(barn: Barn, tmp_path: Path) -> None:
    fleet = edgeq.load_fleet(barn.path)
    [device] = fleet.select("name=cam2")
    stranger = replace(device, identity=generate(tmp_path / "stranger"))
    [found] = edgeq.check_fleet(replace(fleet, devices=(stranger,))).devices
    assert [(one.name, one.state) for one in found.findings] == [
        ("reachable", "wrong"),
        ("host key", "ok"),
    ]
    assert "may not log in" in found.findings[0].found


def test_check_of_devices_that_are_not_ready_ends_with_3(barn: Barn) -> None:
    told = command("check", barn.path, "--on", "not good", "--json")
    record = json.loads(told.stdout)
    assert (told.exit_code, record["failed"], record["on"]) == (3, 3, "not good")
    shown = command("check", barn.path, "--on", "name in (gone, changed)")
    assert shown.exit_code == 3
    assert "0 of 2 devices are ready, 2 are NOT" in shown.stdout
    assert "gone: reachable: 127.0.0.1 port" in shown.stdout


def test_list_shows_what_an_expression_means(barn: Barn) -> None:
    record = json.loads(command("list", barn.path, "--on", "good", "--json").stdout)
    assert [device["device"] for device in record["devices"]] == ["cam1", "cam2"]
    assert record["devices"][1]["host_key"].startswith("SHA256:")
    shown = command("list", barn.path, "--on", "name=gone")
    assert "site=barn7" in shown.stdout and "1 of 5 devices" in shown.stdout
    wrong = command("list", barn.path, "--on", "sight=barn7")
    assert "did you mean 'site'" in str(wrong.exception)


# Doing


def test_release_is_pushed_to_many_and_bad_ones_are_values(barn: Barn, tmp_path: Path) -> None:
    path = archive.copy(demo(), tmp_path / "demo.edgeq")
    told = command("run", "push", barn.path, path, "--on", "name!=cam2", "--activate", "--json")
    record = json.loads(told.stdout)

    assert (told.exit_code, record["failed"]) == (3, 3), told.stderr
    states = {
        one["device"]: one["error"]["kind"] if one["error"] else one["result"]["current"]
        for one in record["devices"]
    }
    assert states == {
        "cam1": True,
        "gone": "refused",
        "changed": "host-key-changed",
        "nameless": "name-not-found",
    }
    shown = command("run", "status", barn.path, "--on", "good")
    assert shown.exit_code == 0
    assert f"cam1    runs {demo().id[:12]}, before nothing" in shown.stdout
    assert "cam2    runs nothing" in shown.stdout and "2 of 2 devices" in shown.stdout
    back = command("run", "rollback", barn.path, "--on", "good", "--dry-run")
    assert back.exit_code == 3 and "FAILED on 2: cam1, cam2" in back.stdout


def test_outcomes_are_in_the_fleets_order_whatever_goes_wrong() -> None:
    def act(target: Target, address: Address) -> str:
        number = next(numbers)
        time.sleep(0.05 if number == 0 else 0)
        if number == 1:
            raise DeviceError("cam", "is asleep", "wake it")
        if number == 2:
            raise OSError(28, "No space left on device", "/tmp/x")
        if number == 3:
            raise SystemExit(9)
        if number == 4:
            raise ZeroDivisionError("of a bug")
        return target.name

    numbers = count()
    fleet = on_paper(6)
    outcomes = edgeq.run_on_fleet(fleet, act, at_once=1)

    assert [one.device.name for one in outcomes] == [f"cam{n}" for n in range(6)]
    assert [one.result for one in outcomes] == ["local", None, None, None, None, "local"]
    assert [one.exit_code for one in outcomes] == [0, 3, 2, 5, 5, 0]
    assert "ZeroDivisionError: of a bug" in str(outcomes[4].error)
    numbers = count()
    side_by_side = edgeq.run_on_fleet(fleet, act)
    assert [one.device for one in side_by_side] == list(fleet.devices)
    assert sorted(one.exit_code for one in side_by_side) == [0, 0, 2, 3, 5, 5]


def test_as_many_as_asked_for_are_at_work_at_once() -> None:
    together, working, most = threading.Barrier(4, timeout=20), set(), []

    def act(_: Target, __: Address) -> None:
        working.add(threading.get_ident())
        most.append(len(working))
        together.wait()
        working.discard(threading.get_ident())

    outcomes = edgeq.run_on_fleet(on_paper(12), act, at_once=4)
    assert [one.error for one in outcomes] == [None] * 12
    assert max(most) <= 4


@pytest.mark.usefixtures("interruptible")
def test_interrupt_ends_the_run_and_begins_no_more() -> None:
    begun, let_go = [], threading.Event()

    def act(_: Target, __: Address) -> None:
        begun.append(1)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        let_go.wait(20)

    with pytest.raises(KeyboardInterrupt):
        edgeq.run_on_fleet(on_paper(9), act, at_once=2)
    let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("edgeq-fleet"):
            thread.join(20)
    assert len(begun) == 2


def test_passphrase_is_asked_for_once_by_who_calls(
    barn: Barn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = generate(tmp_path / "locked", passphrase="open sesame")
    for server in barn.servers.values():
        server.authorize(key)
    barn.home.key.rename(tmp_path / "away")
    asked = []

    def ask(prompt: str) -> str:
        asked.append((prompt, threading.current_thread() is threading.main_thread()))
        return "open sesame"

    terminal, end = os.openpty()
    monkeypatch.setattr(getpass, "getpass", ask)
    fleet = edgeq.load_fleet(barn.path)
    devices = tuple(replace(one, identity=key) for one in fleet.select("good"))
    try:
        with os.fdopen(end) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            outcomes = edgeq.run_on_fleet(replace(fleet, devices=devices), log_in)
    finally:
        (tmp_path / "away").rename(barn.home.key)
        os.close(terminal)
    assert [one.error for one in outcomes] == [None, None]
    assert asked == [(f"Passphrase of {key}: ", True)]


def test_devices_behind_a_jump_host_log_in_there_once(barn: Barn) -> None:
    fleet, gate = edgeq.load_fleet(barn.path), barn.servers["cam1"]
    [device] = fleet.select("name=cam2")
    jump = f"{USER}@127.0.0.1:{gate.port}"
    behind = tuple(replace(device, name=name, jump=jump) for name in "abcd")
    before = gate.log.read_text().count("Accepted publickey")
    outcomes = edgeq.run_on_fleet(replace(fleet, devices=behind), log_in)
    assert [one.error for one in outcomes] == [None] * 4
    assert gate.log.read_text().count("Accepted publickey") - before == 1


def log_in(target: Target, address: Address) -> None:
    with connect(target, address) as device:
        assert isinstance(device.transport, SshTransport)
        device.transport.connect()

"""A fleet of real sshd hosts on this machine: what goes out to all of them, and what it costs.

Hosts and the controller share the machine's cores, and every host runs the real agent.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from benchmarks import child
from benchmarks.figure import Figure, at_most, missing
from benchmarks.server import CIPHER, Server

PART = "hosts"
HOSTS = int(os.environ.get("FLEET_HOSTS", "200"))
ROLLED = int(os.environ.get("FLEET_ROLLED", "64"))
"""Hosts of whole roll-outs, each of which measures on every host."""
ROUNDS = 3
AT_ONCE = 32
SIZE = 5_000_000
EXCHANGE = "curve25519-sha256@libssh.org"
"""Both sides are told it, and the cipher: OpenSSH's own first choice costs it far more."""
PUSH_TIME = at_most(1.15)
CPU_MS = at_most(45.0)
RSS_MB = at_most(200.0)
AGAIN = at_most(0.3)
GROWTH_MB = at_most(3.0)


@dataclass(frozen=True)
class Fleet:
    """Its file, the ports of its hosts by name, and the home folder of who works on it."""

    path: Path
    ports: dict[str, int]
    home: Path

    def some(self, count: int) -> Fleet:
        """The first of its hosts."""
        content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        names = list(self.ports)[:count]
        content["devices"] = {name: content["devices"][name] for name in names}
        path = self.path.with_name(f"fleet-{count}.yaml")
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return Fleet(path, {name: self.ports[name] for name in names}, self.home)

    def run(self, what: str, **given: object) -> child.Finished:
        """Have a process do something with all of them."""
        arguments = {"what": what, "fleet": str(self.path), "at_once": AT_ONCE, **given}
        return child.run("hosts", arguments, {"HOME": str(self.home)})


def measure() -> Iterator[Figure]:
    """Pushes beside scp, a roll-out's processor time and memory, and a roll-out of no change."""
    reason = Server.lacking()
    if reason:
        for name, unit, limit in (
            ("push / 32 scp and ssh sha256sum", "x", PUSH_TIME),
            ("push: CPU a host", "ms", CPU_MS),
            ("push: peak memory", "MB", RSS_MB),
            ("no change / first time", "x", AGAIN),
            ("roll-out: memory a host in flight", "MB", GROWTH_MB),
        ):
            yield missing(PART, name, unit, reason, limit)
        return
    with tempfile.TemporaryDirectory() as name, fleet(Path(name), HOSTS) as hosts:
        yield from _pushed(hosts, Path(name))
        yield from _again(hosts, Path(name))
        yield from _rolled_out(hosts, Path(name))


def _pushed(hosts: Fleet, folder: Path) -> Iterator[Figure]:
    # The agent is there, as it is on every board that has had a release.
    first = hosts.run("push", artifact=_random(folder, 1000))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        artifact = _random(folder, SIZE)
        ours.append(hosts.run("push", artifact=artifact))
        theirs.append(_copied(hosts, folder / "random"))
    seconds = median(one.answer["seconds"] for one in ours)
    note = f"{seconds:.1f} s durable and hashed, {median(theirs):.1f} s; {HOSTS} hosts of 5 MB"
    ratio = seconds / median(theirs)
    yield Figure(PART, "push / 32 scp and ssh sha256sum", ratio, "x", PUSH_TIME, note)
    note = f"to each of {HOSTS} for the first time, the agent and 1 kB"
    yield Figure(PART, "first contact", first.answer["seconds"], "s", None, note)
    cpu = 1e3 * median(one.answer["cpu_s"] for one in ours) / HOSTS
    yield Figure(PART, "push: CPU a host", cpu, "ms", CPU_MS, "of the controller alone")
    peak = max(one.peak_rss_bytes for one in ours) / 1e6
    yield Figure(PART, "push: peak memory", peak, "MB", RSS_MB, f"{AT_ONCE} at once")


def _again(hosts: Fleet, folder: Path) -> Iterator[Figure]:
    artifact = folder / "model.edgeq"
    recipe = _demo(folder)
    child.run("hosts", {"what": "build", "recipe": str(recipe), "artifact": str(artifact)})
    first, again = (hosts.run("install", artifact=str(artifact)).answer["seconds"] for _ in "12")
    note = f"{first:.1f} s with verifying, then {again:.1f} s"
    yield Figure(PART, "no change / first time", again / first, "x", AGAIN, note)


def _rolled_out(hosts: Fleet, folder: Path) -> Iterator[Figure]:
    recipe = _demo(folder)
    few = hosts.some(ROLLED)
    peaks = {}
    for number, at_once in enumerate((1, AT_ONCE)):
        # Each with a release of its own, and few hosts where they go one after the other.
        text = recipe.read_text(encoding="utf-8")
        text = text.replace("percentile: 99.99", f"percentile: {99.5 - number}")
        release = recipe.with_name(f"release-{number}.yaml")
        release.write_text(text, encoding="utf-8")
        some = few if at_once > 1 else hosts.some(4)
        found = some.run("rollout", recipe=str(release), at_once=at_once)
        peaks[at_once] = found.peak_rss_bytes / 1e6
    count = len(few.ports)
    note = f"{count} hosts in {found.answer['seconds']:.0f} s, each measured; grows with the time"
    yield Figure(PART, "roll-out: CPU a host", found.answer["cpu_ms"], "ms", None, note)
    note = f"{AT_ONCE} at once; most is of what the first host's masks are judged by"
    yield Figure(PART, "roll-out: peak memory", peaks[AT_ONCE], "MB", None, note)
    growth = (peaks[AT_ONCE] - peaks[1]) / (AT_ONCE - 1)
    note = f"{peaks[1]:.0f} MB with one at a time"
    yield Figure(PART, "roll-out: memory a host in flight", growth, "MB", GROWTH_MB, note)


@contextmanager
def fleet(folder: Path, count: int) -> Iterator[Fleet]:
    """So many hosts, each with an sshd and a home folder, for as long as the block runs."""
    from tests.device.sshd import USER, Home, Sshd
    from tests.verbs.test_fleet import TARGET

    home = Home(folder / "home")
    servers: dict[str, Sshd] = {}
    settings = f"KexAlgorithms {EXCHANGE}\nCiphers {CIPHER}\nLogLevel ERROR"
    try:
        for number in range(count):
            place = folder / f"cam{number}"
            place.mkdir()
            servers[place.name] = Sshd(place, settings)
            servers[place.name].authorize(home.key)
        home.known_hosts.write_text("".join(one.known() for one in servers.values()))
        home.config.write_text(f"Host *\n IdentityFile {home.key}\n IdentitiesOnly yes\n")
        (folder / "board.yaml").write_text(TARGET)
        path = folder / "fleet.yaml"
        addresses = {name: f"{USER}@127.0.0.1:{one.port}" for name, one in servers.items()}
        content = {"defaults": {"target": "board.yaml"}, "devices": addresses}
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        ports = {name: one.port for name, one in servers.items()}
        yield Fleet(path, ports, home.folder)
    finally:
        for one in servers.values():
            one.stop()


def _random(folder: Path, size: int) -> str:
    """An artifact's file with a model of so many random bytes, which lie beside it."""
    from edgeq.artifact import archive
    from tests.device.artifacts import made

    content = os.urandom(size)
    (folder / "random").write_bytes(content)
    path = folder / "random.edgeq"
    archive.copy(made({"model.onnx": content, "plan.json": b"{}"}), path)
    return str(path)


def _copied(hosts: Fleet, file: Path) -> float:
    """Seconds of scp to all hosts, as many at once, each with one ssh that hashes what arrived."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    ssh = hosts.home / ".ssh"
    options = [
        *("-F", str(ssh / "config"), "-c", CIPHER, "-o", f"KexAlgorithms={EXCHANGE}"),
        *("-o", f"UserKnownHostsFile={ssh / 'known_hosts'}", "-o", "IdentityAgent=none"),
    ]
    user = _user()

    def copy(name: str) -> bool:
        port, place = str(hosts.ports[name]), f"{hosts.path.parent}/{name}/copied"
        _run(["scp", "-q", *options, "-P", port, str(file), f"{user}@127.0.0.1:{place}"])
        told = _run(["ssh", *options, "-p", port, f"{user}@127.0.0.1", "sha256sum", place])
        return told.split()[0] == digest

    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert all(pool.map(copy, hosts.ports))
    return time.perf_counter() - started


def _run(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _user() -> str:
    from tests.device.sshd import USER

    return USER


def _demo(folder: Path) -> Path:
    from edgeq.demo.project import write_demo

    project = folder / "demo"
    recipe = project / "recipe.yaml"
    if not project.exists():
        write_demo(project)
        content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
        del content["gates"]  # of accuracy, which is no matter of what it costs
        recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return recipe

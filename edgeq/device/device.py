"""A device: a target reachable through a transport, with the agent to talk to."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import sys
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgeq.artifact import Artifact
from edgeq.device.local import LocalTransport
from edgeq.device.sending import Content, Sent, send_blobs
from edgeq.device.session import PATIENCE_S, Event, Session
from edgeq.device.transport import Transport
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress, silent
from edgeq.target import Target


class Device:
    """Pushes to a device and has its agent probe, verify, bench and predict.

    Connects at the first need, and keeps the connection until `close`. With `keep` off the agent
    runs from memory where it is not there yet: looking changes nothing.
    """

    def __init__(
        self,
        transport: Transport,
        root: str,
        limit_bytes: int | None = None,
        keep: bool = True,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.transport = transport
        self.sent = Sent()
        self._root = root
        self._limit_bytes = limit_bytes
        self._keep = keep
        self._patience_s = patience_s
        self._session: Session | None = None
        self._verified: set[str] = set()
        self._placed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session, whatever it runs there, and the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self.transport.close()

    @property
    def address(self) -> str:
        """How to name the device."""
        return self.transport.address

    @property
    def session(self) -> Session:
        """The conversation; begun at the first need."""
        if self._session is None:
            self._session = Session(self.transport, self._root, self._keep, self._patience_s)
        return self._session

    @property
    def hello(self) -> Event:
        """What the agent said when it began: Python, libc, root folder, free disk, clock."""
        return self.session.hello

    @property
    def root(self) -> str:
        """The root folder on the device, absolute."""
        return str(self.hello["root"])

    @property
    def architecture(self) -> str:
        """`x86_64`, `aarch64` or another name of the kernel's."""
        machine = str(self.hello["machine"])
        return {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)

    def lock(self, what: str, shared: bool = False, wait_s: float = 3.0) -> None:
        """Keep other deploys away until `close`; DeviceError (locked) names who holds it."""
        who = f"{getpass.getuser()}@{platform.node()}, process {os.getpid()}"
        self._ask("lock", {"who": who, "what": what, "shared": shared, "wait_s": wait_s})

    def probe(self) -> Event:
        """What the device is: architecture, CPU, memory, engines. As the agent reports it."""
        return self._job("probe", {"root": self.root})

    def send(self, artifact: Artifact, progress: Progress = silent) -> bool:
        """Make an artifact a release of the device, not the current one; whether it is new there.

        What lies there already is not sent.
        """
        contents: dict[str, Content] = {
            file.sha256: artifact.path(name) for name, file in artifact.manifest.files.items()
        }
        contents[artifact.id] = artifact.manifest.encoded()
        self._send(contents, progress)
        signature = b64encode(artifact.signature).decode() if artifact.signature else None
        placed = self._ask("release", {"id": artifact.id, "signature": signature})
        return bool(placed["new"])

    def push(self, artifact: Artifact, progress: Progress = silent) -> str:
        """Send an artifact and have the agent verify it by hash and by loading it; its folder.

        Once in the life of this object; a second push only answers.
        """
        if artifact.id not in self._verified:
            try:
                self.send(artifact, progress)
                self.verify(artifact.id)
            except DeviceError as exc:
                if exc.kind != "bad-artifact":
                    raise
                # What lay there was damaged; sent anew it is either right or the disk is failing.
                files = artifact.manifest.files.values()
                self._ask("recheck", {"hashes": [artifact.id, *(file.sha256 for file in files)]})
                self.send(artifact, progress)
                self.verify(artifact.id)
            self._verified.add(artifact.id)
        return self.release(artifact.id)

    def verify(self, artifact_id: str) -> Event:
        """Check a release by hash and load it once; DeviceError says what is wrong with it."""
        job = {"release": self.release(artifact_id), "id": artifact_id, "load": True, "threads": 1}
        return self._job("verify", job)

    def activate(self, artifact_id: str, signers: Sequence[str] = ()) -> None:
        """Make a release the current one, and keep the one before it as previous.

        Its signature has to verify against each text of `signers`, and against what the device was
        set up with. DeviceError: no-release, not-signed, bad-artifact.
        """
        self._ask("activate", {"id": artifact_id, "signers": list(signers)})

    def rollback(self, signers: Sequence[str] = ()) -> Event:
        """Change current and previous about; which they are now."""
        return self._ask("rollback", {"signers": list(signers)})

    def status(self) -> Event:
        """Releases, disk use, who holds the lock, the environment."""
        return self._ask("status")

    def collect(self) -> Event:
        """Remove what nothing refers to; needs the lock."""
        return self._ask("collect")

    def bench(self, job: Mapping[str, Any], progress: Progress = silent) -> Event:
        """Measure latency and memory; the raw result of the agent."""
        return self._job("bench", job, progress)

    def predict(
        self,
        job: Mapping[str, Any],
        on_image: Callable[[Event], None],
        progress: Progress = silent,
    ) -> Event:
        """Find instances; `on_image` gets the event of each image."""
        return self._job("predict", job, progress, on_image)

    def put_files(self, files: Iterable[Path], progress: Progress = silent) -> dict[Path, str]:
        """Send files of this machine as blobs; file to path on the device. Kept for later."""
        digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        wanted = sorted(set(digests.values()))
        if not self._placed.issuperset(wanted):
            self._send({digest: file for file, digest in digests.items()}, progress)
            name = hashlib.sha256("".join(wanted).encode()).hexdigest()
            self._ask("set", {"name": name, "hashes": wanted})
            self._placed.update(wanted)
        return {file: f"{self.root}/blobs/sha256/{digest}" for file, digest in digests.items()}

    def install(
        self,
        key: str,
        wheels: Mapping[str, Path],
        requirements: Sequence[str],
        progress: Progress = silent,
    ) -> bool:
        """Make an environment of wheels (name to file) the one that jobs run in; whether it is new.

        DeviceError (environment) with pip's own reason.
        """
        if self.hello["environment"] == key:
            return False
        digests = {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in wheels.items()}
        self._send({digests[name]: file for name, file in wheels.items()}, progress)
        job = {"key": key, "wheels": digests, "requirements": list(requirements)}
        return bool(self._ask("environment", job, progress)["new"])

    def trust(self, signers: str | None) -> None:
        """Have the device demand a signature by these of every release, whoever activates it."""
        self._ask("signers", {"text": signers})

    def release(self, artifact_id: str) -> str:
        """The folder of a release."""
        return f"{self.root}/releases/{artifact_id}"

    def work_name(self, suffix: str) -> tuple[str, str]:
        """Name and path of a new file that only one run needs."""
        name = f"{uuid.uuid4().hex}{suffix}"
        return name, f"{self.root}/work/{name}"

    def take(self, name: str) -> bytes:
        """The content of a file of `work/`, which is removed."""
        self.session.send("get", {"name": name})
        content = self.session.answer().content
        self._ask("remove", {"name": name})
        return content

    def _send(self, contents: Mapping[str, Content], progress: Progress) -> None:
        moved = send_blobs(self.session, contents, self._limit_bytes, progress)
        self.sent = Sent(self.sent.blobs + moved.blobs, self.sent.size_bytes + moved.size_bytes)

    def _ask(
        self, op: str, fields: Mapping[str, Any] | None = None, progress: Progress = silent
    ) -> Event:
        return self.session.ask(op, fields, _listener(progress, lambda _: None))

    def _job(
        self,
        verb: str,
        job: Mapping[str, Any],
        progress: Progress = silent,
        on_image: Callable[[Event], None] = lambda _: None,
    ) -> Event:
        listener = _listener(progress, on_image)
        return self.session.ask("job", {"verb": verb, "job": dict(job)}, listener)


def _listener(progress: Progress, on_image: Callable[[Event], None]) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if event["event"] == "progress":
            progress(event["stage"], event["done"], event["total"])
        elif event["event"] == "image":
            on_image(event)

    return on_event


@dataclass(frozen=True)
class Address:
    """Where a device is: user@host or a name of ~/.ssh/config, and the key to get in with.

    None for both: this machine, or whatever keys SSH would use.
    """

    host: str | None = None
    identity: Path | None = None


HERE = Address()


def connect(target: Target, address: Address = HERE, keep: bool = True) -> Device:
    """The device that a target and an address mean; it is reached at the first need.

    Raises InputError when the target wants an address and has none, or the other way round.
    """
    limit, host = target.limits.disk_bytes, address.host
    if target.transport == "local":
        if host is not None:
            what = f"target '{target.name}' is this machine"
            raise InputError("--host", what, "leave it out, or name the target of that board")
        local = LocalTransport()
        return Device(local, local.root(target.root), limit, keep)
    if host is None:
        what = f"target '{target.name}' is reached over SSH, and no address is given"
        raise InputError("--host", what, "add: --host user@address, or a name of ~/.ssh/config")
    from edgeq.device.ssh import SshTransport

    # Who sits at a terminal is asked for the passphrase of a key; nobody else can answer.
    ask = getpass.getpass if sys.stdin.isatty() else None
    transport = SshTransport(host, python=target.python, identity=address.identity, ask=ask)
    return Device(transport, target.root, limit, keep)


def host() -> Device:
    """This machine, where the float model and the simulated plan run; its lock is not taken."""
    local = LocalTransport()
    device = Device(local, local.root("~/.edgeq/host"))
    device.lock("predictions", shared=True, wait_s=3600.0)
    return device


def check_clock(device: Device, skew_s: float, now_s: float) -> None:
    """DeviceError when the device's clock is further than that from ours."""
    off_s = float(device.hello["clock_unix_s"]) - now_s
    if abs(off_s) > skew_s:
        what = f"its clock is {_words(abs(off_s))} {'ahead' if off_s > 0 else 'behind'}"
        remedy = "set it (timedatectl, chrony), or raise limits.clock_skew_s in the target"
        raise DeviceError(device.address, what, remedy, kind="clock")


def check_root(device: Device) -> None:
    """DeviceError when nothing could be run from the device's root folder."""
    if device.hello["noexec"]:
        what = f"{device.root} is on a file system that is mounted noexec"
        remedy = "name another folder under 'root' in the target, or mount it with exec"
        raise DeviceError(device.address, what, remedy, kind="noexec")


def _words(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"

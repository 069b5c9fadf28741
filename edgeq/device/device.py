"""A device: a target reachable through a transport, with the agent to talk to."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgeq.agent.errors import BAD_ARTIFACT, BAD_REQUEST
from edgeq.answers import Blobs, Contents, EngineAnswer, Hello, Made, Probe
from edgeq.artifact import Artifact
from edgeq.device import sharing
from edgeq.device.sending import Content, Sent, hash_of, send_blobs
from edgeq.device.session import PATIENCE_S, Event, P, Session, parsed_answer
from edgeq.device.transport import Transport
from edgeq.device.wheels import unpacked_bytes
from edgeq.errors import LINK_LOST, DeviceError
from edgeq.images import Image
from edgeq.progress import Progress, silent


class Device:
    """Pushes to a device and has its agent probe, verify, bench and predict.

    Connects at the first need, and keeps the connection until `close`. With `keep` off the agent
    runs from memory where it is not there yet: looking changes nothing. `notes` gathers what a
    reader of the report should know of what happened there.
    """

    def __init__(
        self,
        transport: Transport,
        root: str,
        limit_bytes: int | None = None,
        keep: bool = True,
        patience_s: float = PATIENCE_S,
        share_engines: bool = False,
        build_limits: Mapping[str, float] | None = None,
    ) -> None:
        self.transport = transport
        self.sent = Sent()
        self._root = root
        self._limit_bytes = limit_bytes
        self._keep = keep
        self._patience_s = patience_s
        self._share_engines = share_engines
        self._build_limits = dict(build_limits or {})
        self._session: Session | None = None
        self._verified: set[str] = set()
        self._engines: dict[str, EngineAnswer] = {}
        self.notes: list[str] = []
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
    def hello(self) -> Hello:
        """What the agent said when it began: Python, libc, root folder, free disk, clock."""
        return self.session.hello

    @property
    def root(self) -> str:
        """The root folder on the device, absolute."""
        return self.hello.root

    @property
    def architecture(self) -> str:
        """`x86_64`, `aarch64` or another name of the kernel's."""
        machine = self.hello.machine
        return {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)

    def lock(self, what: str, shared: bool = False, wait_s: float = 3.0) -> None:
        """Keep other deploys away until `close`; DeviceError (locked) names who holds it."""
        who = f"{_user()}@{platform.node()}, process {os.getpid()}"
        self._ask("lock", {"who": who, "what": what, "shared": shared, "wait_s": wait_s})

    def probe(self) -> Probe:
        """What the device is: architecture, CPU, memory, engines. As the agent reports it."""
        return self._parsed(Probe, self._job("probe", {"root": self.root}))

    def send(self, artifact: Artifact, progress: Progress = silent) -> bool:
        """Make an artifact a release of the device, not the current one; whether it is new there.

        What lies there already is not sent, unless it is found to be damaged.
        """
        try:
            return self._place(artifact, progress)
        except DeviceError as exc:
            if exc.kind != BAD_ARTIFACT:
                raise
        self._recheck(artifact)
        return self._place(artifact, progress)

    def verify(
        self, artifact: Artifact, progress: Progress = silent, graph_optimization: str = "all"
    ) -> None:
        """Check a release that was sent by hash and by loading it; once in the life of this object.

        What is damaged there is sent again: then it is right, or the disk is failing.
        """
        if artifact.id in self._verified:
            return
        try:
            self._verify(artifact, progress, graph_optimization)
        except DeviceError as exc:
            if exc.kind != BAD_ARTIFACT:
                raise
            self._recheck(artifact)
            self._place(artifact, progress)
            self._verify(artifact, progress, graph_optimization)
        self._verified.add(artifact.id)

    def push(
        self, artifact: Artifact, progress: Progress = silent, graph_optimization: str = "all"
    ) -> str:
        """Send an artifact and verify it; the folder of the release."""
        if artifact.id not in self._verified:
            self.send(artifact, progress)
            self.verify(artifact, progress, graph_optimization)
        return self.release(artifact.id)

    def activate(self, artifact_id: str, signers: Sequence[str] = ()) -> None:
        """Make a release the current one, and keep the one before it as previous.

        Its signature has to verify against each text of `signers`, and against what the device was
        set up with. DeviceError: no-release, not-signed, bad-artifact.
        """
        self._ask("activate", {"id": artifact_id, "signers": list(signers)})

    def rollback(self, signers: Sequence[str] = ()) -> None:
        """Change current and previous about."""
        self._ask("rollback", {"signers": list(signers)})

    def status(self) -> Contents:
        """Releases, disk use, who holds the lock, the environment."""
        return self._parsed(Contents, self._ask("status"))

    def forget(self) -> None:
        """Leave no agent behind on a device that nothing else was put on."""
        self._ask("forget")

    def collect(self) -> None:
        """Remove what nothing refers to; needs the lock."""
        self._ask("collect")

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

    def put_files(self, images: Iterable[Image], progress: Progress = silent) -> dict[Path, str]:
        """Send images of this machine as blobs; file to path on the device. Kept for later."""
        digests = {image.path: image.sha256 for image in images}
        wanted = sorted(set(digests.values()))
        if not self._placed.issuperset(wanted):
            self._send({digest: file for file, digest in digests.items()}, progress)
            name = hashlib.sha256("".join(wanted).encode()).hexdigest()
            self._ask("set", {"name": name, "hashes": wanted})
            self._placed.update(wanted)
        return {file: f"{self.root}/blobs/sha256/{digest}" for file, digest in digests.items()}

    def mend_files(self, placed: Mapping[Path, str], progress: Progress = silent) -> bool:
        """Send again what is damaged or gone of files that were put; whether anything was."""
        contents: dict[str, Content] = {path.rpartition("/")[2]: f for f, path in placed.items()}
        self._ask("recheck", {"hashes": list(contents)})
        before = self.sent.blobs
        self._send(contents, progress)
        return self.sent.blobs > before

    def require_room(self, images: Iterable[Image], more_bytes: int) -> None:
        """DeviceError (no-room) when what the device lacks of images, and more, would not fit."""
        self._require_room({image.sha256: image.path for image in images}, more_bytes)

    def _require_room(self, files: Mapping[str, Path], more_bytes: int) -> None:
        sizes = {digest: file.stat().st_size for digest, file in files.items()}
        found = self._parsed(Blobs, self._ask("have", {"hashes": list(sizes)}))
        there = {digest: min(count, sizes[digest]) for digest, count in found.partial.items()}
        missing = sum(sizes[digest] - there.get(digest, 0) for digest in found.missing)
        needed = more_bytes + missing
        self._ask("room", {"bytes": needed, "limit_bytes": self._limit_bytes})

    def install(
        self,
        key: str,
        wheels: Mapping[str, Path],
        requirements: Sequence[str],
        progress: Progress = silent,
        anew: bool = False,
    ) -> bool:
        """Make an environment of wheels (name to file) the one that jobs run in; whether it is new.

        One that is there already is taken, unless `anew`. DeviceError: no-room for wheels and what
        is in them, before anything is sent; environment with pip's own reason.
        """
        digests = {name: hash_of(file) for name, file in wheels.items()}
        job = {"key": key, "requirements": list(requirements), "wheels": digests, "anew": anew}
        if not anew:
            try:
                return self._parsed(Made, self._ask("environment", job, progress)).new
            except DeviceError as exc:
                if exc.kind != BAD_REQUEST:  # which says what wheels are missing
                    raise
        files = {digests[name]: file for name, file in wheels.items()}
        self._require_room(files, unpacked_bytes(wheels))
        self._send(files, progress)
        return self._parsed(Made, self._ask("environment", job, progress)).new

    def trust(self, signers: str) -> None:
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

    def _verify(self, artifact: Artifact, progress: Progress, graph_optimization: str) -> None:
        release, compiled = self.release(artifact.id), artifact.manifest.runtime.compile
        job = {"release": release, "id": artifact.id, "threads": 1}
        job["graph_optimization"] = graph_optimization
        if compiled is not None:
            # By hash before minutes go into an engine of it.
            self._job("verify", {**job, "load": False})
            settings = {"release": release, "root": self.root, **compiled.model_dump()}
            settings |= self._build_limits
            make = self._shared if self._share_engines else self._built
            self._engines[release] = make(settings, progress)
        self._job("verify", {**job, "load": True})

    def _built(self, settings: Mapping[str, Any], progress: Progress) -> EngineAnswer:
        return self._parsed(EngineAnswer, self._job("build", settings, progress))

    def _shared(self, settings: Mapping[str, Any], progress: Progress) -> EngineAnswer:
        """An engine that is there, or of an identical board, or built and kept for the next one."""
        if self.hello.signers is not None:
            self._note("is not shared: this board demands signatures", settings)
            return self._built(settings, progress)
        engine = self._built({**settings, "only_find": True}, progress)
        kept = sharing.kept(engine.fingerprint)
        if engine.path is None:
            taken = kept and self._adopted(*kept, settings, progress)
            if taken:
                return taken
            # What was refused gives way to what this board builds.
            engine, kept = self._built(settings, progress), None
        if kept is None:
            self._keep_engine(engine.fingerprint, settings, progress)
        return engine

    def _adopted(
        self,
        record: sharing.Record,
        files: Mapping[str, Path],
        settings: Mapping[str, Any],
        progress: Progress,
    ) -> EngineAnswer | None:
        try:
            self._send(files, progress)
            told = self._job("adopt", {**settings, **record.model_dump()}, progress)
            engine = self._parsed(EngineAnswer, told)
        except DeviceError as exc:
            if exc.kind == LINK_LOST:
                raise
            self._note(f"of an identical board was refused and built here: {exc.what}", settings)
            return None
        self._note("was built by an identical board, and computes the same here", settings)
        return engine

    def _keep_engine(
        self, fingerprint: str, settings: Mapping[str, Any], progress: Progress
    ) -> None:
        """Keep an engine of the device on this machine; what fails here is only noted."""
        (plan, plan_path), (golden, golden_path) = map(self.work_name, (".plan", ".npz"))
        job = {"release": settings["release"], "root": self.root, "fingerprint": fingerprint}
        try:
            told = self._job("lend", {**job, "plan": plan_path, "golden": golden_path}, progress)
            sharing.keep(fingerprint, told, self.take(plan), self.take(golden))
        except (DeviceError, OSError) as exc:
            if isinstance(exc, DeviceError) and exc.kind == LINK_LOST:
                raise
            self._note(f"could not be kept for other boards: {exc}", settings)

    def _note(self, what: str, settings: Mapping[str, Any]) -> None:
        # Several problems come in several lines.
        self.notes.append(f"the {settings['precision']} engine {' '.join(what.split())}")

    def _place(self, artifact: Artifact, progress: Progress) -> bool:
        contents: dict[str, Content] = {
            file.sha256: artifact.path(name) for name, file in artifact.manifest.files.items()
        }
        contents[artifact.id] = artifact.manifest.encoded()
        self._send(contents, progress)
        # A signature given now takes the place of the one there: keys change.
        signature = b64encode(artifact.signature).decode() if artifact.signature else None
        made = self._ask("release", {"id": artifact.id, "signature": signature})
        return self._parsed(Made, made).new

    def _recheck(self, artifact: Artifact) -> None:
        """Have the device find out which files of an artifact are not what they should be."""
        files = artifact.manifest.files.values()
        self._ask("recheck", {"hashes": [artifact.id, *(file.sha256 for file in files)]})

    def _send(self, contents: Mapping[str, Content], progress: Progress) -> None:
        moved = send_blobs(self.session, contents, self._limit_bytes, progress)
        self.sent = Sent(self.sent.blobs + moved.blobs, self.sent.size_bytes + moved.size_bytes)

    def _ask(
        self, op: str, fields: Mapping[str, Any] | None = None, progress: Progress = silent
    ) -> Event:
        return self.session.ask(op, fields, _listener(progress, lambda _: None))

    def _parsed(self, kind: type[P], fields: Event) -> P:
        return parsed_answer(kind, fields, self.address)

    def _job(
        self,
        verb: str,
        job: Mapping[str, Any],
        progress: Progress = silent,
        on_image: Callable[[Event], None] = lambda _: None,
    ) -> Event:
        listener = _listener(progress, on_image)
        engine = self._engines.get(str(job.get("release")))
        uses = engine is not None and verb in ("verify", "bench", "predict")
        made = {"engine": engine.path} if engine is not None and uses else {}
        return self.session.ask("job", {"verb": verb, "job": {**job, **made}}, listener)


def _listener(progress: Progress, on_image: Callable[[Event], None]) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if event["event"] == "progress":
            progress(event["stage"], event["done"], event["total"])
        elif event["event"] == "image":
            on_image(event)

    return on_event


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return f"user {os.getuid()}"

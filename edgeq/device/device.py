"""A device: a target reachable through a transport, with the agent to talk to."""

from __future__ import annotations

import getpass
import os
import platform
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from edgeq.agent.errors import BAD_ARTIFACT
from edgeq.artifact import shelf
from edgeq.artifact.folder import LARGEST_MANIFEST, Artifact
from edgeq.artifact.manifest import parsed
from edgeq.device.engines import Engines
from edgeq.device.files import Files
from edgeq.device.sending import Content
from edgeq.device.session.parsing import P, parsed_answer
from edgeq.device.session.session import PATIENCE_S, Event, Session, listener
from edgeq.device.transport import Transport
from edgeq.errors import DeviceError
from edgeq.progress import Progress, silent
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.answers import Contents, Hello, Made, Probe
from edgeq.records.measurement import Measurement
from edgeq.records.turns import Turns


class Device:
    """Pushes to a device and has its agent probe, verify, bench and predict.

    Connects at the first need, and keeps the connection until `close`. With `keep` off the agent
    runs from memory where it is not there yet: looking changes nothing. `files` sends and
    fetches, `engines` has the device compile what it runs.
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
        self._root = root
        self._keep = keep
        self._patience_s = patience_s
        self._session: Session | None = None
        self._verified: set[str] = set()
        self.files = Files(lambda: self.session, limit_bytes)
        self.engines = Engines(lambda: self.session, self.files, share_engines, build_limits)

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
    def notes(self) -> list[str]:
        """What a reader of the report should know of what happened there."""
        return self.engines.notes

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
        self._ask("lock", {"who": who_is_here(), "what": what, "shared": shared, "wait_s": wait_s})

    def probe(self, modules: Sequence[str] = ()) -> Probe:
        """What the device is: architecture, CPU, memory, engines. As the agent reports it.

        `modules` are looked for there and tried; without any, all that edgeq may use.
        """
        return self.begin_probe(modules)()

    def begin_probe(self, modules: Sequence[str] = ()) -> Callable[[], Probe]:
        """Have the device look while this side does other work; the result waits for the answer.

        It has to be called before anything else is asked of the device.
        """
        asked = {"modules": list(modules)} if modules else {}
        self._begin_job("probe", {"root": self.root, "remembers": self._keep, **asked})
        return lambda: self._parsed(Probe, self.session.answer().fields)

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
        self,
        artifact: Artifact,
        progress: Progress = silent,
        graph_optimization: str = "all",
        load: bool = True,
    ) -> None:
        """Check a release that was sent by hash and by loading it; once in the life of this object.

        Without `load` by hash alone, where it is not compiled. What is damaged there is sent again:
        then it is right, or the disk is failing.
        """
        if artifact.id in self._verified:
            return
        try:
            self._verify(artifact, progress, graph_optimization, load)
        except DeviceError as exc:
            if exc.kind != BAD_ARTIFACT:
                raise
            self._recheck(artifact)
            self._place(artifact, progress)
            self._verify(artifact, progress, graph_optimization, load)
        self._verified.add(artifact.id)

    def push(
        self, artifact: Artifact, progress: Progress = silent, graph_optimization: str = "all"
    ) -> str:
        """Send an artifact to be run, and verify it; the folder of the release.

        One that was there is not loaded: what runs it does that next.
        """
        if artifact.id not in self._verified:
            is_new = self.send(artifact, progress)
            self.verify(artifact, progress, graph_optimization, load=is_new)
        return self.release(artifact.id)

    def activate(
        self, artifact_id: str, signers: Sequence[str] = (), generation: int | None = None
    ) -> None:
        """Make a release the current one, and keep the one before it as previous.

        Its signature has to verify against each text of `signers`, and against what the device was
        set up with. DeviceError: no-release, not-signed, bad-artifact; superseded where a newer
        `generation` claimed the device.
        """
        self._ask("activate", _switch(artifact_id, signers, generation))

    def restore(
        self, artifact_id: str, signers: Sequence[str] = (), generation: int | None = None
    ) -> None:
        """Go back to a release, as `activate`; what is current now is none to go back to."""
        self._ask("restore", _switch(artifact_id, signers, generation))

    def claim(self, generation: int) -> None:
        """Have the device listen to this generation of controllers and to none before it.

        It has to be locked. DeviceError (superseded) where it listens to a newer one.
        """
        self._ask("claim", {"generation": generation})

    def rollback(self, signers: Sequence[str] = (), forth: bool = False) -> None:
        """Change current and previous about; `forth` to what a rollback left, and back otherwise.

        DeviceError: no-release when there is none in that direction, not-signed, bad-artifact.
        """
        self._ask("rollback", {"signers": list(signers), "forth": forth})

    def status(self) -> Contents:
        """Releases, disk use, who holds the lock, the environment."""
        return self._parsed(Contents, self._ask("status"))

    def forget(self) -> None:
        """Leave no agent behind on a device that nothing else was put on."""
        self._ask("forget")

    def collect(self) -> None:
        """Remove what nothing refers to; needs the lock."""
        self._ask("collect")

    def bench(self, job: Mapping[str, Any], progress: Progress = silent) -> Measurement:
        """Measure latency and memory."""
        told = self._job("bench", job, progress)
        fields = {name: told[name] for name in Measurement.model_fields if name in told}
        return self._parsed(Measurement, fields)

    def predict(
        self,
        job: Mapping[str, Any],
        on_image: Callable[[ImagePrediction], None],
        progress: Progress = silent,
    ) -> None:
        """Find instances; `on_image` gets what was found in each image."""

        def on_event(event: Event) -> None:
            fields = {name: value for name, value in event.items() if name != "event"}
            on_image(self._parsed(ImagePrediction, fields))

        self._job("predict", job, progress, on_event)

    def compare(
        self, releases: Sequence[str], job: Mapping[str, Any], progress: Progress = silent
    ) -> Turns:
        """Have two releases take turns, in processes that are started for it."""
        sides = []
        for release in releases:
            engine = self.engines.of(release)
            sides.append({"release": release, **({"engine": engine.path} if engine else {})})
        return self._parsed(Turns, self._job("compare", {**job, "sides": sides}, progress))

    def fetch(self, artifact_id: str) -> Artifact:
        """A release as an artifact here, in the cache; what it is made of is checked by hash.

        DeviceError: no-file where it is not there, bad-artifact where it is damaged.
        """
        found = shelf.kept(artifact_id)
        if found is not None:
            return found
        address = f"{self.address}:{self.release(artifact_id)}"
        manifest = parsed(self.files.blob(artifact_id, LARGEST_MANIFEST), address)
        files = {name: self.files.blob(f.sha256, f.bytes) for name, f in manifest.files.items()}
        return shelf.keep(manifest, files)

    def trust(self, signers: str) -> None:
        """Have the device demand a signature by these of every release, whoever activates it."""
        self._ask("signers", {"text": signers})

    def release(self, artifact_id: str) -> str:
        """The folder of a release."""
        return f"{self.root}/releases/{artifact_id}"

    def _verify(
        self, artifact: Artifact, progress: Progress, graph_optimization: str, load: bool
    ) -> None:
        release, compiled = self.release(artifact.id), artifact.manifest.runtime.compile
        job = {"release": release, "id": artifact.id, "threads": 1}
        job["graph_optimization"] = graph_optimization
        if compiled is not None:
            # By hash before minutes go into an engine of it.
            self._job("verify", {**job, "load": False})
            self.engines.make(release, compiled, progress)
            load = True
        self._job("verify", {**job, "load": load})

    def _place(self, artifact: Artifact, progress: Progress) -> bool:
        contents: dict[str, Content] = {
            file.sha256: artifact.path(name) for name, file in artifact.manifest.files.items()
        }
        contents[artifact.id] = artifact.manifest.encoded()
        self.files.send(contents, progress)
        # A signature given now takes the place of the one there: keys change.
        signature = b64encode(artifact.signature).decode() if artifact.signature else None
        made = self._ask("release", {"id": artifact.id, "signature": signature})
        return self._parsed(Made, made).new

    def _recheck(self, artifact: Artifact) -> None:
        """Have the device find out which files of an artifact are not what they should be."""
        files = artifact.manifest.files.values()
        self._ask("recheck", {"hashes": [artifact.id, *(file.sha256 for file in files)]})

    def _ask(self, op: str, fields: Mapping[str, Any] | None = None) -> Event:
        return self.session.ask(op, fields, listener(self.address, silent))

    def _parsed(self, kind: type[P], fields: Event) -> P:
        return parsed_answer(kind, fields, self.address)

    def _job(
        self,
        verb: str,
        job: Mapping[str, Any],
        progress: Progress = silent,
        on_image: Callable[[Event], None] = lambda _: None,
    ) -> Event:
        self._begin_job(verb, job)
        return self.session.answer(listener(self.address, progress, on_image)).fields

    def _begin_job(self, verb: str, job: Mapping[str, Any]) -> None:
        engine = self.engines.of(str(job.get("release")))
        uses = engine is not None and verb in ("verify", "bench", "predict")
        made = {"engine": engine.path} if engine is not None and uses else {}
        self.session.send("job", {"verb": verb, "job": {**job, **made}})


def _switch(artifact_id: str, signers: Sequence[str], generation: int | None) -> dict[str, Any]:
    return {"id": artifact_id, "signers": list(signers), "generation": generation}


def who_is_here() -> str:
    """Who works on a device, or on a roll-out, for others to read."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        user = f"user {os.getuid()}"
    return f"{user}@{platform.node()}, process {os.getpid()}"

"""A device: a target reachable through a transport, with the agent to talk to."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from edgeq.artifact import Artifact
from edgeq.device.bundle import bundle
from edgeq.device.local import LocalTransport
from edgeq.device.releases import Releases
from edgeq.device.transport import Transport
from edgeq.errors import DeviceError, EdgeqError
from edgeq.progress import Progress, silent
from edgeq.target import Target

Event = dict[str, Any]


class Device:
    """Pushes to a device and has its agent probe, verify, bench and predict."""

    def __init__(self, transport: Transport, root: str) -> None:
        self.transport = transport
        self.releases = Releases(transport, transport.root(root))
        self._agent: str | None = None
        self._verified: dict[str, str] = {}

    @property
    def address(self) -> str:
        """How to name the device."""
        return self.transport.address

    def probe(self) -> Event:
        """What the device is: architecture, CPU, memory, engines. As the agent reports it."""
        return self._ask("probe", {"root": self.releases.root})

    def push(self, artifact: Artifact) -> str:
        """Send an artifact and have the agent verify it by hash and by loading it; its folder.

        Once in the life of this object; a second push only answers.
        """
        if artifact.id in self._verified:
            return self._verified[artifact.id]
        release = self.releases.push(artifact)
        job = {"release": release, "id": artifact.id, "load": True, "threads": 1}
        try:
            self._ask("verify", job)
        except DeviceError as exc:
            if exc.kind != "bad-artifact":
                raise
            # What lay there was damaged; sent anew it is either right or the disk is failing.
            self.releases.push(artifact, anew=True)
            self._ask("verify", job)
        self._verified[artifact.id] = release
        return release

    def bench(self, job: Mapping[str, Any], progress: Progress = silent) -> Event:
        """Measure latency and memory; the raw result of the agent."""
        return self._ask("bench", job, progress)

    def predict(
        self,
        job: Mapping[str, Any],
        on_image: Callable[[Event], None],
        progress: Progress = silent,
    ) -> Event:
        """Find instances; `on_image` gets the event of each image."""
        return self._ask("predict", job, progress, on_image)

    def _ask(
        self,
        verb: str,
        job: Mapping[str, Any],
        progress: Progress = silent,
        on_image: Callable[[Event], None] = lambda _: None,
    ) -> Event:
        agent = self._installed()
        file = self.releases.work(f"{verb}-{uuid.uuid4().hex}.json")
        self.transport.put(json.dumps(job).encode(), file)
        last: list[Event] = []

        def on_line(line: str) -> None:
            event = self._event(verb, line)
            if event["event"] == "progress":
                progress(event["stage"], event["done"], event["total"])
            elif event["event"] == "image":
                on_image(event)
            else:
                last.append(event)

        try:
            done = self.transport.run([self.transport.python, agent, verb, file], on_line)
        finally:
            self.releases.remove(file)
        if not last:
            tail = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            what = f"the agent ended with status {done.status} during {verb}: {tail}"
            raise DeviceError(self.address, what, "see whether the device ran out of memory")
        if last[-1]["event"] == "error":
            raise self._error(last[-1])
        return {key: value for key, value in last[-1].items() if key != "event"}

    def _event(self, verb: str, line: str) -> Event:
        try:
            event: Event = json.loads(line)
            if event["event"] in ("progress", "image", "result", "error"):
                return event
        except (ValueError, KeyError, TypeError):
            pass
        what = f"the agent said something unintelligible during {verb}: {line.strip()[:80]!r}"
        raise DeviceError(self.address, what, "another version of edgeq may be at work there")

    def _error(self, event: Event) -> EdgeqError:
        if event["kind"] == "bug":
            return EdgeqError(self.address, event["message"])
        return DeviceError(self.address, event["message"], kind=event["kind"])

    def _installed(self) -> str:
        """The agent's path on the device; sent when it is not there yet."""
        if self._agent is None:
            content = bundle()
            digest = hashlib.sha256(content).hexdigest()
            self.releases.prepare()
            self._agent = self.releases.put_blobs({digest: content})[digest]
        return self._agent


def connect(target: Target) -> Device:
    """The device that a target means. Raises DeviceError for one that cannot be reached."""
    if target.transport != "local":
        what = f"transport {target.transport} is not there yet"
        raise DeviceError(f"target {target.name}", what, "use a target with 'transport: local'")
    return Device(LocalTransport(), target.root)


def host() -> Device:
    """This machine, where the float model and the simulated plan run."""
    return Device(LocalTransport(), "~/.edgeq/device")

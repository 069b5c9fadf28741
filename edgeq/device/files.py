"""Files of this machine on a device: as blobs, sent where they are missing; and what a run left."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgeq.agent.errors import BAD_ARTIFACT, NO_ROOM
from edgeq.agent.store.room import REMEDY, RESERVE_BYTES, shortage
from edgeq.device.pace import Pace
from edgeq.device.sending import Content, Sent, hash_of, send_blobs
from edgeq.device.session.parsing import P, parsed_answer
from edgeq.device.session.session import Event, Session
from edgeq.errors import DeviceError
from edgeq.progress import Progress, silent
from edgeq.records.answers import Blobs, Contents
from edgeq.spec.images import Image


class Files:
    """Sends what a device lacks, and fetches what a run left there.

    `session` gives the conversation with it, begun at the first need; `limit_bytes` is what all of
    edgeq may take up there. `sent` counts what was moved, and `pace` says how fast that may go.
    """

    def __init__(self, session: Callable[[], Session], limit_bytes: int | None = None) -> None:
        self.sent = Sent()
        self.pace: Pace | None = None
        self._session = session
        self._limit_bytes = limit_bytes
        self._placed: set[str] = set()

    @property
    def _root(self) -> str:
        return self._session().hello.root

    def _parsed(self, kind: type[P], fields: Event) -> P:
        return parsed_answer(kind, fields, self._session().address)

    def put(self, images: Iterable[Image], progress: Progress = silent) -> dict[Path, str]:
        """Send images of this machine as blobs; file to path on the device. Kept for later."""
        digests = {image.path: image.sha256 for image in images}
        wanted = sorted(set(digests.values()))
        if not self._placed.issuperset(wanted):
            self.send({digest: file for file, digest in digests.items()}, progress)
            name = hashlib.sha256("".join(wanted).encode()).hexdigest()
            self._session().ask("set", {"name": name, "hashes": wanted})
            self._placed.update(wanted)
        return {file: f"{self._root}/blobs/sha256/{digest}" for file, digest in digests.items()}

    def mend(self, placed: Mapping[Path, str], progress: Progress = silent) -> bool:
        """Send again what is damaged or gone of files that were put; whether anything was."""
        contents: dict[str, Content] = {path.rpartition("/")[2]: f for f, path in placed.items()}
        self._session().ask("recheck", {"hashes": list(contents)})
        before = self.sent.blobs
        self.send(contents, progress)
        return self.sent.blobs > before

    def blob(self, digest: str, limit_bytes: int) -> bytes:
        """A file of a release, by its hash; DeviceError (bad-artifact) where it is damaged."""
        session = self._session()
        session.send("blob", {"hash": digest}, answer_bytes=limit_bytes)
        content = session.answer().content
        if hash_of(content) != digest:
            what = f"a file of the release is damaged there: {digest[:12]}"
            raise DeviceError(session.address, what, "push the release again", BAD_ARTIFACT)
        return content

    def require_possible_room(
        self, images: Iterable[Image], more_bytes: int, there: Contents
    ) -> None:
        """DeviceError (no-room) when these would not fit, whatever of what is `there` went.

        Asks for no lock. Whether they do fit, `require_room` finds out.
        """
        needed = self._needed({image.sha256: image.path for image in images}, more_bytes)
        most = there.used_bytes + there.free_bytes - RESERVE_BYTES
        most = most if self._limit_bytes is None else min(most, self._limit_bytes)
        if needed > most:
            figures = there.used_bytes, there.free_bytes
            what = shortage(needed, self._limit_bytes, *figures)
            raise DeviceError(self._session().address, what, REMEDY, NO_ROOM)

    def require_room(self, images: Iterable[Image], more_bytes: int) -> None:
        """DeviceError (no-room) when what the device lacks of images, and more, would not fit."""
        self.require_room_for({image.sha256: image.path for image in images}, more_bytes)

    def require_room_for(self, files: Mapping[str, Path], more_bytes: int) -> None:
        """As `require_room`, for files by their hashes."""
        needed = self._needed(files, more_bytes)
        self._session().ask("room", {"bytes": needed, "limit_bytes": self._limit_bytes})

    def _needed(self, files: Mapping[str, Path], more_bytes: int) -> int:
        sizes = {digest: file.stat().st_size for digest, file in files.items()}
        found = self._parsed(Blobs, self._session().ask("have", {"hashes": list(sizes)}))
        there = {digest: min(count, sizes[digest]) for digest, count in found.partial.items()}
        missing = sum(sizes[digest] - there.get(digest, 0) for digest in found.missing)
        return more_bytes + missing

    def work_name(self, suffix: str) -> tuple[str, str]:
        """Name and path of a new file that only one run needs."""
        name = f"{uuid.uuid4().hex}{suffix}"
        return name, f"{self._root}/work/{name}"

    def take(self, name: str, limit_bytes: int) -> bytes:
        """The content of a file of `work/`, which is removed; DeviceError for a larger one."""
        self._session().send("get", {"name": name}, answer_bytes=limit_bytes)
        content = self._session().answer().content
        self._session().ask("remove", {"name": name})
        return content

    def send(self, contents: Mapping[str, Content], progress: Progress = silent) -> None:
        """Send what the device lacks of hash to content. Raises as `send_blobs`."""
        moved = send_blobs(self._session(), contents, self._limit_bytes, progress, self.pace)
        self.sent = Sent(self.sent.blobs + moved.blobs, self.sent.size_bytes + moved.size_bytes)

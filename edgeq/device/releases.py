"""The device's root folder: a content-addressed store that is never seen half written.

blobs/sha256/<hash>     files of releases, images, the agent itself
releases/<id>/          links to blobs; appears by rename when it is complete
current, previous       links to releases; switched by rename
work/                   job files and raw outputs of a run
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgeq.artifact import MANIFEST, Artifact
from edgeq.device.transport import Completed, Transport
from edgeq.errors import DeviceError

_REPLACE = "import os, sys; os.replace(sys.argv[1], sys.argv[2])"


class Releases:
    """The store of one device."""

    def __init__(self, transport: Transport, root: str) -> None:
        self.transport = transport
        self.root = root

    def prepare(self) -> None:
        """Make the folders. Raises DeviceError when the root cannot be written to."""
        folders = [self._at("blobs", "sha256"), self._at("releases"), self._at("work")]
        self._do("mkdir", "-p", *folders)

    def put_blobs(self, contents: Mapping[str, Path | bytes], anew: bool = False) -> dict[str, str]:
        """Send what is missing (or all, `anew`) of hash to content; hash to path on the device."""
        have = set() if anew else set(self._do("ls", self._at("blobs", "sha256")).stdout.split())
        for digest, content in contents.items():
            if digest not in have:
                self.transport.put(content, self.blob(digest))
        return {digest: self.blob(digest) for digest in contents}

    def put_files(self, files: Iterable[Path]) -> dict[Path, str]:
        """Send files of this machine as blobs; file to path on the device."""
        digests = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        self.put_blobs({digest: file for file, digest in digests.items()})
        return {file: self.blob(digest) for file, digest in digests.items()}

    def push(self, artifact: Artifact, anew: bool = False) -> str:
        """Make an artifact a release of the device; the path of its folder.

        Not yet the current one. Pushing what is there already sends nothing, unless `anew`.
        """
        self.prepare()
        release = self.release(artifact.id)
        contents: dict[str, Path | bytes] = {
            file.sha256: artifact.path(name) for name, file in artifact.manifest.files.items()
        }
        contents[artifact.id] = artifact.manifest.encoded()
        self.put_blobs(contents, anew)
        if not anew and self._exists(release):
            return release
        # Of its own, so that two pushes of one artifact do not meet in it.
        partial = self._at("releases", f".{artifact.id}.{uuid.uuid4().hex}.partial")
        self._do("mkdir", partial)
        names = {name: file.sha256 for name, file in artifact.manifest.files.items()}
        for name, digest in {**names, MANIFEST: artifact.id}.items():
            self._do("ln", "-s", f"../../blobs/sha256/{digest}", f"{partial}/{name}")
        if anew:
            damaged = f"{partial}.damaged"
            self._rename(release, damaged)
            self._rename(partial, release)
            self._do("rm", "-rf", damaged)
            return release
        try:
            self._rename(partial, release)
        except DeviceError:
            self._do("rm", "-rf", partial)
            if not self._exists(release):  # unless another push was faster
                raise
        return release

    def activate(self, artifact_id: str) -> None:
        """Make a release the current one, and keep the one before it as previous.

        Raises DeviceError when the device does not have it.
        """
        if self.transport.run(["test", "-e", self.release(artifact_id)]).status != 0:
            what = f"release {artifact_id} is not there"
            raise DeviceError(self.transport.address, what, "push it first")
        current = self.current()
        if current == artifact_id:
            return
        if current is not None:
            self._point("previous", current)
        self._point("current", artifact_id)

    def current(self) -> str | None:
        """The id of the current release."""
        found = self.transport.run(["readlink", self._at("current")])
        return found.stdout.strip().rpartition("/")[2] if found.status == 0 else None

    def release(self, artifact_id: str) -> str:
        """The folder of a release."""
        return self._at("releases", artifact_id)

    def blob(self, digest: str) -> str:
        """The path of a blob."""
        return self._at("blobs", "sha256", digest)

    def work(self, name: str) -> str:
        """The path of a file that only one run needs."""
        return self._at("work", name)

    def remove(self, path: str) -> None:
        """Remove a file of `work/`."""
        self._do("rm", "-f", path)

    def _at(self, *parts: str) -> str:
        return "/".join((self.root.rstrip("/"), *parts))

    def _exists(self, path: str) -> bool:
        return self.transport.run(["test", "-e", path]).status == 0

    def _point(self, link: str, artifact_id: str) -> None:
        temporary = self._at(f".{link}.new")
        self._do("ln", "-sfn", f"releases/{artifact_id}", temporary)
        self._rename(temporary, self._at(link))

    def _rename(self, before: str, after: str) -> None:
        # mv would move into an existing folder or follow a link; rename(2) switches at once.
        self._do(self.transport.python, "-c", _REPLACE, before, after)

    def _do(self, *arguments: str) -> Completed:
        done = self.transport.run(arguments)
        if done.status != 0:
            reason = (done.stderr.strip().splitlines() or [f"status {done.status}"])[-1]
            what = f"'{arguments[0]}' failed: {reason}"
            raise DeviceError(
                self.transport.address, what, f"check space and rights of {self.root}"
            )
        return done

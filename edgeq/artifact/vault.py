"""Artifacts that stay for as long as something names them; the shelf is a cache and may go."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeq import places
from edgeq.artifact.folder import Artifact, contents, read_folder
from edgeq.artifact.shelf import place_whole
from edgeq.errors import InputError


@dataclass(frozen=True)
class Vault:
    """A folder with artifacts, each under its id, whole or not at all."""

    folder: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else of this machine keeps or removes meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def keep(self, artifact: Artifact) -> None:
        """Copy an artifact, unless it lies here intact."""
        if self.kept(artifact.id) is None:
            place_whole(contents(artifact), artifact.manifest, self.folder / artifact.id)

    def kept(self, artifact_id: str) -> Artifact | None:
        """The artifact of that id, if it lies here intact."""
        try:
            found = read_folder(self.folder / artifact_id)
        except InputError:
            return None
        return found if found.id == artifact_id else None

    def remove_all_but(self, wanted: Collection[str]) -> None:
        """Remove every artifact that is not wanted any more."""
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)


def of_store(where: str) -> Vault:
    """The vault of the artifacts that one store names: another's names are not known there."""
    digest = hashlib.sha256(where.encode()).hexdigest()[:16]
    return Vault(places.home() / "baselines" / digest)

"""The root folder on the device, a content-addressed store, and where everything in it lies.

agent/<sha256>.pyz      the agent; beside it what was compiled of it, see compiled.py
agent/<hash>.tried      packages that could be imported, see system/import_trials.py
blobs/sha256/<hash>     files of releases, images, wheels
incoming/<hash>.part    what is being received
releases/<id>/          links to blobs; appears by rename when it is complete and durable
states/<name>/          two links, current and previous, to releases; after a rollback a third, left
state                   link to one of states/, switched by one rename: both change together
current, previous       links through state, made once: what a service on the board opens
sets/<name>             lists of blobs that are in use
env/<key>/              environments; env/current and env/previous are links to two of them
env/<key>~<unique>/     one that was built again while the first was in use
engines/<fingerprint>/  TensorRT engines; each appears by rename when it is complete
engines/timing.*.cache  what TensorRT measured while it built them
work/                   files of a run
generation              the newest controller of roll-outs that claimed the device
lock, allowed_signers
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ..names import unique

_FOLDERS = (
    "agent",
    "blobs/sha256",
    "incoming",
    "releases",
    "states",
    "sets",
    "env",
    "engines",
    "work",
)


class Layout(NamedTuple):
    """The paths below one root."""

    root: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that a root has."""
        return tuple(self.root / name for name in _FOLDERS)

    @property
    def agents(self) -> Path:
        """Agents, this one among them."""
        return self.root / "agent"

    @property
    def blobs(self) -> Path:
        """Blobs under their hashes."""
        return self.root / "blobs" / "sha256"

    @property
    def incoming(self) -> Path:
        """What is being received."""
        return self.root / "incoming"

    @property
    def releases(self) -> Path:
        """Releases under their ids."""
        return self.root / "releases"

    @property
    def states(self) -> Path:
        """Pairs of current and previous."""
        return self.root / "states"

    @property
    def state(self) -> Path:
        """The link to the pair that counts."""
        return self.root / "state"

    @property
    def sets(self) -> Path:
        """Lists of blobs that are in use."""
        return self.root / "sets"

    @property
    def environments(self) -> Path:
        """Environments under their keys."""
        return self.root / "env"

    @property
    def engines(self) -> Path:
        """Engines that were built here, under their fingerprints."""
        return self.root / "engines"

    @property
    def work(self) -> Path:
        """Files of a run."""
        return self.root / "work"

    @property
    def lock(self) -> Path:
        """The file that sessions lock."""
        return self.root / "lock"

    @property
    def generation(self) -> Path:
        """The newest controller of roll-outs that claimed this device."""
        return self.root / "generation"

    @property
    def allowed_signers(self) -> Path:
        """Who must have signed, whatever the host says."""
        return self.root / "allowed_signers"

    @property
    def is_signed_only(self) -> bool:
        """Whether there is a list of signers; one that cannot be read must not count as none."""
        return os.path.lexists(str(self.allowed_signers))

    def environment(self) -> str | None:
        """The key of the current environment, None where there is none that runs."""
        folder = self.environment_folder()
        return None if folder is None else environment_key(folder.name)

    def environment_folder(self) -> Path | None:
        """Where the current environment lies, by its own path: `current` may change under a job."""
        name = link_name(self.environments / "current")
        folder = self.environments / (name or "current")
        return folder if name and is_runnable(folder) else None

    def blob(self, digest: str) -> Path:
        """The path of a blob."""
        return self.blobs / digest

    def part(self, digest: str) -> Path:
        """Where a blob is received."""
        return self.incoming / f"{digest}.part"

    def temporary(self) -> Path:
        """A new path in a folder whose leftovers are removed."""
        return self.incoming / f".{unique()}.new"


def environment_key(name: str) -> str:
    """The key of the environment in the folder of this name."""
    return name.partition("~")[0]


def interpreter(environment: Path) -> Path:
    """The Python of an environment."""
    return environment / "bin" / "python"


def is_runnable(environment: Path) -> bool:
    """Whether an environment has its Python; the system's, to which that leads, may have gone."""
    return _exists(interpreter(environment))


def link_name(link: Path) -> str | None:
    """The last part of where a link points to, None where there is no link."""
    try:
        # Not Path.readlink, which Python 3.8 does not have.
        return os.path.basename(os.readlink(str(link)))  # noqa: PTH115, PTH119
    except OSError:
        return None


def points_to(link: Path, target: str) -> bool:
    """Whether this is a link, and to that."""
    try:
        return os.readlink(str(link)) == target  # noqa: PTH115
    except OSError:
        return False


def free_bytes(root: Path) -> int:
    """Bytes that this user can still write on the filesystem of `root`, which need not exist."""
    figures = filesystem(root)
    return figures.f_bavail * figures.f_frsize


def filesystem(root: Path) -> os.statvfs_result:
    """The filesystem of a folder, or of the nearest one above that exists."""
    return os.statvfs(str(nearest(root)))


def nearest(root: Path) -> Path:
    """A folder, or the nearest one above it that exists."""
    # Not Path.is_dir, which raises where this user may not look.
    folders = (root, *root.parents)
    return next((path for path in folders if os.path.isdir(str(path))), Path("/"))  # noqa: PTH112


def _exists(path: Path) -> bool:
    # Not Path.exists, which raises where this user may not look.
    return os.path.exists(str(path))  # noqa: PTH110

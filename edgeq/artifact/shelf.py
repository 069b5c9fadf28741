"""The cache of artifacts, each under its id, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgeq import places
from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import parse_manifest
from edgeq.artifact.folder import Artifact, read_folder
from edgeq.artifact.manifest import MANIFEST, Manifest
from edgeq.cache import Cache
from edgeq.errors import EdgeqError, InputError

CACHE = Cache("artifacts")


def keep(manifest: Manifest, files: Mapping[str, bytes]) -> Artifact:
    """Put an artifact into the cache under its id, whole or not at all.

    Raises EdgeqError for a manifest that the agent would refuse: a fault of ours, and better found
    here than on a device.
    """
    try:
        parse_manifest(manifest.encoded(), CACHE.folder(manifest.id))
    except AgentError as exc:
        raise EdgeqError(exc.where, exc.what, exc.remedy) from exc
    content = {MANIFEST: manifest.encoded(), **files}
    return kept(manifest.id) or place_whole(content, manifest, CACHE.folder(manifest.id))


def kept(artifact_id: str) -> Artifact | None:
    """The artifact of that id, if it lies intact in the cache."""
    return _intact(CACHE.folder(artifact_id), artifact_id)


def _intact(folder: Path, artifact_id: str) -> Artifact | None:
    try:
        found = read_folder(folder)
    except InputError:
        return None
    return found if found.id == artifact_id else None


def place_whole(content: Mapping[str, bytes], manifest: Manifest, folder: Path) -> Artifact:
    """Put an artifact into a folder, which is seen with all of it or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:20]}."))
    try:
        temporary.chmod(0o755)
        for name, data in content.items():
            places.write_whole(temporary / name, data)
        try:
            temporary.rename(folder)  # over nothing, or an empty folder
        except OSError:
            # Another process may have been faster; what is another or damaged gives way.
            if _intact(folder, manifest.id) is None:
                aside = temporary.with_name(f"{temporary.name}.old")
                folder.rename(aside)
                temporary.rename(folder)
                shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Artifact(folder, manifest)

"""Push: send an artifact to a device, and make it current if asked to."""

from __future__ import annotations

from pathlib import Path

from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.examination import require_fit
from edgeq.device.trust import require_signed, signers
from edgeq.progress import Progress, silent
from edgeq.records.device import Pushed
from edgeq.spec import target as targets
from edgeq.spec.target import Target
from edgeq.stages.fitness import check_device
from edgeq.verbs.releases import status_of


def push(
    artifact: str | Path | Artifact,
    target: str | Target,
    address: Address = HERE,
    activate: bool = False,
    progress: Progress = silent,
) -> Pushed:
    """Send an artifact to a device, and make it the current release if asked to.

    Only what is missing there is sent. A new release is verified by hash and by loading it, and so
    is one that becomes current. Raises InputError, DeviceError.
    """
    opened = artifact if isinstance(artifact, Artifact) else archive.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address) as device:
        require_fit(kind, device)
        if activate:
            require_signed(kind, device, opened.signature)
        device.lock(f"push {opened.id[:12]}")
        new = device.send(opened, progress)
        is_current = device.status().current == opened.id
        if new or (activate and not is_current):
            check_device(kind, device)
            device.verify(opened, progress)
        if activate:  # the current one too, so that it is known to be whole and signed
            device.activate(opened.id, signers(kind))
            device.collect()
        return Pushed(
            artifact_id=opened.id,
            device=device.address,
            path=device.release(opened.id),
            new=new,
            blobs_sent=device.files.sent.blobs,
            bytes_sent=device.files.sent.size_bytes,
            current=activate or is_current,
        )


def push_steps(
    artifact: str | Path | Artifact,
    target: str | Target,
    address: Address = HERE,
    activate: bool = False,
) -> list[str]:
    """What `push` would do, in words; the device is looked at and not touched."""
    opened = artifact if isinstance(artifact, Artifact) else archive.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        check_device(kind, device)
        if activate:
            require_signed(kind, device, opened.signature)
        found = status_of(device)
    there = opened.id in {release.id for release in found.releases}
    steps = [
        f"release {opened.id[:12]} is there already, nothing is sent"
        if there
        else f"push {opened.id[:12]} to {found.device}:{found.root}, and verify it there"
    ]
    if activate and found.current != opened.id:
        steps.append(f"make it current instead of {(found.current or 'nothing')[:12]}")
    return steps

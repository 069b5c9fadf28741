"""Whose releases a device may run: what a target and the device demand, checked before any work."""

from __future__ import annotations

from pathlib import Path

from edgeq.agent.errors import NOT_SIGNED
from edgeq.artifact import signing
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError
from edgeq.spec.target import Target

_REMEDY = "sign it: --sign KEY with 'edgeq build' or 'edgeq deploy'"


def signers(target: Target) -> list[str]:
    """The texts of allowed signers that a release has to satisfy. Raises InputError."""
    file = target.allowed_signers
    return [] if file is None else [signing.read_signers(file)]


def require_key(target: Target, device: Device, key: Path | None) -> None:
    """See that a key can sign, and is one that target and device accept; before there is anything.

    Raises InputError, DeviceError (not-signed) where it is the device that does not accept it.
    """
    proof = None if key is None else signing.signature(b"", key)
    _require(target, device, proof, str(key))


def require_signed(target: Target, device: Device, signature: bytes | None) -> None:
    """See that an artifact's signature is by somebody whom target and device allow; as above."""
    _require(target, device, signature, "the artifact")


def _require(target: Target, device: Device, proof: bytes | None, who: str) -> None:
    demanded, own = signers(target), device.hello.signers
    if proof is None:
        if demanded:
            what = f"target '{target.name}' demands a signature, and this is not signed"
            raise InputError(str(target.allowed_signers), what, _REMEDY)
        if own is not None:
            what = "it was set up to run signed releases only, and this is not signed"
            raise DeviceError(device.address, what, _REMEDY, kind=NOT_SIGNED)
        return
    for text in demanded:
        signing.require_signer(proof, text, who, target.allowed_signers)
    if own is not None and not signing.is_signer(proof, own):
        place = f"{device.root}/allowed_signers"
        whose = "the artifact's key" if who == "the artifact" else f"the key '{who}'"
        what = f"it runs releases of the signers in {place} only, and {whose} is not among them"
        remedy = "set it up with the new key in the target's list, or sign with one it knows"
        raise DeviceError(device.address, what, remedy, kind=NOT_SIGNED)

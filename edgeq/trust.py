"""Whose releases a device may run: what a target and the device demand, checked before any work."""

from __future__ import annotations

from pathlib import Path

from edgeq import signing
from edgeq.device.device import Device
from edgeq.errors import DeviceError, InputError
from edgeq.target import Target

_REMEDY = "sign it: --sign KEY with 'edgeq build' or 'edgeq deploy'"


def signers(target: Target) -> list[str]:
    """The texts of allowed signers that a release has to satisfy. Raises InputError."""
    file = target.allowed_signers
    return [] if file is None else [signing.read_signers(file)]


def require_key(target: Target, device: Device, key: Path | None) -> None:
    """See that a key can sign, and is one that target and device accept; before there is anything.

    Raises InputError, DeviceError (not-signed) where the device demands a signature.
    """
    demanded = signers(target)
    if key is not None:
        proof = signing.signature(b"", key)
        for text in demanded:
            signing.require_signer(proof, text, str(key), target.allowed_signers)
        return
    _demand(target, device)


def require_signed(target: Target, device: Device, signature: bytes | None) -> None:
    """See that an artifact's signature is by somebody whom the target allows."""
    demanded = signers(target)
    if signature is None:
        _demand(target, device)
        return
    for text in demanded:
        signing.require_signer(signature, text, "the artifact", target.allowed_signers)


def _demand(target: Target, device: Device) -> None:
    if target.allowed_signers is not None:
        what = f"target '{target.name}' demands a signature, and this is not signed"
        raise InputError(str(target.allowed_signers), what, _REMEDY)
    if device.hello["signed_only"]:
        what = "it was set up to run signed releases only, and this is not signed"
        raise DeviceError(device.address, what, _REMEDY, kind="not-signed")

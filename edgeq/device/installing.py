"""The environment of wheels that a device's jobs run in: sent, and built there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeq.agent.errors import BAD_REQUEST
from edgeq.device.device import Device
from edgeq.device.sending import hash_of
from edgeq.device.session.parsing import parsed_answer
from edgeq.device.session.session import listener
from edgeq.device.wheels import unpacked_bytes
from edgeq.errors import DeviceError
from edgeq.progress import Progress, silent
from edgeq.records.answers import Made


def install(
    device: Device,
    key: str,
    wheels: Mapping[str, Path],
    requirements: Sequence[str],
    progress: Progress = silent,
    anew: bool = False,
) -> bool:
    """Make an environment of wheels (name to file) the one that jobs run in; whether it is new.

    One that is there already is taken, unless `anew`. DeviceError: no-room for wheels and what is
    in them, before anything is sent; environment with pip's own reason.
    """
    digests = {name: hash_of(file) for name, file in wheels.items()}
    job = {"key": key, "requirements": list(requirements), "wheels": digests, "anew": anew}

    def built() -> bool:
        told = listener(device.address, progress)
        answer = device.session.ask("environment", job, told)
        return parsed_answer(Made, answer, device.address).new

    if not anew:
        try:
            return built()
        except DeviceError as exc:
            if exc.kind != BAD_REQUEST:  # which says what wheels are missing
                raise
    files = {digests[name]: file for name, file in wheels.items()}
    device.files.require_room_for(files, unpacked_bytes(wheels))
    device.files.send(files, progress)
    return built()

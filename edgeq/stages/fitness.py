"""Whether a device can do what a target asks of it."""

from __future__ import annotations

from collections.abc import Callable

from edgeq.agent.errors import MISSING_ENGINE
from edgeq.device.device import Device
from edgeq.device.examination import require_fit
from edgeq.errors import DeviceError
from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.runtimes.presence import modules, presence
from edgeq.spec.target import Target


def check_device(target: Target, device: Device) -> Probe:
    """What the device is, as probed. Raises DeviceError when it is not fit or lacks the engine."""
    return begin_check(target, device)()


def begin_check(target: Target, device: Device) -> Callable[[], Probe]:
    """The same, while this side does other work: begun here, and ended by calling the result.

    DeviceError: here when the device is not fit, from the result when it lacks the engine.
    """
    require_fit(target, device)
    answer = device.begin_probe(modules(runtime(target.runtime)))
    return lambda: _require_engine(target, device, answer())


def _require_engine(target: Target, device: Device, probe: Probe) -> Probe:
    engine = runtime(target.runtime)
    for module, lack in engine.from_system.items():
        if probe.packages.get(module) is None:
            raise DeviceError(device.address, lack.what, lack.remedy, kind=MISSING_ENGINE)
    missing = [one for one in presence(engine, target, probe) if one.version is None]
    if missing:
        what = f"there {', '.join(f'{one.name} is {one.lack}' for one in missing)}"
        remedy = "; ".join(dict.fromkeys(one.remedy for one in missing))
        raise DeviceError(device.address, what, remedy, kind=MISSING_ENGINE)
    return probe

"""Set up a board, or say what is missing there: system, room, engine, and the target's facts."""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.agent.errors import NO_ROOM
from edgeq.agent.store.room import RESERVE_BYTES
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.device.examination import findings, require_fit
from edgeq.device.installing import install
from edgeq.device.trust import signers
from edgeq.device.wheels import Platform, Wheels, fetched
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress, silent
from edgeq.records.answers import Contents, Probe
from edgeq.records.examination import Examination, Finding, State
from edgeq.runtimes import runtime
from edgeq.runtimes.presence import modules, presence
from edgeq.spec import target as targets
from edgeq.spec.target import Target
from edgeq.verbs.releases import holder

_ROOM_BYTES = 700 << 20
"""For the environment and its wheels, which lie there together for a moment."""
_LITTLE_MEMORY_BYTES = 512 << 20


def check(target: str | Target, address: Address = HERE) -> Examination:
    """Say what a board is and what is missing there; nothing on it is touched.

    Raises InputError, and DeviceError when it cannot be reached.
    """
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        return _examined(kind, device)


def setup(
    target: str | Target, address: Address = HERE, progress: Progress = silent
) -> Examination:
    """Put the engine on a board: wheels fetched here, installed there without network or root.

    An environment that is there already stays; a new one is made beside it, and the running release
    never stands without one. A target with `allowed_signers` has the board demand signatures from
    now on. Raises DeviceError for what no setup can mend.
    """
    kind = _remote(target)
    trusted = signers(kind)
    with connect(kind, address) as device:
        _require_fit(kind, device)
        device.lock("setup")
        progress("fetch wheels", 0, 1)
        with fetched(_requirements(kind, device), _platform(device), device.address) as wheels:
            progress("fetch wheels", 1, 1)
            changed = _install(kind, device, wheels, progress)
        for text in trusted:
            device.trust(text)
        device.collect()
        return _examined(kind, device).model_copy(update={"changed": changed})


def setup_steps(target: str | Target, address: Address = HERE) -> list[str]:
    """What `setup` would do, in words; the board is looked at and not touched."""
    kind = _remote(target)
    trusted = signers(kind)
    with connect(kind, address, keep=False) as device:
        _require_fit(kind, device)
        steps = [f"fetch {', '.join(_requirements(kind, device))} for {_platform(device)}"]
        steps.append(f"install them in {device.root}/env, beside what is there, if they changed")
        if trusted:
            steps.append(f"demand signatures by {kind.allowed_signers} of every release")
        return steps


def _remote(target: str | Target) -> Target:
    kind = target if isinstance(target, Target) else targets.load(target)
    if kind.transport == "local":
        what = f"target '{kind.name}' is this machine, which runs edgeq's own Python"
        raise InputError("--target", what, "there is nothing to set up")
    return kind


def _require_fit(target: Target, device: Device) -> None:
    require_fit(target, device)
    room = free_disk(device.hello.free_bytes, device.hello.environment)
    if room.state == "wrong":
        raise DeviceError(device.address, f"free disk: {room.found}", room.remedy, kind=NO_ROOM)


def _install(target: Target, device: Device, wheels: Wheels, progress: Progress) -> bool:
    requirements = _requirements(target, device)
    changed = install(device, wheels.key, wheels.files, requirements, progress)
    engine = runtime(target.runtime)
    probe = device.probe(modules(engine))
    lacking = {finding.name for finding in engine_findings(target, probe) if finding.state != "ok"}
    if not lacking - set(engine.from_system):
        return changed
    # What is there under this key was damaged.
    return install(device, wheels.key, wheels.files, requirements, progress, anew=True)


def _requirements(target: Target, device: Device) -> list[str]:
    return runtime(target.runtime).requirements(_platform(device).python)


def _examined(target: Target, device: Device) -> Examination:
    status, probe = device.status(), device.probe(modules(runtime(target.runtime)))
    found = [*findings(target, device), free_disk(status.free_bytes, status.environment)]
    found += [*engine_findings(target, probe), *fact_findings(target, probe)]
    found += lock_findings(device, status)
    return Examination(
        device=device.address,
        target=target.name,
        findings=tuple(found),
        environment=status.environment,
    )


def lock_findings(device: Device, contents: Contents) -> Iterator[Finding]:
    """Who else is at work there, if anybody is."""
    if (other := holder(device, contents)) is not None:
        text = f"held by {other.who} for {other.what}"
        yield Finding(name="lock", state="note", found=text, remedy="wait for its end")


def free_disk(free_bytes: int, environment: str | None) -> Finding:
    """Whether there is room for an environment, or beside the one that is there."""
    # One that is there is enough; for another beside it `install` asks, which knows its size.
    needed = _ROOM_BYTES if environment is None else RESERVE_BYTES
    enough = free_bytes >= needed
    return Finding(
        name="free disk",
        state="ok" if enough else "wrong",
        found=f"{free_bytes / 2**20:.0f} MiB",
        remedy="" if enough else f"free {needed >> 20} MiB, or name a root on another disk",
    )


def engine_findings(target: Target, probe: Probe) -> Iterator[Finding]:
    """Every package that the target's engine needs."""
    engine = runtime(target.runtime)
    for module, lack in engine.from_system.items():
        found = probe.packages.get(module)
        yield Finding(
            name=module,
            state="ok" if found else "missing",
            found=found or lack.what,
            remedy="" if found else lack.remedy,
        )
    for one in presence(engine, target, probe):
        yield Finding(
            name=one.name,
            state="ok" if one.version else "missing",
            found=one.version or one.lack,
            remedy=one.remedy,
        )


def fact_findings(target: Target, probe: Probe) -> Iterator[Finding]:
    """The target's facts beside the board's; another board under this name is worth a word."""
    facts, cpu, memory = target.facts, probe.cpu, probe.memory.total_bytes
    board, remedy = probe.board, "see that this is the board you mean"
    if facts.model is not None:
        alike = board is not None and board.startswith(facts.model)
        state: State = "ok" if alike else "note"
        found = board or "not told"
        yield Finding(name="model", state=state, found=found, remedy="" if alike else remedy)
    cores = cpu.cores_available
    alike = facts.cores in (None, cores)
    found = f"{cores}" if alike else f"{cores}, the target says {facts.cores}"
    yield Finding(name="cores", state="ok" if alike else "note", found=found)
    dot = cpu.has_dot_product
    alike = facts.dot_product in (None, dot)
    found = "yes" if dot else "no: int8 gains less on this CPU"
    found = found if alike else f"{found}; the target says {'yes' if facts.dot_product else 'no'}"
    yield Finding(name="int8 dot product", state="ok" if alike and dot else "note", found=found)
    if memory is not None:
        little = memory < _LITTLE_MEMORY_BYTES
        found = f"{memory / 2**20:.0f} MiB"
        # Firmware and GPU take their part before Linux counts.
        sold = not facts.memory or any(0.75 * size <= memory <= size for size in facts.memory)
        found = found if sold else f"{found}, not a size this board is sold with"
        yield Finding(name="memory", state="ok" if sold and not little else "note", found=found)
    if probe.emulated.emulated:
        found = "yes: latency here says nothing about a real board"
        yield Finding(name="emulated", state="note", found=found)


def _platform(device: Device) -> Platform:
    hello = device.hello
    major, minor = (int(part) for part in hello.python.split(".")[:2])
    libc = str(hello.libc).removeprefix("glibc ").split(".")
    return Platform((major, minor), (int(libc[0]), int(libc[1])), device.architecture)

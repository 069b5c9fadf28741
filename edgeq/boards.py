"""Set up a board, or say what is missing there: Python, C library, room, engine, clock, trust."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal

from edgeq import target as targets
from edgeq.device.device import HERE, Address, Device, check_clock, connect
from edgeq.device.wheels import Platform, fetched
from edgeq.errors import DeviceError, InputError
from edgeq.measurement import Record
from edgeq.progress import Progress, silent
from edgeq.releasing import holder, signers
from edgeq.runtimes import runtime
from edgeq.target import Target

State = Literal["ok", "note", "missing", "wrong"]

_ROOM_BYTES = 700 << 20
"""For the environment and its wheels, which lie there together for a moment."""
_LITTLE_MEMORY_BYTES = 512 << 20


class Finding(Record):
    """One thing that was looked at. Wrong: a deploy cannot work; missing: `setup` brings it."""

    name: str
    state: State
    found: str
    remedy: str = ""


class Examination(Record):
    """What a board is, measured against what its target needs."""

    device: str
    target: str
    findings: tuple[Finding, ...]
    environment: str | None
    changed: bool = False

    @property
    def ready(self) -> bool:
        """Whether a deploy can work."""
        return all(finding.state in ("ok", "note") for finding in self.findings)


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
    kind = target if isinstance(target, Target) else targets.load(target)
    if kind.transport == "local":
        what = f"target '{kind.name}' is this machine, which runs edgeq's own Python"
        raise InputError("--target", what, "there is nothing to set up")
    with connect(kind, address) as device:
        hopeless = [finding for finding in _machine(kind, device) if finding.state == "wrong"]
        if hopeless:
            wrong = "; ".join(f"{finding.name}: {finding.found}" for finding in hopeless)
            raise DeviceError(device.address, wrong, hopeless[0].remedy)
        device.lock("setup")
        progress("fetch wheels", 0, 1)
        requirements = list(runtime(kind.runtime).packages.values())
        with fetched(requirements, _platform(device), device.address) as wheels:
            progress("fetch wheels", 1, 1)
            changed = device.install(wheels.key, wheels.files, requirements, progress)
        for text in signers(kind):
            device.trust(text)
        device.collect()
        return _examined(kind, device).model_copy(update={"changed": changed})


def setup_steps(target: str | Target, address: Address = HERE) -> list[str]:
    """What `setup` would do, in words; the board is looked at and not touched."""
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        packages = ", ".join(runtime(kind.runtime).packages.values())
        steps = [f"fetch {packages} for {_platform(device)}"]
        steps.append(f"install them in {device.root}/env, beside what is there, if they changed")
        if kind.allowed_signers is not None:
            steps.append(f"demand signatures by {kind.allowed_signers} of every release")
        return steps


def _examined(target: Target, device: Device) -> Examination:
    status, probe = device.status(), device.probe()
    findings = [*_machine(target, device), *_engine(target, probe), *_facts(target, probe)]
    if (other := holder(device, status)) is not None:
        found = f"held by {other.who}" + (f" for {other.what}" if other.what else "")
        findings.append(Finding(name="lock", state="note", found=found, remedy="wait for its end"))
    return Examination(
        device=device.address,
        target=target.name,
        findings=tuple(findings),
        environment=status["environment"],
    )


def _machine(target: Target, device: Device) -> Iterator[Finding]:
    """What `setup` itself needs; found in the agent's first words."""
    hello = device.hello
    machine = device.architecture
    fits = target.architecture in ("host", machine)
    yield Finding(
        name="architecture",
        state="ok" if fits else "wrong",
        found=machine if fits else f"{machine}, the target is for {target.architecture}",
        remedy="" if fits else "name the target of that board, or install a 64-bit system",
    )
    yield Finding(name="Python", state="ok", found=f"{hello['python']} ({hello['executable']})")
    glibc = str(hello["libc"] or "").startswith("glibc ")
    yield Finding(
        name="C library",
        state="ok" if glibc else "wrong",
        found=hello["libc"] or "not glibc",
        remedy="" if glibc else "the engines' wheels need a system with glibc (Debian, Ubuntu)",
    )
    blocked = [word for word in ("read_only", "noexec") if hello[word]]
    yield Finding(
        name="root folder",
        state="wrong" if blocked or not hello["writable"] else "ok",
        found=f"{hello['root']}"
        + "".join(f", on a file system that is {word.replace('_', '-')}" for word in blocked)
        + ("" if hello["writable"] or blocked else ", not yours to write"),
        remedy="name another folder under 'root' in the target" if blocked else "",
    )
    room = hello["free_bytes"] >= _ROOM_BYTES or hello["environment"] is not None
    yield Finding(
        name="free disk",
        state="ok" if room else "wrong",
        found=f"{hello['free_bytes'] / 2**20:.0f} MiB",
        remedy="" if room else f"free {_ROOM_BYTES >> 20} MiB, or name a root on another disk",
    )
    try:
        check_clock(device, target.limits.clock_skew_s, time.time())
        yield Finding(name="clock", state="ok", found="as here")
    except DeviceError as exc:
        yield Finding(name="clock", state="wrong", found=exc.what, remedy=exc.remedy)
    if target.allowed_signers is not None or hello["signed_only"]:
        there = hello["ssh_keygen"]
        yield Finding(
            name="ssh-keygen",
            state="ok" if there else "wrong",
            found="there" if there else "not found, and signatures are verified with it",
            remedy="" if there else "install openssh-client on the board",
        )


def _engine(target: Target, probe: dict[str, Any]) -> Iterator[Finding]:
    for module, package in runtime(target.runtime).packages.items():
        found = probe["packages"][module]
        yield Finding(
            name=package,
            state="ok" if found else "missing",
            found=found or "not installed",
            remedy="" if found else "run: edgeq targets setup",
        )


def _facts(target: Target, probe: dict[str, Any]) -> Iterator[Finding]:
    """The target's facts beside the board's; another board under this name is worth a word."""
    facts, cpu, memory = target.facts, probe["cpu"], probe["memory"]["total_bytes"]
    board, remedy = probe["board"], "see that this is the board you mean"
    if facts.model is not None:
        alike = bool(board) and board.startswith(facts.model)
        state: State = "ok" if alike else "note"
        found = board or "not told"
        yield Finding(name="model", state=state, found=found, remedy="" if alike else remedy)
    cores = cpu["cores_available"]
    alike = facts.cores in (None, cores)
    found = f"{cores}" if alike else f"{cores}, the target says {facts.cores}"
    yield Finding(name="cores", state="ok" if alike else "note", found=found)
    flags: list[str] = cpu["flags"] or []
    dot = bool({"asimddp", "avx512_vnni", "avx_vnni"} & set(flags))
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
    if probe["emulated"]["emulated"]:
        found = "yes: latency here says nothing about a real board"
        yield Finding(name="emulated", state="note", found=found)


def _platform(device: Device) -> Platform:
    hello = device.hello
    major, minor = (int(part) for part in hello["python"].split(".")[:2])
    libc = str(hello["libc"]).removeprefix("glibc ").split(".")
    return Platform((major, minor), (int(libc[0]), int(libc[1])), device.architecture)

"""What a device must be before anything is done with it, found in the agent's first words."""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.device.device import Device
from edgeq.errors import DeviceError
from edgeq.records.examination import Finding
from edgeq.spec.target import Target


def findings(target: Target, device: Device) -> Iterator[Finding]:
    """What a target asks of the machine itself, beside what the device says it is."""
    hello = device.hello
    yield _finding(
        "architecture",
        target.architecture in ("host", device.architecture),
        device.architecture,
        f"is {device.architecture}, the target is for {target.architecture}",
        "name the target of that board, or install a 64-bit system on it",
    )
    yield Finding(name="python", state="ok", found=f"{hello.python} ({hello.executable})")
    yield _finding(
        "libc",
        str(hello.libc).startswith("glibc "),
        f"{hello.libc}",
        f"{hello.libc or 'not glibc'}",
        "the engines' wheels need a system with glibc, such as Debian or Ubuntu",
    )
    yield _root(target, device)
    yield _clock(target, device)
    if target.allowed_signers is not None or hello.signers is not None:
        yield _finding(
            "ssh-keygen",
            bool(hello.ssh_keygen),
            "there",
            "not found, and signatures are verified with it",
            "install openssh-client on the board",
        )


def require_fit(target: Target, device: Device) -> None:
    """DeviceError with everything that is wrong with a device for a target.

    Its `kind` is the name of the first finding: architecture, libc, root, clock, ssh-keygen.
    """
    wrong = [finding for finding in findings(target, device) if finding.state == "wrong"]
    if wrong:
        what = "; ".join(f"{finding.name}: {finding.found}" for finding in wrong)
        remedy = "; ".join(finding.remedy for finding in wrong)
        raise DeviceError(device.address, what, remedy, kind=wrong[0].name)


def _root(target: Target, device: Device) -> Finding:
    hello = device.hello
    remedy = "name another folder under 'root' in the target"
    # Wheels hold machine code, which a mount without exec does not let run; this very machine has
    # its engines elsewhere.
    if hello.read_only:
        problem = "on a file system that is mounted read-only"
    elif hello.noexec and target.transport == "ssh":
        problem = "on a file system that is mounted noexec"
    elif not hello.writable:
        problem, remedy = "not yours to write", f"{remedy}, or change its owner"
    else:
        return Finding(name="root", state="ok", found=device.root)
    return Finding(name="root", state="wrong", found=f"{device.root} is {problem}", remedy=remedy)


def _clock(target: Target, device: Device) -> Finding:
    off_s = device.session.clock_off_s
    return _finding(
        "clock",
        abs(off_s) <= target.limits.clock_skew_s,
        "as here" if abs(off_s) < 60 else f"{_words(off_s)}",
        f"is {_words(off_s)}",
        "set it (timedatectl, chrony), or raise limits.clock_skew_s in the target",
    )


def _finding(name: str, is_well: bool, well: str, wrong: str, remedy: str) -> Finding:
    if is_well:
        return Finding(name=name, state="ok", found=well)
    return Finding(name=name, state="wrong", found=wrong, remedy=remedy)


def _words(off_s: float) -> str:
    way = "ahead" if off_s > 0 else "behind"
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if abs(off_s) >= 2 * size:
            return f"{abs(off_s) / size:.0f} {unit} {way}"
    return f"{abs(off_s):.0f} seconds {way}"

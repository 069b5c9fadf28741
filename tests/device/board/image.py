"""The disk that every emulated board starts from: a small Debian for arm64, made once.

Like a stock board it has Python but neither pip nor ensurepip nor a compiler.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils"),
    *("findutils", "grep", "gzip", "hostname", "libc-bin", "login", "mawk", "mount", "passwd"),
    *("procps", "sed", "tar", "util-linux"),
    *("openssh-client", "openssh-server", "python3"),
    *("libgomp1", "libstdc++6"),  # what the wheels of the engines link to
)
UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
# qemu 7.2 computes wrong sums with the CPU called `max`
CPU = "cortex-a76"
USER = "edge"
UID = 1000
ACCOUNTS = {
    "passwd": f"sshd:*:101:65534::/run/sshd:/usr/sbin/nologin\n"
    f"{USER}:*:{UID}:{UID}::/home/{USER}:/bin/bash\n",
    "group": f"{USER}:*:{UID}:\n",
}


def cache() -> Path:
    """The folder of images and of running boards."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edgeq-boards"


def build() -> Path:
    """The image's root folder: found in the cache, else made in about half a minute.

    RuntimeError, with mmdebstrap's words, when the packages cannot be fetched.
    """
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    recipe = Path(__file__).read_bytes() + suite.encode()
    image = cache() / "images" / hashlib.sha256(recipe).hexdigest()[:16]
    image.parent.mkdir(parents=True, exist_ok=True)
    with (image.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            unfinished = image.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _unpack(unfinished, suite)
            _finish(unfinished)
            unfinished.rename(image)
    return image


def _unpack(root: Path, suite: str) -> None:
    # `extract` runs no package's scripts, which under emulation would take minutes
    _run(
        *("mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"),
        "--architectures=arm64",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED),
        *(suite, root, _sources()),
    )


def _sources() -> Path:
    """The machine's own apt sources: a mirror or a date that they pin holds for boards too."""
    folder = Path("/etc/apt")
    deb822 = folder / "sources.list.d" / "debian.sources"
    return deb822 if deb822.exists() else folder / "sources.list"


def _finish(root: Path) -> None:
    """Do what the packages' scripts would have done, as far as a board needs it."""
    for name, lines in ACCOUNTS.items():
        master = root / "usr/share/base-passwd" / f"{name}.master"
        (root / "etc" / name).write_text(master.read_text() + lines)
    (root / "usr/bin/awk").symlink_to("mawk")
    for name in ("hostname", "resolv.conf"):
        (root / "etc" / name).unlink(missing_ok=True)  # mmdebstrap copies this machine's
    _run("chroot", root, "/usr/sbin/ldconfig")
    # the board's user may not write there, and would compile at each start of Python
    modules = next((root / "usr/lib").glob("python3.*")).name
    compileall = ("-m", "compileall", "-q", "-j0", f"/usr/lib/{modules}")
    _run("chroot", root, "/usr/bin/python3", *compileall)


def _run(*command: str | Path) -> None:
    environment = {**os.environ, "QEMU_CPU": CPU}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"the image of the boards: {command[0]}: {done.stderr[-4000:]}")

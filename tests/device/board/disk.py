"""What is a board's own on its disk: accounts, keys and the settings of its SSH server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from . import image

CORES = 2
# a Cortex-A76, as the Linux of a real one describes it
CPUINFO = """\
processor\t: {core}
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile none
Subsystem sftp internal-sftp
MaxStartups 200
MaxSessions 100
"""
# the accounts of a board that is this machine again, whose own users are not to matter
ACCOUNTS = {
    "passwd": "root:*:0:0::/root:/bin/bash\nnobody:*:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    "group": "root:*:0:\nnogroup:*:65534:\n",
}


def make_disk(folder: Path, *, emulated: bool) -> None:
    """Lay out the folder of a board as init.sh expects it; `key.pub` beside it may log in."""
    upper = folder / "upper"
    home = upper / "home" / image.USER
    for path in (folder / "work", folder / "root", upper / "etc/ssh", upper / "tmp", home):
        path.mkdir(parents=True)
    for path in folder.rglob("*"):
        path.chmod(0o755)  # whatever the umask
    (upper / "tmp").chmod(0o1777)
    os.chown(home, image.UID, image.UID)
    settings = SSHD
    if emulated:
        settings += f"SetEnv QEMU_CPU={image.CPU}\n"
        cpus = "".join(CPUINFO.format(core=core) for core in range(CORES))
        (folder / "cpuinfo").write_text(cpus)
    else:
        for name, lines in ACCOUNTS.items():
            (upper / "etc" / name).write_text(lines + image.ACCOUNTS[name])
    (upper / "etc/ssh/sshd_config").write_text(settings)
    (upper / "etc/ssh/authorized_keys").write_text((folder.parent / "key.pub").read_text())


def make_key(path: Path) -> None:
    """Write a new SSH key pair, in the place of the one that is there."""
    for previous in (path, path.with_suffix(".pub")):
        previous.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True)

"""The transport to this very machine: child processes."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from edgeq import places
from edgeq.device.local.process import LocalProcess


class LocalTransport:
    """Processes are children of this one, under the same Python."""

    python = sys.executable

    def __init__(self) -> None:
        self.address = platform.node() or "localhost"

    def root(self, configured: str) -> str:
        """`~/.edgeq` means edgeq's own folder, wherever $EDGEQ_HOME puts it."""
        own = "~/.edgeq"
        if configured == own or configured.startswith(f"{own}/"):
            return str(places.home().absolute() / configured[len(own) :].lstrip("/"))
        return str(Path(configured).expanduser().absolute())

    def start(self, arguments: Sequence[str]) -> LocalProcess:
        """See `Transport.start`."""
        return LocalProcess(self.address, arguments)

    def close(self) -> None:
        """See `Transport.close`. There is no connection."""

"""What the connections to many devices have in common: keys once opened, links to jump hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edgeq.device.ssh.config import Hop
from edgeq.errors import DeviceError

if TYPE_CHECKING:
    import paramiko

    from edgeq.device.ssh.link import Link


_FIRST_S = 2.0
_LONGEST_S = 60.0


@dataclass
class _Jump:
    """A jump host: one thread connects, the others wait for it."""

    connecting: threading.Lock = field(default_factory=threading.Lock)
    link: Link | None = None
    failed: DeviceError | None = None
    failures: int = 0
    again_at: float = 0.0
    """when it is tried again, in the clock's seconds"""


class Shared:
    """For one run over many devices; any thread may use it. To be closed after their connections.

    A passphrase is asked for once, and a jump host is connected to once, however many devices are
    behind it: its sshd turns away who comes in crowds (MaxStartups). What could not be opened is
    not tried again, a jump host that could not be reached after 2 s, then 4 s, and at last once a
    minute: until then whoever is behind it hears how it failed. `ask` is called with a prompt,
    `clock` counts seconds.
    """

    def __init__(
        self,
        ask: Callable[[str], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ask = ask
        self._clock = clock
        self._closed = False
        self._opening = threading.Lock()
        self._keys: dict[Path, paramiko.PKey | None] = {}
        self._looking = threading.Lock()
        self._jumps: dict[Hop, _Jump] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def key(self, path: Path, open_key: Callable[[], paramiko.PKey | None]) -> paramiko.PKey | None:
        """A private key that needs its passphrase, opened by whoever comes first."""
        with self._opening:
            if path not in self._keys:
                self._keys[path] = open_key()
            return self._keys[path]

    def jump(self, hop: Hop, connect: Callable[[], Link]) -> Link:
        """The link to a jump host, which stays open for others. Raises DeviceError."""
        with self._looking:
            jump = self._jumps.setdefault(_whoever_asks(hop), _Jump())
        with jump.connecting:
            if jump.failed is not None and self._clock() < jump.again_at:
                failed = jump.failed
                raise DeviceError(hop.device, failed.what, failed.remedy, failed.kind)
            if jump.link is None or not jump.link.alive:
                if jump.link is not None:
                    jump.link.close()
                    jump.link = None
                try:
                    jump.link = connect()
                except DeviceError as exc:
                    jump.failed = exc
                    wait_s = min(_FIRST_S * 2.0**jump.failures, _LONGEST_S)
                    jump.failures += 1
                    jump.again_at = self._clock() + wait_s
                    raise
                jump.failed, jump.failures = None, 0
                if self._closed:  # while this was connected to; whoever uses it finds it lost
                    jump.link.close()
            return jump.link

    def close(self) -> None:
        """End the links to jump hosts; one that is being made ends when it is there."""
        self._closed = True
        # Those that go through others first, which were asked for earlier.
        for jump in list(self._jumps.values()):
            if jump.link is not None:
                jump.link.close()


def _whoever_asks(hop: Hop) -> Hop:
    """The same way for every device."""
    behind = None if hop.behind is None else _whoever_asks(hop.behind)
    return replace(hop, device="", behind=behind)

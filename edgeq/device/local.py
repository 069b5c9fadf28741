"""The transport to this very machine: child processes and files."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeq import places
from edgeq.device.transport import Completed
from edgeq.errors import DeviceError

_STDERR_TAIL = 4000


class LocalTransport:
    """Commands run as children of this process, under the same Python."""

    python = sys.executable

    def __init__(self) -> None:
        self.address = platform.node() or "localhost"

    def root(self, configured: str) -> str:
        """`~/.edgeq` means edgeq's own folder, wherever $EDGEQ_HOME puts it."""
        own = "~/.edgeq"
        if configured == own or configured.startswith(f"{own}/"):
            return str(places.home().absolute() / configured[len(own) :].lstrip("/"))
        return str(Path(configured).expanduser().absolute())

    def run(
        self, arguments: Sequence[str], on_line: Callable[[str], None] | None = None
    ) -> Completed:
        """See `Transport.run`."""
        lines: list[str] = []
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    list(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError as exc:
                raise DeviceError(self.address, f"cannot run {arguments[0]}: {exc}") from exc
            try:
                assert process.stdout is not None
                with process.stdout:
                    for line in process.stdout:
                        (on_line or lines.append)(line)
                status = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            errors.seek(0)
            tail = errors.read().decode(errors="replace")[-_STDERR_TAIL:]
        return Completed(status, "".join(lines), tail)

    def put(self, content: Path | bytes, path: str) -> None:
        """See `Transport.put`."""
        try:
            data = content if isinstance(content, bytes) else content.read_bytes()
            places.write_whole(Path(path), data)
        except OSError as exc:
            what = f"cannot be written: {exc.strerror}"
            raise DeviceError(f"{self.address}:{path}", what, "check space and rights") from exc

    def get(self, path: str) -> bytes:
        """See `Transport.get`."""
        try:
            return Path(path).read_bytes()
        except OSError as exc:
            raise DeviceError(f"{self.address}:{path}", f"cannot be read: {exc.strerror}") from exc

"""A process of this agent that does one thing at a time when it is told to, until it is let go."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Mapping

from ..errors import DIED, AgentError, Reported
from .child import nameless, tethered
from .command import agent_command

PROC = Path("/proc")
_GRACE_S = 5.0
_REST_S = 0.2
"""The longest that a process is waited for to come to rest: engines' threads spin for less."""
_LOOK_S = 0.0002


class Worker:
    """A private verb in a process of its own: a line to it, an event from it, in turns.

    It dies with this process. AgentError, here and below, is what it said of itself, under `name`,
    or that it died.
    """

    def __init__(self, name: str, verb: str, job: Mapping[str, Any]) -> None:
        self._name = name
        with nameless(json.dumps(job).encode("ascii")) as content:
            # Its standard input is for what it is told; the job is a file that only it inherits.
            number = content.fileno()
            command = [sys.executable, *agent_command(), verb, f"/dev/fd/{number}"]
            self._process = subprocess.Popen(
                tethered(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(number,),
            )

    @property
    def pid(self) -> int:
        """The process, which leads no group of its own."""
        return self._process.pid

    def ask(self, line: str) -> dict[str, Any]:
        """What it answers to a line."""
        self.tell(line)
        return self.hear()

    def tell(self, line: str) -> None:
        """Send a line; what it says to that is heard by `hear`."""
        assert self._process.stdin is not None
        # One that has died has said why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode("ascii") + b"\n")
            self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """The next event but for progress, which nobody sees."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line.decode("utf-8"))
            if event["event"] == "error":
                raise Reported(str(event["kind"]), f"{self._name}: {event['message']}")
            if event["event"] != "progress":
                return event
        what = f"ended without a result (status {self._process.wait()})"
        raise AgentError(DIED, self._name, what, "look whether the device ran out of memory")

    def finish(self) -> dict[str, Any]:
        """Tell it that nothing more will come; its result."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        return self.hear()

    def rest(self) -> None:
        """Wait until none of its threads runs: an engine's spin for a while after an inference."""
        end_s = time.monotonic() + _REST_S
        while _runs(self.pid) and time.monotonic() < end_s:
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _runs(pid: int) -> bool:
    tasks = PROC / str(pid) / "task"
    with contextlib.suppress(OSError):
        for task in tasks.iterdir():
            if (task / "stat").read_bytes().rpartition(b")")[2][1:2] == b"R":
                return True
    return False

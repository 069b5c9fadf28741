"""Running a verb of the agent as a job: its events become frames, its end the answer.

A job is a process of its own, but for one that only reads files.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from .errors import DIED, GARBLED, AgentError, Reported
from .processes.child import run
from .processes.command import agent_command
from .store.layout import interpreter
from .verbs.registry import VERBS, public_verbs
from .wire.events import Events
from .wire.fields import Fields

if TYPE_CHECKING:
    from .store.session import AgentSession
    from .wire.arguments import Arguments
    from .wire.frames import Wire


def job(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """What the verb found; AgentError of the job's own kind, or died, garbled."""
    verb = arguments.choice("verb", public_verbs())
    arguments.section("job")  # the verb itself reads what is in it
    arguments.check()
    called = VERBS[verb]
    if called.only_reads is not None:
        wanted = called.read(Fields(arguments.document["job"], []))
        if called.only_reads(wanted):
            return called.run(wanted, _Frames(session.wire))
    last: dict[str, Any] = {}

    def on_line(line: bytes) -> bool:
        event = _event(line, verb)
        if event["event"] in ("progress", "image"):
            session.wire.send_line(line)
            return False
        last.update(event)
        return True

    content = json.dumps(arguments.document["job"]).encode("ascii")
    command = [_python(session), *agent_command(), verb, "-"]
    if called.on_store:
        # They work on what the store holds: nobody may collect that meanwhile.
        session.enter()
    # Who only looks must leave no compiled modules in the environment.
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"} if verb == "probe" else None
    ended = run(session.wire, command, on_line, content, environ)
    kind = last.pop("event", None)
    if kind == "result":
        return last
    if kind == "error":
        raise Reported(str(last.get("kind")), str(last.get("message")))
    what = f"ended without a result ({ended.reason})"
    raise AgentError(DIED, f"job {verb}", what, "look whether the device ran out of memory")


class _Frames(Events):
    """Events of what this process does itself."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def _send(self, event: dict[str, Any]) -> None:
        self._wire.send(event)


def _event(line: bytes, verb: str) -> dict[str, Any]:
    try:
        event = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or event.get("event") not in (
        "progress",
        "image",
        "result",
        "error",
    ):
        what = f"wrote {line[:100]!r}, which is no event"
        raise AgentError(GARBLED, f"job {verb}", what, "report it as a bug")
    return event


def _python(session: AgentSession) -> str:
    """The environment's interpreter, or the one that runs this."""
    folder = session.layout.environment_folder()
    return sys.executable if folder is None else str(interpreter(folder))

"""Which controller of roll-outs this device listens to: the newest that ever claimed it.

A controller that was stopped for longer than its lease, and goes on, has an older number than the
one that took over, and can change nothing here any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SUPERSEDED, AgentError
from . import disk

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .layout import Layout
    from .session import AgentSession

_DIGITS = 16


def claim(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Listen to this controller, and to none before it; AgentError (superseded) if it is old.

    Needs the exclusive lock, under which nobody else can claim what follows in this session.
    """
    number = arguments.integer("generation", 1)
    arguments.check()
    session.enter()
    session.need_exclusive("claim")
    if check_generation(session.layout, number) < number:
        content = f"{number}\n".encode("ascii")
        disk.write_whole(session.layout.generation, content, session.layout.temporary())
    return {}


def check_generation(layout: Layout, number: int) -> int:
    """The newest generation so far; AgentError (superseded) where that is newer than `number`."""
    newest = _newest(layout)
    if newest > number:
        what = f"a newer controller of roll-outs ({newest}) has this device, and this is {number}"
        remedy = f"see 'edgeq rollout status'; if its clock was wrong, remove {layout.generation}"
        raise AgentError(SUPERSEDED, str(layout.root), what, remedy)
    return newest


def _newest(layout: Layout) -> int:
    try:
        with layout.generation.open("rb") as stream:
            text = stream.read(_DIGITS + 1).strip()
    except FileNotFoundError:
        return 0
    # What is no number was written by nobody who counts.
    return int(text) if text.isdigit() and len(text) <= _DIGITS else 0

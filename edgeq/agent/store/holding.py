"""What a session asks about itself and the root: the lock, patience, the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession


def hold(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Take the lock; an exclusive one finds `work/` empty."""
    who, what = arguments.text("who"), arguments.text("what")
    shared = arguments.flag("shared", False)
    wait_s = arguments.number("wait_s", 0.0, 86400.0, 0.0)
    arguments.check()
    session.prepare()
    session.lock.acquire(session.wire, who, what, shared=shared, wait_s=wait_s)
    if not shared:
        from . import disk

        for path in list(session.layout.work.iterdir()):
            disk.remove_tree(path)
    return {}


def be_patient(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Set how long the host may say nothing."""
    seconds = arguments.number("seconds", 0.1, 86400.0)
    arguments.check()
    session.wire.patience_s = seconds
    session.wire.patience_changed.set()
    return {}


def forget(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Remove the root where nothing but this agent is in it: no guest stays where it is no use."""
    from pathlib import Path

    from ..system.import_trials import SUFFIX
    from . import disk
    from .compiled import agent_of

    arguments.check()
    root, running = session.layout.root, Path(__file__).parents[2]
    within = list(root.iterdir()) if root.is_dir() else []
    alone = within == [running.parent] and all(
        path.suffix == SUFFIX or (path.suffix == ".pyz" and agent_of(path) == agent_of(running))
        for path in running.parent.iterdir()
    )
    if alone:
        disk.remove_tree(root)
    return {"removed": alone}


def status(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """What lies in the root and who holds it; changes nothing."""
    from .releases import describe
    from .room import measure
    from .states import is_rolled_back, read_state

    current, previous = read_state(session.layout)
    return {
        "current": current,
        "previous": previous,
        "rolled_back": is_rolled_back(session.layout),
        "releases": describe(session),
        **measure(session),
        "lock": session.lock.holder(),
        "environment": session.layout.environment(),
        "signed_only": session.layout.is_signed_only,
    }

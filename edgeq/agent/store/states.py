"""Which release is current and which was before: both change together, by one rename."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import NO_RELEASE, AgentError
from ..names import is_hash, unique
from . import disk
from .generation import check_generation
from .layout import Layout, link_name, points_to
from .releases import check
from .signature import check_signatures

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession

_NAMES = ("current", "previous")
_LEFT = "left"
"""A third link, beside them, to the release that a rollback left: the previous one."""


def activate(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Make a release the current one, and the one that was current the previous one.

    AgentError: no-release, bad-artifact, not-signed or superseded; nothing has changed then.
    """
    digest, signers = _asked_for(session, arguments)
    folder = check(session, digest)
    check_signatures(session.layout, folder, signers)
    current, previous = read_state(session.layout)
    if digest != current:
        # A release that somebody removed by hand is nothing to go back to.
        is_there = current is not None and (session.layout.releases / current).is_dir()
        _switch(session.layout, digest, current if is_there else previous)
    else:
        _settle(session.layout)
    return _described(session.layout)


def roll_back(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Exchange current and previous, after the checks of `activate`.

    What a rollback left is no release to go back to: a second one, as when a command is repeated,
    must not bring it back. With `forth` it does, and then nothing else is done.
    """
    signers = arguments.strings("signers")
    forth = arguments.flag("forth", False)
    arguments.check()
    session.enter()
    current, previous = read_state(session.layout)
    if previous is None:
        what = "has no previous release"
        raise AgentError(NO_RELEASE, str(session.layout.root), what, "push and activate another")
    if is_rolled_back(session.layout) is not forth:
        what = "was not rolled back, so that there is nothing to go forth to"
        remedy = "leave out --forth to go back"
        if not forth:
            what = f"was rolled back already, from {previous[:12]}, to {str(current)[:12]}"
            remedy = "to have that release again: edgeq rollback --forth"
        raise AgentError(NO_RELEASE, str(session.layout.root), what, remedy)
    check_signatures(session.layout, check(session, previous), signers)
    _switch(session.layout, previous, current, None if forth else current)
    return _described(session.layout)


def restore(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Go back to a release that is named, after the checks of `activate`; twice is once.

    What was current becomes the previous one, and no release to go back to.
    """
    digest, signers = _asked_for(session, arguments)
    check_signatures(session.layout, check(session, digest), signers)
    current, _ = read_state(session.layout)
    if digest == current:
        _settle(session.layout)
    else:
        _switch(session.layout, digest, current, current)
    return _described(session.layout)


def _asked_for(session: AgentSession, arguments: Arguments) -> tuple[str, list[str]]:
    """The release that is to become current, and who has to have signed it; the lock is taken.

    A controller of roll-outs says its generation, which has to be the newest at this moment.
    """
    digest = arguments.hash("id")
    signers = arguments.strings("signers")
    generation = arguments.optional_integer("generation")
    arguments.check()
    session.enter()
    if generation is not None:
        session.need_exclusive(arguments.op)
        check_generation(session.layout, generation)
    return digest, signers


def is_rolled_back(layout: Layout) -> bool:
    """Whether the previous release is one that a rollback left."""
    return link_name(layout.state / _LEFT) is not None


def read_state(layout: Layout) -> tuple[str | None, str | None]:
    """The ids of the current and the previous release."""
    # A root of an older edgeq has no state, and links that point to releases themselves.
    folder = layout.state if layout.state.is_symlink() else layout.root
    current, previous = (link_name(folder / name) for name in _NAMES)
    return (
        current if current and is_hash(current) else None,
        previous if previous and is_hash(previous) else None,
    )


def _described(layout: Layout) -> dict[str, Any]:
    return dict(zip(_NAMES, read_state(layout)))


def _switch(layout: Layout, current: str, previous: str | None, left: str | None = None) -> None:
    if not layout.state.is_symlink():
        old = read_state(layout)
        if old[0] is not None:
            _write_state(layout, *old)
            _link_names(layout)
    _write_state(layout, current, previous, left)
    _link_names(layout)


def _settle(layout: Layout) -> None:
    """Make last what a session may have been killed before making it last."""
    if layout.state.is_symlink():
        disk.sync(layout.state.resolve())
        disk.sync(layout.states)
    else:
        _write_state(layout, *read_state(layout))
    disk.sync(layout.root)
    _link_names(layout)


def _write_state(layout: Layout, *ids: str | None) -> None:
    folder = layout.states / unique()
    disk.mkdir(folder)
    for name, digest in zip((*_NAMES, _LEFT), ids):
        if digest is not None:
            disk.symlink(f"../../releases/{digest}", folder / name)
    disk.sync(folder)
    disk.sync(layout.states)
    target = f"states/{folder.name}"
    disk.link_whole(target, layout.state, layout.root / f".state.{unique()}")
    disk.sync(layout.root)


def _link_names(layout: Layout) -> None:
    """The links that programs on the device open; they never change again."""
    paths = [layout.root / name for name in _NAMES]
    wrong = [path for path in paths if not points_to(path, f"state/{path.name}")]
    for path in wrong:
        temporary = path.with_name(f".{path.name}.{unique()}")
        disk.link_whole(f"state/{path.name}", path, temporary)
    if wrong:
        disk.sync(layout.root)

"""Collection: removing what nothing refers to any more, while nobody else is there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..names import is_hash, unique
from . import compiled, disk
from .engines import ANEW, artifact_of, fields_of
from .installation import discard
from .layout import link_name
from .sets import read_set
from .states import read_state

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession

KEPT_SETS = 4
_PART_AGE_S = 7 * 86400
_AGENT_AGE_S = 86400


def collect_now(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """The operation `collect`."""
    return dict(collect(session))


def collect(session: AgentSession) -> dict[str, int]:
    """Remove releases, their engines, blobs, then leftovers; AgentError (not-locked) unless locked.

    Kept are: current, previous and the releases that this session named, with their blobs; those
    of the newest sets; blobs that this session put or asked for; the running agent, which is
    compiled, and the newest other one; the current and the previous environment.
    """
    session.need_exclusive("collect")
    session.prepare()
    layout = session.layout
    freed_bytes = 0
    # What a session renamed that was killed before its sync is seen here, and counts only once it
    # lasts: after a power cut the links could lead to what is removed here.
    lasting = (layout.root, layout.states, layout.environments, layout.releases, layout.engines)
    for folder in lasting:
        disk.sync(folder)
    # What was renamed away must be so for good before anything that it refers to goes.
    kept = {*read_state(layout), *session.releases}
    unwanted = [path for path in _visible(layout.releases) if path.name not in kept]
    for path in unwanted:
        disk.rename(path, path.with_name(f".{path.name}.{unique()}.partial"))
    disk.sync(layout.releases)
    for path in _hidden(layout.releases):
        freed_bytes += disk.remove_tree(path)
    freed_bytes += _remove_engines(session)
    freed_bytes += _remove_sets(session)
    wanted = _wanted(session)
    blobs = [path for path in layout.blobs.iterdir() if path.name not in wanted]
    for path in [*blobs, *_leftovers(session), *_old_agents(session)]:
        freed_bytes += disk.remove_tree(path)
    freed_bytes += _remove_environments(session)
    # At the end, when nothing is measured any more and there is as much room as there can be.
    compiled.keep(layout, _running())
    return {
        "removed_blobs": len(blobs),
        "removed_releases": len(unwanted),
        "freed_bytes": freed_bytes,
    }


def _wanted(session: AgentSession) -> set[str]:
    wanted = set(session.used)
    for release in _visible(session.layout.releases):
        wanted.add(release.name)
        wanted.update(filter(None, map(link_name, release.iterdir())))
    for path in session.layout.sets.iterdir():
        wanted.update(read_set(path)[1])
    return wanted


def _remove_engines(session: AgentSession) -> int:
    """Engines of releases that are no longer there or built to be compared, and halves.

    What was measured stays.
    """
    folder = session.layout.engines
    releases = {path.name for path in _visible(session.layout.releases)}
    for path in _visible(folder):
        if path.is_dir() and (artifact_of(path) not in releases or ANEW in fields_of(path)):
            disk.rename(path, path.with_name(f".{path.name}.{unique()}.partial"))
    disk.sync(folder)
    return sum(disk.remove_tree(path) for path in _hidden(folder))


def _remove_sets(session: AgentSession) -> int:
    sets = sorted(session.layout.sets.iterdir(), key=lambda path: read_set(path)[0])
    return sum(disk.remove_tree(path) for path in sets[:-KEPT_SETS])


def _leftovers(session: AgentSession) -> list[Path]:
    """Halves that nobody will go on with: parts, folders, states and links."""
    layout = session.layout
    own = {whole.path for whole in session.whole.values()}
    # A clock that was set makes ages large or negative; a part too few only has to be sent again.
    oldest_s = time.time() - _PART_AGE_S
    parts = [
        path
        for path in layout.incoming.iterdir()
        if path not in own
        and not (is_hash(path.name[: -len(".part")]) and path.lstat().st_mtime >= oldest_s)
    ]
    state = link_name(layout.state)
    states = [path for path in layout.states.iterdir() if path.name != state]
    links = [path for path in _hidden(layout.root) if path.is_symlink()]
    return [*parts, *states, *links]


def _old_agents(session: AgentSession) -> list[Path]:
    """Agents but for the running one and the newest other, and what was compiled of them."""
    files = list(session.layout.agents.iterdir())
    running = compiled.agent_of(_running())
    # Loaders hold no lock: a young half may be about to get its name.
    oldest_s = time.time() - _AGENT_AGE_S
    halves = [p for p in files if p.suffix != ".pyz" and p.lstat().st_mtime < oldest_s]
    agents = [p for p in files if p.name == f"{compiled.agent_of(p)}.pyz" and p.stem != running]
    agents.sort(key=lambda path: path.lstat().st_mtime)
    kept = {running, *(path.stem for path in agents[-1:])}
    whole = [path for path in files if path.suffix == ".pyz"]
    return [*halves, *[path for path in whole if compiled.agent_of(path) not in kept]]


def _running() -> Path:
    """The file that this agent runs from."""
    return Path(__file__).parents[2]


def _remove_environments(session: AgentSession) -> int:
    folder = session.layout.environments
    names = ("current", "previous")
    kept = {*names, *(link_name(folder / name) for name in names), "lock"}
    unwanted = [path for path in folder.iterdir() if path.name not in kept]
    if not unwanted:
        return 0
    return sum(map(discard, unwanted))


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]

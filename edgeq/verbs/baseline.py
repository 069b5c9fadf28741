"""Baselines: runs with a name, which others are compared with."""

from __future__ import annotations

import re
from pathlib import Path

from edgeq.artifact import archive, shelf, vault
from edgeq.artifact.folder import Artifact
from edgeq.errors import InputError
from edgeq.records.baseline import Baseline, KeptBaseline, Whereabouts
from edgeq.store import Store, baselines, open_store

Named = str | Path | Artifact | KeptBaseline
ON_THE_BOARD = ("current", "previous")
"""Names of releases there, which no baseline may have."""
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOTES: dict[Whereabouts, str] = {
    "here": "",
    "in the cache": "its artifact lies in the cache alone and may go; set it again to keep it",
    "on boards that hold it": "its artifact is not on this machine: it can be compared with on a "
    "board that holds this release, and its figures stay",
}


def set_baseline(
    name: str, run: str, store: str | None = None, replace: bool = False, force: bool = False
) -> KeptBaseline:
    """Give a run a name; its artifact is copied to where it stays while a baseline names it.

    `run` is the id of a report, or how it begins. Raises InputError for a name that is none or
    taken (unless `replace`), an unknown run, and one that did not pass its gates (unless `force`).
    """
    _require_name(name)
    opened = open_store(store)
    report = opened.report(run)
    if report.exit_code != 0 and not force:
        wrong = [one.gate for one in report.verdicts if one.status != "passed"]
        what = f"run {report.id} did not pass {', '.join(wrong)}"
        raise InputError(opened.where, what, "name a run that passed, or say --force")
    kept = vault.of_store(opened.where)
    with kept.locked():
        found = kept.kept(report.artifact_id) or shelf.kept(report.artifact_id)
        if found is not None:
            kept.keep(found)
        made = baselines.keep(opened, name, report, replace)
        kept.remove_all_but(baselines.artifact_ids(opened))
    return _with_artifact(opened, made)


def list_baselines(store: str | None = None) -> list[KeptBaseline]:
    """All baselines by name."""
    opened = open_store(store)
    return [_with_artifact(opened, found) for found in baselines.every(opened)]


def baseline(name: str, store: str | None = None) -> KeptBaseline:
    """The baseline of that name; InputError that lists what there is."""
    opened = open_store(store)
    return _with_artifact(opened, baselines.named(opened, name))


def remove_baseline(name: str, store: str | None = None) -> None:
    """Forget a name, and its artifact with the last one; the run stays. InputError for no name."""
    opened = open_store(store)
    kept = vault.of_store(opened.where)
    with kept.locked():
        baselines.remove(opened, name)
        kept.remove_all_but(baselines.artifact_ids(opened))


def look_up(named: str, store: str | None = None) -> str | KeptBaseline:
    """The baseline that a word means; the word itself where it means none.

    Raises InputError where it is a baseline's and a file's, and where it can be neither.
    """
    if named in ON_THE_BOARD or _NAME.fullmatch(named) is None:
        return named
    opened = open_store(store)
    exists = Path(named).exists()
    found = baselines.find(opened, named)
    if found is not None and exists:
        what = "is a baseline, and a file or folder here"
        raise InputError(named, what, f"write ./{named} for the file")
    if found is not None:
        return _with_artifact(opened, found)
    if exists or named.endswith(archive.SUFFIX):
        return named
    names = [one.name for one in baselines.every(opened)]
    what = "is no artifact, no release of the board (current, previous) and no baseline"
    raise InputError(named, what, f"of baselines {baselines.known(names, named)}")


def is_baseline_name(text: str) -> bool:
    """Whether a baseline may have this name."""
    fits = _NAME.fullmatch(text) is not None
    return fits and text not in ON_THE_BOARD and not text.endswith(archive.SUFFIX)


def resolve(named: Named) -> Artifact | str:
    """What is meant by one side of a comparison: an artifact, or a release on the board.

    A release is `current` or `previous`, or the id of a baseline's whose artifact is nowhere here.
    Raises InputError as `look_up`, and for what is no artifact.
    """
    meant = look_up(named) if isinstance(named, str) else named
    if isinstance(meant, Artifact) or meant in ON_THE_BOARD:
        return meant if isinstance(meant, Artifact) else str(meant)
    if isinstance(meant, KeptBaseline):
        kept = meant.folder and archive.read(meant.folder)
        return kept or meant.baseline.report.artifact_id
    return archive.read(Path(meant))


def _with_artifact(store: Store, found: Baseline) -> KeptBaseline:
    artifact_id = found.report.artifact_id
    stays, cached = vault.of_store(store.where).kept(artifact_id), shelf.kept(artifact_id)
    where: Whereabouts = "here" if stays else "in the cache" if cached else "on boards that hold it"
    kept = stays or cached
    folder = kept.folder if kept else None
    return KeptBaseline(baseline=found, artifact=where, folder=folder, note=_NOTES[where])


def _require_name(name: str) -> None:
    if name in ON_THE_BOARD:
        remedy = "choose another name"
        raise InputError(f"baseline '{name}'", "is what a release on the board is called", remedy)
    if not is_baseline_name(name):
        what = "is no plain name of letters, digits, '.', '_' and '-', such as 'main' or 'v1.2'"
        raise InputError(f"baseline '{name}'", what, "choose another name")

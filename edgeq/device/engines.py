"""Engines of releases on a device: found there, taken from an identical board, or built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeq.artifact.manifest import Compile
from edgeq.device import sharing
from edgeq.device.files import Files
from edgeq.device.sending import hash_of
from edgeq.device.session.parsing import P, garbled, parsed_answer
from edgeq.device.session.session import Event, Session, listener
from edgeq.errors import LINK_LOST, TOO_SLOW, DeviceError
from edgeq.progress import Progress
from edgeq.records.answers import EngineAnswer, LentEngine

LARGEST_ENGINE = 2 << 30
"""Bytes of an engine, or of what it computes, that are taken from a board."""


class Engines:
    """Has the device make the engines of its releases, or takes one that was made before.

    With `is_shared` those of identical boards are taken, and this one's are kept for them. `limits`
    bounds a build. `notes` gathers where an engine came from.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        files: Files,
        is_shared: bool = False,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._session = session
        self._files = files
        self._is_shared = is_shared
        self._limits = dict(limits or {})
        self._made: dict[str, EngineAnswer] = {}

    def of(self, release: str) -> EngineAnswer | None:
        """The engine of the release in this folder, None where there is none."""
        return self._made.get(release)

    def make(self, release: str, compiled: Compile, progress: Progress) -> None:
        """Have the engine of the release in this folder on the device."""
        settings = {"release": release, "root": self._root, **compiled.model_dump()}
        settings |= self._limits
        make = self._shared if self._is_shared else self._built
        self._made[release] = make(settings, progress)

    def build_anew(
        self, release: str, compiled: Compile, number: int, progress: Progress
    ) -> EngineAnswer:
        """One more engine of a release in this folder, which is not used until `use` says so."""
        settings = {"release": release, "root": self._root, **compiled.model_dump()}
        return self._built({**settings, **self._limits, "anew": number}, progress)

    def use(self, release: str, engine: EngineAnswer) -> None:
        """Have what runs the release in this folder run it in that engine."""
        self._made[release] = engine

    @property
    def _root(self) -> str:
        return self._session().hello.root

    def _parsed(self, kind: type[P], fields: Event) -> P:
        return parsed_answer(kind, fields, self._session().address)

    def _job(self, verb: str, job: Mapping[str, Any], progress: Progress) -> Event:
        heard = listener(self._session().address, progress)
        return self._session().ask("job", {"verb": verb, "job": {**job}}, heard)

    def _built(self, settings: Mapping[str, Any], progress: Progress) -> EngineAnswer:
        return self._parsed(EngineAnswer, self._job("build", settings, progress))

    def _shared(self, settings: Mapping[str, Any], progress: Progress) -> EngineAnswer:
        """An engine that is there, or of an identical board, or built and kept for the next one."""
        if self._session().hello.signers is not None:
            self._note("is not shared: this board demands signatures", settings)
            return self._built(settings, progress)
        engine = self._built({**settings, "only_find": True}, progress)
        kept = sharing.kept(engine.fingerprint)
        if engine.path is None:
            taken = kept and self._adopted(*kept, settings, progress)
            if taken:
                return taken
            # What was refused gives way to what this board builds.
            engine, kept = self._built(self._knowing(settings, engine, progress), progress), None
        if kept is None:
            self._keep_engine(engine.fingerprint, settings, progress)
        return engine

    def _adopted(
        self,
        record: sharing.EngineRecord,
        files: Mapping[str, Path],
        settings: Mapping[str, Any],
        progress: Progress,
    ) -> EngineAnswer | None:
        try:
            self._files.send(files, progress)
            told = self._job("adopt", {**settings, **record.model_dump()}, progress)
            engine = self._parsed(EngineAnswer, told)
        except DeviceError as exc:
            if exc.kind in (LINK_LOST, TOO_SLOW):
                raise
            self._note(f"of an identical board was refused and built here: {exc.what}", settings)
            return None
        self._note("was built by an identical board, and computes the same here", settings)
        return engine

    def _knowing(
        self, settings: Mapping[str, Any], engine: EngineAnswer, progress: Progress
    ) -> Mapping[str, Any]:
        """The settings with what an identical board measured, where this one measured nothing.

        So it builds a new model of the same tactics as the other would.
        """
        if engine.has_timings or engine.timings is None:
            return settings
        known = sharing.kept_timings(engine.timings)
        if known is None:
            return settings
        digest = hash_of(known)
        self._files.send({digest: known}, progress)
        return {**settings, "timings": digest}

    def _keep_engine(
        self, fingerprint: str, settings: Mapping[str, Any], progress: Progress
    ) -> None:
        """Keep an engine of the device on this machine; what fails here is only noted."""
        (plan, plan_path), (golden, golden_path), (timings, timings_path) = map(
            self._files.work_name, (".plan", ".npz", ".cache")
        )
        job = {"release": settings["release"], "root": self._root, "fingerprint": fingerprint}
        job |= {"plan": plan_path, "golden": golden_path, "timings": timings_path}
        try:
            told = self._job("lend", job, progress)
            lent = self._parsed(LentEngine, told)
            record = sharing.EngineRecord.model_validate(lent, from_attributes=True)
            made, computed = (self._files.take(n, LARGEST_ENGINE) for n in (plan, golden))
            if (hash_of(made), hash_of(computed)) != (record.plan, record.golden):
                raise garbled(self._session().address, "what it lends is not what it said")
            sharing.keep(fingerprint, record, made, computed)
            if lent.timings_hash is not None:
                measured = self._files.take(timings, LARGEST_ENGINE)
                if hash_of(measured) != lent.timings_hash:
                    raise garbled(self._session().address, "what it lends is not what it said")
                sharing.keep_timings(lent.timings, measured)
        except (DeviceError, OSError) as exc:
            if isinstance(exc, DeviceError) and exc.kind in (LINK_LOST, TOO_SLOW):
                raise
            self._note(f"could not be kept for other boards: {exc}", settings)

    def _note(self, what: str, settings: Mapping[str, Any]) -> None:
        # Several problems come in several lines.
        self.notes.append(f"the {settings['precision']} engine {' '.join(what.split())}")

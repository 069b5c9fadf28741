"""The verbs: what the agent can be called to do, by name; the one list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional

from ..wire import job, job_file

if TYPE_CHECKING:
    from ..wire.events import Events
    from ..wire.fields import Fields


class Verb(NamedTuple):
    """One of them: how its job is read, and what runs it.

    `threads` says of a job how many it may use, None where it computes nothing. One that is
    `on_store` works on what the store holds. A private one is started by another, as a process of
    its own, and no session asks for it. A job that `only_reads` files imports nothing that could
    end a process or needs the environment: the session does it itself, as a start takes longer.
    """

    name: str
    read: Callable[[Fields], Any]
    run: Callable[[Any, Events], Dict[str, Any]]
    threads: Callable[[Any], Optional[int]] | None = None
    on_store: bool = False
    is_private: bool = False
    only_reads: Callable[[Any], bool] | None = None


# Each is imported when it is asked for: probe has to work on a board without numpy.


def _probe(wanted: job.ProbeJob, events: Events) -> dict[str, Any]:
    from ..store.layout import Layout
    from ..system.packages import looked_for
    from ..system.trials import Trials

    trials = Trials(Layout(wanted.root).agents, wanted.remembers)
    with looked_for(wanted.modules, trials) as tried:
        # Not before: what engines import takes longest, and this is imported meanwhile.
        from .probe import probe

        return probe(wanted, tried)


def _verify(wanted: job.VerifyJob, events: Events) -> dict[str, Any]:
    from .verify import verify

    return verify(wanted, events)


def _bench(wanted: job.BenchJob, events: Events) -> dict[str, Any]:
    from .bench import bench

    return bench(wanted, events)


def _predict(wanted: job.PredictJob, events: Events) -> dict[str, Any]:
    from .predict import predict

    return predict(wanted, events)


def _build(wanted: job.BuildJob, events: Events) -> dict[str, Any]:
    from .build import build

    return build(wanted, events)


def _lend(wanted: job.LendJob, events: Events) -> dict[str, Any]:
    from .sharing import lend

    return lend(wanted, events)


def _adopt(wanted: job.AdoptJob, events: Events) -> dict[str, Any]:
    from .sharing import adopt

    return adopt(wanted, events)


def _build_engine(wanted: job.EngineJob, events: Events) -> dict[str, Any]:
    from ..compile.builder import build_engine

    return build_engine(wanted, events)


def _compare(wanted: job.CompareJob, events: Events) -> dict[str, Any]:
    from .compare import compare

    return compare(wanted, events)


def _side(wanted: job.SideJob, events: Events) -> dict[str, Any]:
    from .side import side

    return side(wanted, events)


def _own_threads(wanted: Any) -> int:
    return int(wanted.threads)


def _threads_of_load(wanted: job.VerifyJob) -> int | None:
    return wanted.threads if wanted.load else None


def _checks_hashes(wanted: job.VerifyJob) -> bool:
    return not wanted.load


def _one_thread(wanted: Any) -> int:
    return 1


VERBS = {
    verb.name: verb
    for verb in (
        Verb("probe", job_file.probe_job, _probe),
        Verb("verify", job_file.verify_job, _verify, _threads_of_load, only_reads=_checks_hashes),
        Verb("bench", job_file.bench_job, _bench, _own_threads),
        Verb("predict", job_file.predict_job, _predict, _own_threads),
        Verb("compare", job_file.compare_job, _compare, _one_thread),
        Verb("side", job_file.side_job, _side, _own_threads, is_private=True),
        Verb("build", job_file.build_job, _build, on_store=True),
        Verb("lend", job_file.lend_job, _lend, _one_thread, on_store=True),
        Verb("adopt", job_file.adopt_job, _adopt, _one_thread, on_store=True),
        Verb("build-engine", job_file.engine_job, _build_engine, on_store=True, is_private=True),
    )
}


def public_verbs() -> list[str]:
    """What a host may ask for."""
    return [verb.name for verb in VERBS.values() if not verb.is_private]

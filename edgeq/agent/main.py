"""The command line on the device: `agent.pyz VERB [JOB.json]`, JSON lines on standard output.

And `agent.pyz serve ROOT`: a whole session over standard input and output, see `serve.py`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Sequence

from .errors import BAD_JOB, BUG, MISSING_ENGINE, OUT_OF_MEMORY, AgentError, of_os_error
from .verbs.registry import VERBS, Verb, public_verbs
from .wire.job_file import read_document

if TYPE_CHECKING:
    from .wire.events import Events

USAGE = f"call it as: python agent.pyz {'|'.join(public_verbs())} [JOB.json], or serve ROOT"

_NO_MEMORY = "agent: the device has no memory left; free some and run the job again"
_PACKAGES = {"numpy": "numpy", "cv2": "opencv-python-headless"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and end the process: status 0 after a result, 1 after an error event."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) == 2 and given[0] == "serve":
        from pathlib import Path

        from .serve import serve

        serve(Path(os.path.abspath(os.path.expanduser(given[1]))))  # noqa: PTH100, PTH111
        os._exit(0)
    # A host that hangs up must not leave a process behind, nor a traceback on somebody's terminal.
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(name, signal.SIG_DFL)
    from .wire.events import claim_stdout

    events = claim_stdout()
    status = run(given, events)
    sys.stderr.flush()
    # Engines' threads and atexit hooks have nothing to say any more, and some crash saying it.
    os._exit(status)


def run(arguments: Sequence[str], events: Events) -> int:
    """The exit status of one verb; whatever happens, exactly one result or error event is last."""
    try:
        events.result(_dispatch(arguments, events))
        return 0
    except AgentError as exc:
        events.error(exc.kind, exc.message)
    except MemoryError:
        events.error(OUT_OF_MEMORY, _NO_MEMORY)
    except ImportError as exc:
        missing = (exc.name or "").split(".")[0]
        if missing not in _PACKAGES:
            return _report_bug(exc, events)
        package = _PACKAGES[missing]
        events.error(
            MISSING_ENGINE,
            f"{missing}: cannot be imported ({exc}); "
            f"for a board run 'edgeq targets setup', for this machine 'pip install {package}'",
        )
    except Exception as exc:
        # OpenCV has an error type of its own for everything, and says what it was in words.
        if "insufficient memory" not in str(exc).lower():
            return _report_bug(exc, events)
        events.error(OUT_OF_MEMORY, _NO_MEMORY)
    return 1


def _dispatch(arguments: Sequence[str], events: Events) -> dict[str, Any]:
    if not 1 <= len(arguments) <= 2 or arguments[0] not in VERBS:
        given = " ".join(arguments) or "nothing"
        raise AgentError(BAD_JOB, "command line", f"cannot make sense of '{given}'", USAGE)
    verb = VERBS[arguments[0]]
    wanted = verb.read(read_document(arguments[1] if len(arguments) == 2 else None))
    threads = verb.threads(wanted) if verb.threads is not None else None
    if threads is not None:
        _limit_threads(threads)
    return _on_disk(verb, wanted, events) if verb.on_store else verb.run(wanted, events)


def _on_disk(verb: Verb, job: Any, events: Events) -> dict[str, Any]:
    """Run a verb that writes into the store: what the disk refuses is no bug."""
    try:
        return verb.run(job, events)
    except OSError as exc:
        problem = of_os_error(exc)
        if problem is None:
            raise
        raise problem from exc


def _limit_threads(threads: int) -> None:
    """Give OpenCV as many threads as the engine, and numpy's BLAS one; it reads this on import.

    The decode's matrix products are flat: shared among two threads they take twice as long.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    import cv2

    cv2.setNumThreads(threads)


def _report_bug(exc: BaseException, events: Events) -> int:
    import traceback

    traceback.print_exception(type(exc), exc, exc.__traceback__)
    events.error(BUG, f"agent: {type(exc).__name__}: {exc}; report it with the text on stderr")
    return 1

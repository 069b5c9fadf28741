"""The command line: parse, call one function of the Python API, render what it returns."""

from __future__ import annotations

import json
import os
import sys

from edgeq.cli import (
    baseline,
    cache,
    compare,
    deploy,
    device,
    fleet,
    history,
    measure,
    model,
    report,
    rollout,
    tune,
)
from edgeq.cli.app import app
from edgeq.cli.github import annotate
from edgeq.cli.output import say, say_problem
from edgeq.errors import EdgeqError, InputError, InputErrors

__all__ = ["GROUPS", "app", "run"]

GROUPS = (
    deploy,
    measure,
    compare,
    baseline,
    history,
    device,
    fleet,
    rollout,
    model,
    tune,
    report,
    cache,
)
"""The files of commands; importing them is what gives `app` its commands."""


def run() -> None:
    """The console script: errors become messages and exit codes."""
    wants_json = "--json" in sys.argv
    try:
        app()
    except EdgeqError as exc:
        problems = exc.shown if isinstance(exc, InputErrors) else (exc,)
        if wants_json:
            records = [{"where": p.where, "what": p.what, "remedy": p.remedy} for p in problems]
            say(json.dumps({"problems": records}))
        for problem in problems:
            say_problem(str(problem))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            annotate(problems)
        if exc.exit_code == EdgeqError.exit_code:
            say("this is a bug of edgeq; please report it with the lines above", err=True)
        sys.exit(exc.exit_code)
    except SystemExit as exc:
        if exc.code == 130:  # what Typer makes of Ctrl-C
            say("interrupted; a device keeps the release that it had", err=True)
        raise
    except OSError as exc:  # edgeq's own folders: full, read-only, or not to be made
        say_problem(
            f"{exc.filename or 'disk'}: {exc.strerror or exc}; see that $EDGEQ_HOME "
            "is a folder with space that you may write to"
        )
        sys.exit(InputError.exit_code)
    except Exception:
        import traceback

        say(traceback.format_exc().rstrip(), err=True)
        say("this is a bug of edgeq; please report it with the lines above", err=True)
        sys.exit(EdgeqError.exit_code)

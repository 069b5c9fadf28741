"""What CI wants beside the terminal: annotations, a summary, findings for code scanning."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.cli.output import say
from edgeq.errors import EdgeqError, InputError, InputErrors
from edgeq.records.files import check_writable, write_text

if TYPE_CHECKING:
    from edgeq.records.lint import Lint


@dataclass(frozen=True)
class CodeScanning:
    """The file that --sarif names; without one nothing is written."""

    file: Path | None

    def lint(self, found: Lint) -> None:
        """Write what a lint found."""
        if self.file is not None:
            from edgeq.report import sarif

            write_text(sarif.of_lint(found), self.file)

    def problems(self, found: Sequence[InputError]) -> None:
        """Write what is wrong with a recipe."""
        if self.file is not None:
            from edgeq.report import sarif

            write_text(sarif.of_problems(found), self.file)


@contextmanager
def code_scanning(file: Path | None) -> Iterator[CodeScanning]:
    """The file, which gets the InputError(s) of the block, too. InputError if it cannot be."""
    if file is not None:
        check_writable(file)
    findings = CodeScanning(file)
    try:
        yield findings
    except InputError as exc:
        findings.problems(exc.problems if isinstance(exc, InputErrors) else (exc,))
        raise


def annotate(problems: Sequence[EdgeqError]) -> None:
    """Have GitHub Actions show errors at their lines; it reads this from either stream."""
    from edgeq.report import github

    for problem in problems:
        say(github.annotation(problem), err=True)


def summary_file() -> Path:
    """Where GitHub Actions wants a job's summary; InputError outside of it."""
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        what = "$GITHUB_STEP_SUMMARY is not set"
        raise InputError("--github-summary", what, "it is for a job of GitHub Actions")
    check_writable(Path(named))
    return Path(named)


def append(text: str, path: Path) -> None:
    """Put text behind what a file holds."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)

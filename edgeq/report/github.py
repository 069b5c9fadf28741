"""Errors as GitHub Actions shows them: at the line of the file, in the pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are
those of actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.errors import EdgeqError

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+)")


def annotation(problem: EdgeqError) -> str:
    """One `::error` line; with file and line where the problem has them."""
    file, line = place(problem.where)
    if line is None:
        return f"::error::{_data(str(problem))}"
    said = problem.what + (f"; {problem.remedy}" if problem.remedy else "")
    return f"::error file={_property(file)},line={line}::{_data(said)}"


def place(where: str) -> tuple[str, int | None]:
    """File and line of a problem's place; the line is None where it has none."""
    found = _PLACE.fullmatch(where)
    return (found["file"], int(found["line"])) if found else (where, None)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

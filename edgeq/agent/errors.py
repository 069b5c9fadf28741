"""What can go wrong on the device: one error type whose kind the host branches on.

missing-engine     a package that the release needs is not installed here
bad-job            the command line or the job file is wrong
bad-artifact       the release folder is not what its manifest says, or does not fit together
unreadable-image   an image is missing, empty or not decodable
engine             the inference engine refused the model or failed while it ran
out-of-memory      the device has too little memory for the job
bug                anything else: a fault of this program
"""

from __future__ import annotations

MISSING_ENGINE = "missing-engine"
BAD_JOB = "bad-job"
BAD_ARTIFACT = "bad-artifact"
UNREADABLE_IMAGE = "unreadable-image"
ENGINE = "engine"
OUT_OF_MEMORY = "out-of-memory"
BUG = "bug"


class AgentError(Exception):
    """A problem of one kind, in three parts: where it is, what is wrong, what to do about it."""

    def __init__(self, kind: str, where: str, what: str, remedy: str) -> None:
        super().__init__(kind, where, what, remedy)
        self.kind = kind
        self.where = where
        self.what = what
        self.remedy = remedy

    @property
    def message(self) -> str:
        """`where: what; what to do`, one line unless several problems are reported together."""
        return f"{self.where}: {self.what}; {self.remedy}"

    def __str__(self) -> str:
        return self.message


def raise_problems(kind: str, where: str, problems: list[str], remedy: str) -> None:
    """Raise one AgentError that lists every problem; nothing when there is none."""
    if len(problems) == 1:
        raise AgentError(kind, where, problems[0], remedy)
    if problems:
        listed = "".join("\n  " + problem for problem in problems)
        raise AgentError(kind, where, f"{len(problems)} problems:{listed}\n", remedy)

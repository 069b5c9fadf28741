"""What a lint has to say about a Q/DQ graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Complaint:
    """A rule, the node that breaks it, what is wrong there and what to do about it.

    error: the engine refuses the graph, or computes something else; warning: it is slower, or
    loses accuracy.
    """

    rule: str
    node: str
    what: str
    remedy: str
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.rule}: {self.node}: {self.what}; {self.remedy}"

"""Figures as OpenMetrics text, for a Prometheus that scrapes a file or a gateway.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from edgeq.regression.figures import Figure
from edgeq.significance.outcome import Outcome

_BASE = {"_ms": ("_seconds", 1e-3), "_mj": ("_joules", 1e-3), "_bytes": ("_bytes", 1.0)}


def render(runs: Iterable[tuple[Mapping[str, str], Iterable[Figure]]]) -> str:
    """The text; each run has labels and figures. A word is a state set, a number a gauge."""
    families: dict[str, list[str]] = {}
    for labels, figures in runs:
        for name, value in figures:
            family, lines = _sample(f"edgeq_{name}", labels, value)
            families.setdefault(family, []).extend(lines)
    lines = [line for head, samples in families.items() for line in (head, *samples)]
    return "\n".join([*lines, "# EOF", ""])


def _sample(name: str, labels: Mapping[str, str], value: float | str) -> tuple[str, list[str]]:
    if isinstance(value, str):
        states = [({**labels, name: state}, float(state == value)) for state in get_args(Outcome)]
        return f"# TYPE {name} stateset", [_line(name, said, number) for said, number in states]
    for ending, (unit, factor) in _BASE.items():
        if name.endswith(ending):
            family = name.removesuffix(ending) + unit
            head = f"# TYPE {family} gauge\n# UNIT {family} {unit[1:]}"
            return head, [_line(family, labels, value * factor)]
    return f"# TYPE {name} gauge", [_line(name, labels, value)]


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{said}}} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

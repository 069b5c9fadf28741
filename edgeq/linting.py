"""Lint: what an engine would refuse, compute otherwise or run slowly, rule by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import onnx

from edgeq import building
from edgeq import recipe as recipes
from edgeq import target as targets
from edgeq.errors import InputError
from edgeq.graph.mixing import Mixing
from edgeq.measurement import Record
from edgeq.progress import Progress, silent
from edgeq.runtimes import runtime
from edgeq.target import Target


class Finding(Record):
    """A rule, the node that breaks it, what is wrong there and what to do about it."""

    rule: str
    node: str
    what: str
    remedy: str
    severity: Literal["error", "warning"]


class Lint(Record):
    """What was found in a graph, errors first."""

    source: str
    target: str
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether the engine would refuse the graph, or compute something else."""
        return any(finding.severity == "error" for finding in self.findings)


def lint(source: str | Path, target: str | Target, progress: Progress = silent) -> Lint:
    """Lint what a recipe (`.yaml`) becomes for a target, or a Q/DQ model (`.onnx`) as it is.

    Of a recipe the artifact is built, or taken from the cache. Raises InputError(s).
    """
    path = Path(source)
    kind = target if isinstance(target, Target) else targets.load(target)
    engine = runtime(kind.runtime)
    mixed: list[Finding] = []
    if path.suffix in (".yaml", ".yml"):
        built = building.build(building.prepare(recipes.load(path), kind, None), progress)
        content = built.artifact.path(built.artifact.manifest.runtime.model).read_bytes()
        decisions = built.plan.decisions
        mixed = [
            _mixed(m) for m in built.mixing if m.node in decisions and decisions[m.node].quantized
        ]
    else:
        content = _content(path)
    found = [Finding.model_validate(vars(complaint)) for complaint in engine.lint(content)]
    found = sorted([*mixed, *found], key=lambda finding: finding.severity)
    return Lint(source=str(path), target=kind.name, findings=tuple(found))


def _content(path: Path) -> bytes:
    """A model that ONNX's checker takes, with the data that lies beside it."""
    try:
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())
    except OSError as exc:
        raise InputError(
            str(path), (exc.strerror or "").lower(), "name a recipe or a model"
        ) from exc
    except Exception as exc:  # of protobuf and of the checker, in several types
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise InputError(str(path), f"is no valid ONNX model: {reason}", "export it again") from exc


def _mixed(mixing: Mixing) -> Finding:
    return Finding(
        rule="range-mixing",
        node=mixing.node,
        what=str(mixing),
        remedy="leave it float: 'head: float-tail', or name it in exclude",
        severity="warning",
    )

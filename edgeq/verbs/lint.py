"""Lint: what an engine would refuse, compute otherwise or run slowly, rule by rule."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgeq.errors import InputError
from edgeq.graph.load import read
from edgeq.graph.mixing import Mixing
from edgeq.progress import Progress, silent
from edgeq.records.lint import Lint, LintFinding
from edgeq.runtimes import runtime
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.target import Target
from edgeq.stages.build import build
from edgeq.stages.prepare import prepare


def lint(source: str | Path, target: str | Target, progress: Progress = silent) -> Lint:
    """Lint what a recipe (`.yaml`) becomes for a target, or a Q/DQ model (`.onnx`) as it is.

    Of a recipe the artifact is built, or taken from the cache. Raises InputError(s).
    """
    path = Path(source)
    kind = target if isinstance(target, Target) else targets.load(target)
    engine = runtime(kind.runtime)
    mixed: list[LintFinding] = []
    if path.suffix in (".yaml", ".yml"):
        built = build(prepare(recipes.load(path), kind, None), progress)
        content = built.artifact.path(built.artifact.manifest.runtime.model).read_bytes()
        decisions = built.plan.decisions
        mixed = [
            _mixed(m) for m in built.mixing if m.node in decisions and decisions[m.node].quantized
        ]
    else:
        content = _content(path)
    found = [LintFinding.model_validate(vars(complaint)) for complaint in engine.lint(content)]
    found = sorted([*mixed, *found], key=lambda finding: finding.severity)
    return Lint(source=str(path), target=kind.name, findings=tuple(found))


def _content(path: Path) -> bytes:
    """A model that ONNX's checker takes, with the data that lies beside it."""
    proto = read(path)
    try:
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())
    except Exception as exc:  # of the checker and of protobuf, in several types
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise InputError(str(path), f"is no valid ONNX model: {reason}", "export it again") from exc


def _mixed(mixing: Mixing) -> LintFinding:
    return LintFinding(
        rule="range-mixing",
        node=mixing.node,
        what=str(mixing),
        remedy="leave it float: 'head: float-tail', or name it in exclude",
        severity="warning",
    )

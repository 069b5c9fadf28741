"""Lint: what an engine would refuse, compute otherwise or run slowly, rule by rule."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgeq.errors import InputError
from edgeq.graph.load import read
from edgeq.graph.mixing import Mixing
from edgeq.progress import Progress, silent
from edgeq.quantization.coverage import coverage
from edgeq.records.lint import Lint, LintFinding
from edgeq.runtimes import runtime
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.target import Target
from edgeq.stages.build import build
from edgeq.stages.noise import LEAST_DB, noise_of
from edgeq.stages.prepare import prepare


def lint(source: str | Path, target: str | Target, progress: Progress = silent) -> Lint:
    """Lint what a recipe (`.yaml`) becomes for a target, or a Q/DQ model (`.onnx`) as it is.

    Of a recipe the artifact is built, or taken from the cache. Raises InputError(s).
    """
    path = Path(source)
    kind = target if isinstance(target, Target) else targets.load(target)
    engine = runtime(kind.runtime)
    own: list[LintFinding] = []
    snr_db: dict[str, float | None] = {}
    if path.suffix in (".yaml", ".yml"):
        prepared = prepare(recipes.load(path), kind, None)
        built = build(prepared, progress)
        content = built.artifact.path(built.artifact.manifest.runtime.model).read_bytes()
        decisions = built.plan.decisions
        own = [
            _mixed(m) for m in built.mixing if m.node in decisions and decisions[m.node].quantized
        ]
        warning = coverage(prepared.model, decisions).warning()
        own += [_uncovered(path, warning)] if warning else []
        snr_db = noise_of(prepared, built, progress)
        own += [_noisy(part, db) for part, db in snr_db.items() if db is not None and db < LEAST_DB]
    else:
        content = _content(path)
        own = _not_quantized(path, content)
    found = [LintFinding.model_validate(vars(complaint)) for complaint in engine.lint(content)]
    found = sorted([*own, *found], key=lambda finding: finding.severity)
    return Lint(source=str(path), target=kind.name, findings=tuple(found), snr_db=snr_db)


def _content(path: Path) -> bytes:
    """A model that ONNX's checker takes, with the data that lies beside it."""
    proto = read(path)
    try:
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())
    except Exception as exc:  # of the checker and of protobuf, in several types
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise InputError(str(path), f"is no valid ONNX model: {reason}", "export it again") from exc


def _not_quantized(path: Path, content: bytes) -> list[LintFinding]:
    types = {node.op_type for node in onnx.load_from_string(content).graph.node}
    if any("Linear" in name or "Integer" in name for name in types):
        return []
    return [
        LintFinding(
            rule="nothing-quantized",
            node=str(path),
            what="holds no QuantizeLinear and no DequantizeLinear: all of it is float",
            remedy="name the recipe that quantizes it, or the file that was made",
            severity="warning",
        )
    ]


def _uncovered(path: Path, warning: str) -> LintFinding:
    return LintFinding(
        rule="coverage",
        node=str(path),
        what=warning,
        remedy="'edgeq inspect' shows layer by layer what speaks against it",
        severity="warning",
    )


def _noisy(part: str, snr_db: float) -> LintFinding:
    return LintFinding(
        rule="part-noise",
        node=part,
        what=f"{snr_db:.1f} dB are left of the {part}; below {LEAST_DB:g} little is recognized",
        remedy="'edgeq tune' finds a calibrator, and layers to exclude",
        severity="warning",
    )


def _mixed(mixing: Mixing) -> LintFinding:
    return LintFinding(
        rule="range-mixing",
        node=mixing.node,
        what=str(mixing),
        remedy="leave it float: 'head: float-tail', or name it in exclude",
        severity="warning",
    )

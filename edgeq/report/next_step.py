"""What to do after a deploy, in one line: the first thing that its verdicts ask for."""

from __future__ import annotations

import shlex

from edgeq.records.report import Report, Verdict
from edgeq.spec.gates import Unit, all_gates

REMEDIES: dict[Unit, str] = {
    "AP": "edgeq tune {recipe} --target {target}{host} -o tuned.yaml looks for what keeps the AP",
    "share": "edgeq tune {recipe} --target {target}{host} -o tuned.yaml looks for what keeps it",
    "score": "edgeq tune {recipe} --target {target}{host} -o tuned.yaml looks for what keeps it",
    "dB": "edgeq lint {recipe} --target {target}{host} says which part of the outputs is hurt",
    "ms": "edgeq targets show {target} names the board's other engines, for --target NAME:ENGINE",
    "ratio": "the notes name the operators that eat the gain; docs/measuring.md says what helps",
    "bytes": "edgeq inspect {recipe} shows which layers are large",
}
"""By what a gate is about: what helps where it failed."""


def next_step(report: Report, recipe: str, target: str, host: str | None) -> str:
    """One line; `recipe`, `target` and `host` are as the user called them."""
    said = {
        "recipe": shlex.quote(recipe),
        "target": shlex.quote(target),
        "host": f" --host {shlex.quote(host)}" if host else "",
    }
    first = {verdict.status: verdict for verdict in reversed(report.verdicts)}
    if "failed" in first:
        return _remedy(first["failed"]).format(**said)
    if "not judged" in first:
        return f"see to the float model, which is no reference: {first['not judged'].reason}"
    if "unstable" in first:
        again = "edgeq deploy {recipe} --target {target}{host} again, with nothing else running"
        return again.format(**said)
    if "not measured" in first:
        verdict = first["not measured"]
        return f"gate {verdict.gate} asks for what was not measured: {verdict.reason}"
    device = report.column("device")
    if device is None or device.accuracy is None:
        return f"'evaluate:' in {recipe}, with annotated images, says what is lost"
    if not report.verdicts:
        return f"'gates:' in {recipe} says what is acceptable; nothing was judged"
    if host is None and report.target == "local":
        return "edgeq targets list names the boards; edgeq targets check NAME --host USER@HOST"
    return f"edgeq baseline set NAME --run {report.id} keeps this run to hold others against"


def _remedy(verdict: Verdict) -> str:
    return REMEDIES[all_gates()[verdict.gate].unit]

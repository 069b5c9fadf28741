"""The section of provenance: from what it was made, where it was measured, and all to take away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from edgeq.records.dossier import Dossier
from edgeq.records.report import Report
from edgeq.report.bom import bill_of_materials
from edgeq.report.figures import counted, mebibytes
from edgeq.report.html.numbers import Numbers, data_link
from edgeq.report.model_card import model_card

_MOST_SAMPLES = 5_000
_LARGEST_BYTES = 600_000
_RAW = ("preprocess_ns", "inference_ns", "postprocess_ns", "gpu_ns")


@dataclass(frozen=True)
class Download:
    """A file that the page holds; without a link where it would make the page too large."""

    name: str
    link: str
    what: str


@dataclass(frozen=True)
class ProvenanceView:
    """Facts with their names, the recipe, what is not told, and the downloads."""

    facts: tuple[tuple[str, str], ...]
    versions: Numbers
    stages: Numbers
    recipe: str
    unread: tuple[tuple[str, str], ...]
    downloads: tuple[Download, ...]


def provenance_view(dossier: Dossier) -> ProvenanceView:
    """What the report and its evidence say of where all this comes from."""
    report, evidence = dossier.report, dossier.evidence
    unread = report.probe.get("not_readable")
    return ProvenanceView(
        facts=tuple(_facts(report)),
        versions=Numbers(("package", "here", "on the device"), tuple(_versions(report))),
        stages=Numbers(("step", "s"), tuple(report.stage_seconds.items())),
        recipe=evidence.recipe_text if evidence else "",
        unread=tuple((str(k), str(v)) for k, v in unread.items())
        if isinstance(unread, dict)
        else (),
        downloads=tuple(_downloads(dossier)),
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "run", report.id
    yield "made", f"{report.created_at:%Y-%m-%d %H:%M} UTC by edgeq {report.edgeq_version}"
    yield "recipe", f"{report.recipe}, sha256 {report.recipe_sha256}"
    yield "model", f"sha256 {report.model_sha256}"
    yield "artifact", f"{report.artifact_id}, {report.artifact_bytes} bytes"
    yield "device", f"{report.device} ({report.target})"
    probe = report.probe
    cpu = probe.get("cpu")
    if isinstance(cpu, dict):
        told = [str(cpu["model"])] if cpu.get("model") else []
        if cores := cpu.get("cores_available"):
            told.append(counted(cores, "core") if isinstance(cores, int) else f"{cores} cores")
        told += [str(flag) for flag in cpu.get("flags") or ()]
        told = [str(probe["arch"]), *told] if probe.get("arch") else told
        if told:
            yield "CPU", ", ".join(told)
    if probe.get("board"):
        yield "board", str(probe["board"])


def _versions(report: Report) -> Iterator[tuple[str, str | None, str | None]]:
    packages = report.probe.get("packages")
    there = packages if isinstance(packages, dict) else {}
    for name in sorted({*report.versions, *map(str, there)}):
        found = there.get(name)
        yield name, report.versions.get(name), None if found is None else str(found)


def _downloads(dossier: Dossier) -> Iterator[Download]:
    report, evidence = dossier.report, dossier.evidence
    run, kind = report.id, "application/json"
    yield _download(f"report-{run}.json", _slim(report), kind, "the report")
    card = model_card(report, evidence.classes if evidence else ())
    yield _download(f"model-card-{run}.md", card, "text/markdown", "a model card")
    bill = bill_of_materials(report)
    yield _download(f"ml-bom-{run}.cdx.json", bill, kind, "a CycloneDX 1.6 ML-BOM")
    if dossier.insight is not None:
        insight = dossier.insight.model_dump_json()
        yield _download(f"insight-{run}.json", insight, kind, "where the accuracy goes")
    if evidence is not None:
        yield _download(f"plan-{run}.json", evidence.plan_json, kind, "the plan")
        yield _download(
            f"recipe-{run}.yaml", evidence.recipe_text, "application/yaml", "the recipe"
        )


def _download(name: str, text: str, kind: str, what: str) -> Download:
    size = len(text.encode())
    if size > _LARGEST_BYTES:
        return Download(name, "", f"{what}: too large for a page: {mebibytes(size)} MiB")
    return Download(name, data_link(text, kind), what)


def _slim(report: Report) -> str:
    """The report as JSON; of a long run without its raw samples, which would be megabytes."""
    dumped = report.model_dump(mode="json")
    for column in dumped["columns"]:
        measured = column["measurement"]
        if measured and len(measured["inference_ns"]) > _MOST_SAMPLES:
            measured.update({key: [] for key in _RAW})
    return json.dumps(dumped)

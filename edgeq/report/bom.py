"""A run as a CycloneDX 1.6 machine-learning bill of materials, from its report."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from edgeq.report.outcome import TITLES

if TYPE_CHECKING:
    from edgeq.records.report import Column, Report


def bill_of_materials(report: Report) -> str:
    """The bill as JSON: the artifact, the model it was made from, the packages that made it."""
    artifact = f"edgeq:artifact:{report.artifact_id}"
    model = f"edgeq:model:{report.model_sha256}"
    packages = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
        }
        for name, version in sorted(report.versions.items())
    ]
    quantized: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": artifact,
        "name": report.recipe,
        "version": report.artifact_id[:12],
        "hashes": [{"alg": "SHA-256", "content": report.artifact_id}],
        "modelCard": _card(report),
        "pedigree": {"ancestors": [{"type": "machine-learning-model", "bom-ref": model}]},
    }
    quantized["pedigree"]["ancestors"][0] |= {
        "name": "float model",
        "hashes": [{"alg": "SHA-256", "content": report.model_sha256}],
    }
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same run gives the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'edgeq:run:{report.id}')}",
        "version": 1,
        "metadata": {
            "timestamp": report.created_at.isoformat(),
            "tools": {
                "components": [
                    {"type": "application", "name": "edgeq", "version": report.edgeq_version}
                ]
            },
            "component": quantized,
        },
        "components": packages,
        "dependencies": [
            {"ref": artifact, "dependsOn": [package["bom-ref"] for package in packages]}
        ],
    }
    return json.dumps(bill, indent=1)


def _card(report: Report) -> dict[str, Any]:
    return {
        "modelParameters": {
            "task": "instance segmentation",
            "inputs": [{"format": "image"}],
            "outputs": [{"format": "boxes, classes, scores, masks"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [one for column in report.columns for one in _metrics(column)]
        },
        "considerations": {"technicalLimitations": list(report.notes)},
    }


def _metrics(column: Column) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    title = TITLES[column.name]
    for kind, drop in (("mask", column.mask_ap_drop), ("box", column.box_ap_drop)):
        precision = getattr(column.accuracy, kind, None)
        if precision is not None and precision.ap is not None:
            metric = {"type": f"{kind} AP", "value": f"{precision.ap:.4f}", "slice": title}
            found.append(metric)
        if drop is not None:
            ends = {"lowerBound": f"{drop.low:.4f}", "upperBound": f"{drop.high:.4f}"}
            lost = {"type": f"{kind} AP drop", "value": f"{drop.estimate:.4f}", "slice": title}
            found.append({**lost, "confidenceInterval": ends})
    measured = column.measurement
    if measured and measured.inference_ns and not measured.unstable:
        value = f"{measured.latency_ms(50):.4g}"
        found.append(
            {
                "type": f"inference p50, ms{', emulated' if measured.emulated else ''}",
                "value": value,
                "slice": title,
            }
        )
    return found

"""Surroundings: what is different of two sides beside their content, and what both of them met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq.agent.measure.stability import SPARE_CORES
from edgeq.artifact.folder import Artifact
from edgeq.records.turns import Turns


def surroundings(sides: tuple[Artifact, Artifact], loads: Sequence[Turns]) -> Iterator[str]:
    """What is different beside the artifacts' content, and what both met."""
    engines = [f"{side.engine.name} {side.engine.version}" for side in loads[0].sides]
    told = [
        ("engine", engines),
        *(
            (f"{part}.{name}", [str(getattr(getattr(s.manifest, part), name)) for s in sides])
            for part, fields in (
                ("preprocess", ("size", "letterbox", "color", "dtype")),
                ("task", ("score_threshold", "iou_threshold", "max_detections", "multi_label")),
            )
            for name in fields
        ),
        ("model", [str(side.manifest.provenance.get("model", "unknown"))[:12] for side in sides]),
    ]
    for what, (a, b) in told:
        if a != b:
            yield f"{what}: {a} of A, {b} of B"
    made = [side.manifest.provenance.get("versions") for side in sides]
    packages = [one for one in made if isinstance(one, dict)]
    if len(packages) == 2:
        for package in sorted(packages[0].keys() | packages[1].keys()):
            a, b = (str(one.get(package, "none")) for one in packages)
            if a != b:
                yield f"built with {package}: {a} of A, {b} of B"
    modes = list(dict.fromkeys(load.power_mode for load in loads if load.power_mode))
    if len(modes) > 1:
        yield f"power mode, met by both: {', then '.join(modes)}"
    for reason in dict.fromkeys(reason for load in loads for reason in load.slowed):
        yield f"met by both: {reason}"
    busy = max((load.other_cores for load in loads if load.other_cores is not None), default=0.0)
    if busy > SPARE_CORES:
        yield f"met by both: other programs used up to {busy:.1f} cores on average"

"""What calibration saw of what the model meets later: duplicates, percentiles, ranges left."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edgeq import cache
from edgeq.calibration.collect import Floats, Tap
from edgeq.calibration.inputs import evenly, tensors
from edgeq.errors import listed
from edgeq.evaluation.dataset import Dataset
from edgeq.graph.model import Model
from edgeq.quantization.arithmetic import LIMITS, Scale
from edgeq.quantization.plan import Plan
from edgeq.records.calibration import CalibrationSeen, OutsideRange, Unresolved
from edgeq.spec.image_list import passed_over
from edgeq.spec.images import Image
from edgeq.stages.build import Build
from edgeq.stages.plan import planned
from edgeq.stages.prepare import Prepared, cores

CACHE = cache.Cache("statistics")
LOOKED_AT = 4
"""Evaluation images whose activations are held against the ranges: a pass costs as inference."""
MANY = 0.02
"""Share of a tensor's values outside that a report names it beyond: percentiles cut some always."""
_NAMED = 3
_SURE = math.log(100)
"""As many values have to be expected beyond a percentile for one to lie there 99 times of 100."""


def seen(prepared: Prepared, built: Build, evaluation: Dataset | None) -> CalibrationSeen:
    """What is known of a plan's calibration; the float pass is kept, so that it runs once."""
    images = tuple(evenly(list(evaluation.files.values()), LOOKED_AT)) if evaluation else ()
    key = cache.key(
        {
            "seen by": built.artifact.id,
            "calibration": [image.sha256 for image in prepared.calibration],
            "images": [image.key for image in images],
        }
    )
    known = CACHE.read(key)
    if known is not None:
        outside = CalibrationSeen.model_validate_json(known).outside
    else:
        outside = tuple(_outside(prepared, built.plan, images)) if images else ()
    named = prepared.recipe.calibration
    found = CalibrationSeen(
        images=len(prepared.calibration),
        passed_over=tuple(passed_over(named.images, named.recursive)),
        duplicates=duplicates(prepared.calibration),
        unresolved=tuple(unresolved(prepared, built.plan)),
        evaluated=len(images),
        tensors=len(built.plan.tensors),
        outside=outside,
    )
    if known is None:
        CACHE.write(key, found.model_dump_json().encode())
    return found


def duplicates(images: Sequence[Image]) -> tuple[tuple[str, ...], ...]:
    """The names of files that have one content, group by group."""
    groups: dict[str, list[str]] = defaultdict(list)
    for image in images:
        groups[image.sha256].append(image.path.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def unresolved(prepared: Prepared, plan: Plan) -> Iterator[Unresolved]:
    """The quantized activations of which a percentile is no more than their maximum.

    With an affine scale half of what is cut lies at either end; counted is that half.
    """
    model, choices = prepared.model, prepared.choices
    writers = {name: node.name for node in model.nodes for name in node.output}
    for tensor in plan.tensors:
        chosen = choices.activations(writers.get(tensor, ""))
        percentile, extents = chosen.parameter, model.shapes.get(tensor, ())
        if chosen.calibrator != "percentile" or percentile is None or percentile >= 100:
            continue
        values = len(prepared.calibration) * math.prod(extent or 1 for extent in extents)
        needed = math.ceil(_SURE / ((100 - percentile) / 200))
        if values < needed:
            yield Unresolved(
                tensor=tensor,
                calibrator="percentile",
                percentile=percentile,
                values=values,
                needed=needed,
            )


def _outside(prepared: Prepared, plan: Plan, images: Sequence[Image]) -> Iterator[OutsideRange]:
    model = planned(prepared).model if prepared.recipe.repair.is_wanted else prepared.model
    yield from outside(model, plan.tensors, tensors(images, prepared.recipe.preprocess))


def outside(
    model: Model, scales: Mapping[str, Scale], inputs: Iterator[Floats]
) -> list[OutsideRange]:
    """The tensors with values that saturate, the largest share first; rounding is no saturation."""
    names = [name for name in scales if name in model.shapes]
    ranges = {name: _range(scales[name]) for name in names}
    beyond, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    extremes = dict.fromkeys(names, (math.inf, -math.inf))
    tap = Tap(model, names, cores())
    for tensor in inputs:
        for name, values in tap.run(tensor).items():
            if not values.size:
                continue
            (low, high), (least, most) = ranges[name], (float(values.min()), float(values.max()))
            extremes[name] = min(extremes[name][0], least), max(extremes[name][1], most)
            total[name] += values.size
            margin = scales[name].scale / 2
            if least < low - margin or most > high + margin:
                saturated = (values < low - margin) | (values > high + margin)
                beyond[name] += int(np.count_nonzero(saturated))
    found = [
        OutsideRange(
            tensor=name,
            share=beyond[name] / total[name],
            low=ranges[name][0],
            high=ranges[name][1],
            lowest=extremes[name][0],
            highest=extremes[name][1],
        )
        for name in names
        if beyond[name]
    ]
    return sorted(found, key=lambda one: -one.share)


def _range(scale: Scale) -> tuple[float, float]:
    least, greatest = LIMITS[scale.dtype]
    low, high = ((value - scale.zero_point) * scale.scale for value in (least, greatest))
    return low, high


def remarks(found: CalibrationSeen) -> Iterator[str]:
    """What of it a person should know; the rest is in the record."""
    if found.duplicates:
        more = sum(len(group) - 1 for group in found.duplicates)
        few = listed([" = ".join(group[:2]) for group in found.duplicates], _NAMED)
        yield f"{more} of {found.images} calibration images repeat another one: {few}"
    if found.unresolved:
        worst = min(found.unresolved, key=lambda one: one.values - one.needed)
        named = listed([one.tensor for one in found.unresolved], _NAMED)
        yield (
            f"calibrator percentile {worst.percentile:g} is not resolved for "
            f"{len(found.unresolved)} of {found.tensors} tensors, such as {named}: "
            f"{worst.values} values of {found.images} images, {worst.needed} are needed to tell it "
            "from max; add images"
        )
    many = [one for one in found.outside if one.share > MANY]
    if many:
        named = listed([f"{one.tensor} {one.share:.2%}" for one in many], _NAMED)
        yield (
            f"outside of the calibrated range on {found.evaluated} evaluation images: {named}; "
            "add calibration images that show the like"
        )

"""A COCO segmentation (polygons, uncompressed or compressed runs) as one kind of mask."""

from __future__ import annotations

import math
from typing import Any

from edgeq.errors import InputError
from edgeq.records.accuracy import RunLength

_LONGEST_RUN_BITS = 64
_REMEDY = "export masks as COCO polygons or run lengths"


def run_length(segmentation: object, height: int, width: int, where: str) -> RunLength:
    """The compressed run-length mask (column-major, COCO) of one annotation's `segmentation`.

    Takes a list of polygons [x0, y0, x1, y1, ...] in pixels, or a mapping with `size`
    [height, width] and `counts`, as a list of runs or as COCO's compressed text.
    Raises InputError at `where` when it is none of these or does not fit the image.
    """
    if isinstance(segmentation, dict):
        _check_runs(segmentation, height, width, where)
    elif isinstance(segmentation, list) and segmentation:
        for polygon in segmentation:
            _check_polygon(polygon, height, width, where)
    else:
        what = "has no segmentation" if not segmentation else "segmentation is no list or mapping"
        raise InputError(where, what, _REMEDY)
    # the rasterizer is the evaluator's own, so that masks and IoU follow the same convention
    from faster_coco_eval import mask as masks

    counts = masks.segmToRle(segmentation, width, height)["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return RunLength(size=(height, width), counts=text)


def extent(mask: RunLength) -> tuple[float, tuple[float, float, float, float]]:
    """The area of a mask in square pixels and the box (x, y, width, height) around it."""
    from faster_coco_eval import mask as masks

    runs = {"size": list(mask.size), "counts": mask.counts}
    x, y, width, height = (float(value) for value in masks.toBbox(runs))
    return float(masks.area(runs)), (x, y, width, height)


def _check_polygon(polygon: object, height: int, width: int, where: str) -> None:
    if not isinstance(polygon, list) or not all(_is_finite(value) for value in polygon):
        raise InputError(where, "a polygon is no list of finite numbers", _REMEDY)
    if len(polygon) < 6 or len(polygon) % 2:
        what = f"a polygon has {len(polygon)} numbers, not x, y of at least 3 points"
        raise InputError(where, what, _REMEDY)
    # annotators overshoot the border by a little; the rasterizer's memory grows with the distance
    inside = all(-width <= x <= 2 * width for x in polygon[0::2])
    if not inside or not all(-height <= y <= 2 * height for y in polygon[1::2]):
        what = f"a polygon lies far outside its image of {width}x{height} pixels"
        raise InputError(where, what, "check the image's width and height, and the units")


def _check_runs(segmentation: dict[str, Any], height: int, width: int, where: str) -> None:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        what = f"segmentation size is {size}, but the image's is [{height}, {width}]"
        raise InputError(where, what, "size is [height, width] of the image")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise InputError(where, "segmentation counts are no run lengths", _REMEDY)
    if sum(runs) != height * width:
        what = f"run lengths add up to {sum(runs)} pixels, the image has {height * width}"
        raise InputError(where, what, _REMEDY)


def _decompressed(text: str) -> list[int] | None:
    """The runs of COCO's compressed text, None when it is cut or holds foreign characters.

    Source: maskApi.c of the COCO API, rleFrString: little-endian groups of 5 bits, bit 5 says
    that more follow, bit 4 of the last is the sign; from the third run on, the difference to
    the run two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            return None
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            if shift > _LONGEST_RUN_BITS:
                return None
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return None if shift else runs


def _is_finite(value: object) -> bool:
    # a whole number may be beyond every float
    return isinstance(value, int | float) and type(value) is not bool and abs(value) < math.inf

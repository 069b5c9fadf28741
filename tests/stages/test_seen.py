from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgeq.calibration.inputs import tensors
from edgeq.quantization.arithmetic import Scale
from edgeq.records.calibration import CalibrationSeen, OutsideRange
from edgeq.spec import recipe as recipes
from edgeq.spec.image_list import image_files
from edgeq.spec.images import images_of
from edgeq.stages.build import build
from edgeq.stages.check import prepared_for_build
from edgeq.stages.outputs import load_model
from edgeq.stages.seen import duplicates, outside, remarks, unresolved


def test_share_outside_is_that_of_a_direct_count(small_demo: Path) -> None:
    recipe = recipes.load(small_demo / "recipe.yaml")
    model = load_model(recipe)
    found = images_of(image_files(small_demo / "evaluation", "")[:2])
    inputs = list(tensors(found, recipe.preprocess))
    convolutions = [node.output[0] for node in model.nodes if node.op_type == "Conv"][:6]
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in convolutions)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    values = {
        name: np.concatenate(
            [session.run([name], {session.get_inputs()[0].name: x})[0].ravel() for x in inputs]
        )
        for name in convolutions
    }
    # Tighter from tensor to tensor; the last one holds all.
    kept = (0.999, 0.99, 0.9, 0.8, 0.6, 1.0)
    scales = {
        name: Scale(float(np.quantile(np.abs(values[name]), k)) / 127, 0, "int8")
        for name, k in zip(convolutions, kept, strict=True)
    }

    seen = outside(model, scales, iter(inputs))

    assert [one.tensor for one in seen] == [convolutions[n] for n in (4, 3, 2, 1, 0)]
    for one in seen:
        array, step = values[one.tensor], scales[one.tensor].scale
        rounded = np.round(array.astype(np.float64) / step)
        assert one.share == pytest.approx(((rounded > 127) | (rounded < -128)).mean(), abs=1e-5)
        assert one.highest == pytest.approx(float(array.max()), rel=1e-4)


def test_files_of_one_content_are_told_group_by_group(small_demo: Path, tmp_path: Path) -> None:
    first, second, third, *_ = image_files(small_demo / "calibration", "")
    for name, file in (("a", first), ("b", second), ("c", first), ("d", third), ("e", second)):
        shutil.copy(file, tmp_path / f"{name}{file.suffix}")
    groups = duplicates(images_of(image_files(tmp_path, "")))
    assert [[Path(name).stem for name in group] for group in groups] == [["a", "c"], ["b", "e"]]
    [said] = remarks(CalibrationSeen(images=5, duplicates=groups))
    assert said.startswith("2 of 5 calibration images repeat another one: a.")


@pytest.mark.usefixtures("spared")
def test_percentile_of_too_few_values_is_named_with_its_count(small_demo: Path) -> None:
    recipe = recipes.load(small_demo / "recipe.yaml")
    prepared = prepared_for_build(recipe, "local")
    plan = build(prepared).plan
    few = list(unresolved(prepared, plan))
    # ln(100) values are to be expected in half of the .01% that is cut.
    assert {one.needed for one in few} == {92104}
    for one in few:
        assert one.values == 8 * np.prod(prepared.model.shapes[one.tensor]) < one.needed
    assert {one.tensor for one in few} == {
        name for name in plan.tensors if 8 * np.prod(prepared.model.shapes[name]) < 92104
    }
    assert few
    [said] = remarks(CalibrationSeen(images=8, tensors=len(plan.tensors), unresolved=tuple(few)))
    assert f"percentile 99.99 is not resolved for {len(few)} of {len(plan.tensors)} tensors" in said


def test_worst_tensors_outside_are_named_and_small_shares_are_not() -> None:
    shares = (0.3, 0.05, 0.04, 0.03, 0.02)
    found = tuple(
        OutsideRange(tensor=f"t{n}", share=share, low=-1, high=1, lowest=-2, highest=2)
        for n, share in enumerate(shares)
    )
    [said] = remarks(CalibrationSeen(images=8, evaluated=4, outside=found))
    assert "on 4 evaluation images: t0 30.00%, t1 5.00%, t2 4.00% and 1 more;" in said
    assert not list(remarks(CalibrationSeen(images=8, evaluated=4, outside=found[-1:])))

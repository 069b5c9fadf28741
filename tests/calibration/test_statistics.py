from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from edgeq import places
from edgeq.calibration import collect
from edgeq.calibration.statistics import Statistics, gather, is_cached, wanted_tensors
from edgeq.calibrators.base import calibrate
from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.spec.images import images_of
from edgeq.spec.quantize import Activations, CalibratorName
from edgeq.spec.recipe import Preprocess
from tests.nets import Net, loaded

PREPROCESS = Preprocess(size=(16, 16))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file in files:
        cv2.imwrite(str(file), rng.integers(0, 256, (20, 30, 3), np.uint8))
    return files


@pytest.fixture
def model(tmp_path: Path) -> Model:
    net = Net(side=16)
    net.conv(net.silu(net.conv("x", "c1", (8, 3, 3, 3)), "s1"), "c2", (4, 8, 1, 1))
    return net.model(tmp_path, ["c2"])


class Passes:
    """Counts images that are run, by the progress that a pass reports."""

    def __init__(self) -> None:
        self.images = 0

    def gather(self, model: Model, files: list[Path], **changes: Any) -> Statistics:
        wanted = changes.get("wanted", wanted_tensors(model))
        preprocess = changes.get("preprocess", PREPROCESS)
        return gather(model, wanted, images_of(files), preprocess, threads=1, progress=self._seen)

    def _seen(self, _: int) -> None:
        self.images += 1


@pytest.fixture
def passes() -> Passes:
    return Passes()


def test_a_second_pass_reads_the_file_of_the_first(
    model: Model, images: list[Path], passes: Passes
) -> None:
    first = passes.gather(model, images)

    second = passes.gather(model, images)

    assert passes.images == len(images)
    assert _same(first, second, model)
    assert first.images == second.images == 3


def test_it_is_known_beforehand_whether_a_pass_only_reads(
    model: Model, images: list[Path], passes: Passes
) -> None:
    wanted = wanted_tensors(model)
    before = is_cached(model, wanted, images_of(images), PREPROCESS)

    passes.gather(model, images)

    assert not before
    assert is_cached(model, wanted, images_of(images), PREPROCESS)


def test_every_calibrator_reads_the_same_statistics(
    model: Model, images: list[Path], passes: Passes
) -> None:
    statistics = passes.gather(model, images)
    names: tuple[CalibratorName, ...] = ("max", "mse", "entropy")

    spans = {
        n: calibrate(statistics.histogram("s1"), Activations(calibrator=n), True) for n in names
    }

    assert passes.images == len(images)
    assert all(span.high > 0 for span in spans.values())


@pytest.mark.parametrize("change", ["preprocess", "fewer images", "another image", "model"])
def test_what_the_statistics_depend_on_is_in_their_key(
    change: str, model: Model, images: list[Path], passes: Passes, tmp_path: Path
) -> None:
    first = passes.gather(model, images).key
    changes: dict[str, Any] = {}
    if change == "preprocess":
        changes["preprocess"] = PREPROCESS.model_copy(update={"pad_value": 0})
    elif change == "fewer images":
        images = images[:2]
    elif change == "another image":
        cv2.imwrite(str(images[0]), np.zeros((20, 30, 3), np.uint8))
    else:
        proto = onnx.load(model.path)
        proto.graph.initializer[0].raw_data = bytes(len(proto.graph.initializer[0].raw_data))
        model = loaded(proto, tmp_path)

    second = passes.gather(model, images, **changes).key

    assert second != first
    assert passes.images > 3


def test_statistics_know_silus_minimum_whoever_asked_first(
    model: Model, images: list[Path], passes: Passes
) -> None:
    passes.gather(model, images, wanted=["c1", "x"])

    statistics = passes.gather(model, images, wanted=["c1", "x", "s1"])

    assert "c1" in statistics.lowest


def test_moved_and_renamed_images_are_the_same_images(
    model: Model, images: list[Path], passes: Passes, tmp_path: Path
) -> None:
    first = passes.gather(model, images)
    (tmp_path / "moved").mkdir()
    moved = [file.rename(tmp_path / "moved" / f"other-{file.name}") for file in images]

    second = passes.gather(model, moved)

    assert second.key == first.key
    assert passes.images == 3


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "array", "other", "flipped"])
def test_a_damaged_cache_file_is_made_again(
    damage: str, model: Model, images: list[Path], passes: Passes
) -> None:
    first = passes.gather(model, images)
    (file,) = places.cache("statistics").iterdir()
    content = file.read_bytes()
    if damage == "array":
        with file.open("wb") as stream:
            np.save(stream, np.arange(3))
    elif damage == "other":
        with file.open("wb") as stream:
            np.savez(stream, about=np.array("[]"), sizes=np.zeros(2, np.int64))
    elif damage == "flipped":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    else:
        file.write_bytes({"empty": b"", "cut": content[:-100], "noise": b"\x00" * 500}[damage])

    second = passes.gather(model, images)

    assert passes.images == 6
    assert _same(first, second, model)
    assert passes.gather(model, images).key == first.key
    assert passes.images == 6


def test_no_flipped_byte_of_the_cache_goes_unnoticed(
    model: Model, images: list[Path], passes: Passes
) -> None:
    first = passes.gather(model, images)
    (file,) = places.cache("statistics").iterdir()
    content = file.read_bytes()
    for place in np.random.default_rng(0).integers(len(content), size=25):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(place % 8)
        file.write_bytes(flipped)

        assert _same(first, passes.gather(model, images), model)


def test_a_model_without_anything_to_count_has_no_statistics(
    model: Model, images: list[Path], passes: Passes
) -> None:
    statistics = passes.gather(model, images, wanted=[])

    assert statistics.sources == {}


def test_an_unreadable_image_is_named(model: Model, images: list[Path], passes: Passes) -> None:
    images[1].write_bytes(b"no image")

    with pytest.raises(InputError, match=r"1\.png: is not an image.*replace or remove"):
        passes.gather(model, images)


def test_the_image_that_makes_a_tensor_infinite_is_named(
    images: list[Path], passes: Passes, tmp_path: Path
) -> None:
    net = Net(side=16)
    net.node("Div", ["x", "x"], "ratio")
    net.conv("ratio", "c", (4, 3, 1, 1))
    model = net.model(tmp_path, ["c"])
    cv2.imwrite(str(images[0]), np.full((16, 16, 3), 9, np.uint8))
    cv2.imwrite(str(images[2]), np.zeros((16, 16, 3), np.uint8))

    with pytest.raises(InputError, match=r"\d\.png: tensor '\w+' holds NaN or infinity"):
        passes.gather(model, images)

    assert passes.images < 3


def test_what_is_left_out_is_not_wanted(model: Model) -> None:
    assert wanted_tensors(model) == ["c1", "c2", "s1", "s1.gate", "x"]
    assert wanted_tensors(model, frozenset({"c2", "s1"})) == ["c1", "s1.gate", "x"]


def test_extremes_are_the_exact_minimum_and_maximum(model: Model) -> None:
    inputs = np.random.default_rng(0).standard_normal((4, 1, 3, 16, 16)).astype(np.float32)
    tap = collect.Tap(model, ["x", "c1"], threads=1)
    runs = [{name: values.copy() for name, values in tap.run(x).items()} for x in inputs]

    found = collect.extremes(model, ["x", "c1"], inputs, threads=1)

    for name in ("x", "c1"):
        values = np.stack([run[name] for run in runs])
        assert found[name] == (values.min(), values.max())


def _same(one: Statistics, other: Statistics, model: Model) -> bool:
    return all(
        (a.low, a.high, a.keys.tolist(), a.counts.tolist())
        == (b.low, b.high, b.keys.tolist(), b.counts.tolist())
        for name in wanted_tensors(model)
        for a, b in [(one.histogram(name), other.histogram(name))]
    )

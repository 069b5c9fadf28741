"""The whole network trained at once: towards float, or by a loss over labels."""

from __future__ import annotations

import py_compile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeq.calibration.inputs import placed
from edgeq.errors import InputError
from edgeq.evaluation.dataset import Dataset, evaluation_of
from edgeq.graph.model import Model
from edgeq.progress import silent
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.reconstruction.own_loss import own_loss
from edgeq.repair.refinement import plan_for
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import recipe as recipes

from ...runtimes.builds import run
from .nets import chain, images, planned

torch = pytest.importorskip("torch")

from edgeq.repair.reconstruction import end_to_end  # noqa: E402
from edgeq.repair.reconstruction.end_to_end import Course, Quantized, learned  # noqa: E402
from edgeq.repair.reconstruction.labels import batch_of  # noqa: E402
from edgeq.repair.reconstruction.lessons import distilled, labelled  # noqa: E402
from edgeq.repair.reconstruction.reconstruct import Constants, Subject  # noqa: E402

SIDE = 16


def coarse(model: Model) -> Plan:
    """A plan with weights in 6 bits, so that their rounding is most of the error."""
    plan = planned(model)
    weights = {
        name: replace(one, bits=6, scales=tuple(s * 127 / 31 for s in one.scales))
        for name, one in plan.weights.items()
    }
    return replace(plan, weights=weights)


def taught(
    model: Model, plan: Plan, course: Course, rigid: bool = False, key: str = "key"
) -> Constants:
    x = images(12, SIDE)
    lesson = distilled(Subject(model, plan, x[:, np.newaxis] if rigid else x, rigid))
    start = Quantized(model, plan, write_qdq(model, plan))
    return learned(start, lesson, course, key, 1, silent)


def error(model: Model, plan: Plan, exact: Model) -> float:
    """Squared error of the output, on images that were not trained on."""
    total = 0.0
    for x in images(8, SIDE, seed=1):
        found = run(write_qdq(model, plan), x[np.newaxis])["last"]
        expected = run(exact.proto.SerializeToString(), x[np.newaxis])["last"]
        total += float(np.square(found - expected).sum())
    return total


@pytest.mark.usefixtures("edgeq_home")
@pytest.mark.parametrize(("rate", "rigid"), [(None, False), (2e-4, True)])
def test_network_trained_towards_float_is_nearer_to_it_on_other_images(
    rate: float | None, rigid: bool, tmp_path: Path
) -> None:
    model = chain(tmp_path, side=SIDE)
    plan = coarse(model)
    made = with_constants(model, taught(model, plan, Course(30, rate, 0), rigid), "")
    assert error(made, plan_for(made, plan), model) < 0.9 * error(model, plan, model)


def test_killed_training_ends_where_an_undisturbed_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_to_end, "EVERY", 3)
    model = chain(tmp_path, side=SIDE)
    plan, course = coarse(model), Course(8, None, 0)
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "whole"))
    whole = taught(model, plan, course)
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "cut"))
    subject = Subject(model, plan, images(12, SIDE), rigid=False)
    start = Quantized(model, plan, write_qdq(model, plan))
    seen: list[int] = []

    class KilledError(Exception):
        pass

    def kill(stage: str, done: int, total: int) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        learned(start, distilled(subject), course, "key", 1, kill)
    again = learned(
        start, distilled(subject), course, "key", 1, lambda stage, done, total: seen.append(done)
    )
    assert seen == [4, 5, 6, 7, 8]
    assert again.keys() == whole.keys() != set()
    assert all(np.array_equal(again[name], whole[name]) for name in whole)


@pytest.fixture(scope="module")
def dataset(small_demo: Path) -> Dataset:
    found = evaluation_of(recipes.load(small_demo / "recipe.yaml"))
    assert found is not None
    return found


def test_labels_are_in_the_pixels_of_the_networks_input(small_demo: Path, dataset: Dataset) -> None:
    preprocess = recipes.load(small_demo / "recipe.yaml").preprocess
    preprocess = preprocess.model_copy(update={"size": (160, 96)})
    ids = list(dataset.files)[:3]
    batch = batch_of(dataset, preprocess, ids)
    assert batch.images.shape == (3, 3, 160, 96)
    for image, tensor, file, labels in zip(
        ids, batch.images, batch.files, batch.labels, strict=True
    ):
        expected, geometry = placed(dataset.files[image], preprocess)
        assert np.array_equal(tensor[np.newaxis].numpy(), expected)
        assert file == dataset.files[image].path
        own = [one for one in dataset.annotations.instances if one.image_id == image]
        assert len(own) == len(labels.classes) > 0
        named = [dataset.categories[int(index)] for index in labels.classes]
        assert named == [one.category_id for one in own]
        for mask, box, one in zip(labels.masks, labels.boxes.tolist(), own, strict=True):
            rows, columns = np.nonzero(mask.numpy())
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(seen, box, atol=2.5)
            shrunk = one.area * geometry.scale_x * geometry.scale_y
            assert float(mask.sum()) == pytest.approx(shrunk, rel=0.2, abs=12)


LOSS = """
def labelled(outputs, batch):
    [found] = outputs.values()
    assert found.shape[0] == len(batch.files) == len(batch.labels) == len(batch.images)
    wanted = batch.labels[0].masks.any(dim=0).float().mean()
    return (found.mean() - wanted).square()

def constant(outputs, batch):
    return 1.0

def broken(outputs, batch):
    return outputs["none"]
"""


def test_loss_of_the_users_own_falls(
    small_demo: Path, dataset: Dataset, tmp_path: Path, edgeq_home: Path
) -> None:
    preprocess = recipes.load(small_demo / "recipe.yaml").preprocess
    preprocess = preprocess.model_copy(update={"size": (SIDE, SIDE)})
    model = chain(tmp_path, side=SIDE)
    plan = coarse(model)
    file = tmp_path / "loss.py"
    file.write_text(LOSS)
    own = own_loss(f"{file}:labelled")
    start = Quantized(model, plan, write_qdq(model, plan))
    lesson = labelled(model, plan, dataset, preprocess, own.function)
    constants = learned(start, lesson, Course(20, None, 0), "key", 1, silent)
    made = with_constants(model, constants, "")

    def loss(one: Model, under: Plan) -> float:
        total, content = 0.0, write_qdq(one, under)
        for image in dataset.files:
            batch = batch_of(dataset, preprocess, [image])
            found: NDArray[np.float32] = run(content, batch.images.numpy())["last"]
            total += float(own.function({"last": torch.from_numpy(found)}, batch))
        return total

    assert loss(made, plan_for(made, plan)) < 0.9 * loss(model, plan)


def test_loss_is_known_by_its_own_file_too_and_may_have_dataclasses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "named.py").write_text("from imported_loss import labelled\n")
    imported = tmp_path / "imported_loss.py"
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    imported.write_text(f"{head}@dataclass\nclass Part:\n    weight: float\n{LOSS}")
    own, named = own_loss(f"{imported}:labelled"), own_loss(f"{tmp_path / 'named.py'}:labelled")
    imported.write_text(imported.read_text() + "# another\n")
    assert own_loss(f"{imported}:labelled").sha256 != own.sha256
    assert own_loss(f"{tmp_path / 'named.py'}:labelled").sha256 != named.sha256


def test_loss_is_known_by_what_it_takes_from_its_folder_but_not_by_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    installed = tmp_path / "site-packages" / "loss_of_others.py"
    installed.parent.mkdir()
    monkeypatch.syspath_prepend(installed.parent)
    parts = tmp_path / "loss_parts"
    parts.mkdir()
    constants = tmp_path / "loss_constants.py"
    files = [parts / "__init__.py", parts / "weights.py", installed, constants]
    for file in files:
        file.write_text("")
    files[1].write_text("WEIGHT = 2.0\ndef weigh(x):\n    return WEIGHT * x\n")
    files[2].write_text("def scale(x):\n    return x\n")
    constants.write_text("POWER = 2\n")
    (tmp_path / "source.py").write_text("EVER = 1\n")
    py_compile.compile(str(tmp_path / "source.py"), str(tmp_path / "loss_binary.pyc"))
    loss = tmp_path / "loss.py"
    head = "import torch\nfrom loss_parts.weights import weigh\nfrom loss_of_others import scale\n"
    head += "from loss_constants import POWER\n"
    head += "from loss_binary import EVER\n"
    head += "def never():\n    from ..above import other\n"
    loss.write_text(f"{head}\ndef labelled(found, batch):\n    return weigh(scale(found))\n")
    before = own_loss(f"{loss}:labelled").sha256
    assert own_loss(f"{loss}:labelled").sha256 == before
    installed.write_text(installed.read_text() + "# another\n")
    assert own_loss(f"{loss}:labelled").sha256 == before
    constants.write_text("POWER = 3\n")
    other = own_loss(f"{loss}:labelled").sha256
    assert other != before
    files[1].write_text(files[1].read_text().replace("2.0", "3.0"))
    assert own_loss(f"{loss}:labelled").sha256 not in (before, other)


@pytest.mark.usefixtures("edgeq_home")
def test_loss_that_is_none_is_told(small_demo: Path, dataset: Dataset, tmp_path: Path) -> None:
    preprocess = recipes.load(small_demo / "recipe.yaml").preprocess
    preprocess = preprocess.model_copy(update={"size": (SIDE, SIDE)})
    model = chain(tmp_path, side=SIDE)
    plan = coarse(model)
    start = Quantized(model, plan, write_qdq(model, plan))
    file = tmp_path / "loss.py"
    file.write_text(LOSS)
    for name, what in (("constant", "gave no scalar tensor"), ("broken", "raised KeyError")):
        lesson = labelled(model, plan, dataset, preprocess, own_loss(f"{file}:{name}").function)
        with pytest.raises(InputError, match=what):
            learned(start, lesson, Course(1, None, 0), "key", 1, silent)
    for named, what in (
        ("loss", "names no function"),
        (f"{file}:other", "has no function 'other'"),
        (f"{tmp_path / 'none.py'}:other", "cannot be imported"),
        ("no.such.module:loss", "cannot be imported"),
    ):
        with pytest.raises(InputError, match=what):
            own_loss(named)

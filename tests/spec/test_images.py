from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeq
from edgeq.artifact import archive
from edgeq.errors import InputErrors
from edgeq.reading import TICK_NS
from edgeq.spec.images import Image, image_of, images_of
from edgeq.spec.recipe import Measure
from edgeq.stages.layer_errors import LOOKED_AT as ON_DEVICE
from edgeq.stages.seen import LOOKED_AT
from tests.hashes import counted

SHORT = Measure(warmup_s=0, max_warmup_s=0.5, min_duration_s=0.1, min_count=5)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / name for name in ("b.jpg", "a.jpg", "c.jpg")]
    for file in found:
        file.write_bytes(file.name.encode())
    return found


def test_images_are_files_in_their_order_with_their_hashes(files: list[Path]) -> None:
    expected = tuple(Image(f, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files)
    assert images_of(files) == expected
    assert image_of(files[0]) == expected[0]


def test_file_named_twice_is_two_images_and_hashed_once(files: list[Path]) -> None:
    with counted(files) as hashed:
        found = images_of([*files, files[0]])
    assert [image.path for image in found] == [*files, files[0]]
    assert hashed == dict.fromkeys(files, 1)


def settled(files: list[Path]) -> list[Path]:
    """The files, once they are old enough to be known by their times."""
    time.sleep(TICK_NS / 1e9 + 0.1)
    return files


def test_file_that_nobody_touched_is_not_hashed_again(files: list[Path]) -> None:
    first = images_of(settled(files))
    with counted(files) as hashed:
        assert images_of(files) == first
        assert image_of(files[1]) == first[1]
    assert not hashed


def replaced(file: Path) -> None:
    times = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"B.jpg")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)


def rewritten(file: Path) -> None:
    """Of the same size, with the times put back."""
    times = file.stat()
    file.write_bytes(b"B.jpg")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", [replaced, rewritten, lambda file: file.write_bytes(b"B.jpg")])
def test_file_that_changed_is_hashed_again(
    files: list[Path], change: Callable[[Path], object]
) -> None:
    images_of(settled(files))
    change(files[0])
    assert images_of(files)[0].sha256 == hashlib.sha256(b"B.jpg").hexdigest()


def test_file_that_was_just_written_is_not_known_by_its_times(files: list[Path]) -> None:
    images_of(files)
    with counted(files) as hashed:
        images_of(files)
    assert hashed == dict.fromkeys(files, 1)


def test_hashes_that_are_damaged_are_computed_again(files: list[Path], edgeq_home: Path) -> None:
    first = images_of(settled(files))
    [kept] = (edgeq_home / "cache" / "images").iterdir()
    kept.write_bytes(kept.read_bytes().replace(first[0].sha256.encode(), b"0" * 64))
    with counted(files) as hashed:
        assert images_of(files) == first
    assert hashed == dict.fromkeys(files, 1)


def test_where_nothing_can_be_kept_files_are_hashed_all_the_same(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = images_of(files)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "file"))
    assert images_of(settled(files)) == first


def test_all_that_cannot_be_read_are_named(files: list[Path]) -> None:
    files[0].unlink()
    files[2].unlink()
    with pytest.raises(InputErrors) as caught:
        images_of(files)
    assert [problem.where for problem in caught.value.problems] == [str(files[0]), str(files[2])]
    assert "cannot be read: does not exist" in caught.value.problems[0].what


@pytest.mark.usefixtures("acquainted")
def test_deploy_lists_every_image_once_and_then_none(small_demo: Path) -> None:
    calibration = list((small_demo / "calibration").iterdir())
    evaluation = list((small_demo / "evaluation").iterdir())
    named = [*calibration, *evaluation]
    settled(named)
    for times in (1, 0):
        with counted(named) as hashed:
            edgeq.deploy(small_demo / "recipe.yaml", "local")
        # A few are looked at again, for what leaves the calibrated ranges.
        assert all(times <= hashed[file] <= 2 * times for file in evaluation)
        assert sum(hashed[file] == times for file in evaluation) >= len(evaluation) - LOOKED_AT
        # What is decoded here is hashed as it is read, too: at most in two passes, and a few twice
        # more, for what is lost behind each layer in the simulation and on the device.
        assert all(times <= hashed[file] <= 3 * times + 2 for file in calibration)
        assert sum(hashed[file] > 3 * times for file in calibration) <= ON_DEVICE


@pytest.mark.usefixtures("acquainted")
def test_measurement_hashes_the_images_that_it_takes_once(small_demo: Path, tmp_path: Path) -> None:
    built = edgeq.build(small_demo / "recipe.yaml", "local", tmp_path / "demo.edgeq")
    assert archive.read(tmp_path / "demo.edgeq").id == built.artifact.id
    folder = Path(shutil.copytree(small_demo / "evaluation", tmp_path / "images"))
    with counted(folder.iterdir()) as hashed:
        edgeq.measure(tmp_path / "demo.edgeq", "local", folder, SHORT)
    assert max(hashed.values()) == 1

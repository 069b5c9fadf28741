from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import edgeq
from edgeq import artifact
from edgeq.errors import InputErrors
from edgeq.images import Image, image_of, images_of
from edgeq.recipe import Measure
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


def test_all_that_cannot_be_read_are_named(files: list[Path]) -> None:
    files[0].unlink()
    files[2].unlink()
    with pytest.raises(InputErrors) as caught:
        images_of(files)
    assert [problem.where for problem in caught.value.problems] == [str(files[0]), str(files[2])]
    assert "cannot be read: No such file" in caught.value.problems[0].what


def test_deploy_hashes_every_image_once(small_demo: Path) -> None:
    named = [*(small_demo / "calibration").iterdir(), *(small_demo / "evaluation").iterdir()]
    for _ in range(2):
        with counted(named) as hashed:
            report = edgeq.deploy(small_demo / "recipe.yaml", "local")
        assert report.artifact_id
        assert max(hashed.values()) == 1


def test_measurement_hashes_the_images_that_it_takes_once(small_demo: Path, tmp_path: Path) -> None:
    built = edgeq.build(small_demo / "recipe.yaml", "local", tmp_path / "demo.edgeq")
    assert artifact.read(tmp_path / "demo.edgeq").id == built.artifact.id
    folder = small_demo / "evaluation"
    with counted(folder.iterdir()) as hashed:
        edgeq.measure(tmp_path / "demo.edgeq", "local", folder, SHORT)
    assert max(hashed.values()) == 1

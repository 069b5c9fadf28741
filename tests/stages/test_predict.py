"""Predictions on images that were damaged where they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeq import places
from edgeq.device.connection import host
from edgeq.errors import InputError
from edgeq.progress import silent
from edgeq.spec.images import Image, images_of
from edgeq.stages.predict import Manner, Predictions, predict

from ..demo_project import acquaint
from ..device.artifacts import demo

MANNER = Manner(1, keep_count=1)


@pytest.fixture(autouse=True)
def known_here(known_agent: Path, edgeq_home: Path) -> None:
    acquaint(edgeq_home / "host", known_agent)


def jpeg(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (32, 48, 3), np.uint8)
    done, content = cv2.imencode(".jpg", cv2.resize(noise, (480, 320)))
    assert done
    return content.tobytes()


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "flip": flip,
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "foreign": lambda content: jpeg(99),
}


def images_in(folder: Path) -> dict[int, Image]:
    files = [folder / f"{number}.jpg" for number in range(2)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg(number))
    return dict(enumerate(images_of(files), 1))


def found(images: dict[int, Image]) -> Predictions:
    with host() as here:
        return predict(here, demo(), images, MANNER, silent, "float")


@dataclass(frozen=True)
class Undamaged:
    """What is found in images, and the home that this leaves."""

    images: dict[int, Image]
    right: Predictions
    home: Path


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Undamaged:
    images, home = images_in(tmp_path_factory.mktemp("images")), tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        return Undamaged(images, found(images), home)


def same(one: Predictions, other: Predictions) -> bool:
    arrays = zip(one.outputs.values(), other.outputs.values(), strict=True)
    return one.images == other.images and all(np.array_equal(*pair) for pair in arrays)


@pytest.mark.parametrize("first", range(len(DAMAGE)))
def test_every_damaged_file_heals(undamaged: Undamaged, edgeq_home: Path, first: int) -> None:
    """All files below the board's and the host's root, each in one of four ways, and then one."""
    images, right = undamaged.images, undamaged.right
    shutil.copytree(undamaged.home, edgeq_home, symlinks=True, dirs_exist_ok=True)
    assert all(image.boxes for image in right.images)
    kept = {path: content for path in files() if (content := path.read_bytes())}
    assert {path.relative_to(places.home()).parts[0] for path in kept} == {"cache", "host"}
    ways = list(DAMAGE.values())
    for number, (path, content) in enumerate(kept.items()):
        path.write_bytes(ways[(first + number) % len(ways)](content))
    assert same(found(images), right)
    # An image alone, of which the cache of predictions knows nothing.
    (blob,) = (path for path in kept if path.name == images[1].sha256)
    blob.write_bytes(ways[first](kept[blob]))
    for entry in places.cache("predictions").iterdir():
        entry.unlink()
    assert same(found(images), right)
    assert blob.read_bytes() == kept[blob]


def files() -> list[Path]:
    """What lies below both roots, but for what only one run needs."""
    every = (path for path in places.home().rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in every if path.parent.name != "work" and path.name != "lock"]


def test_image_that_changed_since_it_was_listed_is_named(tmp_path: Path) -> None:
    images = images_in(tmp_path)
    file = images[1].path
    file.write_bytes(jpeg(7))
    with pytest.raises(InputError, match="changed while it was being sent") as caught:
        found(images)
    assert str(file) in str(caught.value)
    assert not list(places.cache("predictions").iterdir())

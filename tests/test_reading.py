from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import reading
from edgeq.artifact import archive, signing
from edgeq.errors import InputError
from edgeq.evaluation.annotations import load as load_annotations
from edgeq.graph.load import load as load_model
from edgeq.spec import recipe, target
from edgeq.spec.image_list import image_files
from edgeq.verbs.lint import lint


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def too_long(path: Path) -> Path:
    return path.with_name("x" * 300 + path.suffix)


SPECIAL = [(pipe, "is a pipe"), (device, "is a device"), (unix_socket, "cannot be read: No such")]


@pytest.mark.parametrize(("make", "message"), SPECIAL)
def test_only_regular_files_are_read(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "x")
    with pytest.raises(InputError, match=message):
        reading.content(tmp_path / "x", 10)


READERS: dict[str, Callable[[Path], object]] = {
    "recipe": recipe.load,
    "target": lambda path: target.load(str(path)),
    "model": load_model,
    "model to lint": lambda path: lint(path, "local"),
    "annotations": load_annotations,
    "image list": lambda path: image_files(path, ""),
    "artifact": archive.read,
    "signers": signing.read_signers,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("make", [pipe, device])
def test_nothing_waits_for_what_is_no_file(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / ("named.onnx" if name == "model to lint" else "named.yaml")
    make(path)
    with pytest.raises(InputError, match=r"a pipe|a device|no regular file|no artifact"):
        READERS[name](path)


@pytest.mark.parametrize("make", [pipe, device])
def test_manifest_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "manifest.json")
    with pytest.raises(InputError, match=r"is no artifact: manifest\.json is no regular file; run"):
        archive.read(tmp_path)


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"image list"}))
def test_name_that_is_too_long_is_no_fault_of_ours(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"File name too long"):
        READERS[name](too_long(tmp_path / ("m.onnx" if "model" in name else "named.yaml")))


RECIPE = """\
model: model.onnx
task: {decoder: yolov8-seg, classes: classes.txt, categories: map.json}
preprocess: {size: 64}
calibration: {images: list.txt}
evaluate: {images: ., annotations: coco.json}
"""
NAMED = {
    "model.onnx": b"m",
    "classes.txt": b"pig\nsheep\n",
    "map.json": b'{"0": 1, "1": 2}',
    "list.txt": b"a.png\n",
    "coco.json": b"{}",
    "a.png": b"p",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in NAMED.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("make", [pipe, device])
def test_recipe_that_names_what_is_no_file_says_where(
    project: Path, name: str, make: Callable[[Path], None]
) -> None:
    (project / name).unlink()
    make(project / name)
    with pytest.raises(InputError, match=name) as caught:
        recipe.load(project / "recipe.yaml")
    lines = [number for number, text in enumerate(RECIPE.splitlines(), 1) if name in text]
    [line] = lines or [4]  # an image stands in the list
    assert caught.value.where == f"{project}/recipe.yaml:{line}"


def test_files_end_at_their_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert reading.content(path, 5) == b"12345"
    with pytest.raises(InputError, match="has 5 bytes; no more than 4 bytes are read here"):
        reading.content(path, 4)


def test_file_whose_size_is_not_told_ends_at_the_limit_too() -> None:
    assert reading.content(Path("/proc/self/stat"), 10**6)
    with pytest.raises(InputError, match="no more than 10 bytes are read here"):
        reading.content(Path("/proc/self/stat"), 10)


@pytest.mark.parametrize("name", [*sorted(set(NAMED) - {"a.png"}), "recipe.yaml"])
def test_endless_file_is_refused_unread(project: Path, name: str) -> None:
    os.truncate(project / name, 2**42)
    with pytest.raises(InputError, match=r"has 4096(\.0)? GiB; (no more than|ONNX files end)"):
        recipe.load(project / "recipe.yaml")
        (load_model if name == "model.onnx" else load_annotations)(project / name)


# Byte-order marks.


@pytest.mark.parametrize("name", ["classes.txt", "map.json", "list.txt", "recipe.yaml"])
def test_byte_order_mark_changes_nothing(project: Path, name: str) -> None:
    plain = recipe.load(project / "recipe.yaml")
    (project / name).write_bytes(b"\xef\xbb\xbf" + (project / name).read_bytes())
    assert recipe.load(project / "recipe.yaml") == plain
    assert plain.task.classes == ("pig", "sheep")


def test_byte_order_mark_before_coco_json_and_signers(tmp_path: Path) -> None:
    coco = (
        '{"images": [{"id": 1, "file_name": "a", "height": 2, "width": 2}], '
        '"categories": [{"id": 1, "name": "pig"}], "annotations": []}'
    )
    (tmp_path / "coco.json").write_text(coco, encoding="utf-8-sig")
    assert len(load_annotations(tmp_path / "coco.json").images) == 1
    (tmp_path / "signers").write_text("me@x ssh-ed25519 AAAA\n", encoding="utf-8-sig")
    assert signing.read_signers(tmp_path / "signers").startswith("me@x")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["classes.txt", "map.json", "list.txt", "recipe.yaml"])
def test_utf_16_is_named(project: Path, name: str, encoding: str) -> None:
    text = (project / name).read_text()
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    (project / name).write_text(mark + text, encoding=encoding)
    with pytest.raises(InputError, match="is UTF-16 text, by its byte-order mark"):
        recipe.load(project / "recipe.yaml")


def test_bytes_that_are_no_text_are_named(project: Path) -> None:
    (project / "classes.txt").write_bytes("Kälber".encode("latin-1"))
    with pytest.raises(InputError, match=r"'classes\.txt' is not UTF-8 text; name a text file"):
        recipe.load(project / "recipe.yaml")


def test_name_that_no_file_system_takes_is_one_that_cannot_be_read(project: Path) -> None:
    (project / "list.txt").write_text("a.png\n" + "x" * 300 + "\n")
    with pytest.raises(
        InputError, match=r"x' cannot be read: File name too long; correct the list"
    ):
        recipe.load(project / "recipe.yaml")
    (project / "list.txt").write_text("x\0y\n")
    with pytest.raises(InputError, match="does not exist; correct the list"):
        recipe.load(project / "recipe.yaml")


def test_pipe_in_a_list_of_images_is_named(project: Path) -> None:
    pipe(project / "pipe.png")
    (project / "list.txt").write_text("pipe.png\n")
    with pytest.raises(InputError, match=r"pipe\.png' is no regular file"):
        recipe.load(project / "recipe.yaml")


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000])
def test_json_without_end_to_its_depth_is_no_json(project: Path, nested: bytes) -> None:
    (project / "map.json").write_bytes(nested)
    with pytest.raises(InputError, match=r"'map\.json' is not JSON"):
        recipe.load(project / "recipe.yaml")
    with pytest.raises(InputError, match=r"is not JSON \(it is nested too deep\)"):
        load_annotations(project / "map.json")


def test_class_that_a_json_map_names_twice_is_refused(project: Path) -> None:
    (project / "map.json").write_text('{"0": 1, "1": 2, "0": 3}')
    with pytest.raises(InputError, match=r"'map\.json' is not JSON \('0' is given twice\)"):
        recipe.load(project / "recipe.yaml")

"""Manifests: read, and refused with every problem named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import parse_manifest, read_manifest

FOLDER = Path("release")


def parsed(document: Dict[str, Any]) -> Any:
    return parse_manifest(json.dumps(document).encode(), FOLDER)


def test_a_release_is_named_by_the_hash_of_its_manifest(release: Path) -> None:
    manifest = read_manifest(release)
    assert manifest.id == hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()
    assert manifest.model_path == release / "model.onnx"
    assert manifest.preprocess.size == (64, 64)
    assert manifest.task.classes == ("cat", "dog")
    assert manifest.files[0].size_bytes == (release / "model.onnx").stat().st_size


def test_all_problems_are_reported_at_once(manifest_document: Dict[str, Any]) -> None:
    task, preprocess = manifest_document["task"], manifest_document["preprocess"]
    task["decoder"] = ""
    task["score_threshold"] = 7
    task["mask_threshold"] = 1
    del task["classes"]
    preprocess["size"] = [640.5, 640]
    preprocess["mean"] = [0, 0]
    preprocess["std"] = [1, 0, 1]
    preprocess["letterbox"] = 1
    manifest_document["runtime"]["model"] = ""
    with pytest.raises(AgentError) as caught:
        parsed(manifest_document)
    message = caught.value.message
    for problem in (
        "task.decoder is empty",
        "task.score_threshold is 7; it must lie from 0 to 1",
        "task.mask_threshold is 1; it must lie between 0 and 1",
        "task.classes is missing",
        "preprocess.size must be [height, width] in whole pixels",
        "preprocess.mean must be a list of 3 numbers, not [0, 0]",
        "preprocess.std has a zero",
        "preprocess.letterbox must be true or false, not 1",
        "runtime.model is empty",
    ):
        assert problem in message
    assert caught.value.kind == "bad-artifact"
    assert message.startswith("release/manifest.json: 9 problems:")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../b", "a\\b", "./a", ".."])
def test_paths_that_leave_the_folder_are_refused(
    path: str, manifest_document: Dict[str, Any]
) -> None:
    manifest_document["files"][path] = manifest_document["files"]["model.onnx"]
    with pytest.raises(AgentError, match="not a plain path inside the release"):
        parsed(manifest_document)


def test_the_model_has_to_be_among_the_files(manifest_document: Dict[str, Any]) -> None:
    manifest_document["runtime"]["model"] = "other.onnx"
    with pytest.raises(AgentError, match=r"'other\.onnx', which is not among files"):
        parsed(manifest_document)


def test_delegate_can_be_left_out(manifest_document: Dict[str, Any]) -> None:
    runtime = manifest_document["runtime"]
    assert parsed(manifest_document).runtime.delegate == "xnnpack"
    runtime["delegate"] = "none"
    assert parsed(manifest_document).runtime.delegate == "none"
    runtime["delegate"] = "gpu"
    with pytest.raises(AgentError, match="delegate is 'gpu'; it must be one of: xnnpack, none"):
        parsed(manifest_document)


def test_uint8_input_does_not_go_with_a_scale(manifest_document: Dict[str, Any]) -> None:
    manifest_document["preprocess"]["dtype"] = "uint8"
    with pytest.raises(AgentError, match="dtype is uint8, which takes pixels as they are"):
        parsed(manifest_document)
    manifest_document["preprocess"]["scale"] = 1
    assert parsed(manifest_document).preprocess.dtype == "uint8"


def test_another_format_is_refused_before_anything_else(manifest_document: Dict[str, Any]) -> None:
    del manifest_document["task"]
    manifest_document["format"] = 2
    with pytest.raises(AgentError, match="has format 2 and this agent reads format 1"):
        parsed(manifest_document)


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[]", b"7", b'{"format": true}'])
def test_no_manifest_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(AgentError) as caught:
        parse_manifest(raw, FOLDER)
    assert caught.value.kind == "bad-artifact"


def test_a_missing_manifest_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"manifest\.json: cannot be read"):
        read_manifest(tmp_path)


def test_numbers_beyond_every_float_are_refused(manifest_document: Dict[str, Any]) -> None:
    manifest_document["task"]["score_threshold"] = 10**400
    manifest_document["preprocess"]["mean"] = [0, 10**400, 0]
    with pytest.raises(AgentError) as caught:
        parsed(manifest_document)
    assert "task.score_threshold is 1000" in caught.value.what
    assert "preprocess.mean must be a list of 3 numbers" in caught.value.what


def test_nesting_without_end_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="is not JSON"):
        parse_manifest(b"[" * 100_000, tmp_path)


def test_many_problems_are_counted(manifest_document: Dict[str, Any]) -> None:
    manifest_document["files"].update({f"../{number}": {} for number in range(1000)})
    with pytest.raises(AgentError) as caught:
        parsed(manifest_document)
    lines = caught.value.what.strip().splitlines()
    assert lines[0] == "1000 problems:"
    assert (len(lines), lines[-1]) == (22, "  and 980 more")

"""Verifying a release folder."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import read_manifest
from edgeq.agent.verbs.verify import verify
from edgeq.agent.wire.events import Events
from edgeq.agent.wire.job import VerifyJob

if TYPE_CHECKING:
    from pathlib import Path


def verified(release: Path, **changes: Any) -> Any:
    job = VerifyJob(release, None, load=True, threads=1)._replace(**changes)
    return verify(job, Events(io.BytesIO()))


def test_a_whole_release_is_loaded_and_run(release: Path) -> None:
    (release / "manifest.json.sig").write_text("signed")
    result = verified(release, id=read_manifest(release).id)
    assert result["release"] == read_manifest(release).id
    assert result["engine"]["name"] == "onnxruntime"
    assert result["input"] == {"name": "images", "shape": [1, 3, 64, 64], "dtype": "float32"}
    assert [output["shape"] for output in result["outputs"]] == [[1, 4, 10], [1, 3, 16, 16]]


def test_without_load_only_files_are_checked(release: Path) -> None:
    assert "engine" not in verified(release, load=False)


def test_all_problems_are_listed_at_once(release: Path, manifest_document: Any) -> None:
    files = manifest_document["files"]
    for name in ("absent.bin", "sub/changed.bin", "short.bin"):
        files[name] = {"sha256": "0" * 64, "bytes": 3}
    (release / "manifest.json").write_text(json.dumps(manifest_document))
    (release / "sub").mkdir()
    (release / "sub" / "changed.bin").write_text("abc")
    (release / "short.bin").write_text("a")
    (release / "extra.bin").write_text("?")
    (release / "sub" / "extra.bin").write_text("?")
    with pytest.raises(AgentError) as caught:
        verified(release, id="f" * 64)
    assert caught.value.kind == "bad-artifact"
    for problem in (
        f"expected {'f' * 64}",
        "absent.bin cannot be read (No such file or directory)",
        "sub/changed.bin has sha256 ba7816bf",
        "short.bin has 1 bytes, expected 3",
        "extra.bin is not in the manifest",
        "sub/extra.bin is not in the manifest",
    ):
        assert problem in caught.value.message
    assert "model.onnx" not in caught.value.message
    assert caught.value.message.startswith(f"{release}: 6 problems:")


def test_a_size_that_the_model_does_not_take_is_found_before_any_image(
    release: Path, manifest_document: Any
) -> None:
    manifest_document["preprocess"]["size"] = [32, 64]
    (release / "manifest.json").write_text(json.dumps(manifest_document))
    with pytest.raises(AgentError, match="preprocess gives"):
        verified(release)

"""Predicting on images whose content is known."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, List, Tuple

import cv2
import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.verbs.predict import predict
from edgeq.agent.vision import rle
from edgeq.agent.wire.events import Events
from edgeq.agent.wire.job import ImageRequest, PredictJob

if TYPE_CHECKING:
    from pathlib import Path


def predicted(release: Path, paths: List[Path], **changes: Any) -> Tuple[List[Any], Any]:
    requests = tuple(ImageRequest(10 + i, path) for i, path in enumerate(paths))
    job = PredictJob(release, requests, 1, "all", None, 1)._replace(**changes)
    stream = io.BytesIO()
    result = predict(job, Events(stream))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [event for event in events if event["event"] == "image"], result


def test_the_red_rectangle_is_found_at_image_size(release: Path, red_rectangle: Path) -> None:
    (image,), result = predicted(release, [red_rectangle])
    assert (image["id"], image["height"], image["width"]) == (10, 96, 128)
    # The image fills the input's width at half size; its top edge lies 8 pixels down.
    assert image["boxes"] == [[8.0, 8.0, 112.0, 80.0], [12.0, 28.0, 40.0, 40.0]]
    assert image["labels"] == [0, 1]
    assert image["scores"] == [0.72, 0.45]
    red = rle.decode(image["masks"][0])
    assert red.shape == (96, 128)
    expected = np.zeros((96, 128), np.uint8)
    expected[40:72, 32:96] = 1
    inner = cv2.erode(expected, np.ones((9, 9), np.uint8))
    outer = cv2.dilate(expected, np.ones((9, 9), np.uint8))
    assert (red >= inner).all() and (red <= outer).all()
    blue = rle.decode(image["masks"][1])
    assert blue[28:36, 12:28].all() and not blue[44:68, 36:52].any()
    assert result["images"] == 1
    assert [output["name"] for output in result["outputs"]] == ["output0", "output1"]


@pytest.mark.parametrize("graph_optimization", ["all", "disabled"])
def test_raw_outputs_of_the_first_images_are_kept(
    release: Path, red_rectangle: Path, tmp_path: Path, graph_optimization: str
) -> None:
    kept = tmp_path / "kept.npz"
    images, result = predicted(
        release,
        [red_rectangle] * 3,
        keep_outputs=kept,
        keep_count=2,
        graph_optimization=graph_optimization,
    )
    assert len(images) == 3 and result["kept_outputs"] == 2
    with np.load(kept) as outputs:
        assert sorted(outputs.files) == [
            "10/output0",
            "10/output1",
            "11/output0",
            "11/output1",
        ]
        assert outputs["10/output1"].shape == (1, 3, 16, 16)
    assert list(tmp_path.glob("*.partial")) == []


def test_missing_images_are_found_before_any_work(release: Path, tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        predicted(release, [tmp_path / "a.jpg", tmp_path / "b.jpg"])
    assert "a.jpg is missing" in caught.value.message
    assert "b.jpg is missing" in caught.value.message


def test_an_image_without_detections_has_empty_lists(
    release: Path, red_rectangle: Path, manifest_document: Any
) -> None:
    manifest_document["task"]["score_threshold"] = 1.0
    (release / "manifest.json").write_text(json.dumps(manifest_document))
    (image,), _ = predicted(release, [red_rectangle])
    assert (image["boxes"], image["labels"], image["scores"], image["masks"]) == ([], [], [], [])

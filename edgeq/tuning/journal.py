"""What was found so far, image by image, so that nothing is computed twice.

Every file is written whole under a folder named after all that it depends on. A kill at any moment
costs what was in progress.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq import places
from edgeq.measurement import ImagePrediction

Arrays = dict[str, NDArray[np.float64]]


class Journal:
    """The files of one model, quantized in one way with one set of statistics."""

    def __init__(self, key: str) -> None:
        self._folder = places.cache("sensitivity") / key

    def arrays(self, image: str, kind: str) -> Arrays | None:
        """The arrays of an image (by the hash of its content), None if there are none yet."""
        try:
            content = io.BytesIO((self._folder / image / f"{kind}.npz").read_bytes())
            with np.load(content, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except Exception:  # none yet, or damaged, which numpy and zipfile tell in a dozen ways
            return None

    def keep_arrays(self, image: str, kind: str, arrays: Arrays) -> None:
        """Keep the arrays of an image."""
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        places.write_whole(self._folder / image / f"{kind}.npz", content.getvalue())

    def prediction(self, image: str, variant: str) -> ImagePrediction | None:
        """What a variant found in an image, None if that is not known yet."""
        try:
            text = self._prediction(image, variant).read_text(encoding="utf-8")
            return ImagePrediction.model_validate_json(text)
        except (OSError, ValueError):
            return None

    def keep_prediction(self, image: str, variant: str, found: ImagePrediction) -> None:
        """Keep what a variant found in an image."""
        content = found.model_dump_json().encode()
        places.write_whole(self._prediction(image, variant), content)

    def result(self, asked: Any) -> str | None:
        """The finished answer to the same question."""
        try:
            return self._result(asked).read_text(encoding="utf-8")
        except OSError:
            return None

    def keep_result(self, asked: Any, text: str) -> None:
        """Keep a finished answer."""
        places.write_whole(self._result(asked), text.encode())

    def _prediction(self, image: str, variant: str) -> Path:
        return self._folder / image / f"{_hash(variant)}.json"

    def _result(self, asked: Any) -> Path:
        return self._folder / f"{_hash(json.dumps(asked, sort_keys=True))}.json"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""What was found so far, image by image, so that nothing is computed twice.

All of it is one entry of the cache, named after all that it depends on. A kill at any moment costs
what was in progress.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.cache import Cache
from edgeq.records.accuracy import ImagePrediction

CACHE = Cache("sensitivity")

Arrays = dict[str, NDArray[np.float64]]


class Journal:
    """The files of one model, quantized in one way with one set of statistics."""

    def __init__(self, key: str) -> None:
        self._key = key

    def arrays(self, image: str, kind: str) -> Arrays | None:
        """The arrays of an image (by its key), None if there are none yet."""
        content = CACHE.read(self._arrays(image, kind))
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def keep_arrays(self, image: str, kind: str, arrays: Arrays) -> None:
        """Keep the arrays of an image."""
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        CACHE.write(self._arrays(image, kind), content.getvalue())

    def prediction(self, image: str, variant: str) -> ImagePrediction | None:
        """What a variant found in an image, None if that is not known yet."""
        content = CACHE.read(f"{self._key}/{image}/{_hash(variant)}")
        return None if content is None else ImagePrediction.model_validate_json(content)

    def keep_prediction(self, image: str, variant: str, found: ImagePrediction) -> None:
        """Keep what a variant found in an image."""
        content = found.model_dump_json().encode()
        CACHE.write(f"{self._key}/{image}/{_hash(variant)}", content)

    def result(self, asked: Any) -> str | None:
        """The finished answer to the same question."""
        content = CACHE.read(self._result(asked))
        return None if content is None else content.decode()

    def keep_result(self, asked: Any, text: str) -> None:
        """Keep a finished answer."""
        CACHE.write(self._result(asked), text.encode())

    def _arrays(self, image: str, kind: str) -> str:
        # A kind is words; a key of the cache has no spaces.
        return f"{self._key}/{image}/{kind.replace(' ', '-')}"

    def _result(self, asked: Any) -> str:
        return f"{self._key}/{_hash(json.dumps(asked, sort_keys=True))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

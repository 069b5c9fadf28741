"""Statistics: per tensor the exact minimum and maximum and a histogram, from one float pass."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeq import cache
from edgeq.calibration.collect import Floats, count
from edgeq.calibration.derive import Derivations, derivations
from edgeq.calibration.inputs import tensors
from edgeq.calibrators.histogram import SHIFT, Histogram
from edgeq.graph.model import Model
from edgeq.spec.images import Image
from edgeq.spec.recipe import Preprocess

CACHE = cache.Cache("statistics")


@dataclass(frozen=True)
class Statistics:
    """What was seen in one float pass; every calibrator reads these, none runs the model again.

    `key` is the hash of model, images, preprocessing and the tensors counted.
    """

    key: str
    images: int
    rules: Derivations
    sources: dict[str, Histogram]
    lowest: dict[str, float]
    _derived: dict[str, Histogram] = field(default_factory=dict, repr=False, compare=False)

    def __contains__(self, tensor: object) -> bool:
        """Whether a tensor was wanted."""
        return tensor in self.sources or tensor in self.rules.rules

    def histogram(self, tensor: str) -> Histogram:
        """The histogram of any tensor that was wanted."""
        if tensor in self.sources:
            return self.sources[tensor]
        if not self._derived:
            self._derived.update(self.sources)
        return self.rules.histogram(tensor, self._derived, self.lowest)


def wanted_tensors(model: Model, left_out: frozenset[str] = frozenset()) -> list[str]:
    """Every float activation that a node outside `left_out` reads or writes.

    Its shape is static, but for a first extent that only a run tells.
    """
    found: dict[str, None] = {}
    for node in model.nodes:
        if node.name not in left_out:
            for name in (*model.activations(node), *node.output):
                shape = model.shapes.get(name, ())
                if name and model.is_float(name) and shape and all(shape[len(shape) > 1 :]):
                    found[name] = None
    return sorted(found)


def gather(
    model: Model,
    wanted: Sequence[str],
    images: Sequence[Image],
    preprocess: Preprocess,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Statistics:
    """The statistics, from the cache or by running the model over the images once.

    Raises InputError for an image that cannot be read, or values that are not finite.
    """
    rules = derivations(model, wanted)
    key = _key(model, rules, images, preprocess)
    cached = CACHE.read(key)
    if cached is not None:
        return _decoded(cached, key, rules)
    counters = count(
        model,
        rules.feeds_silu,
        _named(images, preprocess),
        threads,
        progress,
    )
    sources = {name: counter.histogram() for name, counter in counters.items()}
    lowest = {name: c.lowest for name, c in counters.items() if c.feeds_silu}
    statistics = Statistics(key, len(images), rules, sources, lowest)
    CACHE.write(key, _encoded(statistics))
    return statistics


def is_cached(
    model: Model, wanted: Sequence[str], images: Sequence[Image], preprocess: Preprocess
) -> bool:
    """Whether `gather` would only read a file."""
    return CACHE.has(_key(model, derivations(model, wanted), images, preprocess))


def _named(images: Sequence[Image], preprocess: Preprocess) -> Iterator[tuple[str, Floats]]:
    return zip((str(image.path) for image in images), tensors(images, preprocess), strict=True)


def _key(model: Model, rules: Derivations, images: Sequence[Image], preprocess: Preprocess) -> str:
    described = {
        "bins": SHIFT,
        "model": hashlib.sha256(model.proto.SerializeToString(deterministic=True)).hexdigest(),
        "preprocess": preprocess.model_dump(mode="json"),
        "images": [image.sha256 for image in images],
        "sources": rules.feeds_silu,
    }
    return cache.key(described)


def _encoded(statistics: Statistics) -> bytes:
    names = list(statistics.sources)
    histograms = [statistics.sources[name] for name in names]
    about = {"images": statistics.images, "names": names}
    content = io.BytesIO()
    np.savez(
        content,
        about=np.array(json.dumps(about)),
        sizes=np.array([len(h.keys) for h in histograms], np.int64),
        keys=np.concatenate([np.empty(0, np.uint32), *(h.keys for h in histograms)]),
        counts=np.concatenate([np.empty(0), *(h.counts for h in histograms)]),
        ranges=np.array([(h.low, h.high) for h in histograms], np.float64),
        lowest=np.array([statistics.lowest.get(name, np.nan) for name in names], np.float64),
    )
    return content.getvalue()


def _decoded(content: bytes, key: str, rules: Derivations) -> Statistics:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        ends = np.cumsum(stored["sizes"])[:-1]
        keys, counts = np.split(stored["keys"], ends), np.split(stored["counts"], ends)
        ranges, lowest = stored["ranges"].tolist(), stored["lowest"].tolist()
    names = about["names"]
    parts = zip(names, ranges, keys, counts, strict=True)
    sources = {name: Histogram(low, high, k, c) for name, (low, high), k, c in parts}
    watched = {n: v for n, v in zip(names, lowest, strict=True) if not np.isnan(v)}
    return Statistics(key, about["images"], rules, sources, watched)

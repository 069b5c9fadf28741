"""Statistics: per tensor the exact minimum and maximum and a histogram, from one float pass."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeq import places
from edgeq.calibration.collect import Floats, count
from edgeq.calibration.derive import Derivations, derivations
from edgeq.calibration.images import tensors
from edgeq.calibrators.histogram import SHIFT, Histogram
from edgeq.graph.model import Model
from edgeq.images import Image
from edgeq.recipe import Preprocess
from edgeq.version import source_hash, versions

FORMAT = 2


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
    """Every float activation of static shape that a node outside `left_out` reads or writes."""
    found: dict[str, None] = {}
    for node in model.nodes:
        if node.name not in left_out:
            for name in (*model.activations(node), *node.output):
                shape = model.shapes.get(name, ())
                if name and model.is_float(name) and shape and all(shape):
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
    file = places.cache("statistics") / f"{key}.npz"
    cached = _read(file, key, rules)
    if cached is not None:
        return cached
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
    _write(file, statistics)
    return statistics


def is_cached(
    model: Model, wanted: Sequence[str], images: Sequence[Image], preprocess: Preprocess
) -> bool:
    """Whether `gather` would only read a file."""
    key = _key(model, derivations(model, wanted), images, preprocess)
    return (places.cache("statistics") / f"{key}.npz").exists()


def _named(images: Sequence[Image], preprocess: Preprocess) -> Iterator[tuple[str, Floats]]:
    return zip((str(image.path) for image in images), tensors(images, preprocess), strict=True)


def _key(model: Model, rules: Derivations, images: Sequence[Image], preprocess: Preprocess) -> str:
    described = {
        "format": [FORMAT, SHIFT],
        "model": hashlib.sha256(model.proto.SerializeToString(deterministic=True)).hexdigest(),
        "preprocess": preprocess.model_dump(mode="json"),
        "images": [image.sha256 for image in images],
        "sources": rules.feeds_silu,
        "versions": versions(),
        "source": source_hash(),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _write(file: Path, statistics: Statistics) -> None:
    names = list(statistics.sources)
    histograms = [statistics.sources[name] for name in names]
    about = {"key": statistics.key, "images": statistics.images, "names": names}
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
    places.write_whole(file, content.getvalue())


def _read(file: Path, key: str, rules: Derivations) -> Statistics | None:
    try:
        # From memory: of a damaged file numpy would leave the handle open.
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            ends = np.cumsum(stored["sizes"])[:-1]
            keys, counts = np.split(stored["keys"], ends), np.split(stored["counts"], ends)
            ranges, lowest = stored["ranges"].tolist(), stored["lowest"].tolist()
        names = about["names"]
        parts = zip(names, ranges, keys, counts, strict=True)
        sources = {name: Histogram(low, high, k, c) for name, (low, high), k, c in parts}
        watched = {n: v for n, v in zip(names, lowest, strict=True) if not np.isnan(v)}
    except Exception:  # none yet, or damaged, which numpy and zipfile tell in a dozen ways
        return None
    if about["key"] != key:
        return None
    return Statistics(key, about["images"], rules, sources, watched)

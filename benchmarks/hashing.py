"""How often a deploy of the demo hashes an image: once, and not at all when it is known."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.child import run
from benchmarks.figure import Figure, at_most

PART = "hashing"
OLD_S = 3
"""The age of the images: one that was just written cannot be known by its times."""


def measure() -> Iterator[Figure]:
    """Hashes of image files in a deploy of the demo, and in the same deploy again."""
    from edgeq.demo.project import write_demo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_demo(folder / "demo")
        folders = [folder / "demo" / kind for kind in ("calibration", "evaluation")]
        time.sleep(OLD_S)
        given = {
            "recipe": str(folder / "demo" / "recipe.yaml"),
            "folders": [str(one) for one in folders],
        }
        environment = {"EDGEQ_HOME": str(folder / "home")}
        for which, most in (("first", 1), ("second", 0)):
            found = run("hashing", given, environment).answer
            note = f"{found['images']} images"
            limit = at_most(most * found["images"])
            yield Figure(PART, f"image hashes, {which} deploy", found["hashes"], "", limit, note)

"""How often a deploy of the demo hashes an image: once, and not at all when it is known."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.child import run
from benchmarks.figure import Figure, at_most

PART = "hashing"
OLD_S = 3600
"""The age of the images: of one that was just written nobody can tell by its times."""


def measure() -> Iterator[Figure]:
    """Hashes of image files in a deploy of the demo, and in the same deploy again."""
    from edgeq.demo.project import write_demo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_demo(folder / "demo")
        folders = [folder / "demo" / kind for kind in ("calibration", "evaluation")]
        files = [file for one in folders for file in one.iterdir()]
        for file in files:
            os.utime(file, (time.time() - OLD_S,) * 2)
        given = {
            "recipe": str(folder / "demo" / "recipe.yaml"),
            "folders": [str(one) for one in folders],
        }
        environment = {"EDGEQ_HOME": str(folder / "home")}
        for which in ("first", "second"):
            found = run("hashing", given, environment).answer
            note = f"{found['images']} images"
            limit = at_most(found["images"])
            yield Figure(PART, f"image hashes, {which} deploy", found["hashes"], "", limit, note)

"""The demo with few layers in int8, for what looks at each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

LAYERS = 14
REST = 'exclude: ["/model.[6-9]*", "/model.[12][0-9]*"]'


@pytest.fixture(scope="session")
def few_layers(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with its recipe: the first 14 of 76 layers in int8, and 4 images to calibrate with.

    A search takes every step that it takes with all of them.
    """
    folder = tmp_path_factory.mktemp("few") / "demo"
    folder.mkdir()
    for path in small_demo.iterdir():
        (folder / path.name).symlink_to(path)
    text = (small_demo / "recipe.yaml").read_text().replace("count: 8", "count: 4")
    assert "\nquantize:\n" in text and "count: 4" in text
    (folder / "recipe.yaml").unlink()
    (folder / "recipe.yaml").write_text(text.replace("quantize:\n", f"quantize:\n  {REST}\n"))
    return folder

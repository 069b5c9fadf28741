"""A demo project that is changed into a situation: its recipe, its labels, its images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from PIL import Image as Pillow


class Project:
    """A copy of the demo; what is changed is written at once."""

    def __init__(self, demo: Path, folder: Path) -> None:
        shutil.copytree(demo, folder)
        self.folder = folder
        self.recipe = folder / "recipe.yaml"

    def set(self, dotted: str, value: object) -> None:
        """Set a key of the recipe; None removes it."""
        recipe = yaml.safe_load(self.recipe.read_text())
        *parts, last = dotted.split(".")
        section = recipe
        for part in parts:
            section = section.setdefault(part, {})
        section[last] = value
        if value is None:
            del section[last]
        self.recipe.write_text(yaml.safe_dump(recipe, sort_keys=False))

    def relabel(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the annotations, a COCO document."""
        file = self.folder / "instances.json"
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    def image(self, number: int = 0) -> Path:
        """An evaluation image."""
        return sorted((self.folder / "evaluation").iterdir())[number]

    def turn(self, orientation: int, *numbers: int) -> None:
        """Say in EXIF that photographs are to be turned; their pixels stay."""
        for number in numbers or range(len(list((self.folder / "evaluation").iterdir()))):
            with Pillow.open(self.image(number)) as picture:
                exif = picture.getexif()
                exif[0x0112] = orientation
                picture.save(self.image(number), "JPEG", quality="keep", exif=exif)

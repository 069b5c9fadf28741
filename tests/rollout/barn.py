"""A fleet of boards that are folders of this machine, and a recipe that is soon built."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from edgeq.spec import target as targets

QUICK = {"duration": 0.3, "loads": 3, "slower_by": 0.5}
"""Too short to tell anything of times, nor worth a second look; nothing told stops nothing."""


@dataclass
class Barn:
    """Its files; `boards` are the root folders by name."""

    folder: Path
    recipe: Path
    fleet: Path
    boards: dict[str, Path]

    def strategy(self, **keys: object) -> Path:
        """A strategy file; boards are compared quickly unless it says otherwise."""
        file = self.folder / "rollout.yaml"
        file.write_text(yaml.safe_dump({"board": QUICK, "waves": [], **keys}))
        return file

    def change(self, old: str, new: str) -> None:
        """Change the recipe's text."""
        text = self.recipe.read_text()
        assert old in text
        self.recipe.write_text(text.replace(old, new))

    def next_release(self) -> None:
        """Have the recipe make another artifact."""
        text = self.recipe.read_text()
        self.recipe.write_text(text.replace("percentile: 99.9", "percentile: 98.9", 1))

    def current(self) -> dict[str, str | None]:
        """What each board runs."""
        links = {name: root / "current" for name, root in self.boards.items()}
        return {
            name: link.resolve().name if link.exists() else None for name, link in links.items()
        }


def make(demo: Path, folder: Path, count: int) -> Barn:
    """Write recipe and fleet."""
    project = folder / "demo"
    shutil.copytree(demo, project)
    recipe = project / "recipe.yaml"
    text = recipe.read_text()
    start, end = text.index("evaluate:"), text.index("measure:")
    recipe.write_text(text[:start] + text[end:])
    local = yaml.safe_load(targets.names()["local"].read_text())
    boards, lines = {}, []
    for number in range(count):
        name = f"cam{number}"
        boards[name] = folder / name
        (folder / f"{name}.yaml").write_text(
            yaml.safe_dump({**local, "root": str(boards[name])}, sort_keys=False)
        )
        lines.append(f"  {name}: {{target: {name}.yaml, labels: {{row: '{number % 2}'}}}}\n")
    fleet = folder / "fleet.yaml"
    fleet.write_text("devices:\n" + "".join(lines))
    return Barn(folder, recipe, fleet, boards)

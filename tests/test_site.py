"""The documentation as a site: whole, without a fetch, and the same as the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.spec import recipe, target

ROOT = Path(__file__).parents[1]
FETCHED = re.compile(r'<(?:script|img|link)[^>]* (?:src|href)="?https?:[^>]*|url\("?https?:[^)]*')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link to nothing, or a page without a place, would be an error."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    build = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder))
    silent = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, *build], cwd=ROOT, env=silent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_no_page_fetches_anything(site: Path) -> None:
    fetched = {
        found for page in site.rglob("*.html") for found in FETCHED.findall(page.read_text())
    }

    assert not fetched


def test_every_key_of_a_recipe_and_every_command_has_its_place(site: Path) -> None:
    keys = {
        key
        for part in (recipe.schema(), *recipe.schema()["$defs"].values())
        for key in part.get("properties", {})
    }
    recipes = (site / "reference" / "recipe.html").read_text()
    commands = (site / "reference" / "command-line.html").read_text()

    assert not [key for key in keys if f"<code>{key}</code>" not in recipes]
    for command in ("edgeq deploy", "edgeq fleet run push", "edgeq recipe schema"):
        assert f">{command}<" in commands.replace('"', "") or f"{command} [OPTIONS]" in commands


def test_programs_find_every_page(site: Path) -> None:
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", (site / "llms.txt").read_text(), re.M)
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")}

    assert set(listed) == pages - {"404.html"}


@pytest.mark.parametrize("name", ["recipe", "target"])
def test_schemas_of_the_release_are_those_of_the_code(name: str) -> None:
    """`make schemas` writes them."""
    written = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text())

    assert written == {"recipe": recipe, "target": target}[name].schema()

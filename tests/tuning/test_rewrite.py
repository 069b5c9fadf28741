"""The tuned recipe is the user's text but for what was tuned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from edgeq.errors import EdgeqError, InputError
from edgeq.spec import recipe as recipes
from edgeq.spec.recipe import Recipe
from edgeq.tuning.changes import left_float, repaired, with_weights
from edgeq.tuning.rewrite import check_output, check_same, check_text, read, rewritten


def tuned(recipe: Recipe) -> Recipe:
    changed = with_weights(left_float(recipe, ["/model.2/cv1/conv/Conv"]), granularity="per-tensor")
    return repaired(changed, bias_correction=True)


@pytest.fixture
def recipe(small_demo: Path) -> Path:
    return small_demo / "recipe.yaml"


@pytest.mark.parametrize("before", ["block", "name", "none", "last"])
def test_tuned_text_reads_as_it_was_meant_and_keeps_the_rest(before: str, recipe: Path) -> None:
    text = recipe.read_text()
    start, end = text.index("quantize:"), text.index("evaluate:")
    block = text[start:end]
    text = {
        "block": text,
        "name": text.replace(block, "quantize: int8-max  # a built-in one\n\n"),
        "none": text.replace(block, ""),
        "last": text.replace(block, "") + "\n" + block,
    }[before]
    given = recipe.with_name(f"given-{before}.yaml")
    given.write_text(text)
    wanted = tuned(recipes.load(given))

    made = recipe.with_name(f"tuned-{before}.yaml")
    made.write_text(rewritten(text, wanted, ["why", "two\nlines", ""]))

    assert made.read_text().startswith("# why\n# two\n# lines\n")
    check_same(made.read_text(), given, wanted)
    outside = [line for line in text.replace(block, "").splitlines() if "int8-max" not in line]
    assert [line for line in outside if line not in made.read_text().splitlines()] == []
    # Once more changes nothing but the reasons.
    again = rewritten(made.read_text(), wanted, [])
    assert again == made.read_text()


@pytest.mark.parametrize("form", ["quoted", "spaced", "braces", "marked", "windows"])
def test_every_form_of_the_keys_is_found(form: str, recipe: Path) -> None:
    text = recipe.read_text()
    block = text[text.index("quantize:") : text.index("evaluate:")]
    rest = text.replace(block, "")
    text = {
        "quoted": rest + block.replace("quantize:", '"quantize":'),
        "spaced": rest + block.replace("quantize:", "quantize :"),
        "braces": rest + "quantize: {\n  activations: {calibrator: mse}\n}\n",
        "marked": f"---\n{rest}...\n",
        "windows": "\ufeff" + text.replace("\n", "\r\n"),
    }[form]
    given = recipe.with_name(f"form-{form}.yaml")
    given.write_bytes(text.encode())
    loaded = recipes.load(given)

    check_text(read(given), given, loaded)
    made = rewritten(read(given), tuned(loaded), ["why"])

    check_same(made, given, tuned(loaded))
    assert made.startswith("# why\n")


@pytest.mark.parametrize("form", ["anchor", "braces"])
def test_keys_that_others_depend_on_are_refused_before_any_work(form: str, recipe: Path) -> None:
    given = recipe.with_name(f"tied-{form}.yaml")
    if form == "anchor":
        text = recipe.read_text().replace("min_count: 5", "min_count: *n")
        given.write_text("repair: {images: &n 4}\n" + text)
    else:
        given.write_text(json.dumps(yaml.safe_load(recipe.read_text())))
    with pytest.raises(InputError, match=r"tied-.*tied to other keys.*; write each as a block"):
        check_text(read(given), given, recipes.load(given))


def test_an_editors_first_line_stays_the_first(recipe: Path) -> None:
    text = "# yaml-language-server: $schema=recipe.schema.json\n" + recipe.read_text()
    made = rewritten(text, recipes.load(recipe), ["why"])
    assert made.splitlines()[:2] == ["# yaml-language-server: $schema=recipe.schema.json", "# why"]


def test_a_file_that_says_something_else_is_a_bug(recipe: Path) -> None:
    with pytest.raises(EdgeqError, match="does not read as it was tuned"):
        check_same(recipe.read_text(), recipe, tuned(recipes.load(recipe)))


def test_output_has_to_lie_beside_the_recipe_under_another_name(
    recipe: Path, tmp_path: Path
) -> None:
    check_output(recipe, recipe.with_name("tuned.yaml"))
    with pytest.raises(InputError, match=r"elsewhere .*; write it beside: -o .*tuned\.yaml"):
        check_output(recipe, tmp_path / "tuned.yaml")
    with pytest.raises(InputError, match="is the recipe itself"):
        check_output(recipe, recipe.parent / "." / recipe.name)
    (tmp_path / "folder.yaml").mkdir()
    linked = tmp_path / "linked.yaml"
    linked.symlink_to(recipe)
    check_output(linked, tmp_path / "tuned.yaml")
    with pytest.raises(InputError, match="cannot be written"):
        check_output(linked, tmp_path / "folder.yaml")

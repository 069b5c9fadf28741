from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from edgeq.runtimes import runtime
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.target import Target
from edgeq.stages.build import WITHOUT_EFFECT, build, is_built, key_of
from edgeq.stages.prepare import prepare


def test_artifact_says_and_depends_on_litert_without_xnnpack(small_demo: Path) -> None:
    target = targets.load("local:litert").model_copy(update={"xnnpack": False})
    recipe = recipes.load(small_demo / "recipe.yaml")
    prepared = prepare(recipe, target, None)
    assert build(prepared).artifact.manifest.runtime.delegate == "none"
    assert is_built(prepared)
    with_it = replace(prepared, target=targets.load("local:litert"))
    assert not is_built(with_it)
    assert build(with_it).artifact.manifest.runtime.delegate == "xnnpack"


def test_flatbuffers_depend_on_the_package_that_has_their_schema(small_demo: Path) -> None:
    recipe = recipes.load(small_demo / "recipe.yaml")
    found = {}
    for name in ("local:litert", "arm-cpu-ort"):
        prepared = prepare(recipe, targets.load(name), None)
        found[name] = build(prepared).artifact.manifest.provenance["versions"]
    assert found["local:litert"]["ai-edge-litert"] == metadata.version("ai-edge-litert")
    assert "ai-edge-litert" not in found["arm-cpu-ort"]


@pytest.mark.parametrize("name", ["local", "jetson-orin"])
def test_engine_without_delegates_takes_no_notice_of_xnnpack(name: str) -> None:
    target = targets.load(name).model_copy(update={"xnnpack": False})
    assert runtime(target.runtime).delegate(target) == "xnnpack"


OTHER: dict[str, object] = {
    "runtime": "litert",
    "architecture": "x86_64",
    "activation_type": "uint8",
    "weight_bits": 7,
    "bounded_pairs": True,
    "engine_version": "10.16",
    "typing": "strong",
    "xnnpack": False,
}


def test_every_field_of_a_target_is_in_the_key_or_named_as_without_effect(
    small_demo: Path,
) -> None:
    assert Target.model_fields.keys() == OTHER.keys() | WITHOUT_EFFECT
    recipe = recipes.load(small_demo / "recipe.yaml")
    prepared = prepare(recipe, targets.load("jetson-orin"), None)
    key = key_of(prepared)
    for name, value in OTHER.items():
        changed = prepared.target.model_copy(update={name: value})
        assert key_of(replace(prepared, target=changed)) != key, name
    for name in WITHOUT_EFFECT:
        changed = prepared.target.model_copy(update={name: "other"})
        assert key_of(replace(prepared, target=changed)) == key, name

"""What CI gets: JUnit's XML, Markdown, GitHub's annotations, SARIF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from edgeq.errors import DeviceError, InputError
from edgeq.records.comparison import Comparison
from edgeq.records.lint import Lint, LintFinding
from edgeq.report import github, junit, markdown, sarif

from ..store.comparisons import comparison
from .sarif_schema import schema, violations


def named(text: str) -> Comparison:
    """A comparison in which everything that is free text is this one."""
    found = comparison()
    metrics = tuple(one.model_copy(update={"reason": text}) for one in found.metrics)
    side = found.b.model_copy(update={"named": text})
    changes = {"metrics": metrics, "b": side, "device": text, "notes": (text,)}
    return found.model_copy(update=changes)


def test_worse_is_a_failure_and_what_cannot_be_told_is_skipped() -> None:
    [suite] = ElementTree.fromstring(junit.render(comparison()))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "2")
    cases = {str(case.get("name")): case for case in suite.iter("testcase")}
    [failure] = suite.iter("failure")
    assert cases["inference"].find("failure") is failure
    assert "change 0.0625" in str(failure.get("message"))
    [memory] = cases["peak memory"].iter("skipped")
    assert memory.get("message") == "cannot tell: about 20 loads would tell"
    told = {one.get("name"): one.get("value") for one in cases["mask AP"].iter("property")}
    assert (told["a"], told["b"], told["outcome"]) == ("0.251", "0.25", "same")


def test_board_that_failed_is_an_error_of_its_own() -> None:
    error = DeviceError("edge@barn2", "does not answer", "look at its power")
    first, second = ElementTree.fromstring(junit.render(comparison(), error))
    assert (first.get("errors"), second.get("errors")) == ("0", "1")
    [told] = second.iter("error")
    assert "edge@barn2: does not answer" in str(told.get("message"))
    assert "failed: edge@barn2: does not answer" in markdown.render(error).replace("\\", "")


@given(st.text())
def test_any_name_makes_xml_that_can_be_read(text: str) -> None:
    [suite] = ElementTree.fromstring(junit.render(named(text)))
    assert len(list(suite.iter("testcase"))) == 4


def test_summary_is_a_table_with_a_line_for_each_metric() -> None:
    lines = markdown.render(comparison()).splitlines()
    assert "B: new \\| \\<b\\>.edgeq (`bbbbbbbbbbbb`)" in lines[2]
    [row] = [line for line in lines if line.startswith("| inference")]
    assert row.split(" | ") == [
        *("| inference, ms", "40.0", "42.5", "\\+6.2%", "\\+5.0% to \\+7.0%", "\\+2.0%"),
        "🔴 worse |",
    ]
    assert "- peak memory: about 20 loads would tell" in lines


@given(st.text())
def test_no_name_breaks_the_table_or_makes_markup(text: str) -> None:
    lines = markdown.render(named(text)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 6
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in table)
    assert not any(re.search(r"(?<!\\)[<\[]", line) for line in lines)


def test_error_is_shown_at_its_line() -> None:
    problem = InputError("a,b/recipe.yaml:7", "50% of\nit is wrong", "mend: it")
    assert github.annotation(problem) == (
        "::error file=a%2Cb/recipe.yaml,line=7::50%25 of%0Ait is wrong; mend: it"
    )
    assert github.annotation(InputError("--host", "is missing")) == "::error::--host: is missing"


@given(st.text(), st.text())
def test_annotation_is_one_line_whatever_it_says(where: str, what: str) -> None:
    said = github.annotation(InputError(where, what))
    assert "\n" not in said and "\r" not in said and said.startswith("::error")
    decoded = said.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert decoded.endswith(what)


def test_problems_of_a_recipe_are_results_at_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inside = InputError(f"{tmp_path}/my recipes/a.yaml:7", "is wrong", "mend it")
    text = sarif.of_problems([inside, InputError("/etc/b.yaml:2", "too"), InputError("model", "x")])
    assert violations(text) == []
    [run] = json.loads(text)["runs"]
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert places == [
        {"artifactLocation": {"uri": "my%20recipes/a.yaml"}, "region": {"startLine": 7}},
        {"artifactLocation": {"uri": "file:///etc/b.yaml"}, "region": {"startLine": 2}},
        {"artifactLocation": {"uri": "model"}},
    ]
    assert run["results"][0]["message"]["text"] == "is wrong; mend it"
    assert run["results"][0]["level"] == "error"


def test_findings_of_a_lint_are_results_of_their_rules() -> None:
    finding = LintFinding(
        rule="part-noise", node="/head/Conv", what="a", remedy="b", severity="warning"
    )
    other = finding.model_copy(update={"rule": "axis", "severity": "error"})
    lint = Lint(source="recipe.yaml", target="local", findings=(other, finding, finding))
    text = sarif.of_lint(lint)
    assert violations(text) == []
    [run] = json.loads(text)["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["axis", "part-noise"]
    assert [one["level"] for one in run["results"]] == ["error", "warning", "warning"]
    [location] = run["results"][0]["locations"]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "/head/Conv"
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "recipe.yaml"}}


def test_schema_is_the_one_that_is_named_and_finds_what_is_no_sarif() -> None:
    text = sarif.of_problems([InputError("a.yaml:7", "is wrong")])
    named = json.loads(text)["$schema"]
    Draft4Validator.check_schema(schema())
    assert schema()["id"] == named
    for right, wrong in (('"error"', '"fatal"'), ("startLine", "line"), ('"2.1.0"', '"2.2"')):
        assert right in text and violations(text.replace(right, wrong))


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=3))
def test_whatever_is_wrong_is_sarif(said: list[tuple[str, str, str]]) -> None:
    text = sarif.of_problems([InputError(*one) for one in said])
    assert violations(text) == []

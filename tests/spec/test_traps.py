"""What YAML 1.1 makes of what people write: refused or right, and named with how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from edgeq.errors import InputError
from edgeq.spec import document
from edgeq.spec.gates import Gates
from edgeq.spec.target import Target


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: float = 0.0
    count: int = 0
    flag: bool = False
    name: str = ""
    names: tuple[str, ...] = ()
    parts: dict[str, str] = {}


def validated(text: str) -> Part:
    return document.validate(document.parse(text, Path("F")), Part)


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        validated(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("no", "false"),
        ("No", "false"),
        ("off", "false"),
        ("yes", "true"),
        ("on", "true"),
        ("true", "true"),
        ("12", "a number"),
        ("1_000", "a number"),
        ("1.10", "a number"),
        ("1e3", "a number"),
        ("0x1F", "a number"),
        (".inf", "a number"),
        ("~", "nothing"),
        ("null", "nothing"),
    ],
)
def test_word_that_yaml_takes_for_something_else_is_named(word: str, made: str) -> None:
    said = f"it should be text; YAML reads {word} as {made}: write '{word}', in quotes"
    assert refused(f"names:\n- pig\n- {word}\n").endswith(said)
    assert refused(f"names:\n- pig\n- {word}\n").startswith("F:3: names.1 is ")
    assert validated(f"names: [pig, '{word}']").names == ("pig", word)


@pytest.mark.parametrize(
    "text", ["2024-01-31", "2024-01-31 10:00:00", "=", "<<", "y", "n", "1.2.3"]
)
def test_what_only_looks_like_another_type_is_text(text: str) -> None:
    assert validated(f"names: [{text}]").names == (text,)


@pytest.mark.parametrize("key", ["no", "on", "010", "1:30", "1_0", "~", "1.10", "2024-01-31", "="])
def test_keys_are_the_text_that_was_written(key: str) -> None:
    assert validated(f"parts: {{{key}: x}}").parts == {key: "x"}


@pytest.mark.parametrize(
    ("number", "way"),
    [("010", "octal"), ("-07", "octal"), ("1:30", "base 60"), ("1:30.5", "base 60")],
)
@pytest.mark.parametrize("key", ["number", "name"])
def test_number_that_is_another_than_it_looks_is_refused(number: str, way: str, key: str) -> None:
    what = (
        f"F:1: YAML reads '{number}' in {way}; write the number in decimal, or the text in quotes"
    )
    assert refused(f"{key}: {number}") == what


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("number: '0.5'", "write 0.5, without quotes"),
        ("number: 1/255", "write 0.003921568627"),
        ("number: 1 / 4", "write 0.25"),
        ("number: 0,5", "write 0.5"),
        ("number: 50%", "write 0.5"),
        ("count: 08", "write 8"),
        ("count: 0o10", "write 8"),
        ("count: 1 000", "write 1000"),
        ("count: '12'", "write 12, without quotes"),
        ("flag: y", "write true, without quotes"),
        ("flag: 'no'", "write false, without quotes"),
        ("name: {op: Conv}", "write it in quotes: a colon with a space behind it makes a mapping"),
    ],
)
def test_value_that_yaml_takes_for_text_says_how_to_write_it(written: str, remedy: str) -> None:
    assert refused(written).endswith(f"; {remedy}")


@pytest.mark.parametrize("written", ["number: 1,000", "number: many", "count: 1/3", "number: 1/0"])
def test_nothing_is_guessed_where_more_than_one_number_may_be_meant(written: str) -> None:
    assert "write" not in refused(written)


def test_numbers_that_look_like_what_they_are_stay() -> None:
    assert validated("number: 1_000.5\ncount: 0x10").number == 1000.5
    assert validated("count: 0").count == 0
    assert validated("number: 0.5").number == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [*.conv]", "F:1: a text that begins with * is an alias in YAML"),
        ("names:\n- */head/*", "F:2: a text that begins with * is an alias in YAML"),
        ("names: [*conv]", "F:1: a text that begins with * is an alias in YAML"),
        ("name: !pig", "F:1: a text that begins with ! is a tag in YAML"),
        ("name: &", "F:1: a text that begins with & is an anchor in YAML"),
        ("name: @home", "F:1: no text begins with '@' in YAML; write it in quotes"),
        ("name: `x`", "F:1: no text begins with '`' in YAML; write it in quotes"),
        ("name: %x", "F:1: no text begins with '%' in YAML; write it in quotes"),
        ("name:\tx", "F:1: a tab stands where YAML takes only spaces; write spaces"),
        (
            "name: a: b",
            "F:1: is not valid YAML: mapping values are not allowed here; write a text ",
        ),
        ("a: 1\nb:2\nc: 3", "F:3: is not valid YAML: could not find expected ':'; write 'key: val"),
        ("? [a]\n: b", "F:1: a list or a mapping stands where a key should be; write a text"),
        ("flag: !!bool maybe", "F:1: 'maybe' is no value of !!bool; remove the '!!' tag"),
        ("count: !!int ''", "F:1: '' is no value of !!int; remove the '!!' tag"),
        ("number: !!float ''", "F:1: '' is no value of !!float; remove the '!!' tag"),
        ("name: !!timestamp x", "F:1: 'x' is no value of !!timestamp; remove the '!!' tag"),
        ("count: " + "9" * 5000, "F:1: '9999999999999999999999999999999999999...' is no value of "),
        ("<<: 5", "F:1: '<<' merges something else than a mapping; write '<<: *name'"),
        (
            "a: &a {b: c}\n<<: *a\n<<: *a",
            "F:3: '<<' is given twice, first on line 2; merge several so: '<<: [*one, *other]'",
        ),
        ('name: "\\ud800"', "F:1: is half a character"),
    ],
)
def test_what_is_no_yaml_says_why(text: str, message: str) -> None:
    assert refused(text).startswith(message)


def test_merged_value_gives_way_to_the_written_one_and_its_line() -> None:
    source = document.parse("b: &b\n  x: 1\nc:\n  x: 2\n  <<: *b\n", Path("F"))
    assert source.content["c"] == {"x": 2}
    assert source.line(["c", "x"]) == 4


# Aliases.


def exploding(levels: int, merged: bool) -> str:
    lines = ["a0: &a0 {x: lol}"]
    for level in range(1, levels):
        uses = ", ".join([f"*a{level - 1}"] * 10)
        body = f"{{<<: [{uses}]}}" if merged else f"[{uses}]"
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines)


@pytest.mark.parametrize("merged", [False, True])
def test_aliases_that_explode_are_refused(merged: bool) -> None:
    text = exploding(30, merged)
    assert len(text) < 2500
    said = "F: stands for more than 1 MiB of text by its aliases; write it without '*'"
    assert refused(text) == said


def test_few_aliases_of_a_long_text_are_refused_too() -> None:
    text = f"a: &a {'x' * 30_000}\nnames: [{', '.join(['*a'] * 50)}]"
    assert "stands for more than 1 MiB" in refused(text)


def test_as_much_as_a_file_can_hold_is_taken() -> None:
    text = "".join(f"{number:x}: y\n" for number in range(10_000))
    assert len(text) * 3 < document.LARGEST
    assert len(document.parse(text, Path("F")).content) == 10_000


def test_many_unknown_keys_are_counted() -> None:
    lines = refused("".join(f"k{number}: 1\n" for number in range(5_000))).splitlines()
    assert len(lines) == 21
    assert lines[0] == "F:1: 'k0' is unknown; one of (count, flag, name, names, number, parts)"
    assert lines[-1] == "and 4980 more problems"


def test_traps_of_targets_and_gates_are_named() -> None:
    text = (
        "runtime: onnxruntime\narchitecture: host\nactivation_type: probe\ntransport: local\n"
        "root: ~/x\npython: 3.10\nxnnpack: y\n"
    )
    with pytest.raises(InputError) as caught:
        document.validate(document.parse(text, Path("F")), Target)
    assert str(caught.value).splitlines() == [
        "F:6: python is 3.1; it should be text; "
        "YAML reads 3.10 as a number: write '3.10', in quotes",
        'F:7: xnnpack is "y"; it should be true or false; write true, without quotes',
    ]
    with pytest.raises(InputError, match=r"write 0\.02$"):
        document.validate(document.parse("mask_ap_drop: 2%", Path("F")), Gates)


def test_name_from_a_list_of_names_is_shown_as_it_was_written() -> None:
    text = "runtime: no\narchitecture: off\nactivation_type: probe\ntransport: local\nroot: x\n"
    with pytest.raises(InputError) as caught:
        document.validate(document.parse(text, Path("F")), Target)
    first, second = str(caught.value).splitlines()
    assert first.startswith("F:1: runtime 'no' is unknown")
    assert second.startswith("F:2: architecture 'off' is unknown")

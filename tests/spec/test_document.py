from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from edgeq.errors import InputError, InputErrors
from edgeq.spec import document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def read(path: Path, text: str) -> document.Document:
    path.write_text(text, encoding="utf-8")
    return document.read(path)


def problem(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        document.read(path)
    return str(caught.value).replace(str(path), "F")


def test_every_key_and_item_has_its_line(path: Path) -> None:
    source = read(path, "a: 1\n\nb:\n  c: 2\n  d:\n    - x\n    - {e: 3}\n")
    assert [source.line(place) for place in (["a"], ["b", "c"], ["b", "d", 0], ["b", "d", 1, "e"])]
    assert source.line(["a"]) == 1
    assert source.line(["b", "c"]) == 4
    assert source.line(["b", "d", 0]) == 6
    assert source.line(["b", "d", 1, "e"]) == 7


def test_missing_key_has_the_line_of_what_it_is_missing_in(path: Path) -> None:
    source = read(path, "a: 1\nb:\n  c: 2\n")
    assert source.at(["b", "nothing", "below"]) == f"{path}:2"
    assert source.at(["nothing"]) == f"{path}:1"


def test_numbers_with_an_exponent_are_numbers(path: Path) -> None:
    source = read(path, "a: 1e-3\nb: 5E2\nc: -.5e1\nd: 1.e+2\n")
    assert source.content == {"a": 0.001, "b": 500.0, "c": -5.0, "d": 100.0}


def test_dates_stay_text(path: Path) -> None:
    source = read(path, "a: 2024-01-31\nb: 2024-01-31 10:00:00\n")
    assert source.content == {"a": "2024-01-31", "b": "2024-01-31 10:00:00"}


def test_byte_order_mark_is_ignored(path: Path) -> None:
    assert read(path, "\ufeffa: 1\n").content == {"a": 1}


def test_anchors_and_merge_keys(path: Path) -> None:
    source = read(path, "base: &b\n  x: 1\n  y: 2\nother:\n  <<: *b\n  y: 3\n")
    assert source.content["other"] == {"x": 1, "y": 3}
    assert source.line(["other", "x"]) == 2
    assert source.line(["other", "y"]) == 6


# PyYAML writes the text '0E0' without quotes, as YAML 1.1 sees no number in it; we do.
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6).filter(
    lambda word: not re.fullmatch("[0-9]+[eE][0-9]+", word)
)


@given(
    st.dictionaries(
        WORDS,
        st.recursive(
            st.one_of(st.booleans(), st.integers(), st.floats(-1e6, 1e6), WORDS),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=6,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_reads_what_pyyaml_writes(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    assert read(path, yaml.safe_dump(content, allow_unicode=True)).content == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "F:1: holds no keys; write 'key: value' lines"),
        ("# nothing\n", "F:1: holds no keys; write 'key: value' lines"),
        ("- a\n- b\n", "F:1: holds no keys; write 'key: value' lines"),
        ("text\n", "F:1: holds no keys; write 'key: value' lines"),
        (b"a: \xff\n", "F: is not UTF-8 text; a YAML file is expected here"),
        (
            "a: 1\nb: \x00\n",
            "F:2: holds the control character #x00; a YAML file is expected here",
        ),
        (
            "a:\n\tb: 1\n",
            "F:2: a tab stands where YAML takes only spaces; write spaces",
        ),
        (
            "a: 1\nb: 'open\n",
            "F:3: is not valid YAML: found unexpected end of stream; check indentation and quotes",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "F:2: is not valid YAML: but found another document; check indentation and quotes",
        ),
        ("a: 1\nb: 2\na: 3\n", "F:3: 'a' is given twice, first on line 1; keep one"),
        ("a:\n  b: 1\n  b: 2\n", "F:3: 'b' is given twice, first on line 2; keep one"),
        (
            "a: &x [*x]\n",
            "F: is nested too deep or refers to itself; write it without the anchor",
        ),
        ("a: !!int x\n", "F:1: 'x' is no value of !!int; remove the '!!' tag"),
    ],
)
def test_broken_file_is_one_clear_message(path: Path, content: str | bytes, message: str) -> None:
    assert problem(path, content) == message


def test_all_repeated_keys_are_reported_together(path: Path) -> None:
    assert problem(path, "a: 1\na: 2\nb: {c: 1, c: 2}\n").splitlines() == [
        "F:2: 'a' is given twice, first on line 1; keep one",
        "F:3: 'c' is given twice, first on line 3; keep one",
    ]


def test_missing_file_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r"file\.yaml: cannot be read: does not exist"):
        document.read(path)


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        document.read(tmp_path)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(document.read(path).content, dict)
    except InputError as exc:
        assert str(exc).startswith(str(path))


@given(st.text(alphabet="ab:-[]{}!&*'\"|>%@ \n#?,<~0.e_=", max_size=40))
def test_any_yaml_like_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        document.validate(document.read(path), Part)
    except InputError as exc:
        assert str(exc).startswith(str(path))


@pytest.mark.parametrize(
    ("word", "candidates", "hint"),
    [
        ("entrpy", ["max", "entropy"], "did you mean 'entropy'? (entropy, max)"),
        ("qqq", ["max", "entropy"], "one of (entropy, max)"),
        ("qqq", [], ""),
        ("layer7", [f"layer{i}" for i in range(40)], "did you mean 'layer7'?"),
    ],
)
def test_nearest_word(word: str, candidates: list[str], hint: str) -> None:
    assert document.nearest(word, candidates) == hint


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = 0
    pair: Annotated[tuple[int, ...], Field(min_length=2, max_length=3)] = (1, 2)
    flag: bool = False
    parts: dict[str, Part] = {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numbr: 1", "1: 'numbr' is unknown; did you mean 'number'? (flag, number, pair, parts)"),
        (
            "number: '12'",
            '1: number is "12"; it should be a whole number; write 12, without quotes',
        ),
        ("number: true", "1: number is true; it should be a whole number"),
        ("number: 1.5", "1: number is 1.5; it should be a whole number"),
        ("number:", "1: number is null; it should be a whole number"),
        ("flag: 1", "1: flag is 1; it should be true or false"),
        ("pair: 1", "1: pair is 1; it should be a list"),
        ("pair: [1]", "1: pair is [1]; it has too few items"),
        ("pair: [1, 2, 3, 4]", "1: pair is [1, 2, 3, 4]; it has too many items"),
        ("pair:\n- 1\n- 2\n- x", '4: pair.2 is "x"; it should be a whole number'),
        ("parts:\n  a: 5", "2: parts.a is 5; it should be a mapping, 'key: value' lines"),
        (
            "parts:\n  a:\n    flagg: true",
            "3: 'flagg' is unknown; did you mean 'flag'? (flag, number, pair, parts)",
        ),
    ],
)
def test_wrong_value_is_one_clear_message(path: Path, text: str, message: str) -> None:
    source = read(path, text)
    with pytest.raises(InputError) as caught:
        document.validate(source, Part)
    assert not isinstance(caught.value, InputErrors)
    assert str(caught.value) == f"{path}:{message}"


def test_problems_are_reported_in_the_order_of_the_file(path: Path) -> None:
    source = read(path, "flag: 3\nextra: 1\nnumber: x\n")
    with pytest.raises(InputErrors) as caught:
        document.validate(source, Part)
    assert [p.where.rpartition(":")[2] for p in caught.value.problems] == ["1", "2", "3"]


def test_value_that_is_no_plain_data_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="no plain data"):
        document.validate(read(path, "number: !!set {a, b}"), Part)

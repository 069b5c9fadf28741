from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import Invalid
from edgeq.spec.fleet.expression import (
    KEYWORDS,
    AllOf,
    Among,
    AnyOf,
    Everything,
    Expression,
    Named,
    Not,
    holds,
    names,
    parse,
    printed,
)

LABELS = ("site", "row", "gpu", "os")
VALUES = ("barn7", "barn8", "1", "in", "a b", "it's", "=")
WORDS = st.sampled_from(LABELS)
TESTS = st.one_of(
    st.just(Everything()),
    st.builds(Named, WORDS),
    st.builds(Among, WORDS, st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(tuple)),
)
TREES: st.SearchStrategy[Expression] = st.recursive(
    TESTS,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(AllOf, st.lists(part, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(part, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=12,
)
DEVICES = st.tuples(
    st.dictionaries(WORDS, st.sampled_from(VALUES)), st.frozensets(st.sampled_from(LABELS))
)


def python(tree: Expression) -> str:
    """The same in Python, which evaluates it by its own rules."""
    match tree:
        case Everything():
            return "True"
        case Named(name):
            return f"({name!r} in labels or {name!r} in groups)"
        case Among(label, values):
            return f"(labels.get({label!r}) in {values!r})"
        case Not(part):
            return f"(not {python(part)})"
        case AllOf(parts):
            return f"({' and '.join(map(python, parts))})"
        case AnyOf(parts):
            return f"({' or '.join(map(python, parts))})"


@given(TREES)
def test_what_is_printed_says_the_same_when_it_is_parsed(tree: Expression) -> None:
    assert parse(printed(tree)) == tree


@given(TREES, DEVICES)
def test_it_holds_as_python_says(
    tree: Expression, device: tuple[dict[str, str], frozenset[str]]
) -> None:
    labels, groups = device
    found = eval(python(tree), {"labels": labels, "groups": groups})
    assert holds(tree, labels, groups) == found


FLAGS = st.lists(st.sampled_from(["a", "b", "c", "and", "or", "not", "(", ")"]), max_size=9)


@given(FLAGS, st.frozensets(st.sampled_from("abc")))
def test_and_or_not_and_parentheses_are_read_as_python_reads_them(
    words: list[str], groups: frozenset[str]
) -> None:
    """What is written, and whether it is an expression at all."""
    text = " ".join(words)
    try:
        wanted = eval(f"({text}\n)", {name: name in groups for name in "abc"})
    except (SyntaxError, TypeError):  # which takes () and a(b) for something
        wanted = None
    if isinstance(wanted, bool):
        assert holds(parse(text), {}, groups) == wanted
    else:
        with pytest.raises(Invalid):
            parse(text)


@given(st.text(max_size=30))
def test_no_text_ends_in_anything_but_an_expression_or_a_refusal(text: str) -> None:
    try:
        found = parse(text)
    except Invalid as exc:
        assert exc.what and exc.remedy
    else:
        assert parse(printed(found)) == found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it ends, where a label, a group, 'not' or '(' should be"),
        ("site=barn7 andd gpu", "'andd' at character 12, where 'and', 'or' or the end should be"),
        ("site=", "it ends, where a value should be"),
        ("site in barn7", "'barn7' at character 9, where '(' should be"),
        ("site in (a b)", "'b' at character 12, where ',' or ')' should be"),
        ("site not barn7", "'barn7' at character 10, where 'in' should be"),
        ("(site=a", "it ends, where ')' should be"),
        ("site == a", "'=' at character 7, where a value should be"),
        ("site=a && gpu", "& at character 8 is part of no word"),
        ("site='a", "' at character 6 has no second quote"),
        ("not", "it ends, where"),
        ("site=and", "'and' at character 6, where a value should be"),
        ("(" * 101 + "a" + ")" * 101, "is nested too deep"),
        ("a or " * 4000 + "a", "is 20001 characters long"),
    ],
)
def test_what_is_no_expression_is_refused_at_the_character(text: str, wrong: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert wrong in caught.value.what and caught.value.remedy


def test_unequal_and_not_in_are_what_they_deny() -> None:
    assert parse("site!=a") == Not(Among("site", ("a",))) == parse("not site=a")
    assert parse("site not in (a, b)") == Not(Among("site", ("a", "b")))
    assert printed(parse("not (site in (a,b))")) == "site not in (a, b)"


def test_a_long_chain_is_no_deep_one() -> None:
    text = " or ".join(f"name=n{number:03}" for number in range(1000))
    tree = parse(text)
    assert holds(tree, {"name": "n000"}, frozenset())
    assert not holds(tree, {"name": "n1000"}, frozenset())
    assert len(list(names(tree))) == 1000


def test_keywords_are_no_names() -> None:
    for word in KEYWORDS:
        if word != "all":
            with pytest.raises(Invalid):
                parse(word)

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import InputError, InputErrors
from edgeq.graph.patterns import matching, resolve

from .nets import conv_net, loaded

NAMES = {
    "/model/0/Conv": "Conv",
    "/model/1/Conv": "Conv",
    "/model/1/Sigmoid": "Sigmoid",
    "/blocks.[0]/Conv": "Conv",
    "/blocks.[0]/Add": "Add",
    "/blocks.0/Conv": "Conv",
    "/a*b": "Mul",
    "/axb": "Mul",
}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/model/0/Conv", ["/model/0/Conv"]),
        ("/model/*", ["/model/0/Conv", "/model/1/Conv", "/model/1/Sigmoid"]),
        ("/model/?/Conv", ["/model/0/Conv", "/model/1/Conv"]),
        ("op:Add", ["/blocks.[0]/Add"]),
        ("op:add", []),
        ("/MODEL/*", []),
        ("/model", []),
        ("/blocks.[0]/Conv", ["/blocks.[0]/Conv"]),
        ("/a*b", ["/a*b"]),
        ("/a?b", ["/a*b", "/axb"]),
        ("*", list(NAMES)),
        ("", []),
    ],
)
def test_pattern_names_nodes(pattern: str, found: list[str]) -> None:
    assert matching(pattern, NAMES) == found


def test_brackets_of_a_name_work_in_a_glob() -> None:
    assert {"/blocks.[0]/Conv", "/blocks.[0]/Add"} <= set(matching("/blocks.[0]/*", NAMES))


def test_brackets_still_work_as_a_set() -> None:
    assert matching("/model/[01]/Conv", NAMES) == ["/model/0/Conv", "/model/1/Conv"]


def test_pattern_finds_nodes_of_the_file_that_were_folded(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    assert resolve(["stem/*"], model, "exclude") == {
        "stem/*": ["stem/Conv", "stem/BatchNormalization", "stem/Relu"]
    }


def test_pattern_that_matches_nothing_gets_the_nearest_name(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    with pytest.raises(InputError) as caught:
        resolve(["stem/Conw"], model, "quantize.exclude")
    assert str(caught.value) == (
        "quantize.exclude: 'stem/Conw' matches no node of model.onnx; did you mean 'stem/Conv'? "
        "(Add, branch/Conv, stem/BatchNormalization, stem/Conv, stem/Relu)"
    )


def test_type_that_matches_nothing_gets_the_nearest_type(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    with pytest.raises(InputError, match=r"'op:Convv' matches no node.*did you mean 'op:Conv'\?"):
        resolve(["op:Convv"], model, "quantize.exclude")


def test_all_patterns_that_match_nothing_are_reported(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    with pytest.raises(InputErrors) as caught:
        resolve(["a", "stem/Conv", "op:b"], model, "quantize.exclude")
    assert len(caught.value.problems) == 2

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import InputError, InputErrors
from edgeq.spec.fleet.file import load
from edgeq.spec.fleet.fleet import Fleet
from edgeq.spec.loader import Loader, composed_fast

FLEET = """\
defaults: {target: raspberry-pi-5, jump: gate@barns, labels: {site: barn7}, frame_rate: 15}
devices:
  cam1: pi@10.0.7.1
  cam2: {address: "pi@10.0.7.2:2222", labels: {row: 'a'}, jump: none, frame_rate: 5}
  cam3: {address: pi@10.0.7.3, target: raspberry-pi-5:litert, labels: {site: barn8}}
groups:
  rest: not canary
  canary: row=a or target='raspberry-pi-5:litert'
"""


def fleet(folder: Path, text: str, **others: str) -> Fleet:
    for name, content in others.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "fleet.yaml").write_text(text)
    return load(folder / "fleet.yaml")


def said(folder: Path, text: str, **others: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        fleet(folder, text, **others)
    found = caught.value.problems if isinstance(caught.value, InputErrors) else (caught.value,)
    return [str(problem).replace(f"{folder}/", "") for problem in found]


def names(found: Fleet, on: str) -> list[str]:
    return [device.name for device in found.select(on)]


def test_devices_have_what_they_say_over_the_defaults(tmp_path: Path) -> None:
    one, two, three = fleet(tmp_path, FLEET).devices
    assert (one.address, one.jump, one.frame_rate) == ("pi@10.0.7.1", "gate@barns", 15)
    assert one.labels == {"site": "barn7", "name": "cam1", "target": "raspberry-pi-5"}
    assert (two.address, two.jump, two.frame_rate) == ("pi@10.0.7.2:2222", "none", 5)
    assert two.labels["site"] == "barn7" and two.labels["row"] == "a"
    assert three.labels["site"] == "barn8" and three.target.runtime == "litert"
    assert one.target is two.target


def test_groups_may_be_used_before_they_are_written(tmp_path: Path) -> None:
    found = fleet(tmp_path, FLEET)
    assert names(found, "canary") == ["cam2", "cam3"]
    assert names(found, "rest") == ["cam1"] and found.devices[0].groups == {"rest"}
    assert names(found, "all and not site=barn8") == ["cam1", "cam2"]
    assert names(found, "row") == ["cam2"]


@pytest.mark.parametrize(
    ("on", "wrong"),
    [
        ("site=barn7 annd row", "'annd' at character 12"),
        ("canry", "'canry' is no group, and no device has a label of that name; did you mean 'can"),
        ("siet=barn7", "no device has a label 'siet'; did you mean 'site'?"),
        ("site=barn9", "'site=barn9' means none of the 3 devices"),
    ],
)
def test_selection_that_means_nothing_is_refused(tmp_path: Path, on: str, wrong: str) -> None:
    with pytest.raises(InputError, match="--on") as caught:
        fleet(tmp_path, FLEET).select(on)
    assert wrong in str(caught.value)


def test_defaults_hold_in_included_files_which_have_their_own(tmp_path: Path) -> None:
    text = "defaults: {target: raspberry-pi-5, labels: {a: x, b: x}}\ninclude: [other.yaml]\n"
    other = "defaults: {labels: {b: y}}\ndevices: {cam: pi@cam}\ngroups: {g: b=y}\n"
    [device] = fleet(tmp_path, text, other=other).select("g")
    assert device.target.name == "raspberry-pi-5"
    assert (device.labels["a"], device.labels["b"]) == ("x", "y")


def test_files_are_named_from_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    board = (
        "runtime: litert\narchitecture: aarch64\nactivation_type: int8\ntransport: ssh\nroot: r\n"
    )
    (tmp_path / "sub" / "board.yaml").write_text(board)
    inner = "defaults: {target: board.yaml, identity: key}\ndevices: {cam: pi@cam}\n"
    (tmp_path / "sub" / "barn.yaml").write_text(inner)
    [device] = fleet(tmp_path, "include: [sub/barn.yaml]\n").devices
    assert device.target.name == "board" and device.identity == tmp_path / "sub" / "key"


def test_all_problems_of_all_files_are_told_together_by_line(tmp_path: Path) -> None:
    text = """\
devices:
  a: {address: 'x y', target: raspbery-pi-5}
  b: {target: raspberry-pi-5}
  c: {address: pi@q, target: raspberry-pi-5, labels: {row: a}}
  d: {address: 'root@Q:22', target: raspberry-pi-5}
  e: pi@z
  f g: {address: pi@f, target: raspberry-pi-5, jump: 'ok,-x', labels: {name: x, in: y}}
groups: {g: h or row=a, h: not g, k: 'row=', m: rwo=a, row: all}
include: [none.yaml, fleet.yaml, other.yaml, other.yaml]
"""
    found = said(tmp_path, text, other="devices:\n  c: {address: pi@c, target: local}\n")
    wanted = [
        "fleet.yaml:2: address 'x y' is no destination",
        "fleet.yaml:2: target 'raspbery-pi-5' is unknown; did you mean 'raspberry-pi-5'?",
        "fleet.yaml:3: b has no address, and its target 'raspberry-pi-5' is reached over SSH",
        "fleet.yaml:5: d is at root@Q:22, which is c already",
        "fleet.yaml:6: e has no target",
        "fleet.yaml:7: 'f g' can be the name of no device",
        "fleet.yaml:7: a label may not be called 'name'",
        "fleet.yaml:7: 'in' can be no label",
        "fleet.yaml:7: jump '-x' is no destination",
        "fleet.yaml:8: group 'k' is no label expression: it ends, where a value should be",
        "fleet.yaml:8: group 'm': no device has a label 'rwo'; did you mean 'row'?",
        "fleet.yaml:8: 'row' is a group and a label",
        "fleet.yaml:8: group 'g' asks for itself: g -> h -> g",
        "fleet.yaml:9: 'none.yaml' does not exist",
        "fleet.yaml:9: 'fleet.yaml' includes itself",
        "fleet.yaml:9: 'other.yaml' is included already by fleet.yaml:9",
        "other.yaml:2: 'c' is given twice, first at fleet.yaml:4",
    ]
    for line in wanted:
        assert any(problem.startswith(line) for problem in found), (line, found)
    assert len(found) == len(wanted)


def test_misspelt_keys_and_values_of_another_type_have_their_line(tmp_path: Path) -> None:
    text = """\
defualts: {}
devices:
  a: {adress: pi@a, labels: {row: 1}, frame_rate: 0, host_key: 'SHA256:x'}
"""
    first, *others = said(tmp_path, text)
    assert first.startswith("fleet.yaml:1: 'defualts' is unknown; did you mean 'defaults'?")
    assert len(others) == 4 and all(problem.startswith("fleet.yaml:3: ") for problem in others)
    assert any("did you mean 'address'?" in problem for problem in others)
    assert any("write '1', in quotes" in problem for problem in others)


def test_one_address_behind_two_jump_hosts_is_two_devices(tmp_path: Path) -> None:
    text = "defaults: {target: raspberry-pi-5}\ndevices:\n"
    text += "".join(f"  cam{n}: {{address: pi@10.0.0.1, jump: gate{n}}}\n" for n in (1, 2))
    assert len(fleet(tmp_path, text).devices) == 2


def test_fleet_without_devices_is_none(tmp_path: Path) -> None:
    assert "has no devices" in said(tmp_path, "devices: {}\n")[0]


YAML = st.recursive(
    st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none(), st.floats()),
    lambda part: st.one_of(
        st.lists(part, max_size=3), st.dictionaries(st.text(max_size=8), part, max_size=3)
    ),
    max_leaves=10,
)


def nodes(node: yaml.Node | None) -> object:
    assert node is not None
    plain = isinstance(node, yaml.ScalarNode) and not node.style
    parts = node.value if isinstance(node.value, list) else []
    below = [nodes(one) for part in parts for one in (part if isinstance(part, tuple) else (part,))]
    content = below or node.value if not isinstance(node, yaml.ScalarNode) else node.value
    return node.tag, node.start_mark.line, plain, content


@given(YAML, st.sampled_from([None, True, False]))
def test_libyaml_reads_what_pyyaml_reads(content: object, flow: bool | None) -> None:
    text = yaml.safe_dump(content, default_flow_style=flow, allow_unicode=True)
    fast = composed_fast(text)
    if fast is not None:  # libyaml may be missing
        assert nodes(fast) == nodes(Loader(text).get_single_node())

"""Ansible's inventories; what they mean is asked of Ansible itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import InputError, InputErrors
from edgeq.spec import target as targets
from edgeq.spec.document import read
from edgeq.spec.fleet.file import load
from edgeq.spec.fleet.inventory import EVERYWHERE, Inventory
from edgeq.spec.fleet.inventory_files import of_ini, of_yaml
from edgeq.spec.fleet.variable_files import read_beside

INI = """\
# by hand
gate ansible_host=10.0.0.1   # a comment
[barns]
barn[01:03] ansible_user=pi edgeq_labels="{'row': 'a'}"
rack[a:c:2]:2222 rate=15
[barns:vars]
ansible_ssh_common_args=-o ProxyJump=edge@gate
edgeq_target=raspberry-pi-5
site = north
flag=True
[eu:children]
barns
gates
[eu:vars]
site=eu
power=low
[gates]
gate site=here
[empty]
[all:vars]
site=world
zone=1
"""
YAML = """\
all:
  vars: {site: world, zone: 1}
  hosts:
    gate: {ansible_host: 10.0.0.1}
  children:
    eu:
      vars: {site: eu, power: low}
      children:
        barns:
          hosts:
            barn[01:03]: {ansible_user: pi, edgeq_labels: {row: a}}
            rack[a:c:2]:2222: {rate: 15}
          vars: {edgeq_target: raspberry-pi-5, edgeq_jump: edge@gate, site: north}
        gates: {hosts: {gate: {site: here}}}
late:
  hosts: {barn02: }
  vars: {site: late, ansible_group_priority: 0}
"""


def listed(path: Path) -> dict[str, Any]:
    """What ansible-inventory makes of it."""
    tool = Path(sys.executable).with_name("ansible-inventory")
    if not tool.exists():
        pytest.skip("needs ansible-core")
    command = [str(tool), "-i", str(path), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=path.parent)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def members(found: dict[str, Any], name: str) -> set[str]:
    group = found.get(name, {})
    below = (members(found, child) for child in group.get("children", ()))
    return set(group.get("hosts", ())).union(*below)


def inventory(path: Path) -> Inventory:
    return of_ini(path, path.read_text()) if path.suffix == ".ini" else of_yaml(read(path))


@pytest.mark.parametrize(("name", "text"), [("hosts.ini", INI), ("hosts.yaml", YAML)])
def test_inventory_means_what_it_means_to_ansible(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    theirs, ours = listed(path), inventory(path)
    assert {host: {k: v.value for k, v in given.items()} for host, given in ours.variables()} == {
        host: theirs["_meta"]["hostvars"].get(host, {}) for host in members(theirs, EVERYWHERE)
    }
    for group, found in ours.members().items():
        assert found == members(theirs, group), group
    wanted = {g for g in theirs if g not in ("_meta", "all") and members(theirs, g)}
    assert {group for group, found in ours.members().items() if found} == wanted


BESIDE = {
    "group_vars/all.yml": "site: of all files\nansible_port: 2200\nonly_all: !unsafe '{% x %}'\n",
    "group_vars/barns/b.yaml": "---\nansible_user: b\nlast: b\n",
    "group_vars/barns/a.json": '{"ansible_user": "a", "first": 1}',
    "group_vars/barns/.hidden.yml": "last: hidden\n",
    "group_vars/barns/old.yml~": "last: old\n",
    "group_vars/barns/notes.txt": "last: text\n",
    "group_vars/barns/more/c.yml": "deep: true\n",
    "group_vars/barns/empty.yml": "# nothing\n---\n",
    "group_vars/eu": "site: of the file of eu\n",
    "group_vars/eu.yml": "site: is not read, as the other is there\n",
    "group_vars/nobody.yml": "site: of no group\n",
    "host_vars/barn01.yml": "ansible_port: 2299\nansible_user: own\n",
}
"""The folders beside an inventory, of which not all counts."""


def beside(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(("name", "text"), [("hosts.ini", INI), ("hosts.yaml", YAML)])
def test_folders_beside_an_inventory_mean_what_they_mean_to_ansible(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    beside(tmp_path, BESIDE)
    theirs, ours = listed(path), read_beside(inventory(path))
    found = {host: {k: v.value for k, v in given.items()} for host, given in ours.variables()}
    expected = {
        host: theirs["_meta"]["hostvars"].get(host, {}) for host in members(theirs, EVERYWHERE)
    }
    for values in expected.values():
        if "only_all" in values:
            values["only_all"] = "{% x %}"  # which the listing has with its tag
    assert found == expected
    [barn] = [one for one in load(path).devices if one.name == "barn01"]
    assert barn.address == "own@barn01:2299"


def test_what_is_encrypted_is_passed_over_unless_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("[all:vars]\nedgeq_target=board.yaml\n[barns]\nbarn1\n")
    target = Path(targets.names()["raspberry-pi-5"]).read_text()
    (tmp_path / "board.yaml").write_text(target)
    vault = "$ANSIBLE_VAULT;1.1;AES256\n61626364\n"
    value = "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61626364\n"
    beside(tmp_path, {"group_vars/all/vault.yml": vault, "group_vars/barns.yml": f"a: {value}"})
    [device] = load(path).devices
    # A target's file is looked for from the inventory, wherever one works.
    assert device.target.runtime == "onnxruntime"
    beside(tmp_path, {"host_vars/barn1.yml": f"ansible_user: {value}"})
    with pytest.raises(InputError, match=r"barn1\.yml:1: ansible_user is encrypted, and edgeq"):
        load(path)
    beside(tmp_path, {"host_vars/barn1.yml": "ansible_user: [\n"})
    with pytest.raises(InputError, match=r"host_vars/barn1\.yml:\d"):
        load(path)


@pytest.mark.parametrize(("name", "text"), [("hosts.ini", INI), ("hosts.yaml", YAML)])
def test_hosts_with_a_target_are_devices(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = load(tmp_path / name)
    devices = {device.name: device for device in found.devices}
    assert set(devices) == {"barn01", "barn02", "barn03", "racka", "rackc"}
    assert found.passed_over == ("gate",)
    assert devices["barn01"].address == "pi@barn01" and devices["rackc"].address == "rackc:2222"
    assert {device.jump for device in found.devices} == {"edge@gate"}
    assert [one.name for one in found.select("eu and row=a")] == ["barn01", "barn02", "barn03"]


def test_fleet_file_gives_an_inventory_its_target_and_groups(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[barns]\nbarn[1:2]\n[gates]\ngate\n")
    text = "defaults: {target: raspberry-pi-5}\ninclude: [hosts]\ngroups: {both: barns or gates}\n"
    (tmp_path / "fleet.yaml").write_text(text)
    assert len(load(tmp_path / "fleet.yaml").select("both and not gates")) == 2


@pytest.mark.parametrize(
    ("arguments", "jump"),
    [
        ("-J edge@gate", "edge@gate"),
        ("-Jedge@gate:22,inner", "edge@gate:22,inner"),
        ("-o StrictHostKeyChecking=no -oProxyJump=gate", "gate"),
        ('-o "ProxyJump gate"', "gate"),
        ('-o ProxyCommand="ssh -W %h:%p -q edge@gate"', "edge@gate"),
        ("-o ProxyCommand='ssh -p 2222 -W %h:%p edge@gate'", "edge@gate:2222"),
        ("-o ControlMaster=auto", None),
    ],
)
def test_way_through_a_jump_host(tmp_path: Path, arguments: str, jump: str | None) -> None:
    text = "[all:vars]\nedgeq_target=raspberry-pi-5\nansible_ssh_common_args=" + arguments
    (tmp_path / "hosts").write_text(f"barn\n{text}\n")
    [device] = load(tmp_path / "hosts").devices
    assert device.jump == jump


def test_what_cannot_be_read_has_its_line(tmp_path: Path) -> None:
    text = """\
a edgeq_target=raspberry-pi-5 edgeq_lables=x
b edgeq_target=raspberry-pi-5 ansible_host='{{ inventory_hostname }}.local'
c edgeq_target=raspberry-pi-5 ansible_ssh_common_args='-o ProxyCommand="nc %h %p"'
d edgeq_target=raspberry-pi-5 edgeq_labels=x
"""
    (tmp_path / "hosts").write_text(text)
    with pytest.raises(InputErrors) as caught:
        load(tmp_path / "hosts")
    found = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    for number, words in enumerate(
        ["did you mean 'edgeq_labels'?", "is a template", "is not understood", "be a mapping"], 1
    ):
        assert found[number - 1].startswith(f"hosts:{number}: ") and words in found[number - 1]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a[05:1]", "hosts:1: '[05:1]' begins with another number of digits"),
        ("a[5:1]", "hosts:1: '[5:1]' ends before it begins"),
        ("a b", "hosts:1: 'b' sets no variable"),
        ("a x='", "hosts:1: cannot be read: No closing quotation"),
        ("[a:vras]", "hosts:1: 'vras' is no part of a group; did you mean 'vars'?"),
        ("[a:vars]\nx", "hosts:2: 'x' sets no variable"),
        ("[a:children]\nb\n[b:children]\na", "hosts:1: group 'a' is within itself: a of b of a"),
        ("a[1:100002]", "hosts:1: makes more than 100000 hosts"),
    ],
)
def test_bad_inventory_is_refused_by_line(tmp_path: Path, text: str, wrong: str) -> None:
    (tmp_path / "hosts").write_text(text + "\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "hosts")
    assert wrong in str(caught.value)

"""Environments: real venvs by real pip, from wheels made here."""

from __future__ import annotations

import ensurepip
import hashlib
import os
import py_compile
import signal
import sys
import zipfile
from base64 import urlsafe_b64encode
from io import BytesIO
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from ..serving import Host, eventually, sha256

Connect = Callable[..., Host]

# Says which environment runs it, as an event.
PROGRAM = """
import json, sys
import gadget
print(json.dumps({"event": "result", "version": gadget.VERSION, "prefix": sys.prefix}))
"""


def wheel(name: str, version: str, tag: str = "py3-none-any", requires: str = "") -> bytes:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    lines = []
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{path},sha256={digest},{len(text)}\n")
            archive.writestr(zipfile.ZipInfo(path), text)
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join(lines) + f"{info}/RECORD,,\n")
    return content.getvalue()


def compiled(raw: bytes, folder: Path) -> bytes:
    """A wheel with every module compiled beside it, for this Python.

    pip that runs from its wheel compiles itself every time, which is most of what it does here.
    """
    content, source, module = BytesIO(raw), folder / "module.py", folder / "module.pyc"
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    with zipfile.ZipFile(content, "a") as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                source.write_bytes(archive.read(name))
                py_compile.compile(
                    str(source), str(module), name, True, invalidation_mode=unchecked
                )
                archive.writestr(name + "c", module.read_bytes())
    return content.getvalue()


@pytest.fixture(scope="session")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """pip's own wheel, as Python brings it, but compiled."""
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    found = sorted(bundled.glob("pip-*.whl")) or sorted(
        Path("/usr/share/python-wheels").glob("pip-*.whl")
    )
    if not found:
        pytest.skip("needs pip's wheel, which this Python does not bring")
    return {found[-1].name: compiled(found[-1].read_bytes(), tmp_path_factory.mktemp("pip"))}


def build(
    host: Host, key: str, wheels: Dict[str, bytes], *requirements: str, anew: bool = False
) -> Dict[str, Any]:
    """The answer to `environment` after sending the wheels."""
    hashes = {name: host.put(raw) for name, raw in wheels.items()}
    fields: Dict[str, Any] = {"key": key, "wheels": hashes, "requirements": list(requirements)}
    return host.ask("environment", **fields, anew=anew)


def gadget(version: str, **options: str) -> Dict[str, bytes]:
    tag = options.get("tag", "py3-none-any")
    return {f"gadget-{version}-{tag}.whl": wheel("gadget", version, **options)}


def test_environment_is_built_and_jobs_run_in_it(
    host: Host, connect: Connect, root: Path, pip: Dict[str, bytes]
) -> None:
    host.lock()
    wheels = {**pip, **gadget("1.0", requires="widget>=2"), "widget-2-py3-none-any.whl": b""}
    wheels["widget-2-py3-none-any.whl"] = wheel("widget", "2")
    assert build(host, "one", wheels, "gadget==1.0") == {"ok": {"key": "one", "new": True}}
    progress = [event for event in host.events if event["stage"] == "install"]
    assert progress and progress[-1]["done"] <= progress[-1]["total"] == 3
    assert host.do("status")["environment"] == "one"
    found = host.do("job", verb="probe", job={})["python"]["executable"]
    assert found == str(root / "env" / "one" / "bin" / "python")
    assert list((root / "work").iterdir()) == []
    assert not list((root / "env" / "one").rglob("*.pyc"))
    # The same again is there already; another becomes current and keeps the first.
    assert build(host, "one", wheels, "gadget==1.0") == {"ok": {"key": "one", "new": False}}
    assert build(host, "two", {**pip, **gadget("2.0")}, "gadget")["ok"]
    assert (root / "env" / "current").resolve().name == "two"
    assert (root / "env" / "previous").resolve().name == "one"
    # A Python that was replaced under an environment leaves nothing that would run.
    (root / "env" / "two" / "bin" / "python").unlink()
    assert host.do("status")["environment"] is None
    assert host.do("job", verb="probe", job={})["python"]["executable"] == sys.executable
    assert build(host, "two", {**pip, **gadget("2.0")}, "gadget") == {
        "ok": {"key": "two", "new": True}
    }
    assert build(host, "three", {}) == {"ok": {"key": "three", "new": True}}
    host.do("collect")
    names = sorted(path.name for path in (root / "env").iterdir())
    assert names == ["current", "lock", "previous", "three", "two"]
    assert connect().ready["environment"] == "three"


@pytest.mark.parametrize(
    "requirement, changed, said",
    [
        ("gadget", {"tag": "cp27-cp27mu-manylinux1_x86_64"}, "gadget"),
        ("gadget==9", {}, "gadget==9"),
        ("gadget", {"requires": "nowhere>=3"}, "nowhere"),
    ],
)
def test_reason_of_a_failed_build_is_pips_own(
    host: Host,
    root: Path,
    pip: Dict[str, bytes],
    requirement: str,
    changed: Dict[str, str],
    said: str,
) -> None:
    host.lock()
    answer = build(host, "x", {**pip, **gadget("1.0", **changed)}, requirement)
    error = answer["error"]
    assert isinstance(error, dict) and error["kind"] == "environment"
    assert "No matching distribution found" in error["message"] and said in error["message"]
    assert host.do("status")["environment"] is None
    assert not [path for path in (root / "env").iterdir() if path.is_dir()]
    assert build(host, "x", {**pip, **gadget("1.0")}, "gadget")["ok"]


def test_environment_that_is_there_needs_no_wheels_any_more(
    host: Host, connect: Connect, root: Path, pip: Dict[str, bytes]
) -> None:
    host.lock()
    wheels = {**pip, **gadget("1.0")}
    assert build(host, "x", wheels, "gadget")["ok"]
    # By the session that sent them, too.
    assert host.do("collect")["removed_blobs"] == 2
    hashes = {name: sha256(raw) for name, raw in wheels.items()}
    fields: Dict[str, Any] = {"key": "x", "wheels": hashes, "requirements": ["gadget"]}
    assert host.do("environment", **fields) == {"key": "x", "new": False}
    kind, message = host.refused("environment", **fields, anew=True)
    assert kind == "bad-request" and "gadget-1.0-py3-none-any.whl is not there" in message


def test_environment_holds_what_its_key_says_whatever_the_system_has(
    connect: Connect, root: Path, pip: Dict[str, bytes], tmp_path: Path
) -> None:
    system = tmp_path / "system"
    system.mkdir()
    with zipfile.ZipFile(BytesIO(wheel("gadget", "1.0"))) as archive:
        archive.extractall(str(system))
    host = connect(PYTHONPATH=str(system))
    assert build(host, "x", {**pip, **gadget("1.0")}, "gadget==1.0")["ok"]
    assert list((root / "env" / "x").rglob("gadget.py"))


def modules(folder: Path) -> List[str]:
    """What the gadget of an environment is."""
    return [path.read_text() for path in folder.glob("lib/*/site-packages/gadget.py")]


def test_environment_is_built_again_beside_the_one_that_jobs_run_in(
    connect: Connect, root: Path, pip: Dict[str, bytes]
) -> None:
    first, second = connect(), connect()
    wheels = {**pip, **gadget("1.0")}
    old, environments = root / "env" / "x", root / "env"
    first.lock(shared=True)
    assert build(first, "x", wheels, "gadget")["ok"]
    next(old.glob("lib/*/site-packages/gadget.py")).write_text("damaged")
    second.lock(shared=True)
    assert build(second, "x", wheels, "gadget") == {"ok": {"key": "x", "new": False}}
    failed = build(second, "x", wheels, "gadget==9", anew=True)
    assert failed["error"]["kind"] == "environment"
    assert (environments / "current").resolve() == old
    assert build(second, "x", wheels, "gadget", anew=True) == {"ok": {"key": "x", "new": True}}
    assert modules(old) == ["damaged"] and (old / "bin" / "python").exists()
    new = (environments / "current").resolve()
    assert modules(new) == ["VERSION = '1.0'\n"]
    assert second.do("status")["environment"] == connect().ready["environment"] == "x"
    found = second.do("job", verb="probe", job={})["python"]["executable"]
    assert found == str(new / "bin" / "python")
    # The old one is nothing to come back to.
    assert not (environments / "previous").exists()
    assert build(second, "y", {})["ok"]
    assert build(second, "x", wheels, "gadget") == {"ok": {"key": "x", "new": False}}
    assert (environments / "current").resolve() == new
    for host in (first, second):
        host.hang_up()
        host.process.wait(timeout=5)
    third = connect()
    third.do("lock", who="x", what="y", shared=False, wait_s=5)
    third.do("collect")
    names = sorted(path.name for path in environments.iterdir())
    assert names == ["current", "lock", "previous", new.name, "y"]
    assert build(third, "x", wheels, "gadget", anew=True)["ok"]
    assert (environments / "current").resolve() == old


def test_probe_leaves_no_compiled_modules(host: Host, root: Path) -> None:
    host.lock()
    assert build(host, "x", {})["ok"]
    packages = next((root / "env" / "x" / "lib").glob("*/site-packages"))
    program = "__version__ = '1'\nget_available_providers = list\n"
    for name in ("onnxruntime", "tensorrt"):
        (packages / f"{name}.py").write_text(program)
    before = sorted(root.rglob("*"))
    assert host.do("job", verb="probe", job={})["packages"]["tensorrt"] == "1"
    assert sorted(root.rglob("*")) == before


def test_request_that_makes_no_sense_is_refused(host: Host, pip: Dict[str, bytes]) -> None:
    digest = host.put(b"wheel")
    cases: List[Dict[str, Any]] = [
        {"key": "../x", "wheels": {}, "requirements": []},
        {"key": "previous", "wheels": {}, "requirements": []},
        {"key": "x", "wheels": {"../a.whl": digest}, "requirements": []},
        {"key": "x", "wheels": {"a.zip": digest}, "requirements": []},
        {"key": "x", "wheels": {"a.whl": "1"}, "requirements": []},
        {"key": "x", "wheels": {"a.whl": "0" * 64}, "requirements": []},
        {"key": "x", "wheels": {}, "requirements": ["--index-url=http://x"]},
        {"key": "x", "wheels": {}, "requirements": ["gadget"]},
    ]
    for fields in cases:
        assert host.refused("environment", **fields)[0] == "bad-request"


@pytest.mark.parametrize("way", ["hang up", "kill"])
def test_build_that_was_cut_is_made_again(
    host: Host, connect: Connect, root: Path, pip: Dict[str, bytes], way: str
) -> None:
    host.lock()
    wheels = {**pip, **gadget("1.0")}
    hashes = {name: host.put(raw) for name, raw in wheels.items()}
    host.send("environment", key="x", wheels=hashes, requirements=["gadget"])
    assert eventually((root / "env" / "x").exists)
    if way == "hang up":
        host.hang_up()
    else:
        os.kill(host.process.pid, signal.SIGKILL)
    host.process.wait(timeout=5)
    assert not (root / "env" / "current").exists()
    after = connect()
    after.do("lock", who="x", what="y", shared=False, wait_s=5)
    assert build(after, "x", wheels, "gadget")["ok"]
    script = root / "script.py"
    script.write_text(PROGRAM)
    assert os.system(f"'{root}/env/current/bin/python' '{script}' > /dev/null") == 0


def test_environment_under_every_python(
    connect: Connect, root: Path, pip: Dict[str, bytes], agent_python: str
) -> None:
    host = connect(agent_python)
    if agent_python != sys.executable:
        pip = newest_pip(agent_python)
    assert build(host, "x", {**pip, **gadget("1.0")}, "gadget")["ok"]
    assert list((root / "env" / "x" / "lib").glob("*/site-packages/gadget.py"))


def newest_pip(python: str) -> Dict[str, bytes]:
    """The wheel of pip that an interpreter brings."""
    import subprocess

    code = "import ensurepip; print(ensurepip.__path__[0])"
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True)
    folder = Path(done.stdout.decode().strip()) / "_bundled"
    path = next(iter(sorted(folder.glob("pip-*.whl"))))
    assert sha256(path.read_bytes())
    return {path.name: path.read_bytes()}

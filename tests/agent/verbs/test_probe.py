"""Parsers of the probe on recorded text, and the probe itself."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
import pytest

from edgeq.agent.system import packages
from edgeq.agent.system.cpuinfo import parse_cpuinfo
from edgeq.agent.system.emulation import Evidence, cpuinfo_machine, elf_machine, judge
from edgeq.agent.system.jetson import is_jetson
from edgeq.agent.system.packages import looked_for
from edgeq.agent.system.reading import Reader
from edgeq.agent.verbs.probe import parse_libc, probe
from edgeq.agent.wire.job import ProbeJob

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
flags\t\t: fpu sse2 ht avx2 avx512f avx512_vnni hypervisor
power management:

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
flags\t\t: fpu sse2 ht avx2 avx512f avx512_vnni hypervisor
"""

RASPBERRY_PI_5 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

Hardware\t: BCM2835
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""

BIG_LITTLE = """processor\t: 0
Features\t: fp asimd
CPU implementer\t: 0x41
CPU part\t: 0xd05

processor\t: 1
Features\t: fp asimd
CPU implementer\t: 0x41
CPU part\t: 0xd0b
processor\t: 2
CPU implementer\t: 0x99
CPU part\t: 0x123
"""

JETSON_XAVIER = """processor\t: 0
model name\t: ARMv8 Processor rev 0 (v8l)
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm dcpop
CPU implementer\t: 0x4e
CPU part\t: 0x004
"""


def packages_of(reader: Reader, modules: Sequence[str] = ()) -> packages.Packages:
    with looked_for(modules) as tried:
        return tried(reader)


@pytest.mark.parametrize(
    "text, model, flags",
    [
        (X86, "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", ("avx2", "avx512f", "avx512_vnni")),
        (RASPBERRY_PI_5, "Cortex-A76", ("asimd", "asimddp", "asimdhp")),
        (
            BIG_LITTLE,
            "Cortex-A55 + Cortex-A76 + implementer 0x99 part 0x123",
            ("asimd",),
        ),
        (JETSON_XAVIER, "ARMv8 Processor rev 0 (v8l)", ("asimd", "asimdhp")),
        ("", None, None),
    ],
)
def test_cpuinfo_of_known_boards(text: str, model: Optional[str], flags: Any) -> None:
    info = parse_cpuinfo(text)
    assert (info.model, info.flags) == (model, flags)


def elf(machine: int, order: str = "<") -> bytes:
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10)
    return ident + struct.pack(order + "HH", 2, machine)


def test_elf_headers_name_their_machine() -> None:
    assert elf_machine(elf(62)) == "x86_64"
    assert elf_machine(elf(183)) == "aarch64"
    assert elf_machine(elf(183, ">")) == "aarch64"
    assert elf_machine(elf(9999)) is None
    assert elf_machine(b"#!/bin/sh") is None


def test_cpuinfo_tells_whose_kernel_wrote_it() -> None:
    assert cpuinfo_machine(X86) == "x86_64"
    assert cpuinfo_machine(RASPBERRY_PI_5) == "aarch64"
    assert cpuinfo_machine("") is None


@pytest.mark.parametrize(
    "evidence, emulated, reason",
    [
        # qemu-user: forged uname and cpuinfo, but the kernel runs an x86-64 program.
        (Evidence("aarch64", elf(62), None, RASPBERRY_PI_5), True, "executable is built for x86"),
        (Evidence("aarch64", None, "x86_64", RASPBERRY_PI_5), True, "the kernel says x86_64"),
        (Evidence("aarch64", None, None, X86), True, "/proc/cpuinfo describes x86_64"),
        (Evidence("aarch64", elf(183), "aarch64", RASPBERRY_PI_5), False, "as programs see it"),
        # A virtual machine (hypervisor flag) runs on the real CPU.
        (Evidence("x86_64", elf(62), "x86_64", X86), False, "as programs see it"),
        # 32-bit programs on 64-bit kernels of the same family are not emulated.
        (Evidence("armv7l", elf(40), "aarch64", RASPBERRY_PI_5), False, "as programs see it"),
        (Evidence("aarch64", None, None, RASPBERRY_PI_5), None, "neither"),
        (Evidence("sparc64", elf(62), None, None), None, "'sparc64' is not known"),
    ],
)
def test_emulation_is_judged_by_what_lies_below(
    evidence: Evidence, emulated: Optional[bool], reason: str
) -> None:
    verdict = judge(evidence)
    assert verdict.emulated is emulated
    assert reason in verdict.reason


def test_libc_names_and_versions() -> None:
    assert parse_libc("glibc 2.31") == ("glibc", "2.31")
    assert parse_libc("") is None


def test_probe_tells_about_this_machine() -> None:
    with looked_for() as tried:
        result = json.loads(json.dumps(probe(ProbeJob(Path("/")), tried), allow_nan=False))
    assert result["system"] == "Linux"
    assert result["python"]["executable"] == sys.executable
    assert result["cpu"]["cores_available"] <= result["cpu"]["cores_logical"]
    assert 0 < result["memory"]["available_bytes"] <= result["memory"]["total_bytes"]
    assert result["disk"]["free_bytes"] > 0
    assert result["emulated"].keys() == {"emulated", "reason"}
    assert result["packages"]["numpy"] is not None
    assert "CPUExecutionProvider" in result["onnxruntime_providers"]
    assert result["packages"].keys() == {
        "numpy",
        "cv2",
        "onnxruntime",
        "tensorrt",
        "ai_edge_litert",
        "tflite_runtime",
    }


def test_whatever_is_null_has_a_reason() -> None:
    with looked_for() as tried:
        result = probe(ProbeJob(Path("/")), tried)
    unreadable = result["not_readable"]
    if result["board"] is None:
        assert "board" in unreadable
    if result["governors"] is None:
        assert "governors" in unreadable
    if result["cpu"]["max_mhz"] is None:
        assert "cpu.max_mhz" in unreadable
    # What is no Jetson has no power mode, and nothing that could not be read for it.
    assert (result["power_mode"] is None) != is_jetson(Reader())
    assert "power_mode" not in unreadable


def test_free_space_is_that_of_the_nearest_existing_folder(tmp_path: Path) -> None:
    with looked_for() as tried:
        result = probe(ProbeJob(tmp_path / "not" / "yet" / "there"), tried)
    assert result["disk"]["free_bytes"] > 0


def test_a_package_that_crashes_on_import_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No metadata, so its version has to be asked for, which kills the process that asks.
    (tmp_path / "tensorrt.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    make_tflite_runtime(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader()
    versions = packages_of(reader).versions
    assert versions["tensorrt"] is None
    assert reader.not_readable == {"packages.tensorrt": "importing it ended with signal 11"}
    assert versions["tflite_runtime"] == "2.14.0"


def test_a_package_that_the_agent_knows_nothing_of_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "abacus.py").write_text("__version__ = '3.1'")
    (tmp_path / "broken.py").write_text("import absent")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader()
    found = packages_of(reader, ("numpy", "abacus", "broken", "absent")).versions
    assert found["numpy"] == np.__version__
    assert (found["abacus"], found["broken"], found["absent"]) == ("3.1", None, None)
    assert "packages.broken" in reader.not_readable


def make_tflite_runtime(folder: Path, interpreter: str = "pass") -> None:
    """A package whose interpreter does that with a model."""
    package = folder / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("print('hello'); __version__ = '2.14.0'")
    start = f"class Interpreter:\n  def __init__(self, model_content):\n    {interpreter}"
    (package / "interpreter.py").write_text(start)


@pytest.mark.parametrize(
    "interpreter, why",
    [
        # What it really does with NumPy 2, which it meets at the first model and not before.
        ("raise SystemError('x') from ImportError('numpy.core failed')", "numpy.core failed"),
        ("raise ValueError('no model')", "no model"),
    ],
)
def test_a_runtime_that_takes_no_model_does_not_count_as_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str, why: str
) -> None:
    make_tflite_runtime(tmp_path, interpreter)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader()
    assert packages_of(reader).versions["tflite_runtime"] is None
    assert reader.not_readable["packages.tflite_runtime"].endswith(f"Error: {why}")


def test_a_runtime_without_its_interpreter_does_not_count_as_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tflite_runtime(tmp_path)
    (tmp_path / "tflite_runtime" / "interpreter.py").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader()
    assert packages_of(reader).versions["tflite_runtime"] is None
    assert "No module named" in reader.not_readable["packages.tflite_runtime"]


def test_every_python_has_a_litert_that_works(agent_pyz: Path, agent_python: str) -> None:
    done = subprocess.run(
        [agent_python, str(agent_pyz), "probe"], capture_output=True, timeout=120, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    named = "tflite_runtime" if found["python"]["version"].startswith("3.8.") else "ai_edge_litert"
    assert found["packages"][named] is not None, found["not_readable"]


def test_a_package_that_cannot_be_imported_does_not_count_as_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Metadata of all three lies there, whatever became of the files.
    crash = "import os, signal; print('hello'); os.kill(os.getpid(), signal.SIGILL)"
    (tmp_path / "numpy.py").write_text(crash)
    (tmp_path / "cv2.py").write_text("raise ImportError('first line\\nlibGL.so.1: cannot open')")
    (tmp_path / "onnxruntime.py").write_text("get_available_providers = lambda: ['One']")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader()
    found = packages_of(reader)
    assert found.versions["numpy"] is found.versions["cv2"] is None
    assert reader.not_readable["packages.numpy"] == "importing it ended with signal 4"
    assert reader.not_readable["packages.cv2"] == "importing it failed: libGL.so.1: cannot open"
    assert found.versions["onnxruntime"] is not None and found.providers == ["One"]


def test_a_board_without_packages_starts_no_process_to_import_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started"))
    found = packages_of(Reader())
    assert set(found.versions.values()) == {None} and found.providers is None

"""Two seconds of fuzzing for each subject; `make fuzz` goes on for an hour."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sampling
from tests.fuzz.campaign import FEWEST
from tests.fuzz.subjects import SUBJECTS

ROOT = Path(__file__).parents[2]
DURATION_S = 60 if sampling.WHOLE else 2


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", SUBJECTS)
def test_whatever_comes_is_read_or_refused(name: str) -> None:
    done = run("-m", "tests.fuzz", name, str(DURATION_S))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-6000:]}"
    found = re.fullmatch(rf"{name}: (\d+) inputs in \d+ s\n", done.stdout)
    assert found, done.stdout
    assert int(found[1]) >= FEWEST


# The campaign itself finds what it is there for.

PROGRAM = """
import sys
from pathlib import Path
from hypothesis import strategies as st
from edgeq.agent.errors import AgentError
from edgeq.errors import EdgeqError, InputError
from tests.fuzz import campaign

campaign.HANG_S = 1

def read(content, folder):
    if content:
        {fault}
    raise InputError("here", "is refused")

print(campaign.feed(campaign.Subject(st.binary(max_size=3), read), 0.5, 0, Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise KeyError(1)", "KeyError: 1; the input is"),
        ("raise EdgeqError('a', 'bug')", "EdgeqError: a: bug; the input is"),
        ("raise AgentError('bug', 'a', 'b', 'c')", "AgentError: a: b; c; the input is"),
        ("bytearray(3 << 30)", "MemoryError: ; the input is"),
        ("while True: pass", "Timeout (0:00:01)!"),
        ("import ctypes; ctypes.string_at(0)", "Fatal Python error: Segmentation fault"),
    ],
)
def test_fault_is_found_and_its_input_kept(tmp_path: Path, fault: str, message: str) -> None:
    done = run("-c", PROGRAM.format(fault=fault), str(tmp_path))
    assert done.returncode != 0
    assert message in done.stderr
    kept = (tmp_path / "input").read_bytes()
    assert kept == b"\0" if "input is" in message else kept


def test_refusal_is_no_fault(tmp_path: Path) -> None:
    done = run("-c", PROGRAM.format(fault="pass"), str(tmp_path))
    assert int(done.stdout) >= FEWEST

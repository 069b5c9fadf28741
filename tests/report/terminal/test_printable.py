"""Text from elsewhere on a real terminal: nothing of it is obeyed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.report.terminal.printable import printable

HOSTILE = "\x1b]0;title\x07 \x1b]52;c;Y2xpcA==\x07 \x9b2J \u202egnp.exe \udc9b \U000e0041 \x7f"
SCRIPT = """
import sys
from rich.table import Table
from rich.text import Text
from edgeq.cli import main, output
from edgeq.cli.progress import shown
from edgeq.errors import DeviceError
hostile = eval(sys.argv.pop())
table = Table(hostile)
table.add_row(hostile)
output.print_rendered(table)
output.print_rendered(Text(hostile))
output.say(hostile)
output.print_steps([hostile], False)
with shown() as progress:
    progress(hostile, 1, 2)
    progress("[red]" + hostile + "\\n", 2, 2)
def fail():
    raise DeviceError(hostile, hostile + "\\nPASSED: all gates passed.", hostile)
main.app = fail
main.run()
"""


@pytest.fixture(scope="module")
def seen() -> str:
    """What a terminal gets from every way in which edgeq shows text, as the text is hostile."""
    parent, child = pty.openpty()
    command = [sys.executable, "-c", SCRIPT, ascii(HOSTILE)]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    ran = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environ)
    os.close(child)
    content = b""
    while True:
        try:
            piece = os.read(parent, 1 << 16)
        except OSError:  # how a terminal ends
            break
        if not piece:
            break
        content += piece
    os.close(parent)
    assert ran.wait(30) == 3, content.decode()
    return content.decode()


def test_nothing_hostile_reaches_a_terminal(seen: str) -> None:
    for harm in ("\x1b]", "\x07", "\x9b", "\u202e", "\U000e0041", "\x7f", "\x1b[2J"):
        assert harm not in seen, harm
    # Seven ways to show it, each of which shows what there is.
    assert seen.count("\\u001b]0;title\\u0007") >= 7
    assert seen.count("\\u202egnp.exe \\udc9b \\udb40\\udc41 \\u007f") >= 7
    assert "[red]" in seen


def test_line_of_another_cannot_pass_for_one_of_ours(seen: str) -> None:
    lines = seen.splitlines()
    assert not [line for line in lines if line.startswith("PASSED")]
    assert [line for line in lines if line.startswith("  PASSED")]


@given(st.text())
def test_json_stays_the_same(text: str) -> None:
    raw = json.dumps({"a": text}, ensure_ascii=False)
    assert json.loads(printable(raw)) == {"a": text}
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\x00")))
def test_ordinary_text_stays(text: str) -> None:
    assert printable(f"{text}\n\t") == f"{text}\n\t"

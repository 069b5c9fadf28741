"""The commands of roll-outs, as one types them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from edgeq.cli.main import app
from edgeq.errors import InputError
from edgeq.report.rollout_metrics import render

from .barn import Barn


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["rollout", *map(str, arguments)])


def test_a_roll_out_from_its_plan_to_its_end(barn: Barn, tmp_path: Path) -> None:
    strategy = barn.strategy(canary=1)
    given = (barn.recipe, "--fleet", barn.fleet, "--strategy", strategy)
    dry = command("start", *given, "--dry-run")
    assert dry.exit_code == 0 and "canary" in dry.stdout and "stopped by end of" in dry.stdout
    assert "no roll-outs" in command("list").stdout

    log, metrics = tmp_path / "log", tmp_path / "metrics.txt"
    program = tmp_path / "event.py"
    program.write_text(f"import sys; open({str(log)!r}, 'a').write(sys.stdin.read() + '\\n')")
    hooks = ("--on-event", f"{sys.executable} {program}", "--metrics", metrics)
    page = tmp_path / "page.html"
    done = command("start", *given, *hooks, "--html", page)
    assert done.exit_code == 0, done.output
    first, *lines, written = done.stdout.splitlines()
    assert "2 of 2 devices are healthy." in page.read_text() and written == f"page: {page}"
    rollout = first.removeprefix("roll-out ")
    assert sum(": checking" in line for line in lines) == 2
    assert lines[-1] == "done" and any(line.startswith("canary") for line in lines)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["state"] for one in told][-1] == "done" and len(told) == 13
    assert f'edgeq_rollout_devices{{rollout="{rollout}",wave="canary",state="healthy"}} 1' in (
        metrics.read_text()
    )

    status = command("status", rollout[:4], "--json")
    found = json.loads(status.stdout)
    assert (found["id"], found["state"], status.exit_code) == (rollout, "done", 0)
    text = command("status", rollout, "--watch").stdout
    assert "healthy" in text and "not measured" in text
    assert rollout in command("list").stdout
    for verb in ("pause", "abort", "approve", "resume"):
        refused = command(verb, rollout)
        assert "is done" in str(refused.exception), verb
    back = command("rollback", rollout, "--json")
    # There was nothing before, so that nothing is gone back to.
    assert [json.loads(line)["state"] for line in back.stdout.splitlines()] == [
        "rolling back",
        "rolled back",
    ]
    assert barn.current()["cam0"] is not None


def test_what_is_wrong_is_told_in_one_line(barn: Barn) -> None:
    for arguments, words in (
        (("status", "zz"), "no roll-out 'zz'; see: edgeq rollout list"),
        (("start", barn.recipe, "-f", barn.folder / "gone.yaml"), "gone.yaml"),
        (
            ("start", barn.recipe, "-f", barn.fleet, "-s", barn.strategy(canary=3)),
            "3 devices were asked for, and there are 2",
        ),
    ):
        error = command(*arguments).exception
        assert isinstance(error, InputError) and words in str(error)


def test_metrics_name_every_state() -> None:
    from edgeq.records.rollout import DEVICE_STATES
    from edgeq.store import open_store, rollouts

    from .pretended import begin

    store = open_store()
    lease = begin(store, [2, 3])
    text = render(rollouts.status(store, lease.rollout))
    assert text.count('wave="wave 1"') == len(DEVICE_STATES) and text.endswith("# EOF\n")
    assert 'wave="wave 1",state="pending"} 3' in text

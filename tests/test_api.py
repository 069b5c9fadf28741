"""The Python API: the names in `edgeq.__all__`."""

from __future__ import annotations

import subprocess
import sys

import edgeq

HEAVY = ("onnxruntime", "onnx", "numpy", "cv2", "pydantic", "paramiko", "sqlalchemy", "typer")
LIGHT = f"import sys, edgeq; print([name for name in {HEAVY} if name in sys.modules])"
TWICE = "import edgeq; print([n for n in edgeq.__all__ for _ in '12' if not callable({})])"
VERBS = {
    *("deploy", "build", "compare", "measure", "inspect", "lint", "push", "rollback", "status"),
    *("tune", "train", "study", "sensitivity", "check_board", "setup_board", "version"),
    *("check_fleet", "load_fleet", "run_on_fleet", "plan_rollout"),
    *("start_rollout", "resume_rollout", "retry_rollout", "roll_back_rollout", "rollout_status"),
    *("pause_rollout", "abort_rollout", "approve_rollout", "list_rollouts"),
    *("measure_builds", "check_gold", "compare_boards"),
    *(f"write_{one}html" for one in ("", "comparison_", "rollout_", "study_", "tuning_")),
    *("history", "baseline", "list_baselines", "set_baseline", "remove_baseline"),
}


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_all_has_every_verb_and_each_is_a_function() -> None:
    assert set(edgeq.__all__) == VERBS
    assert set(edgeq.__all__) <= set(dir(edgeq))
    # Again, as a module of that name would be in the way the second time.
    assert said(TWICE.format("getattr(edgeq, n)")) == "[]"


def test_importing_edgeq_imports_nothing_heavy() -> None:
    assert said(LIGHT) == "[]"

"""edgeq puts a trained instance-segmentation model, quantized to int8, on the boards it runs on.

    report = edgeq.deploy("recipe.yaml", "local")

Each verb of the command line is a function here. They are imported when they are first used:
`import edgeq` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeq.report.html.comparison.page import write_comparison_html
    from edgeq.report.html.page import write_html
    from edgeq.report.html.rollout.page import write_rollout_html
    from edgeq.report.html.study.page import write_study_html
    from edgeq.report.html.tuning.page import write_tuning_html
    from edgeq.rollout.plan import plan_rollout
    from edgeq.rollout.verbs import (
        abort_rollout,
        approve_rollout,
        list_rollouts,
        pause_rollout,
        resume_rollout,
        retry_rollout,
        roll_back_rollout,
        rollout_status,
        start_rollout,
    )
    from edgeq.spec.fleet.file import load as load_fleet
    from edgeq.tuning.sensitivity import sensitivity
    from edgeq.tuning.study import study
    from edgeq.tuning.tune import tune
    from edgeq.verbs.baseline import baseline, list_baselines, remove_baseline, set_baseline
    from edgeq.verbs.boards import check as check_board
    from edgeq.verbs.boards import setup as setup_board
    from edgeq.verbs.build import build
    from edgeq.verbs.builds import measure_builds
    from edgeq.verbs.compare import compare, compare_boards
    from edgeq.verbs.deploy import deploy
    from edgeq.verbs.fleet import run_on_fleet
    from edgeq.verbs.fleet_check import check_fleet
    from edgeq.verbs.gold import check_gold
    from edgeq.verbs.history import history
    from edgeq.verbs.inspect import inspect
    from edgeq.verbs.lint import lint
    from edgeq.verbs.measure import measure
    from edgeq.verbs.push import push
    from edgeq.verbs.releases import rollback, status
    from edgeq.verbs.train import train
    from edgeq.versions import version

__all__ = [
    "abort_rollout",
    "approve_rollout",
    "baseline",
    "build",
    "check_board",
    "check_fleet",
    "check_gold",
    "compare",
    "compare_boards",
    "deploy",
    "history",
    "inspect",
    "lint",
    "list_baselines",
    "list_rollouts",
    "load_fleet",
    "measure",
    "measure_builds",
    "pause_rollout",
    "plan_rollout",
    "push",
    "remove_baseline",
    "resume_rollout",
    "retry_rollout",
    "roll_back_rollout",
    "rollback",
    "rollout_status",
    "run_on_fleet",
    "sensitivity",
    "set_baseline",
    "setup_board",
    "start_rollout",
    "status",
    "study",
    "train",
    "tune",
    "version",
    "write_comparison_html",
    "write_html",
    "write_rollout_html",
    "write_study_html",
    "write_tuning_html",
]

_HOMES = {
    "abort_rollout": "rollout.verbs:abort_rollout",
    "approve_rollout": "rollout.verbs:approve_rollout",
    "baseline": "verbs.baseline:baseline",
    "build": "verbs.build:build",
    "check_board": "verbs.boards:check",
    "check_fleet": "verbs.fleet_check:check_fleet",
    "check_gold": "verbs.gold:check_gold",
    "compare": "verbs.compare:compare",
    "compare_boards": "verbs.compare:compare_boards",
    "deploy": "verbs.deploy:deploy",
    "history": "verbs.history:history",
    "inspect": "verbs.inspect:inspect",
    "lint": "verbs.lint:lint",
    "list_baselines": "verbs.baseline:list_baselines",
    "list_rollouts": "rollout.verbs:list_rollouts",
    "load_fleet": "spec.fleet.file:load",
    "measure": "verbs.measure:measure",
    "measure_builds": "verbs.builds:measure_builds",
    "pause_rollout": "rollout.verbs:pause_rollout",
    "plan_rollout": "rollout.plan:plan_rollout",
    "push": "verbs.push:push",
    "remove_baseline": "verbs.baseline:remove_baseline",
    "resume_rollout": "rollout.verbs:resume_rollout",
    "retry_rollout": "rollout.verbs:retry_rollout",
    "roll_back_rollout": "rollout.verbs:roll_back_rollout",
    "rollback": "verbs.releases:rollback",
    "rollout_status": "rollout.verbs:rollout_status",
    "run_on_fleet": "verbs.fleet:run_on_fleet",
    "sensitivity": "tuning.sensitivity:sensitivity",
    "set_baseline": "verbs.baseline:set_baseline",
    "setup_board": "verbs.boards:setup",
    "start_rollout": "rollout.verbs:start_rollout",
    "status": "verbs.releases:status",
    "study": "tuning.study:study",
    "train": "verbs.train:train",
    "tune": "tuning.tune:tune",
    "version": "versions:version",
    "write_comparison_html": "report.html.comparison.page:write_comparison_html",
    "write_html": "report.html.page:write_html",
    "write_rollout_html": "report.html.rollout.page:write_rollout_html",
    "write_study_html": "report.html.study.page:write_study_html",
    "write_tuning_html": "report.html.tuning.page:write_tuning_html",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgeq' has no attribute '{name}'")
    module, _, function = _HOMES[name].partition(":")
    return getattr(importlib.import_module(f"edgeq.{module}"), function)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

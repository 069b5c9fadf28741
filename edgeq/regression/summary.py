"""The end of a session with boards: the table, the file of metrics, the baselines to save."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.regression import options
from edgeq.regression.results import Results, RunTests


class Summary:
    """Hooks of the process that a person started; workers tell it what they found."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results = Results()
        self._notes: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a phase of a test."""
        self._results.add(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write metrics and save baselines; what cannot be done ends the session with 1."""
        file = options.one_of(self._config, "metrics")
        name = options.one_of(self._config, "save")
        failed = [self._write(Path(file))] if file else []
        # After an interruption nobody knows what the tests left out would have said.
        is_whole = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if name and is_whole:
            failed += [self._save(name, run) for run in self._results.measured()]
        if any(failed) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table, and what was done."""
        lines = [*self._results.table(), *self._notes]
        if lines:
            terminalreporter.section("edgeq")
        for line in lines:
            terminalreporter.line(line)

    def _write(self, file: Path) -> bool:
        """Whether the metrics could not be written."""
        from edgeq import places
        from edgeq.regression.openmetrics import render

        try:
            places.write_whole(file, render(self._results.samples()).encode())
        except OSError as exc:
            self._notes.append(f"no metrics: {file}: {exc.strerror or exc}")
            return True
        self._notes.append(f"metrics: {file}")
        return False

    def _save(self, said: str, run: RunTests) -> bool:
        """Whether a run should have become a baseline, and could not."""
        from edgeq.errors import EdgeqError
        from edgeq.regression.runs import named_for
        from edgeq.verbs.baseline import set_baseline

        name, id_ = named_for(said, run.labels["target"]), run.labels["run"]
        failed = run.count("failed")
        unsure = len(run.untold)
        for count, what in ((failed, "failed"), (unsure, "could not be told")):
            if count:
                self._notes.append(f"run {id_} is not saved as {name}: {count} of its tests {what}")
                return False
        if "{target}" not in said and len(self._results.measured()) > 1:
            remedy = f"say --edgeq-save '{name}-{{target}}'"
            self._notes.append(f"not saved: several runs cannot all be {name}; {remedy}")
            return True
        try:
            found = set_baseline(name, id_, replace=True)
        except EdgeqError as exc:
            self._notes.append(f"run {id_} is not saved as {name}: {exc}")
            return True
        self._notes.append(f"run {id_} is baseline {name} now {found.note}".rstrip())
        return False

"""Sessions of pytest as a user starts them, with the plugin as the only one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

EXAMPLE = Path(__file__).parents[2] / "examples" / "regression" / "test_regression.py"


def pytest_in(
    folder: Path, *arguments: str | Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What pytest says of the tests in a folder, with the reasons of skips unabridged."""
    command = [sys.executable, "-m", "pytest", "-p", "edgeq.regression.plugin", "-rs"]
    told = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "true", **(variables or {})}
    # A session of this one's workers is none of theirs.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *map(str, arguments)],
        cwd=folder,
        env={**inherited, **told},
        capture_output=True,
        text=True,
        check=False,
    )


def settings(folder: Path, *lines: str) -> None:
    """An ini-file there, so that no other one is found above."""
    (folder / "pytest.ini").write_text(
        "\n".join(["[pytest]", "addopts = --strict-markers", *lines])
    )


def families(text: str) -> dict[str, Metric]:
    """Metrics as Prometheus's own parser reads them."""
    return {one.name: one for one in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]

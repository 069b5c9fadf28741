"""`python -m edgeq` is the command line."""

from __future__ import annotations

from edgeq.cli.main import run

run()

"""How the agent calls itself."""

from __future__ import annotations

from pathlib import Path


def agent_command() -> list[str]:
    """How to call this very agent: the file it came as, or the package where it was not packed."""
    archive = Path(__file__).parents[2]
    package = __name__.rsplit(".", 2)[0]
    return [str(archive)] if archive.is_file() else ["-m", package]

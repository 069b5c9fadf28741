"""The installed version of edgeq."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version of the installed package."""
    return metadata.version("edgeq")

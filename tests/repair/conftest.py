"""Hypothesis without deadlines: the machines that test share their cores."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("edgeq", deadline=None)
settings.load_profile("edgeq")

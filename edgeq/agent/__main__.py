"""`python -m edgeq.agent VERB [JOB.json]`: the agent on the host itself."""

from __future__ import annotations

from .main import main

main()

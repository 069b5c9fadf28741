"""The store of runs: every report is kept, in SQLite or PostgreSQL, and found again by a query."""

from edgeq.store.runs import Store, open_store

__all__ = ["Store", "open_store"]

"""Tests on a device in pytest: `pip install 'edgeq[pytest]'`, then docs/regression.md."""

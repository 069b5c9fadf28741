from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.device.local.transport import LocalTransport


def test_roots_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    transport = LocalTransport()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEQ_HOME", "relative")
    assert transport.root("~/.edgeq") == f"{tmp_path}/relative"
    assert transport.root("~/.edgeq/device") == f"{tmp_path}/relative/device"
    assert transport.root("~/.edgeq2") == str(Path.home() / ".edgeq2")
    assert transport.root("/opt/edgeq") == "/opt/edgeq"
    assert transport.root("here") == f"{tmp_path}/here"

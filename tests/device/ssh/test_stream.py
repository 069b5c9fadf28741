"""A tunnel through a jump host: nothing is said on it after its end, which waits for nobody."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from edgeq.device.ssh.stream import Tunnel


class Channel:
    """Says something for as long as it takes, and writes down in which order things happened."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.said: list[str] = []
        self.begun = threading.Event()

    def send(self, data: bytes) -> int:
        self.begun.set()
        time.sleep(self.takes_s)
        self.said.append("data")
        return len(data)

    def close(self) -> None:
        self.said.append("end")
        raise EOFError


@pytest.mark.parametrize(("takes_s", "expected"), [(0.2, ["data", "end"]), (2.0, ["end", "data"])])
def test_end_comes_behind_what_is_being_said_unless_that_hangs(
    takes_s: float, expected: list[str]
) -> None:
    channel = Channel(takes_s)
    tunnel = Tunnel(cast("Any", channel))
    saying = threading.Thread(target=tunnel.send, args=(b"x",))
    saying.start()
    assert channel.begun.wait(5.0)
    tunnel.close()
    saying.join()
    assert channel.said == expected
    assert tunnel.takes_s == takes_s

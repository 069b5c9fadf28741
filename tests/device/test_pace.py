from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgeq.device.local.transport import LocalTransport
from edgeq.device.pace import Pace
from edgeq.device.sending import send_blobs
from edgeq.device.session.session import Session
from edgeq.rollout.paces import Paces
from edgeq.spec import target as targets
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Rate


class Clock:
    """A clock that goes on by who sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def sent_at(pace: Pace, clock: Clock, sizes: Sequence[int]) -> list[tuple[float, int]]:
    found = []
    for size in sizes:
        pace.wait(size)
        found.append((clock.now, size))
    return found


@given(
    rate=st.floats(1.0, 1e9),
    total=st.floats(1.0, 1e9),
    sizes=st.lists(st.integers(1, 10**7), min_size=1, max_size=20),
)
def test_no_more_goes_out_than_the_rates_allow(rate: float, total: float, sizes: list[int]) -> None:
    clock = Clock()
    everybody = Pace(total, clock=clock.read, sleep=clock.sleep)
    pace = Pace(rate, within=everybody, clock=clock.read, sleep=clock.sleep)
    found = sent_at(pace, clock, sizes)
    slower = min(rate, total)
    for number, (moment, size) in enumerate(found):
        before = sum(size for _, size in found[:number])
        assert before <= slower * moment * (1 + 1e-9) + 1e-6
        assert moment <= before / slower * (1 + 1e-9) + 1e-6, size
    assert pace.piece_bytes <= max(1, slower / 20)


def test_senders_of_one_pace_share_it() -> None:
    clock = Clock()
    everybody = Pace(100.0, clock=clock.read, sleep=clock.sleep)
    links = [Pace(80.0, within=everybody, clock=clock.read, sleep=clock.sleep) for _ in "12"]
    for number in range(10):
        links[number % 2].wait(100)
    assert clock.now == 9.0  # 900 bytes before the last, though each link alone would allow 160


def test_time_in_which_nobody_sends_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(100.0, clock=clock.read, sleep=clock.sleep)
    pace.wait(100)
    clock.now = 50.0
    assert [moment for moment, _ in sent_at(pace, clock, [100, 100, 100])] == [50.0, 51.0, 52.0]


def test_blobs_are_sent_in_pieces_at_a_pace(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(100_000.0, clock=clock.read, sleep=clock.sleep)
    contents: dict[str, bytes | Path] = {
        hashlib.sha256(content).hexdigest(): content for content in (b"a" * 300_000, b"b" * 10)
    }
    (tmp_path / "file").write_bytes(b"c" * 200_000)
    contents[hashlib.sha256(b"c" * 200_000).hexdigest()] = tmp_path / "file"
    session = Session(LocalTransport(), str(tmp_path / "device"))
    try:
        assert send_blobs(session, contents, pace=pace).size_bytes == 500_010
        for digest in contents:
            arrived = (tmp_path / "device" / "blobs" / "sha256" / digest).read_bytes()
            assert hashlib.sha256(arrived).hexdigest() == digest
    finally:
        session.close()
    assert 4.7 <= clock.now <= 5.01


def test_devices_behind_one_jump_host_have_one_link() -> None:
    target = targets.load("local")
    names = {"a": "gate", "b": "gate", "c": "other", "d": None, "e": "none"}
    devices = [FleetDevice(n, target, None, jump=jump) for n, jump in names.items()]
    paces = Paces(Rate(link=1000, total=5000))
    found = [paces.of(device) for device in devices]
    assert found[0] is found[1] and len({id(pace) for pace in found}) == 4
    assert all(pace is paces.of(device) for pace, device in zip(found, devices, strict=True))
    unlimited = Paces(Rate())
    assert {unlimited.of(device) for device in devices} == {None}
    both = Paces(Rate(total=5000))
    assert len({id(both.of(device)) for device in devices}) == 1

"""Boards for the tests of devices: arm64 under qemu, and hosts like this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from .board import machine
from .board.board import Board
from .board.site import Site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The network of this run's boards, for a fixture that keeps one longer than a test."""
    lacking = machine.prepare()
    if lacking:
        reason = f"needs boards: this machine lacks {', '.join(lacking)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    site = Site.claim()
    try:
        yield site
    finally:
        site.close()


@pytest.fixture(scope="session")
def board(site: Site) -> Board:
    """One running arm64 board for all tests: who changes it puts it back, or takes `boards`."""
    return site.start(1)[0]


@pytest.fixture
def boards(site: Site) -> Iterator[Callable[..., list[Board]]]:
    """Starts new arm64 boards, which are gone after the test."""
    yield from _starter(site, emulated=True)


@pytest.fixture
def native_hosts(site: Site) -> Iterator[Callable[..., list[Board]]]:
    """Starts new hosts that run this machine's own programs, which are gone after the test."""
    yield from _starter(site, emulated=False)


@pytest.fixture
def native_host(native_hosts: Callable[..., list[Board]]) -> Board:
    """A new host that runs this machine's own programs, gone after the test."""
    return native_hosts(1)[0]


def _starter(site: Site, *, emulated: bool) -> Iterator[Callable[..., list[Board]]]:
    started: list[Board] = []

    def start(count: int = 1) -> list[Board]:
        boards = site.start(count, emulated=emulated)
        started.extend(boards)
        return boards

    yield start
    site.stop(started)

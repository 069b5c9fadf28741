"""A board is what it claims to be, so that the tests on it mean something."""

from __future__ import annotations

import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from .board import Board, ssh
from .site import Site

Starter = Callable[..., list[Board]]
MEGABYTE = 1_000_000
# takes one stream on port 5000 and prints the bits per second of its last two thirds
SINK = """
import socket, time
server = socket.create_server(("", 5000))
print("ready", flush=True)
connection, _ = server.accept()
marks = [(time.perf_counter(), 0)]
while data := connection.recv(1 << 20):
    marks.append((time.perf_counter(), marks[-1][1] + len(data)))
end_s, total = marks[-1]
start_s, before = next(mark for mark in marks if mark[1] > total / 3)
print(8 * (total - before) / (end_s - start_s))
"""
# leaves a running host behind, as a test run does that is killed
ABANDONED = """
import time
from tests.device.board.site import Site
site = Site.claim()
[board] = site.start(1, emulated=False)
print(site.slot, board.address, flush=True)
time.sleep(1000)
"""


def round_trip_s(board: Board) -> float:
    """How long a TCP handshake takes, which is one round trip: the median of five."""
    times_s = []
    for _ in range(5):
        start_s = time.perf_counter()
        socket.create_connection((board.address, 22), timeout=5).close()
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def throughput_bits_per_s(board: Board, size_bytes: int) -> float:
    """What one TCP stream carries to a board once it has found its pace."""
    command = ssh(board.folder, board.address, ["python3", "-c", SINK])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        assert sink.stdout.readline() == "ready\n"
        with socket.create_connection((board.address, 5000)) as connection:
            connection.sendall(bytes(size_bytes))
        return float(sink.stdout.readline())


def reachable(address: str) -> bool:
    try:
        socket.create_connection((address, 22), timeout=1).close()
    except OSError:
        return False
    return True


def test_emulated_board_is_arm64(board: Board) -> None:
    assert board.run(["uname", "-m"]).stdout == "aarch64\n"
    assert board.run(["id", "-un"]).stdout == "edge\n"
    assert "CPU part\t: 0xd0b" in board.run(["cat", "/proc/cpuinfo"]).stdout


@pytest.mark.parametrize("module", ["ensurepip", "pip"])
def test_stock_board_lacks(module: str, board: Board) -> None:
    done = board.run(["python3", "-m", module, "--version"])
    assert f"No module named {module}" in done.stderr


def test_arguments_and_input_arrive_as_they_are(board: Board) -> None:
    arguments = ["a b", "$HOME", "'", "*", ""]
    script = "import sys; print(sys.argv[1:], input())"
    done = board.run(["python3", "-c", script, *arguments], stdin="line\n")
    assert done.stdout == f"{arguments} line\n"


def test_disk_is_seen_from_outside(board: Board) -> None:
    board.run(["tee", "seen"], stdin="from inside")
    assert (board.disk / "home/edge/seen").read_text() == "from inside"


def test_power_cut_ends_all_processes_and_keeps_the_disk(boards: Starter) -> None:
    [board] = boards()
    board.run(["sh", "-c", "echo kept > kept; nohup sleep 1000 > /dev/null 2>&1 &"])
    assert board.run(["pgrep", "sleep"]).returncode == 0

    board.crash()

    assert not board.running
    assert (board.disk / "home/edge/kept").read_text() == "kept\n"
    board.start()
    assert board.run(["cat", "kept"]).stdout == "kept\n"
    assert board.run(["pgrep", "sleep"]).returncode == 1


def test_boards_share_nothing_but_the_image(boards: Starter) -> None:
    one, other = boards(2)
    one.run(["touch", "here"])
    assert other.run(["ls"]).stdout == ""
    assert one.host_key != other.host_key
    assert one.run(["hostname"]).stdout != other.run(["hostname"]).stdout


def test_host_key_changes(native_host: Board) -> None:
    before = native_host.host_key
    native_host.run(["touch", "kept"])

    native_host.change_host_key()

    scan = ["ssh-keyscan", "-t", "ed25519", native_host.address]
    shown = subprocess.run(scan, capture_output=True, text=True, check=True).stdout
    assert shown == f"{native_host.address} {native_host.host_key}\n"
    assert native_host.host_key != before
    assert native_host.run(["ls"]).stdout == "kept\n"


def test_pulled_cable_lets_nothing_through(native_host: Board) -> None:
    native_host.cut()
    assert not reachable(native_host.address)
    native_host.restore()
    assert native_host.run(["true"]).returncode == 0


def test_connection_survives_a_pulled_cable(native_host: Board) -> None:
    command = ssh(native_host.folder, native_host.address, ["cat"])
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as session:
        assert session.stdin is not None and session.stdout is not None
        session.stdin.write("before\n")
        assert session.stdout.readline() == "before\n"
        native_host.cut()
        session.stdin.write("after\n")
        time.sleep(0.5)
        native_host.restore()
        assert session.stdout.readline() == "after\n"


@pytest.mark.parametrize("emulated", [True, False])
def test_mounted_disk_has_its_size_and_options(emulated: bool, site: Site) -> None:
    [board] = site.start(1, emulated=emulated)
    home = board.home
    try:
        board.mount(home, MEGABYTE)
        assert board.run(["dd", "if=/dev/zero", "of=fits", "bs=900000", "count=1"]).returncode == 0
        assert "No space left on device" in board.run(["cp", "fits", "too-much"]).stderr
        board.unmount(home)

        board.run(["cp", "/bin/true", "program"])
        board.mount(home, options="noexec")
        assert "Permission denied" in board.run(["./program"]).stderr
        board.unmount(home)

        board.mount(home, options="ro")
        assert "Read-only file system" in board.run(["touch", "new"]).stderr
        board.unmount(home)
        assert board.run(["./program"]).returncode == 0
    finally:
        site.stop([board])


def test_native_host_runs_the_programs_of_this_machine(native_host: Board) -> None:
    assert native_host.run(["uname", "-m"]).stdout == f"{platform.machine()}\n"
    assert native_host.run(["id", "-un"]).stdout == "edge\n"
    assert native_host.run(["pwd"]).stdout == "/home/edge\n"
    assert native_host.run(["python3", "-c", "print(6 * 7)"]).stdout == "42\n"


def test_fifty_hosts_start_within_seconds(native_hosts: Starter) -> None:
    start_s = time.monotonic()
    hosts = native_hosts(50)
    assert time.monotonic() - start_s < 15
    assert len({host.address for host in hosts}) == len({host.host_key for host in hosts}) == 50
    assert hosts[49].run(["hostname"]).stdout == f"edge{hosts[49].number}\n"


def test_rate_limits_the_cable(native_host: Board) -> None:
    native_host.rate(20e6)
    assert 0.9 * 20e6 < throughput_bits_per_s(native_host, 6 * MEGABYTE) < 20e6
    native_host.rate(None)
    assert throughput_bits_per_s(native_host, 200 * MEGABYTE) > 500e6


def test_far_host_is_slow_to_answer_and_loses_no_throughput(native_host: Board) -> None:
    assert round_trip_s(native_host) < 0.02
    native_host.link(40e6, 0.04)
    assert 0.08 <= round_trip_s(native_host) < 0.1
    # of 1514 bytes on the cable 1448 are the stream's, so that 0.956 of the rate is the most
    assert 0.9 * 40e6 < throughput_bits_per_s(native_host, 30 * MEGABYTE) < 40e6


def test_far_host_stays_far_after_a_reboot_until_brought_near(native_host: Board) -> None:
    native_host.link(None, 0.02)
    native_host.crash()
    native_host.start()
    assert round_trip_s(native_host) >= 0.04
    native_host.link(None, 0)
    assert round_trip_s(native_host) < 0.02


def test_site_of_a_killed_run_is_cleared_by_who_takes_it_next(site: Site) -> None:
    command = [sys.executable, "-c", ABANDONED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        slot, address = run.stdout.readline().split()
        assert int(slot) != site.slot  # two runs at the same time do not meet
        assert not Site(int(slot)).open()
        run.send_signal(signal.SIGKILL)
    assert reachable(address)

    taken = Site(int(slot))
    assert taken.open()

    assert not reachable(address)
    taken.close()
    assert not taken.folder.exists()

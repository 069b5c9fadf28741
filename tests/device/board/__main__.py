"""Boards by hand, for trying something out on one:

python -m tests.device.board up              one arm64 board (the first time makes its image)
python -m tests.device.board up --native 5   five hosts like this machine
python -m tests.device.board ssh             a shell on board 0
python -m tests.device.board ssh 3 uname -m
python -m tests.device.board down            removes them and what is on their disks
"""

from __future__ import annotations

import argparse
import os

from . import machine
from .board import ssh
from .site import BY_HAND, Site


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.device.board",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start boards, after removing those of an earlier `up`")
    up.add_argument("count", nargs="?", type=int, default=1)
    up.add_argument("--native", action="store_true", help="x86-64 hosts instead of arm64 boards")
    log_in = commands.add_parser("ssh", help="a shell or a command on a board")
    log_in.add_argument("number", nargs="?", type=int, default=0)
    log_in.add_argument("words", nargs=argparse.REMAINDER)
    commands.add_parser("down", help="remove the boards")
    arguments = parser.parse_args()

    lacking = machine.prepare()
    if lacking:
        parser.exit(1, f"this machine lacks {', '.join(lacking)}\n")
    site = Site(BY_HAND)
    if arguments.command == "ssh":
        number = arguments.number
        folder = site.folder / str(number)
        command = ssh(folder, str(site.address(number).ip), arguments.words)
        os.execvp(command[0], command)
    if not site.open():
        parser.exit(1, "another process starts or removes boards by hand at this moment\n")
    if arguments.command == "down":
        site.close()
        return
    for board in site.start(arguments.count, emulated=not arguments.native):
        print(f"board {board.number}: {board.user}@{board.address}, key {board.key}")
    site.abandon()


if __name__ == "__main__":
    main()

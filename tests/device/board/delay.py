"""A cable that takes its time: hands each frame on, both ways, a fixed time after it came.

    python delay.py OUTER INNER DELAY_S

makes the TAP devices OUTER and INNER, says `ready` and ends when either of them is removed. For
kernels without netem. It needs the standard library only, as it runs as a file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000  # bare Ethernet frames, without the kernel's header
FRAME_BYTES = 65536
BATCH = 64  # frames taken at once, so that neither direction starves the other


class Direction:
    """The frames on their way from one device to the other, oldest first."""

    def __init__(self, source: int, sink: int, delay_ns: int) -> None:
        self.source = source
        self.sink = sink
        self.delay_ns = delay_ns
        self.frames: deque[tuple[int, bytes]] = deque()

    def take(self) -> None:
        for _ in range(BATCH):
            try:
                frame = os.read(self.source, FRAME_BYTES)
            except BlockingIOError:
                return
            self.frames.append((time.monotonic_ns() + self.delay_ns, frame))

    def deliver(self) -> None:
        now_ns = time.monotonic_ns()
        while self.frames and self.frames[0][0] <= now_ns:
            _, frame = self.frames.popleft()
            try:
                os.write(self.sink, frame)
            except OSError as exc:
                if exc.errno not in (errno.EIO, errno.EAGAIN):  # EIO: down, so the frame is lost
                    raise


def open_tap(name: str) -> int:
    """The file descriptor of a new TAP device; it lives as long as this process."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def relay(outer: int, inner: int, delay_s: float) -> None:
    """Carry frames until a device is gone."""
    delay_ns = round(delay_s * 1e9)
    directions = (Direction(outer, inner, delay_ns), Direction(inner, outer, delay_ns))
    while True:
        due_ns = min((way.frames[0][0] for way in directions if way.frames), default=None)
        wait_s = None if due_ns is None else max(0, due_ns - time.monotonic_ns()) / 1e9
        # select and not poll, whose time-out counts whole milliseconds
        readable, _, _ = select.select([outer, inner], [], [], wait_s)
        try:
            for way in directions:
                if way.source in readable:
                    way.take()
                way.deliver()
        except OSError as exc:
            if exc.errno in (errno.EBADFD, errno.EFAULT):  # the device was removed
                return
            raise


if __name__ == "__main__":
    os.nice(-10)  # a relay that waits for a processor would pass for a slow link
    taps = [open_tap(name) for name in sys.argv[1:3]]
    print("ready", flush=True)
    relay(taps[0], taps[1], float(sys.argv[3]))

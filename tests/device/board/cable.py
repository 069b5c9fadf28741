"""The cable from this machine to one board: plugged in, pulled out, slowed down."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from . import delay

BURST_S = 0.005  # what may pass at once after a silence
MINIMUM_BURST_BYTES = 16384


def ip(*commands: str, net: str | None = None) -> None:
    """Run commands of ip(8), in the network namespace at a path; RuntimeError on a failure."""
    _run("ip", "-batch", "-", net=net, lines="\n".join(commands))


def gateway(network: IPv4Network) -> IPv4Interface:
    """The address that the bridge of a network has."""
    return IPv4Interface(f"{network[-2]}/{network.prefixlen}")


def mac(address: IPv4Address) -> str:
    """The one that goes with an address, so that nobody has to ask for it or asks in vain."""
    return "02:ed:" + ":".join(f"{byte:02x}" for byte in address.packed)


def up(device: str, address: IPv4Interface) -> tuple[str, ...]:
    """The commands that give a device its address and switch it on."""
    return (
        f"addr add {address} dev {device} noprefixroute",
        f"link set {device} address {mac(address.ip)} up",
        # on every machine alike: others, such as bbr, leave part of a narrow cable unused
        f"route add {address.network} dev {device} src {address.ip} congctl cubic",
    )


@dataclass
class Cable:
    """From a bridge of this machine to `eth0` of a board; `name` is its end at the bridge."""

    name: str
    bridge: str
    address: IPv4Interface
    rate_bits_per_s: float | None = None
    delay_s: float = 0.0
    _board: str | None = None
    _relay: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def plug(self, pid: int) -> None:
        """Connect the board whose namespaces are those of a process."""
        self._board = f"/proc/{pid}/ns/net"
        if self.delay_s:
            inner = f"{self.name}i"
            self._relay = _start_relay(self.name, inner, self.delay_s)
            ip(f"link set {inner} netns {pid} name eth0")
        else:
            ip(f"link add {self.name} type veth peer name eth0 netns {pid}")
        here, there = gateway(self.address.network).ip, self.address.ip
        ip(
            *up("eth0", self.address),
            f"neigh add {here} lladdr {mac(here)} dev eth0 nud permanent",
            net=self._board,
        )
        ip(
            f"link set {self.name} master {self.bridge} up",
            f"neigh replace {there} lladdr {mac(there)} dev {self.bridge} nud permanent",
        )
        if self.rate_bits_per_s is not None:
            self.shape()

    def unplug(self) -> None:
        """Take the cable away; it is gone by itself when its board is."""
        if Path("/sys/class/net", self.name).exists():
            _run("ip", "link", "delete", self.name, check=False)
        if self._relay is not None:
            self._relay.wait(10)
        self._relay = self._board = None

    def cut(self) -> None:
        ip(f"link set {self.name} down")

    def restore(self) -> None:
        ip(f"link set {self.name} up")

    def shape(self) -> None:
        """Hold both directions to the rate."""
        for device, net in ((self.name, None), ("eth0", self._board)):
            if self.rate_bits_per_s is None:
                _run("tc", "qdisc", "delete", "dev", device, "root", net=net, check=False)
                continue
            burst_bytes = max(MINIMUM_BURST_BYTES, round(self.rate_bits_per_s / 8 * BURST_S))
            shaper = f"rate {self.rate_bits_per_s:.0f}bit burst {burst_bytes} latency 200ms"
            qdisc = f"tc qdisc replace dev {device} root tbf {shaper}"
            _run(*qdisc.split(), net=net)


def _start_relay(outer: str, inner: str, delay_s: float) -> subprocess.Popen[bytes]:
    relay = subprocess.Popen(
        [sys.executable, delay.__file__, outer, inner, str(delay_s)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert relay.stdout is not None
    with relay.stdout as stdout:
        if stdout.readline() != b"ready\n":
            raise RuntimeError(f"the relay between {outer} and {inner} ended: {relay.wait(10)}")
    return relay


def _run(*command: str, net: str | None = None, lines: str = "", check: bool = True) -> None:
    there = ("nsenter", f"--net={net}") if net else ()
    done = subprocess.run(
        [*there, *command], input=lines, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} {lines}: {done.stderr.strip()}")

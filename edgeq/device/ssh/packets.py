"""Packets of SSH out to the network with two copies less than paramiko makes of each.

It is the same protocol: AES-GCM as RFC 5647 and OpenSSH's PROTOCOL, section 1.6, have it.
"""

from __future__ import annotations

import threading
from typing import Any

from paramiko.packet import Packetizer

_BLOCK = 16
_LENGTH = 4
_TAG = 16


class Packets(Packetizer):
    """Paramiko's packets; those under AES-GCM are put together and sealed in one buffer each.

    Sending takes about four fifths of the time. With another cipher, or a cryptography package
    that cannot seal in place, everything is paramiko's own.
    """

    # The limit of RFC 4344, section 3.2, for this cipher is 2^36 bytes; OpenSSH keeps to that. A
    # change of keys stops both ways for some round trips.
    REKEY_BYTES = 1 << 34

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self._sealer: Any = None
        self._sealing = threading.Lock()
        self._salt = b""
        self._counter = 0
        self._sent = 0
        self._plain = bytearray()
        self._sealed = bytearray()

    def set_outbound_cipher(self, block_engine: Any, *rest: Any, **named: Any) -> None:
        """See paramiko; it is told too, as it counts and keeps the connection alive."""
        super().set_outbound_cipher(block_engine, *rest, **named)
        iv = named.get("iv_out")
        able = named.get("aead") and iv is not None and hasattr(block_engine, "encrypt_into")
        self._sealer = block_engine if able else None
        if self._sealer is not None:
            assert iv is not None
            self._salt, self._counter = iv[:_LENGTH], int.from_bytes(iv[_LENGTH:], "big")
            self._sent = 0

    def send_message(self, data: Any) -> None:
        """See paramiko."""
        if self._sealer is None:
            super().send_message(data)
            return
        payload = data.asbytes()
        # At least four bytes, up to a whole block; the length before it is not counted.
        padding = _BLOCK - (1 + len(payload)) % _BLOCK
        padding += _BLOCK if padding < 4 else 0
        size = 1 + len(payload) + padding
        whole = _LENGTH + size + _TAG
        with self._sealing:
            if len(self._sealed) < whole:
                self._plain, self._sealed = bytearray(size), bytearray(whole)
            plain, sealed = memoryview(self._plain)[:size], memoryview(self._sealed)[:whole]
            plain[0] = padding
            plain[1 : 1 + len(payload)] = payload
            plain[1 + len(payload) :] = bytes(padding)
            length = size.to_bytes(_LENGTH, "big")
            sealed[:_LENGTH] = length
            nonce = self._salt + self._counter.to_bytes(8, "big")
            self._counter = (self._counter + 1) & 0xFFFF_FFFF_FFFF_FFFF
            self._sealer.encrypt_into(nonce, plain, length, sealed[_LENGTH:])
            self.write_all(sealed)
            self._sent += whole
            if self._sent >= self.REKEY_BYTES and not self.need_rekey():
                self._trigger_rekey()  # type: ignore[attr-defined]

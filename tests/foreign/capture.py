"""What tcpdump sees of one TCP connection on loopback: the bytes of both directions, in order.

Reads the classic pcap format (Ethernet, IPv4) and puts the segments together by their sequence
numbers, so that nothing of the program under test has a part in it.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Literal

import needs

Sender = Literal["client", "server"]

_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
_ETHERNET, _IPV4, _TCP = 1, 0x0800, 6
_FIN, _SYN, _RST = 0x01, 0x02, 0x04


@dataclass
class _Direction:
    """What one end sent, as far as the segments seen are without a gap."""

    first: int  # sequence number of the first byte
    received: bytearray = field(default_factory=bytearray)
    ahead: dict[int, bytes] = field(default_factory=dict)
    closed: bool = False

    def take(self, sequence: int, payload: bytes) -> bytes:
        """Take a segment; return what is new and has no gap before it."""
        begin = len(self.received)
        self.ahead[(sequence - self.first) % 2**32] = payload
        while True:
            for at, chars in sorted(self.ahead.items()):
                if at <= len(self.received):
                    known = self.received[at : at + len(chars)]
                    assert known == chars[: len(known)], "a repeated segment is another one"
                    self.received += chars[len(known) :]
                    del self.ahead[at]
                    break
            else:
                return bytes(self.received[begin:])


@dataclass
class Conversation:
    """One connection. ``turns``: who sent what, in order; pieces of one sender are joined."""

    turns: list[tuple[Sender, bytes]] = field(default_factory=list)

    def add(self, sender: Sender, chars: bytes) -> None:
        """Add what was sent next."""
        if not chars:
            return
        if self.turns and self.turns[-1][0] == sender:
            chars = self.turns.pop()[1] + chars
        self.turns.append((sender, chars))

    def of(self, sender: Sender) -> bytes:
        """Return everything that one end sent."""
        return b"".join(chars for who, chars in self.turns if who == sender)


class Capture:
    """A running tcpdump; its file comes through a pipe and is read at the end."""

    def __init__(self, stream: IO[bytes], port: int) -> None:
        self._stream = stream
        self._port = port
        self._order = "<"

    def begin(self) -> bool:
        """Wait until everything is captured; False where tcpdump may not, or does not run."""
        header = self._stream.read(24)
        if len(header) < 24:
            return False
        self._order = _MAGIC[header[:4]]
        (link,) = struct.unpack(f"{self._order}I", header[20:24])
        assert link == _ETHERNET
        return True

    def conversation(self) -> Conversation:
        """Return the one connection to the port, once both ends have closed it."""
        found = Conversation()
        ends: dict[Sender, _Direction] = {}
        client_port = 0
        for frame in self._frames():
            assert struct.unpack(">H", frame[12:14]) == (_IPV4,)
            packet = frame[14:]
            assert packet[9] == _TCP
            (length,) = struct.unpack(">H", packet[2:4])
            segment = packet[4 * (packet[0] & 0x0F) : length]
            source, target, sequence = struct.unpack(">HHI", segment[:8])
            flags = segment[13]
            payload = segment[4 * (segment[12] >> 4) :]
            sender: Sender = "server" if source == self._port else "client"
            own = target if sender == "server" else source
            if flags & _SYN:
                assert client_port in (0, own), "a second connection"
                client_port = own
                ends[sender] = _Direction((sequence + 1) % 2**32)
                continue
            assert not flags & _RST, "the connection was broken off"
            if payload:
                found.add(sender, ends[sender].take(sequence, payload))
            ends[sender].closed |= bool(flags & _FIN)
            if all(end.closed for end in ends.values()):
                assert not any(end.ahead for end in ends.values()), "a segment is missing"
                return found
        raise AssertionError("tcpdump ended before the connection did")

    def _frames(self) -> Iterator[bytes]:
        while len(head := self._stream.read(16)) == 16:
            kept, length = struct.unpack(f"{self._order}8xII", head)
            assert kept == length, "a packet was cut off"
            yield self._stream.read(kept)


@contextmanager
def captured(port: int) -> Iterator[Capture]:
    """Capture what goes to and from a TCP port on which a server of this machine listens.

    The test is skipped where tcpdump is missing or may not capture.
    """
    needs.program("tcpdump")
    command = ["tcpdump", "-i", "lo", "-p", "-n", "-U", "--immediate-mode", "-s", "0", "-w", "-"]
    process = subprocess.Popen(
        [*command, f"tcp port {port}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        capture = Capture(process.stdout, port)
        if not capture.begin():
            said = process.communicate()[1].decode(errors="replace").strip()
            needs.lacking(f"tcpdump cannot capture on loopback: {said.splitlines()[-1:]}")
        yield capture
    finally:
        process.terminate()
        process.communicate()

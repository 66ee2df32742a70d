"""A serial port behind a network server: Telnet with its port control option (RFC 2217), no I/O.

Made here over TCP rather than taken from a serial library: it needs no such library, is the same
on every system, holds what the server answers against what was asked, and waits for nothing that
servers in the field leave unanswered.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from vtc07.carrier.companion import LinkSettings, Parity
from vtc07.links.address import RFC2217Address
from vtc07.links.link import LinkLost, LinkUnavailable
from vtc07.links.tcp import reason

#: The server and the network have so long for an answer, in ns, before the link is given up.
ANSWER_LIMIT_NS: Final = 5_000_000_000
#: An echo may be late by a network's delay too.
ECHO_LATENESS_NS: Final = 2_000_000_000
#: What a server's port may be behind our clock when all has gone out, beside the network, in ns.
SETTLE_NS: Final = 5_000_000

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT = 0, 3, 44
_WANTED = (_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT)

# Commands of the client; a server answers with 100 more.
_SET_BAUDRATE, _SET_DATASIZE, _SET_PARITY, _SET_STOPSIZE, _SET_CONTROL = 1, 2, 3, 4, 5
_SET_LINESTATE_MASK, _SET_MODEMSTATE_MASK, _PURGE_DATA = 10, 11, 12
_ANSWER = 100
_NOTIFY_LINESTATE = 6 + _ANSWER

_NO_PARITY, _EVEN_PARITY = 1, 3
_NO_FLOW_CONTROL, _DTR_ON, _DTR_OFF, _RTS_ON, _RTS_OFF = 1, 8, 9, 11, 12
_BOTH_BUFFERS = 3
_DAMAGES: Final = 0x04 | 0x08  # line state: parity error, framing error

#: The longest command in port control that is looked at; longer ones are passed over.
_LONGEST = 64

_ASKED = {
    _SET_BAUDRATE: "speed",
    _SET_DATASIZE: "number of data bits",
    _SET_PARITY: "parity",
    _SET_STOPSIZE: "number of stop bits",
}


@dataclass(frozen=True, slots=True)
class _Request:
    """Something that the server has to answer with the same value."""

    command: int
    value: bytes


class _Place(enum.Enum):
    """Where among the connection's bytes the next one stands."""

    DATA = enum.auto()
    COMMAND = enum.auto()
    OPTION = enum.auto()
    VALUE = enum.auto()
    VALUE_COMMAND = enum.auto()


class RemotePort:
    """The Telnet side of one connection to a server of serial ports.

    `incoming` and `outgoing` turn the connection's bytes into the port's and back; with 7E1 the
    port's bytes carry the marks of termios for damage (`vtc07.links.characters`). What must be
    sent on behalf of the protocol itself is in `to_send`, also right after the begin.
    """

    def __init__(self, settings: LinkSettings, parity: Parity) -> None:
        self._settings = settings
        #: True where the port itself checks parity, and damage is marked.
        self.marked = parity is Parity.UART
        self._out = bytearray()
        self._in = bytearray()  # the port's bytes of the current call
        self._place = _Place.DATA
        self._kind = 0
        self._value = bytearray()
        self._ours = set(_WANTED)  # options of our side that are on, or asked for
        self._theirs = {_BINARY, _SUPPRESS_GO_AHEAD}
        self._agreed = False
        self._awaited: list[_Request] = []
        for kind, options in ((_WILL, _WANTED), (_DO, (_BINARY, _SUPPRESS_GO_AHEAD))):
            for option in options:
                self._out += bytes((_IAC, kind, option))

    @property
    def controlled(self) -> bool:
        """True where the other side has agreed to control a port."""
        return self._agreed

    @property
    def settled(self) -> bool:
        """True where all that was asked of the port has been done."""
        return self._agreed and not self._awaited

    def to_send(self) -> bytes:
        """Return what the protocol itself has to say now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def outgoing(self, data: bytes) -> bytes:
        """Return the connection's bytes for the port's."""
        return data.replace(b"\xff", b"\xff\xff")

    def set_speed(self, speed: int) -> None:
        """Ask for a speed in Bd."""
        self._ask(_SET_BAUDRATE, speed.to_bytes(4, "big"))

    def incoming(self, data: bytes) -> bytes:
        """Return the port's bytes among the connection's; LinkLost where the server refuses."""
        self._in.clear()
        for byte in data:
            match self._place:
                case _Place.DATA if byte != _IAC:
                    self._in.append(byte)
                case _Place.DATA:
                    self._place = _Place.COMMAND
                case _Place.COMMAND:
                    self._begin(byte)
                case _Place.OPTION:
                    self._place = _Place.DATA
                    self._negotiate(self._kind, byte)
                case _Place.VALUE if byte != _IAC:
                    self._value.append(byte)
                    del self._value[_LONGEST:]
                case _Place.VALUE:
                    self._place = _Place.VALUE_COMMAND
                case _Place.VALUE_COMMAND if byte == _IAC:
                    self._value.append(byte)
                    self._place = _Place.VALUE
                case _Place.VALUE_COMMAND:  # its end, or a server that forgot to end it
                    self._place = _Place.DATA
                    self._port_control(bytes(self._value))
        return bytes(self._in)

    def _begin(self, byte: int) -> None:
        """Look at what follows an IAC among the port's bytes."""
        self._place = _Place.DATA
        if byte == _IAC:
            self._in += b"\xff\xff" if self.marked else b"\xff"
        elif byte == _SB:
            self._place = _Place.VALUE
            self._value.clear()
        elif byte in (_DO, _DONT, _WILL, _WONT):
            self._place = _Place.OPTION
            self._kind = byte

    def _negotiate(self, kind: int, option: int) -> None:
        """Answer where something changes, and only there: else two sides would never end."""
        asked, ours = kind in (_DO, _WILL), kind in (_DO, _DONT)
        if option == _COM_PORT and (asked or ours):
            if not asked:
                raise LinkLost("the server does not control a serial port (RFC 2217)")
            if not self._agreed:
                self._agreed = True
                self._configure()
        if option == _BINARY and not asked:
            raise LinkLost("the server does not carry characters as they are (RFC 856)")
        options = self._ours if ours else self._theirs
        wanted = asked and option in _WANTED
        if (option in options) != asked or asked != wanted:
            yes, no = (_WILL, _WONT) if ours else (_DO, _DONT)
            self._out += bytes((_IAC, yes if wanted else no, option))
        if wanted:
            options.add(option)
        else:
            options.discard(option)

    def _configure(self) -> None:
        """Ask for format and speed, for what powers the head, and for an end of what is old."""
        settings = self._settings
        self._tell(_SET_MODEMSTATE_MASK, b"\x00")
        self._tell(_SET_LINESTATE_MASK, bytes((_DAMAGES if self.marked else 0,)))
        self._ask(_SET_DATASIZE, b"\x07" if self.marked else b"\x08")
        self._ask(_SET_PARITY, bytes((_EVEN_PARITY if self.marked else _NO_PARITY,)))
        self._ask(_SET_STOPSIZE, b"\x01")
        self._tell(_SET_CONTROL, bytes((_NO_FLOW_CONTROL,)))
        if settings.dtr is not None:
            self._tell(_SET_CONTROL, bytes((_DTR_ON if settings.dtr else _DTR_OFF,)))
        if settings.rts is not None:
            self._tell(_SET_CONTROL, bytes((_RTS_ON if settings.rts else _RTS_OFF,)))
        self._tell(_PURGE_DATA, bytes((_BOTH_BUFFERS,)))
        self.set_speed(settings.speed)  # the last: once it is answered, what is old has gone

    def _port_control(self, value: bytes) -> None:
        if len(value) < 2 or value[0] != _COM_PORT:
            return
        command, value = value[1], value[2:]
        if command == _NOTIFY_LINESTATE and value and value[0] & _DAMAGES:
            if self.marked:  # which character it was is not told: there is damage here
                self._in += b"\xff\x00\x00"
            return
        for request in self._awaited:
            if request.command + _ANSWER == command:
                if value != request.value:
                    asked = int.from_bytes(request.value, "big")
                    raise LinkLost(
                        f"the server's port does not take {_ASKED[request.command]} {asked}"
                    )
                self._awaited.remove(request)
                return

    def _tell(self, command: int, value: bytes) -> None:
        """Say something that servers may leave unanswered."""
        value = value.replace(b"\xff", b"\xff\xff")
        self._out += bytes((_IAC, _SB, _COM_PORT, command)) + value + bytes((_IAC, _SE))

    def _ask(self, command: int, value: bytes) -> None:
        self._tell(command, value)
        self._awaited.append(_Request(command, value))


def cannot_connect(
    address: RFC2217Address, error: Exception, *, controlled: bool
) -> LinkUnavailable:
    """Build the error of a port that does not open.

    ``controlled``: the other side had agreed to control a port.
    """
    if isinstance(error, OSError):
        why = reason(error)
    elif controlled:
        why = str(error)
    else:
        why = f"{error}; where it passes characters on as they are, write tcp:// for rfc2217://"
    return LinkUnavailable(f"cannot open {address}: {why}")

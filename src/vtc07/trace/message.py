"""One message of a trace: its characters, their sender, time, and what the line did to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.framing import Frame

Sender = Literal["client", "server"]

#: What a trace takes for one message: more than any companion allows, so that it shows excess.
LIMITS = MessageLimits(data_message=4096, command=4096, identification=256)


@dataclass(frozen=True, slots=True)
class Damage:
    """What became of one character on the line.

    ``at``: its place in the message, from 0. ``arrived``: the character that was received instead
    (7-bit), 255 where the receiver could not read it, or None where nothing arrived.
    """

    at: int
    arrived: int | None

    @property
    def what(self) -> str:
        """The damage in words."""
        if self.arrived is None:
            return "lost"
        if self.arrived > 0x7F:
            return "unreadable"
        return f"received as {printable(bytes((self.arrived,)))}"


@dataclass(frozen=True, slots=True)
class TraceMessage:
    """A message, or characters that are none (``frame`` None: noise, or a message cut off).

    ``time_ns``: end of the last character, ``began_ns``: end of the first, both since the trace's
    start. ``chars``: as sent where that is known, else as received, FF for an unreadable one.
    ``masked``: a password stands in it, or may; asterisks stand in its place, always as many, the
    check character is that of the asterisks (another one where it was wrong), ``began_ns`` is
    ``time_ns``, and damage is told without its place.
    """

    time_ns: int
    began_ns: int
    sender: Sender
    chars: bytes
    frame: Frame | None
    damage: tuple[Damage, ...] = ()
    note: str = ""
    masked: bool = False

    @property
    def lost(self) -> bool:
        """True where nothing of it arrived."""
        return len(self.damage) == len(self.chars) and all(
            damage.arrived is None for damage in self.damage
        )


@dataclass(frozen=True, slots=True)
class TraceSpeed:
    """An end of the line has gone on at another speed, in Bd; ``time_ns`` as of a message."""

    time_ns: int
    sender: Sender
    speed: int
    note: str = ""


#: A line of a trace.
TraceEntry = TraceMessage | TraceSpeed


def printable(chars: bytes) -> str:
    r"""Return characters readably: control characters as ``\x01``, ``\r``, ``\n``; ``\\``."""
    return "".join(_PRINTABLE[char] for char in chars)


_PRINTABLE = [chr(code) if 0x20 <= code < 0x7F else f"\\x{code:02x}" for code in range(256)]
_PRINTABLE[0x0D], _PRINTABLE[0x0A], _PRINTABLE[0x5C] = "\\r", "\\n", "\\\\"

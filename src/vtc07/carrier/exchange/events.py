"""What goes between the cores of IEC 62056-21 and their hosts: requests, replies, commands, events.

Frozen facts only, and nothing of registers: addresses and values are characters. A meter's host
answers every request once; every command of an HHU ends in one final event.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from vtc07.carrier.exchange.settings import Purpose
from vtc07.carrier.messages import DataSet

# --- the meter's side: requests to the host ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IdentificationAsked:
    """A request message for this meter. Reply with `Identification`."""

    request: int


@dataclass(frozen=True, slots=True)
class ReadoutAsked:
    """The data readout is due. Reply with `Block`; it is asked once, a NAK repeats the answer."""

    request: int


@dataclass(frozen=True, slots=True)
class OperandAsked:
    """Programming mode was entered. Reply with `Operand`, which P0 carries."""

    request: int


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """P1. Reply with `Granted` (ACK) or `Denied` (B0, and the session is over)."""

    request: int
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResultGiven:
    """P2: the result of the secure algorithm for ``operand``, as P0 said it. Reply as to P1."""

    request: int
    operand: str
    result: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """Any other command, whole: R1 to R6, W1 to W5, E2, and codes that nobody defines.

    ``code``: its two characters; ``data``: what stands between STX and ETX, of a partial write all
    blocks joined into one value; ``data_sets``: the same parsed, empty where it does not parse.
    Reply with `DataSets`, `Acknowledged` or `ErrorText`.
    """

    request: int
    code: str
    data: str = field(repr=False)
    data_sets: tuple[DataSet, ...] = field(repr=False)


MeterRequest = (
    IdentificationAsked | ReadoutAsked | OperandAsked | PasswordGiven | ResultGiven | CommandGiven
)


@dataclass(frozen=True, slots=True)
class Identification:
    """The characters after Z, escapes included: at most 16 printable ones without / and !."""

    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A readout: lines of data sets. An address or unit left out is empty or None."""

    lines: tuple[tuple[DataSet, ...], ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """P0's value, at most 32 characters; often the serial number, or nothing."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """The password or result is right."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The password or result is wrong, or is not compared now."""


@dataclass(frozen=True, slots=True)
class DataSets:
    """Data. The port lays the lines out; for R3, R4 and R6 it sends partial blocks of its size."""

    data_sets: tuple[DataSet, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """ACK."""


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An error message: up to 32 characters without ( ) * / !."""

    text: str


MeterReply = (
    Identification | Block | Operand | Granted | Denied | DataSets | Acknowledged | ErrorText
)


class SessionEnd(enum.Enum):
    """Why a meter's port went back to the start."""

    BREAK = "break"
    READOUT_DONE = "the readout is over"
    PASSWORD = "wrong password"  # noqa: S105 - a reason, not a secret
    OPTION_FAULT = "faulty option select"
    OTHER_METER = "another meter was asked for"
    LATE = "the host's answer came too late"
    INACTIVITY = "inactivity"
    LINK = "the link closed"


@dataclass(frozen=True, slots=True)
class SignedOnTo:
    """A request message for this meter was heard."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The port is at the start again, at 300 Bd."""

    end: SessionEnd


MeterEvent = MeterRequest | SignedOnTo | SessionEnded

# --- the HHU's side: commands and their final events ---------------------------------------------


@dataclass(frozen=True, slots=True)
class SignOn:
    """Request message, identification, and what the meter's mode wants next.

    ``address``: 0 to 32 characters. ``speed``: Bd to be asked for, at most the meter's; None: as
    fast as the meter offers. Ends in `ReadOut` or `SignedOn` by ``purpose``, in
    `ProgrammingRefused`, or in `ExchangeFailed`.
    """

    address: str = ""
    purpose: Purpose = Purpose.READOUT
    speed: int | None = None


@dataclass(frozen=True, slots=True)
class GivePassword:
    """P1. Ends in `Accepted`, `BrokenOff` (the meter said B0) or `ExchangeFailed`.

    A meter may also say an error message: `ErrorAnswered`.
    """

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GiveResult:
    """P2. Ends as `GivePassword`."""

    result: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """Any command: ``code`` such as R1, W5 or E2, ``data`` what stands between STX and ETX.

    ``block``: the greatest number of characters of the value in one partial block of a W3 or W4;
    0: one block. ``once``: never repeated, for what must not be done twice. Ends in `Data`,
    `Accepted`, `ErrorAnswered`, `BrokenOff` or `ExchangeFailed`.
    """

    code: str
    data: str = field(repr=False)
    block: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True)
class SignOff:
    """B0, or B1 after a fast wake-up, which the meter acknowledges.

    Ends in `SignedOffFromMeter`.
    """

    after_fast_wake_up: bool = False


HHUCommand = SignOn | GivePassword | GiveResult | Order | SignOff


@dataclass(frozen=True, slots=True)
class MeterIdentity:
    """What an identification message says.

    ``identification``: all characters after Z, as they came. ``escapes``: the characters after
    each backslash that are modes of the standard or a maker's (``2``: HDLC, mode E), in order.
    """

    flag: str
    baud_identification: str
    identification: str
    escapes: tuple[str, ...] = ()

    @property
    def has_mode_e(self) -> bool:
        r"""True where ``\\2`` announces HDLC (mode E)."""
        return "2" in self.escapes


@dataclass(frozen=True, slots=True)
class ReadOut:
    """The readout. ``chars``: what stood between STX and ETX, or up to `!`, as it came.

    ``checked``: it had a block check character, and that was right. ``speed``: Bd.
    """

    identity: MeterIdentity
    chars: bytes
    checked: bool
    speed: int


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Programming mode was entered. ``operand``: P0's value."""

    identity: MeterIdentity
    operand: str
    speed: int


@dataclass(frozen=True, slots=True)
class ProgrammingRefused:
    """A readout came in place of P0, also when asked with Z = 0."""

    identity: MeterIdentity
    chars: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """ACK."""


@dataclass(frozen=True, slots=True)
class Data:
    """Data: all partial blocks joined; ``chars`` is what stood between STX and ETX or EOT."""

    chars: bytes
    data_sets: tuple[DataSet, ...]


@dataclass(frozen=True, slots=True)
class ErrorAnswered:
    """An error message; the session goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """The meter said B0: the session is over."""


@dataclass(frozen=True, slots=True)
class SignedOffFromMeter:
    """B0 or B1 has been sent, and B1 acknowledged (``acknowledged`` is True for B0)."""

    acknowledged: bool = True


class ExchangeFailure(enum.Enum):
    """Why a command came to nothing."""

    NO_ANSWER = "no answer"
    DAMAGED = "only damaged answers"
    REFUSED_BY_NAK = "the meter found every attempt damaged"
    NOT_SIGNED_ON = "no session is open"
    LINK_LOST = "the link is lost"


@dataclass(frozen=True, slots=True)
class ExchangeFailed:
    """All attempts failed."""

    command: HHUCommand
    failure: ExchangeFailure
    attempts: int


HHUEvent = (
    ReadOut
    | SignedOn
    | ProgrammingRefused
    | Accepted
    | Data
    | ErrorAnswered
    | BrokenOff
    | SignedOffFromMeter
    | ExchangeFailed
)

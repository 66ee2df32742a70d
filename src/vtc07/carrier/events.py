"""What goes between the two cores and their hosts: commands, requests, replies, events.

Frozen facts only. Every request of the server is answered exactly once by its host; every command
of the client ends in exactly one final event.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode

# --- the server's requests to its host, and the host's replies ---------------------------------


@dataclass(frozen=True, slots=True)
class IdentificationRequested:
    """An IDRequest for this meter. Reply with `Values` of ``registers``."""

    request: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class ReadRequested:
    """A ReadCommand. Reply with `Values` of ``registers``, all of one instant (a snapshot)."""

    request: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class WriteRequested:
    """A WriteCommand of an ordinary register. Reply `Done` when durable, or `Refused`."""

    request: int
    register: Register
    value: Value


@dataclass(frozen=True, slots=True)
class TokenEntered:
    """A WriteCommand of the token-entry register: the TCDU's TokenData on its way to the meter.

    ``token``: 20 digits, or None where the value is not a token (the host then refuses with the
    first of ER07, ER06, ER05 that holds; `token_entry.judge` knows the order). Reply `Done` (ACK:
    it will be executed) or `Refused`.
    """

    request: int
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadoutRequested:
    """The data readout of mode C. Reply with `Values` of ``registers``, all of one instant."""

    request: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class PasswordOffered:
    """P1 of mode C. Reply `Granted` with the access level that it opens, or `Denied`."""

    request: int
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OperandRequested:
    """Programming mode of mode C was entered. Reply `Challenge` with what P0 carries."""

    request: int


@dataclass(frozen=True, slots=True)
class ResultOffered:
    """P2 of mode C, the secure algorithm's result for ``operand``. Reply as to a password."""

    request: int
    operand: str
    result: str = field(repr=False)


Request = (
    IdentificationRequested
    | ReadRequested
    | WriteRequested
    | TokenEntered
    | ReadoutRequested
    | OperandRequested
    | PasswordOffered
    | ResultOffered
)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of the registers asked for, in their order."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """ACK."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error message."""

    error: ErrorCode


@dataclass(frozen=True, slots=True)
class Challenge:
    """P0's operand: at most 32 characters, often the serial number or nothing."""

    operand: str


@dataclass(frozen=True, slots=True)
class Granted:
    """The password or result is right and opens access ``level`` for this session."""

    level: int


@dataclass(frozen=True, slots=True)
class Denied:
    """The password or result is wrong, or is not compared now: B0."""


Reply = Values | Done | Refused | Challenge | Granted | Denied


class End(enum.Enum):
    """Why a server went from Connected to Idle."""

    BREAK = "BreakCommand"
    OTHER_METER = "IDRequest for another meter"
    ERRORS = "three damaged messages in succession"
    INACTIVITY = "inactivity"
    LINK = "the link closed"
    READOUT = "the readout of mode C is over"
    PASSWORD = "wrong password"  # noqa: S105 - a reason, not a secret


@dataclass(frozen=True, slots=True)
class Connected:
    """The server answered an IDRequest for it."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The server is Idle again."""

    end: End


ServerEvent = (
    IdentificationRequested
    | ReadRequested
    | WriteRequested
    | TokenEntered
    | ReadoutRequested
    | OperandRequested
    | PasswordOffered
    | ResultOffered
    | Connected
    | Disconnected
)

# --- the client's commands and their final events ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Identify:
    """IDRequest. ``address``: a MeterPAN, a DRN, a device address, or empty for any meter.

    ``wake_up``: how a meter on a battery is woken before every attempt (IEC 62056-21 annex B).
    """

    address: str = ""
    wake_up: WakeUp = WakeUp.NONE


@dataclass(frozen=True, slots=True)
class Read:
    """ReadCommand of ``count`` (1 to 255) consecutive readable registers from ``start``."""

    start: Register
    count: int = 1


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """ReadCommand of the snapshot 0004 to 0007 by the rule of docs/protocol.md 10.

    Every attempt asks with another count, 04 to 09 in turn, so that no late answer can be taken
    for a fresh one; what does not answer exactly this attempt is dropped.
    """


@dataclass(frozen=True, slots=True)
class Write:
    """WriteCommand of an ordinary register."""

    register: Register
    value: Value


@dataclass(frozen=True, slots=True)
class EnterToken:
    """WriteCommand of the token-entry register, sent once and never repeated by the core.

    ``token``: 20 digits; not in repr, a token is money.
    """

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Break:
    """BreakCommand."""


Command = Identify | Read | ReadSnapshot | Write | EnterToken | Break


@dataclass(frozen=True, slots=True)
class Identity:
    """What an IDResponse says. ``flag``: three letters; ``values``: in the companion's layout.

    ``values`` is None where the identification is not laid out as the companion says.
    """

    flag: str
    baud_identification: str
    identification: str
    values: tuple[Value, ...] | None


@dataclass(frozen=True, slots=True)
class Identified:
    """IDResponse arrived; in mode C the whole sign-on, password included, is done.

    ``level``: the access level that it opened.
    """

    identity: Identity
    level: int = 0


@dataclass(frozen=True, slots=True)
class RegisterValue:
    """One register as read."""

    register: Register
    value: Value


@dataclass(frozen=True, slots=True)
class RegistersRead:
    """Data arrived: the longest prefix of the registers asked for that fitted, one snapshot.

    ``sent_ns``: when the last character of the command was sent; ``received_ns``: when the last
    character of the answer arrived.
    """

    values: tuple[RegisterValue, ...]
    sent_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Written:
    """ACK to a Write."""

    register: Register


class Entry(enum.Enum):
    """How a token entry was answered."""

    ACK = "ACK"
    REFUSED = "refused"  # an error message with a good BCC: not taken
    UNCERTAIN = "uncertain"  # anything else: only a snapshot can tell


@dataclass(frozen=True, slots=True)
class TokenEntryAnswered:
    """The end of an EnterToken. ``error`` where `Entry.REFUSED` and the companion names it.

    ``error_text``: the error message's text as received.
    """

    entry: Entry
    error: ErrorCode | None = None
    error_text: str = ""


@dataclass(frozen=True, slots=True)
class SignedOff:
    """The BreakCommand has been sent; no answer belongs to it."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The server answered with an error message; the session stays usable."""

    command: Command
    error: ErrorCode | None
    error_text: str


class Failure(enum.Enum):
    """Why a command came to nothing."""

    NO_ANSWER = "no answer"
    DAMAGED = "only damaged answers"
    REFUSED_BY_NAK = "the meter found every attempt damaged"
    LINK_LOST = "the link is lost"
    SESSION_ENDED = "the meter ended the session"
    PROGRAMMING_REFUSED = "programming mode refused"
    PASSWORD_REFUSED = "the password was refused"  # noqa: S105 - a sentence, not a secret


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """All attempts failed."""

    command: Command
    failure: Failure
    attempts: int


ClientEvent = (
    Identified
    | RegistersRead
    | Written
    | TokenEntryAnswered
    | SignedOff
    | CommandRefused
    | CommandFailed
)

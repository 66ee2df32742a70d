"""A companion specification (IEC 62055-52 6.9) as facts: every number that is ours, in one place.

Loading and validation of the TOML files is in `companion_file`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vtc07.carrier.exchange.settings import Compatibility, OptionFault, ReadCode, WriteCode
from vtc07.carrier.registers import Encoding, Register, RegisterTable
from vtc07.carrier.status import ErrorCode, StatusValues

MS = 1_000_000
S = 1_000_000_000


class Preset(enum.Enum):
    """The signal interface of a port (IEC 62055-52 6.2)."""

    OPTICAL = "optical"
    CURRENT_LOOP = "current-loop"
    VOLTAGE = "voltage"


class Parity(enum.Enum):
    """How a link carries the parity bit: by the UART (7E1), in bit 7 by software, or not at all."""

    UART = "uart"
    SOFTWARE = "software"
    NONE = "none"


class SignOn(enum.Enum):
    """Direct VTC07, or the sign-on of IEC 62056-21 mode C before it."""

    DIRECT = "direct"
    MODE_C = "mode-c"


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Format and speed of a port. ``speed`` in Bd; ``echo``: the head returns what is sent."""

    preset: Preset
    speed: int
    parity: Parity
    echo: bool = False
    rts: bool | None = None
    dtr: bool | None = None

    @property
    def character_ns(self) -> int:
        """Duration of one character of 10 bits, in ns, rounded up (IEC 62056-21 clause 5)."""
        return -(-10 * S // self.speed)


@dataclass(frozen=True, slots=True)
class Timing:
    """Every timer, in ns (docs/protocol.md 7; IEC 62056-21 6.4)."""

    reaction_ns: int = 200 * MS
    fast_reaction_ns: int = 20 * MS
    longest_reaction_ns: int = 1500 * MS
    inter_character_ns: int = 1500 * MS
    repeat_ns: int = 2000 * MS
    inactivity_ns: int = 120 * S
    poll_ns: int = 500 * MS
    execution_limit_ns: int = 5 * S
    poll_limit_ns: int = 15 * S
    attempts: int = 3
    naks: int = 3
    token_writes: int = 3
    reconnects: int = 3
    reconnect_pause_ns: int = 1 * S
    wake_up_ns: int = 2200 * MS  # NULs for battery meters (IEC 62056-21 annex B.1)
    wake_up_pause_ns: int = 1600 * MS
    option_wait_ns: int = 2000 * MS  # t_t of mode C: no option select, so the readout at 300 Bd

    def stretched(self, factor: int) -> Timing:
        """Return these timers with every limit ``factor`` (at least 1) times as long.

        For slow paths (docs/protocol.md 7, our choice): what must not be exceeded is stretched,
        what must not be undercut (reaction time, poll, wake-up) stays. The limit between
        characters keeps its proportion to the client's repeat. ValueError: a smaller factor.
        """
        if factor < 1:
            raise ValueError(f"a profile stretches timers by 1 or more, not by {factor}")
        return replace(
            self,
            longest_reaction_ns=self.longest_reaction_ns * factor,
            inter_character_ns=self.inter_character_ns * factor,
            repeat_ns=self.repeat_ns * factor,
            inactivity_ns=self.inactivity_ns * factor,
            option_wait_ns=self.option_wait_ns * factor,
            execution_limit_ns=self.execution_limit_ns * factor,
            poll_limit_ns=self.poll_limit_ns * factor,
        )


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """Greatest lengths in characters, SOH or STX and BCC included, and counts.

    Source: docs/protocol.md 4 and 5, our choice but for the line (IEC 62056-21 6.6).
    ``data_message`` and ``command`` bound what a server sends and stores; ``line`` what stands
    between STX, CR LF and ETX (IEC 62056-21 6.6); ``identification`` what a client takes.
    ``errors``: the damaged message in succession that makes a server Idle; ``repeats``: how often
    a server says its last message again on NAK. ``registers``: what one read asks for at most (1 to
    255); 1 where the order of the meter's registers is not known.
    """

    data_message: int = 1024
    command: int = 192
    line: int = 78
    identification: int = 64
    errors: int = 3
    repeats: int = 3
    registers: int = 255


class Gate(enum.Enum):
    """What opens an access level (IEC 62056-21 annex D)."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105 - a kind of gate, not a secret
    SEAL = "seal"
    COVER = "cover"


@dataclass(frozen=True, slots=True)
class AccessLevel:
    """One access level: registers of this level and those below it are open behind ``gate``."""

    level: int
    gate: Gate
    meaning: str


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password is worth in mode C, and what wrong ones cost (our choice). Times in s.

    ``opens``: the access level behind P1. ``failures``: the wrong password in succession that
    brings the first delay, of ``first_s``; each further one a delay ``growth`` times as long, up
    to ``longest_s``. A delay counts in powered time and is stored every ``commit_interval_s``.
    """

    opens: int = 2
    failures: int = 3
    first_s: int = 60
    growth: int = 2
    longest_s: int = 3600
    commit_interval_s: int = 10


@dataclass(frozen=True, slots=True)
class ModeCRule:
    """How a port does the sign-on of IEC 62056-21 mode C; t_t is `Timing.option_wait_ns`.

    ``speeds``: Bd that an option select may ask for, ascending, 300 and that of Z among them.
    ``partial_block``: the greatest number of characters between STX and ETX or EOT in one block
    of an R3 or R6. ``mode_e``: the identification announces HDLC, and is answered as mode C all
    the same. ``password`` None: P1 opens nothing. ``read`` and ``write``: the commands by which
    a client reads and writes one register; a meter of ours knows both of each.
    """

    option_fault: OptionFault
    speeds: tuple[int, ...]
    partial_block: int
    mode_e: bool
    password: PasswordPolicy | None
    read: ReadCode = ReadCode.R1
    write: WriteCode = WriteCode.W1


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """TokenLockout (IEC 62055-52 6.6 by name; policy is our choice). Times in s."""

    failures: int = 5
    first_s: int = 60
    longest_s: int = 3600
    commit_interval_s: int = 10


@dataclass(frozen=True, slots=True)
class TokenEntryRule:
    """Where and how a token is entered and its result read.

    ``snapshot_counts``: the counts that attempts at the snapshot ask with, in turn.
    """

    register: Register
    encoding: Encoding
    status: StatusValues
    snapshot_counts: tuple[int, ...] = (4, 5, 6, 7, 8, 9)


@dataclass(frozen=True, slots=True)
class MeterPolicy:
    """What the payment meter does where no standard says (docs/protocol.md 11).

    Energy-like values in the service's base unit: Wh, litres, or seconds.
    """

    service: str  # "electricity", "water", "gas" or "time"
    base_unit: str
    #: base units of a tenth of the token's unit: 0.1 kWh = 100 Wh, 0.1 m3 = 100 l, 0.1 min = 6 s
    credit_unit: int
    credit_maximum: int
    tid_store_size: int
    key_change_timeout_s: int
    execution_ms: int
    trip_delay_s: int
    commit_interval_s: int
    commit_consumption: int
    software_version: str
    low_credit_threshold: int
    low_credit_alarm_enabled: int
    installation_reference: str


@dataclass(frozen=True)
class Companion:
    """One companion specification, validated. See docs/companion.md for every key."""

    name: str
    title: str
    source: str
    registered: bool  # False: FLAG letters, FOIN and tableID are not registered anywhere
    flag: str  # three FLAG letters; a lower-case third one announces 20 ms
    baud_identification: str  # Z
    identification: tuple[Register, ...]  # registers whose values make up the identification
    link: LinkSettings  # of the preset that the companion chooses
    presets: Mapping[Preset, LinkSettings]  # of every signal interface
    sign_on: SignOn
    timing: Timing
    profiles: Mapping[str, int]  # name -> factor of `Timing.stretched`, for slow paths
    limits: MessageLimits
    errors: Mapping[ErrorCode, str]
    token_entry: TokenEntryRule
    lockout: LockoutPolicy
    access: tuple[AccessLevel, ...]  # in ascending order
    table: RegisterTable
    protocol_version: int
    readout: tuple[Register, ...]  # of a mode C readout; empty for direct companions
    meter: MeterPolicy | None  # None: describes a maker's meter, not ours
    mode_c: ModeCRule | None  # None: the sign-on is direct
    compatibility: Compatibility  # all off in direct mode

    @property
    def knows_passwords(self) -> bool:
        """Whether its meters have a password, which opens more of them in mode C."""
        return self.mode_c is not None and self.mode_c.password is not None

    @property
    def reaction_ns(self) -> int:
        """The shortest reaction time, by the third FLAG letter (IEC 62056-21 6.3)."""
        return self.timing.fast_reaction_ns if self.flag[2].islower() else self.timing.reaction_ns

    def error_of(self, text: str) -> ErrorCode | None:
        """Return the error whose text this is, or None for a text the companion does not name."""
        return next((code for code, known in self.errors.items() if known == text), None)

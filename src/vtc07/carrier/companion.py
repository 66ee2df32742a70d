"""A companion specification (IEC 62055-52 6.9) as facts: every number that is ours, in one place.

Loading and validation of the TOML files is in `companion_file`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

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
    """Every timer, in ns (vtc07 sheet section 7; IEC 62056-21 6.4)."""

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


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """TokenLockout (IEC 62055-52 6.6 by name; policy is our choice). Times in s."""

    failures: int = 5
    first_s: int = 60
    longest_s: int = 3600
    commit_interval_s: int = 10


@dataclass(frozen=True, slots=True)
class TokenEntryRule:
    """Where and how a token is entered and its result read."""

    register: Register
    encoding: Encoding
    status: StatusValues


@dataclass(frozen=True, slots=True)
class MeterPolicy:
    """What the payment meter does where no standard says (docs: meter policy).

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
    link: LinkSettings
    sign_on: SignOn
    timing: Timing
    errors: Mapping[ErrorCode, str]
    token_entry: TokenEntryRule
    lockout: LockoutPolicy
    table: RegisterTable
    protocol_version: int
    readout: tuple[Register, ...]  # of a mode C readout; empty for direct companions
    meter: MeterPolicy | None  # None: describes a maker's meter, not ours

    @property
    def reaction_ns(self) -> int:
        """The shortest reaction time, by the third FLAG letter (IEC 62056-21 6.3)."""
        return self.timing.fast_reaction_ns if self.flag[2].islower() else self.timing.reaction_ns

    def error_of(self, text: str) -> ErrorCode | None:
        """Return the error whose text this is, or None for a text the companion does not name."""
        return next((code for code, known in self.errors.items() if known == text), None)

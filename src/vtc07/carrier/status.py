"""tokenStatus and error codes: what a server says about a token and about a command.

IEC 62055-52 names the entity tokenStatus; the numbers 0 to 16 follow a meter maker's
published result table, those of the 3rd and 4th key change section are the companion's.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class TokenStatus(enum.Enum):
    """A value of the register tokenStatus, by name; the value is the standard's spelling."""

    NONE = "none"
    ACCEPT = "Accept"
    FIRST_KCT = "1stKCT"
    SECOND_KCT = "2ndKCT"
    THIRD_KCT = "3rdKCT"
    FOURTH_KCT = "4thKCT"
    OVERFLOW_ERROR = "OverflowError"
    KEY_TYPE_ERROR = "KeyTypeError"
    FORMAT_ERROR = "FormatError"
    RANGE_ERROR = "RangeError"
    FUNCTION_ERROR = "FunctionError"
    OLD_ERROR = "OldError"
    USED_ERROR = "UsedError"
    KEY_EXPIRED_ERROR = "KeyExpiredError"
    DDTK_ERROR = "DDTKError"
    CRC_ERROR = "CRCError"
    MFR_CODE_ERROR = "MfrCodeError"
    TOKEN_LOCKOUT = "token lockout active"  # noqa: S105 - a status, not a secret
    NOT_READY = "not ready"

    @property
    def taken(self) -> bool:
        """True where the token had its effect: Accept, or a key change section that was staged."""
        return self in _TAKEN

    @property
    def is_result(self) -> bool:
        """True where the status is the result of a token, and not 0, 15 or 16."""
        return self not in (TokenStatus.NONE, TokenStatus.TOKEN_LOCKOUT, TokenStatus.NOT_READY)


_TAKEN = frozenset(
    {
        TokenStatus.ACCEPT,
        TokenStatus.FIRST_KCT,
        TokenStatus.SECOND_KCT,
        TokenStatus.THIRD_KCT,
        TokenStatus.FOURTH_KCT,
    }
)

#: The numbers that a companion cannot change (0 to 16) and the defaults of those it can.
DEFAULT_STATUS_NUMBERS: Mapping[TokenStatus, int] = {
    TokenStatus.NONE: 0,
    TokenStatus.ACCEPT: 1,
    TokenStatus.FIRST_KCT: 2,
    TokenStatus.SECOND_KCT: 3,
    TokenStatus.OVERFLOW_ERROR: 4,
    TokenStatus.KEY_TYPE_ERROR: 5,
    TokenStatus.FORMAT_ERROR: 6,
    TokenStatus.RANGE_ERROR: 7,
    TokenStatus.FUNCTION_ERROR: 8,
    TokenStatus.OLD_ERROR: 9,
    TokenStatus.USED_ERROR: 10,
    TokenStatus.KEY_EXPIRED_ERROR: 11,
    TokenStatus.DDTK_ERROR: 12,
    TokenStatus.CRC_ERROR: 13,
    TokenStatus.MFR_CODE_ERROR: 14,
    TokenStatus.TOKEN_LOCKOUT: 15,
    TokenStatus.NOT_READY: 16,
    TokenStatus.THIRD_KCT: 17,
    TokenStatus.FOURTH_KCT: 18,
}


@dataclass(frozen=True)
class StatusValues:
    """The two-way map between TokenStatus and the number in a register.

    ``numbers`` holds every status once, each number once (0 to 255); a companion may give any
    status another number, which is how a maker's variant is described.
    """

    numbers: Mapping[TokenStatus, int]

    def __post_init__(self) -> None:
        if set(self.numbers) != set(TokenStatus):
            missing = sorted(s.value for s in set(TokenStatus) - set(self.numbers))
            raise ValueError(f"token status values are missing: {', '.join(missing)}")
        if len(set(self.numbers.values())) != len(self.numbers):
            raise ValueError("two token status values have the same number")
        object.__setattr__(self, "_names", {n: s for s, n in self.numbers.items()})

    def number(self, status: TokenStatus) -> int:
        """Return the register value of ``status``."""
        return self.numbers[status]

    def status(self, number: int) -> TokenStatus | None:
        """Return the status of a register value, or None for a reserved number."""
        names: dict[int, TokenStatus] = getattr(self, "_names")  # noqa: B009 - set in __post_init__
        return names.get(number)

    def describe(self, number: int) -> str:
        """Return the status' name for people; a reserved number is named as such."""
        status = self.status(number)
        return f"reserved value {number}" if status is None else status.value


class ErrorCode(enum.Enum):
    """The errors of a command (our choice: IEC 62056-21 6.3 leaves the texts to the maker).

    They are judged in the order ER01, ER02, ER03, ER04, ER07, ER06, ER05, ER08; the value is the
    meaning for people, the text on the wire is the companion's.
    """

    UNDEFINED_COMMAND = "undefined command"
    MALFORMED_DATA_SET = "malformed data set"
    NO_SUCH_REGISTER = "no such register"
    ACCESS_DENIED = "access denied"
    VALUE_REFUSED = "value refused"
    TOKEN_LOCKOUT = "token lockout"  # noqa: S105 - an error's meaning, not a secret
    TOKEN_EXECUTING = "a token is being executed"  # noqa: S105 - likewise
    STORE_FAULT = "the meter could not store"

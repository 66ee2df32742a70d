"""What is wrong, in words: what a support desk asks for, and why a token was refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from vtc07.hhu.texts import Said, mark


class Weight(enum.Enum):
    """How much a finding matters; the value is a word for people."""

    GOOD = mark("good")
    NOTICE = mark("notice")
    PROBLEM = mark("problem")


class Certainty(enum.Enum):
    """How sure a finding is, without keys; the value is a word for people."""

    CERTAIN = mark("certain")
    LIKELY = mark("likely")
    POSSIBLE = mark("possible")


class Code(enum.StrEnum):
    """The stable names of all findings (docs/diagnosis.md)."""

    # the meter
    NOTHING_WRONG = "nothing-wrong"
    OTHER_COMPANION = "other-companion"
    OUT_OF_ORDER = "out-of-order"
    STORE_FAULT = "store-fault"
    REFUSED_READ = "refused-read"
    EXECUTING = "executing"
    LOCKOUT = "lockout"
    LOCKOUT_NEAR = "lockout-near"
    KEYPAD_LOCKOUT = "keypad-lockout"
    PASSWORD_DELAY = "password-delay"  # noqa: S105 - a finding's name
    SWITCH_OPEN = "switch-open"
    NO_CREDIT = "no-credit"
    LOW_CREDIT = "low-credit"
    TAMPER = "tamper"
    POWER_LIMIT = "power-limit"
    UNBALANCE_LIMIT = "unbalance-limit"
    KEY_CHANGE_PENDING = "key-change-pending"
    DEFAULT_KEY = "default-key"
    INITIAL_KEY = "initial-key"
    KEY_EXPIRED = "key-expired"
    KEY_EXPIRES_SOON = "key-expires-soon"
    BASE_DATE_ENDED = "base-date-ended"
    BASE_DATE_ENDS_SOON = "base-date-ends-soon"
    # a token
    NOT_A_TOKEN = "not-a-token"  # noqa: S105 - a finding's name
    RESERVED_CLASS = "reserved-class"
    NOT_SEEN = "not-seen"
    IN_JOURNAL = "in-journal"
    ACCEPTED = "accepted"
    SECTION_HELD = "section-held"
    SECTION_FORGOTTEN = "section-forgotten"
    KEY_CHANGE_DONE = "key-change-done"
    USED = "used"
    SAME_MINUTE = "same-minute"
    TOO_OLD = "too-old"
    BASE_DATE_NOT_ROLLED = "base-date-not-rolled"
    TOKEN_AFTER_KEY_EXPIRY = "token-after-key-expiry"  # noqa: S105 - likewise
    CREDIT_UNDER_DEFAULT_KEY = "credit-under-default-key"
    OVERFLOW = "overflow"
    ROOM_AGAIN = "room-again"
    OTHER_SERVICE = "other-service"
    CURRENCY = "currency"
    NOT_SERVED = "not-served"
    RANGE = "range"
    FORMAT = "format"
    KEY_TYPE = "key-type"
    OTHER_MAKER = "other-maker"
    MISTYPED = "mistyped"
    WRONG_TOKEN_OR_KEY = "wrong-token-or-key"  # noqa: S105 - likewise
    KEY_WORKS = "key-works"
    NO_TOKEN_UNDER_KEY = "no-token-under-key"  # noqa: S105 - likewise
    KEY_CHANGED_SINCE = "key-changed-since"
    UNKNOWN_RESULT = "unknown-result"
    # a receipt beside the meter
    OTHER_METER = "other-meter"
    WRONG_SGC = "wrong-sgc"
    WRONG_TI = "wrong-ti"
    OLD_KEY_REVISION = "old-key-revision"
    NEW_KEY_REVISION = "new-key-revision"
    WRONG_KEY_TYPE = "wrong-key-type"
    WRONG_BASE_DATE = "wrong-base-date"
    RECEIPT_FITS = "receipt-fits"
    RECEIPT_DIFFERS = "receipt-differs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One explanation: ``what`` is the case.

    ``code``: a stable name for scripts, as ``wrong-sgc``. ``advice``: what would help, None where
    nothing is to be done.
    """

    code: Code
    weight: Weight
    certainty: Certainty
    what: Said
    advice: Said | None = None


def problem(
    code: Code, what: Said, advice: Said | None = None, certainty: Certainty = Certainty.CERTAIN
) -> Finding:
    """Make a finding of what is wrong."""
    return Finding(code, Weight.PROBLEM, certainty, what, advice)


def notice(
    code: Code, what: Said, advice: Said | None = None, certainty: Certainty = Certainty.CERTAIN
) -> Finding:
    """Make a finding of what may matter."""
    return Finding(code, Weight.NOTICE, certainty, what, advice)


def good(code: Code, what: Said) -> Finding:
    """Make a finding of what is as it should be."""
    return Finding(code, Weight.GOOD, Certainty.CERTAIN, what)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is printed beside a token, as far as somebody typed it: all None where nothing was.

    Digits as printed: ``sgc`` 6, ``ti`` 2; ``krn``, ``kt``; ``base_date``: 93, 14 or 35;
    ``meter``: MeterPAN or DRN; ``issued``: when the token was made, aware of its zone. ``token``:
    as typed, with or without spaces; it need not be one.
    """

    meter: str | None = None
    sgc: str | None = None
    krn: int | None = None
    kt: int | None = None
    ti: str | None = None
    issued: datetime | None = None
    base_date: str | None = None
    token: str | None = field(default=None, repr=False)

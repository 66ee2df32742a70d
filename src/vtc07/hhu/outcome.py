"""How a token's delivery ended, in words that are true: docs/protocol.md 10.

Every outcome says whether the token had its effect, had none, or whether nobody can tell from
here. None holds a token: a token is money. ``said`` is an outcome as a sentence in any language,
``str()`` the same in English.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.texts import Said, mark, said


class Meaning(enum.Enum):
    """What an outcome means to whoever started the delivery; a command line gives it a number."""

    DONE = "done"
    REFUSED = "refused"
    NO_LINK = "no link"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The meter accepted the token: Accept, or a key change section that was staged.

    ``sequence`` is the tokenSequence of the acceptance, None where the companion has none.
    ``now_or_before``: the result was UsedError after an entry of which nobody knows whether it
    arrived; the token was accepted, by this delivery or at some time before it.
    """

    status: TokenStatus
    sequence: int | None = None
    now_or_before: bool = False

    @property
    def meaning(self) -> Meaning:
        """`Meaning.DONE`."""
        return Meaning.DONE

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        if self.now_or_before:
            return said("accepted now or before")
        return said("delivered: {status}", status=self.status.value)

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True, slots=True)
class Refused:
    """The meter executed the token and refused it; ``status`` says why."""

    status: TokenStatus
    sequence: int | None = None

    @property
    def meaning(self) -> Meaning:
        """`Meaning.REFUSED`."""
        return Meaning.REFUSED

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        if self.status is TokenStatus.USED_ERROR:
            return said("refused: used before")
        return said("refused: {status}", status=self.status.value)

    def __str__(self) -> str:
        return str(self.said)


#: What a result means to a person who holds the token in the hand.
EXPLANATIONS: Mapping[TokenStatus, str] = {
    TokenStatus.FIRST_KCT: mark("a key change has begun; the other tokens of its set are awaited"),
    TokenStatus.SECOND_KCT: mark("a key change has begun; the other tokens of its set are awaited"),
    TokenStatus.THIRD_KCT: mark("a key change has begun; the other tokens of its set are awaited"),
    TokenStatus.FOURTH_KCT: mark("a key change has begun; the other tokens of its set are awaited"),
    TokenStatus.OVERFLOW_ERROR: mark(
        "the meter cannot hold so much credit; try again when some is used"
    ),
    TokenStatus.KEY_TYPE_ERROR: mark("the meter's key cannot change to a key of this type"),
    TokenStatus.FORMAT_ERROR: mark("the token is not laid out as it must be; ask for another one"),
    TokenStatus.RANGE_ERROR: mark("a value in the token is not defined; ask for another one"),
    TokenStatus.FUNCTION_ERROR: mark(
        "the meter does not serve such a token, as of another service"
    ),
    TokenStatus.OLD_ERROR: mark("the token is older than all that the meter remembers"),
    TokenStatus.USED_ERROR: mark(
        "the meter has taken it already, or another one of the same minute"
    ),
    TokenStatus.KEY_EXPIRED_ERROR: mark(
        "the meter's key has expired for such a token; change the key"
    ),
    TokenStatus.DDTK_ERROR: mark(
        "the meter still has its default key; change the key before credit"
    ),
    TokenStatus.CRC_ERROR: mark(
        "a digit is wrong, or the token is for another meter or another key"
    ),
    TokenStatus.MFR_CODE_ERROR: mark("the token is for meters of another manufacturer"),
}


class NotTakenReason(enum.Enum):
    """Why a token was not taken; the value is a sentence for people."""

    ENTRY_REFUSED = mark("the meter refused the entry")
    LOCKOUT = mark("the meter has locked token entry after too many wrong tokens")
    EXECUTING = mark("the meter kept executing another token")
    OUT_OF_ORDER = mark("the meter is out of order, for its store is faulty; nothing was sent")
    NOT_ARRIVED = mark("the meter has executed no entry of it")
    ANOTHER_METER = mark("another meter is there; nothing was sent")
    SIGN_ON_REFUSED = mark("the meter did not let this client in; nothing was sent")
    PAN_UNKNOWN = mark("the MeterPAN could not be read and compared; nothing was sent")
    JOURNAL = mark("the journal could not be written, so the token was not entered")


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The token was not executed and is as good as before.

    ``error`` and ``error_text``: the meter's error message where there was one.
    ``lockout_remaining_s``: seconds of the lockout left, where the meter told.
    """

    reason: NotTakenReason
    error: ErrorCode | None = None
    error_text: str = ""
    lockout_remaining_s: int | None = None
    detail: Said | str = ""

    @property
    def meaning(self) -> Meaning:
        """`Meaning.REFUSED`."""
        return Meaning.REFUSED

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        reason = Said(self.reason.value)
        if self.reason is NotTakenReason.ENTRY_REFUSED and self.error is not None:
            reason = said("{reason} ({error})", reason=reason, error=Said(self.error.value))
        elif self.reason is NotTakenReason.ENTRY_REFUSED and self.error_text:
            reason = said("{reason} with {text}", reason=reason, text=repr(self.error_text))
        if self.lockout_remaining_s is not None:
            return said(
                "not taken: {reason}; try again in {seconds} s, for which it must be powered",
                reason=reason,
                seconds=self.lockout_remaining_s,
            )
        if self.detail:
            return said("not taken: {reason}: {detail}", reason=reason, detail=self.detail)
        return said("not taken: {reason}", reason=reason)

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True, slots=True)
class Busy:
    """The meter was executing another token all the time; nothing was sent."""

    @property
    def meaning(self) -> Meaning:
        """`Meaning.REFUSED`."""
        return Meaning.REFUSED

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        return said("busy: the meter is executing another token; nothing was sent")

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True, slots=True)
class NoLink:
    """The meter could not be reached before the token was sent; nothing was sent."""

    detail: Said | str

    @property
    def meaning(self) -> Meaning:
        """`Meaning.NO_LINK`."""
        return Meaning.NO_LINK

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        return said("not sent: {detail}", detail=self.detail)

    def __str__(self) -> str:
        return str(self.said)


@dataclass(frozen=True, slots=True)
class NotSent:
    """The delivery stopped before this token; nothing of it was sent."""

    @property
    def meaning(self) -> Meaning:
        """`Meaning.REFUSED`; the outcome that stopped the delivery says more."""
        return Meaning.REFUSED

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        return said("not sent: the delivery stopped before")

    def __str__(self) -> str:
        return str(self.said)


class UnresolvedReason(enum.Enum):
    """Why nobody can tell from here; the value is a sentence for people."""

    NO_LINK = mark("the meter could not be reached again after the token was sent")
    ANOTHER_METER = mark("another meter was there, or one without a name, after the token was sent")
    EXECUTING = mark("the meter is still executing the token")
    CONTRADICTORY = mark("the meter's registers contradict each other")
    GAP = mark("the meter's token log does not reach back to the entry")
    BELOW = mark("the meter's token sequence is below the one before the entry")
    UNKNOWN_RESULT = mark("the meter's result is a number that the companion does not name")
    REFUSED_READ = mark("the meter refused to tell its token status")
    OUT_OF_ORDER = mark("the meter is out of order, for its store is faulty")
    NO_REGISTERS = mark("the companion has no registers that tell what became of the token")
    BY_HAND = mark("a person closed the entry by hand")


_ADVICE = {
    UnresolvedReason.NO_LINK: mark(
        "connect to the same meter again and resolve before another token"
    ),
    UnresolvedReason.ANOTHER_METER: mark(
        "go back to the first meter and resolve before another token"
    ),
    UnresolvedReason.EXECUTING: mark("wait some seconds and resolve before another token"),
    UnresolvedReason.CONTRADICTORY: mark(
        "resolve again; if that stays so, have the meter looked at"
    ),
    UnresolvedReason.REFUSED_READ: mark("check the companion file and resolve again"),
    UnresolvedReason.OUT_OF_ORDER: mark("have the meter looked at, and the token kept until then"),
}
_LOOK = mark("look at the meter's credit and token log before the token is entered again")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The token may have been accepted or not. Never to be taken for either.

    ``final``: reading again cannot tell more, so the journal entry is closed with this outcome;
    else it stays open and is resolved before another token goes to that meter.
    """

    reason: UnresolvedReason
    detail: Said | str = ""

    @property
    def final(self) -> bool:
        """Say whether reading again cannot tell more."""
        return self.reason not in _ADVICE

    @property
    def advice(self) -> str:
        """What a person should do now."""
        return _ADVICE.get(self.reason, _LOOK)

    @property
    def meaning(self) -> Meaning:
        """`Meaning.UNRESOLVED`."""
        return Meaning.UNRESOLVED

    @property
    def said(self) -> Said:
        """The outcome as a sentence."""
        reason = Said(self.reason.value)
        if self.detail:
            reason = said("{reason} ({detail})", reason=reason, detail=self.detail)
        return said("unresolved: {reason}; {advice}", reason=reason, advice=Said(self.advice))

    def __str__(self) -> str:
        return str(self.said)


Outcome = Delivered | Refused | NotTaken | Busy | NoLink | NotSent | Unresolved

_WEIGHT = {Meaning.DONE: 0, Meaning.REFUSED: 1, Meaning.NO_LINK: 2, Meaning.UNRESOLVED: 3}


def meaning_of(outcomes: tuple[Outcome, ...]) -> Meaning:
    """Return the gravest meaning: unresolved before no link before refused before done."""
    return max((o.meaning for o in outcomes), key=_WEIGHT.__getitem__, default=Meaning.DONE)

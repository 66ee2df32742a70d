"""A delivery's outcome as a journal holds it: facts that a program reads, and the words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.history.token_masking import text_without_tokens
from vtc07.hhu.outcome import (
    Busy,
    Delivered,
    Meaning,
    NoLink,
    NotSent,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.texts import Said, said

_MEANINGS: Mapping[str, Meaning] = {
    Delivered.__name__: Meaning.DONE,
    Refused.__name__: Meaning.REFUSED,
    NotTaken.__name__: Meaning.REFUSED,
    Busy.__name__: Meaning.REFUSED,
    NotSent.__name__: Meaning.REFUSED,
    NoLink.__name__: Meaning.NO_LINK,
    Unresolved.__name__: Meaning.UNRESOLVED,
}
_STATUSES = {status.value: status for status in TokenStatus}


@dataclass(frozen=True, slots=True)
class Result:
    """How a delivery ended.

    ``outcome``: the name of the outcome's class in `vtc07.hhu.outcome`. ``reason``: the name of a
    member of NotTakenReason or UnresolvedReason. ``status``, ``sequence``, ``now_or_before``: as
    in the outcome. ``text``: in English.
    """

    outcome: str
    text: str
    status: TokenStatus | None = None
    reason: str | None = None
    sequence: int | None = None
    now_or_before: bool = False

    @property
    def meaning(self) -> Meaning:
        """What it means to whoever started the delivery."""
        return _MEANINGS[self.outcome]

    @property
    def taken(self) -> TokenStatus | None:
        """The result with which this very delivery was taken by the meter, None if it was not."""
        taken = self.status is not None and self.status.taken
        return self.status if self.outcome == Delivered.__name__ and taken else None

    @property
    def said(self) -> Said:
        """The outcome as a sentence; in English alone where it tells more than is kept apart."""
        sentence = self._rebuilt()
        if sentence is not None and str(sentence) == self.text:
            return sentence
        return said("{result}", result=self.text)

    def _rebuilt(self) -> Said | None:
        """Return the sentence as the outcome said it, where nothing but these facts was in it."""
        status, reason = self.status, self.reason or ""
        if self.outcome == Delivered.__name__ and status is not None:
            return Delivered(status, self.sequence, now_or_before=self.now_or_before).said
        if self.outcome == Refused.__name__ and status is not None:
            return Refused(status, self.sequence).said
        if self.outcome == NotTaken.__name__ and reason in NotTakenReason.__members__:
            return NotTaken(NotTakenReason[reason]).said
        if self.outcome == Unresolved.__name__ and reason in UnresolvedReason.__members__:
            return Unresolved(UnresolvedReason[reason]).said
        return None

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Return what is to be kept of an outcome; a token in a meter's words is not."""
        reason = outcome.reason.name if isinstance(outcome, NotTaken | Unresolved) else None
        executed = outcome if isinstance(outcome, Delivered | Refused) else None
        return cls(
            type(outcome).__name__,
            text_without_tokens(str(outcome)),
            None if executed is None else executed.status,
            reason,
            None if executed is None else executed.sequence,
            now_or_before=isinstance(outcome, Delivered) and outcome.now_or_before,
        )

    @property
    def members(self) -> dict[str, Any]:
        """What stands in the journal's entry."""
        return {
            "outcome": self.outcome,
            "meaning": self.meaning.value,
            "status": None if self.status is None else self.status.value,
            "reason": self.reason,
            "sequence": self.sequence,
            "now_or_before": self.now_or_before,
            "text": self.text,
        }

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> Self:
        """Return what stands in an entry; KeyError, TypeError or ValueError for anything else."""
        if members["outcome"] not in _MEANINGS:
            raise ValueError("an outcome without a name")
        status, text = members["status"], members["text"]
        reason, sequence = members["reason"], members["sequence"]
        if not (
            isinstance(text, str)
            and isinstance(reason, str | None)
            and isinstance(sequence, int | None)
        ):
            raise TypeError("text, reason or sequence is something else")
        return cls(
            members["outcome"],
            text,
            None if status is None else _STATUSES[status],
            reason,
            sequence,
            now_or_before=bool(members["now_or_before"]),
        )

    @classmethod
    def in_words(cls, text: str) -> Self:
        """Return what the words of a journal of version 1 say, where there was nothing else."""
        head, _, rest = text.partition(": ")
        match head:
            case "delivered" if rest in _STATUSES:
                return cls(Delivered.__name__, text, _STATUSES[rest])
            case "accepted now or before":
                used_before = TokenStatus.USED_ERROR
                return cls(Delivered.__name__, text, used_before, now_or_before=True)
            case "refused":
                used = rest == "used before"
                known = TokenStatus.USED_ERROR if used else _STATUSES.get(rest)
                return cls(Refused.__name__, text, known)
            case "not taken":
                return cls(NotTaken.__name__, text, reason=_begins(rest, NotTakenReason))
            case "busy":
                return cls(Busy.__name__, text)
            case "not sent":
                stopped = text == str(NotSent())
                return cls(NotSent.__name__ if stopped else NoLink.__name__, text)
        # Nothing else was ever written; whatever it is, nobody may take it for a result.
        return cls(Unresolved.__name__, text, reason=_begins(rest, UnresolvedReason))


def _begins(text: str, reasons: type[NotTakenReason | UnresolvedReason]) -> str | None:
    return next((r.name for r in reasons if text.startswith(str(r.value))), None)

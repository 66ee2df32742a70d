"""A token that a meter executed, with everything that helps to say why it ended as it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from vtc07.carrier.status import TokenStatus
from vtc07.hhu.diagnosis.examination import Examination
from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.hhu.diagnosis.meter import span
from vtc07.hhu.meter_log import SECTIONS, ExecutedToken
from vtc07.hhu.texts import Said, said
from vtc07.tokens.tokendata import TokenData


@dataclass(frozen=True, slots=True)
class Case:
    """A token that the meter executed, and everything beside it.

    ``entry``: its newest entry in the token log; where the log is not told, what lastToken says.
    ``earlier``: its entries before that, newest first.
    """

    examined: Examination
    receipt: Receipt
    now: datetime
    entry: ExecutedToken = field(repr=False)
    earlier: tuple[ExecutedToken, ...] = field(default=(), repr=False)

    @property
    def token_class(self) -> int:
        """The token's class, which is not encrypted."""
        return TokenData.from_digits(self.entry.token).token_class

    @property
    def status(self) -> TokenStatus | None:
        """The result, None for a number that the companion does not name."""
        return self.examined.companion.token_entry.status.status(self.entry.status)

    def accepted_before(self) -> ExecutedToken | None:
        """Return its newest earlier entry with Accept, or None."""
        statuses = self.examined.companion.token_entry.status
        return next(
            (e for e in self.earlier if statuses.status(e.status) is TokenStatus.ACCEPT), None
        )

    def key_change_after(self) -> bool:
        """Say whether the meter's key was changed after it was executed."""
        history, statuses = self.examined.tokens, self.examined.companion.token_entry.status
        for other in () if history is None else history.entries:
            if other.sequence == self.entry.sequence:
                return False
            if other.kind in SECTIONS and statuses.status(other.status) is TokenStatus.ACCEPT:
                return True
        return False


def ago(examined: Examination, entry: ExecutedToken) -> Said:
    """Return when a token was executed: its number, and how long ago where the log tells."""
    events = examined.events
    time_s = None if events is None else events.time_of_token(entry.sequence)
    since_s = None if time_s is None else examined.since_s(time_s)
    if not since_s:
        return said("as token {number}", number=entry.sequence)
    return said(
        "as token {number}, at least {time} ago with power",
        number=entry.sequence,
        time=span(since_s),
    )

"""TokenIdentifier: minutes since a base date, in 24 bits (IEC 62055-41 6.3.5)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, Self

from vtc07.tokens.errors import OutOfRange

MAXIMUM_TID: Final = 0xFFFFFF
_MINUTES_PER_DAY: Final = 24 * 60
_RESERVED_MINUTE: Final = 1
_MINUTE: Final = timedelta(minutes=1)


class BaseDate(Enum):
    """The three days from which TIDs are counted, at 00:00:00 UTC; each serves 31.9 years."""

    Y1993 = "93"
    Y2014 = "14"
    Y2035 = "35"

    @property
    def code(self) -> str:
        """The BDT code: "93", "14" or "35"."""
        return self.value

    @property
    def epoch(self) -> datetime:
        """The instant of TID 0, UTC."""
        return _EPOCHS[self]

    @property
    def last(self) -> datetime:
        """The last minute that can be told from this base date, UTC."""
        return self.epoch + MAXIMUM_TID * _MINUTE

    def next(self) -> BaseDate:
        """Return the following base date, as a roll over asks; OutOfRange after 2035."""
        if self is BaseDate.Y1993:
            return BaseDate.Y2014
        if self is BaseDate.Y2014:
            return BaseDate.Y2035
        raise OutOfRange("No base date follows 2035; a roll over is not possible any more.")

    @classmethod
    def from_code(cls, code: str) -> BaseDate:
        """Return the base date with this two-digit BDT code; OutOfRange for any other."""
        for base in cls:
            if base.value == code:
                return base
        raise OutOfRange('A base date code must be "93", "14" or "35".')


_EPOCHS: Final = {
    BaseDate.Y1993: datetime(1993, 1, 1, tzinfo=UTC),
    BaseDate.Y2014: datetime(2014, 1, 1, tzinfo=UTC),
    BaseDate.Y2035: datetime(2035, 1, 1, tzinfo=UTC),
}


class TID(int):
    """A TokenIdentifier, 0 to 16777215 minutes; it is an int and compares as one."""

    def __new__(cls, minutes: int) -> Self:
        """Raise OutOfRange for what does not fit 24 bits."""
        if not isinstance(minutes, int) or not 0 <= minutes <= MAXIMUM_TID:
            raise OutOfRange(f"A TID must be a whole number from 0 to {MAXIMUM_TID} minutes.")
        return super().__new__(cls, minutes)

    @classmethod
    def of(cls, issued_at: datetime, base_date: BaseDate) -> Self:
        """Return the TID of an ordinary token issued at that time.

        Seconds are cut off; 00:01 of each day is reserved, so a token of that minute gets the
        TID of 00:02. Raises OutOfRange for a time without a zone, before the base date or
        after its last minute.
        """
        tid = cls.of_minute(issued_at, base_date)
        return cls(tid + 1) if tid.is_reserved else tid

    @classmethod
    def of_minute(cls, at: datetime, base_date: BaseDate) -> Self:
        """Return the TID of that very minute, reserved or not; errors as for `of`."""
        if at.tzinfo is None:
            raise OutOfRange("The time of issue needs a time zone; give it in UTC.")
        minutes = (at - base_date.epoch) // _MINUTE
        if not 0 <= minutes <= MAXIMUM_TID:
            raise OutOfRange(
                f"The base date {base_date.epoch:%Y} covers {base_date.epoch:%Y-%m-%d %H:%M} to "
                f"{base_date.last:%Y-%m-%d %H:%M} UTC; the time of issue lies outside, so use "
                "another base date or correct the clock."
            )
        return cls(minutes)

    @property
    def minutes(self) -> int:
        """The plain number of minutes."""
        return int(self)

    @property
    def is_reserved(self) -> bool:
        """Whether this is the TID of 00:01 of a day, not for ordinary tokens."""
        return self % _MINUTES_PER_DAY == _RESERVED_MINUTE

    def issued_at(self, base_date: BaseDate) -> datetime:
        """Return the minute it stands for, UTC."""
        return base_date.epoch + int(self) * _MINUTE

    def next_free(self, taken: Collection[int]) -> TID:
        """Return the first TID from this one on that is neither taken nor reserved.

        For several tokens of one meter in one minute. Raises OutOfRange where none is left up
        to the last TID.
        """
        minutes = int(self)
        while minutes in taken or minutes % _MINUTES_PER_DAY == _RESERVED_MINUTE:
            minutes += 1
            if minutes > MAXIMUM_TID:
                raise OutOfRange(
                    f"No TID is free from {int(self)} to the end of this base date; take the meter "
                    "to the next base date by a key change with roll over, and issue the token "
                    "there."
                )
        return TID(minutes)

    def __repr__(self) -> str:
        return f"TID({int(self)})"

    def __str__(self) -> str:
        return int.__repr__(self)

"""The journal that outlives a crash, on any medium: append-only, one entry a line.

A line (`vtc07.hhu.journal_lines`) is appended with one write and is durable before the caller
goes on.

What a crash can leave. A power failure may leave part of the last line, without its line end or
with NULs in place of what was not yet on the disk. Its entry was never durable, so nothing was
done that relied on it. Such a tail is set aside, and only then cut off. A last entry that lacks
nothing but its line end is kept, as its check fits: at worst a meter is asked once more. Anything
else that is not an entry is no crash's work: the journal is refused, with its name and the line,
and nothing is changed.
"""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Any, Self

from vtc07.hhu import journal_lines
from vtc07.hhu.journal import Delivery, DeliveryBook, JournalError
from vtc07.hhu.journal_medium import Medium
from vtc07.hhu.journal_result import Result
from vtc07.hhu.outcome import Outcome
from vtc07.hhu.resolution import Snapshot


class KeptJournal:
    """A `Journal` on a medium, begun where there is none.

    Use as a context manager, or call `close`. Raises JournalLocked, JournalCorrupt, or
    JournalError where the medium cannot be used or written.
    """

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._book = DeliveryBook()
        self._fault: str | None = None
        try:
            self._refuse_what_is_no_journal()
            self._open()
        except OSError as error:
            medium.close()
            raise JournalError(
                f"the journal {medium.name} cannot be used: {error.strerror}"
            ) from error
        except BaseException:
            medium.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the medium and let others use it. A second call does nothing."""
        self._medium.close()

    # --- Journal -------------------------------------------------------------------------------

    def open_delivery(
        self, meter_pan: str, token: str, s0: Snapshot | None, time: datetime
    ) -> Delivery:
        """Write down that a token is about to go to a meter."""
        delivery = Delivery(self._book.next_number, meter_pan, token, s0, time)
        self._append(
            {
                "entry": "opened",
                "delivery": delivery.number,
                "time": time.isoformat(),
                "meterPAN": meter_pan,
                "token": token,
                "s0": None
                if s0 is None
                else {
                    "tokenStatus": s0.status,
                    "tokenSequence": s0.sequence,
                    "lastToken": s0.last_token,
                    "lastTokenStatus": s0.last_status,
                },
            }
        )
        self._book.opened(delivery)
        return delivery

    def announce_write(self, delivery: int, number: int, time: datetime) -> None:
        """Write down that an entry is about to be sent."""
        self._book.still_open(delivery)
        self._append(
            {
                "entry": "write",
                "delivery": delivery,
                "time": time.isoformat(),
                "number": number,
            }
        )
        self._book.announced(delivery, number)

    def close_delivery(self, delivery: int, outcome: Outcome, time: datetime) -> None:
        """Write down how it ended."""
        self._book.still_open(delivery)
        result = str(outcome)
        self._append(
            {
                "entry": "result",
                "delivery": delivery,
                "time": time.isoformat(),
                "meaning": outcome.meaning.value,
                "result": result,
            }
        )
        self._book.closed(delivery, Result.of(outcome), time)

    def unresolved(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return the deliveries without result, oldest first; of one meter, or of all."""
        return self._book.unresolved(meter_pan)

    def deliveries(self, meter_pan: str | None = None) -> tuple[Delivery, ...]:
        """Return every delivery, oldest first; of one meter, or of all."""
        return self._book.all(meter_pan)

    def delivery(self, number: int) -> Delivery:
        """Return one delivery."""
        return self._book.one(number)

    # --- the lines -----------------------------------------------------------------------------

    def _refuse_what_is_no_journal(self) -> None:
        """Look at the first line before the medium is taken: that may leave traces."""
        first = self._medium.first_line(journal_lines.LONGEST_HEADER)
        if first and not journal_lines.may_be_torn_header(first):
            self._check_header(journal_lines.entry_in(first) or first)

    def _open(self) -> None:
        medium = self._medium
        lines, whole, entry, tail = journal_lines.found_in(medium.open())
        if lines or (tail and not journal_lines.may_be_torn_header(tail)):
            self._check_header(lines[0] if lines else tail)
        for number, line in enumerate(lines[1:], 2):
            journal_lines.take(line, number, medium.name, self._book)
        # Here it is known to be a journal in order; only from here on is anything changed.
        medium.accept()
        if entry is not None:
            medium.cut(whole + len(entry))
            medium.append(b"\n")
        elif tail:
            medium.set_aside(tail)
            medium.cut(whole)
        medium.require_in_place()
        if not lines:
            self._write(journal_lines.HEADER)

    def _check_header(self, line: bytes) -> None:
        journal_lines.check_header(line, self._medium.name)

    def _append(self, members: dict[str, Any]) -> None:
        if self._fault is not None:
            raise JournalError(self._fault)
        self._medium.require_in_place()
        self._write(journal_lines.entry_line(members))

    def _write(self, line: bytes) -> None:
        try:
            self._medium.append(line)
        except OSError as error:
            sentence = f"the journal {self._medium.name} cannot be written: {error.strerror}"
            # After a failed append nobody knows what is on the disk: no further entry is trusted
            # to this medium, and opening the journal anew reads what there is.
            self._fault = f"{sentence}; it is not used any more in this run"
            raise JournalError(sentence) from error
        except BaseException:
            self._fault = (
                f"the writing of the journal {self._medium.name} was interrupted; it is not used "
                "any more in this run"
            )
            raise

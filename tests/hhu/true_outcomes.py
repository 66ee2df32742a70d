"""What is reported of a delivery is true: compared with what a real meter has done."""

from __future__ import annotations

import pytest
from hhu_bench import PAN, MeterLine, credit, wall_clock

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import resolve_earlier
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, Meaning, NoLink, NotTaken, Outcome, Unresolved
from vtc07.hhu.session import Session

TOKEN = credit(1, 100)
WH = 10_000


def session_with(companion: Companion) -> Session:
    """Return a session with the meter of the bench."""
    return Session(companion, address=PAN)


def assert_true(outcome: Outcome, bench: MeterLine, journal: MemoryJournal) -> None:
    """Compare what is reported of TOKEN with what the meter has done, once and for all."""
    bench.line.fault = None
    bench.line.plug()
    bench.line.idle(bench.companion.timing.inactivity_ns + 10 * S)
    accepted = bench.state.account.accepted
    assert accepted in (0, WH), "a token must never be counted twice"
    assert sum(e.status is TokenStatus.ACCEPT for e in bench.state.token_log) == accepted // WH
    match outcome:
        case Delivered():
            assert accepted == WH
            assert journal.unresolved() == ()
        case NoLink():
            assert bench.state.token_sequence == 0
            assert journal.unresolved() == ()
        case NotTaken():  # two faults may make another token of it, with a right BCC
            assert TOKEN not in [entry.token for entry in bench.state.token_log]
            assert journal.unresolved() == ()
        case Unresolved():
            (left,) = journal.unresolved(PAN)
            report = bench.run(
                resolve_earlier(session_with(bench.companion), journal, wall_clock=wall_clock)
            )
            (earlier,) = report.earlier
            assert earlier.delivery == left
            assert isinstance(earlier.outcome, Delivered) == (accepted == WH)
            assert earlier.outcome.meaning is not Meaning.UNRESOLVED
        case _:
            pytest.fail(f"{outcome} is not true")

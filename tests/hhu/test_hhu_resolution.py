from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vtc07.carrier.status import DEFAULT_STATUS_NUMBERS, StatusValues, TokenStatus
from vtc07.hhu.resolution import (
    Contradictory,
    Decision,
    Executed,
    Executing,
    LogEntry,
    LogNeeded,
    Loss,
    Lost,
    NeverExecuted,
    Snapshot,
    resolve,
)

STATUSES = StatusValues(DEFAULT_STATUS_NUMBERS)
OURS = "11112222333344445555"
OTHERS = ("00000000000000000001", "00000000000000000002", "00000000000000000003")
MODULUS = 2**32

results = st.sampled_from([s for s in TokenStatus if s.is_result])
executions = st.lists(st.tuples(st.sampled_from((OURS, *OTHERS)), results), max_size=9)
starts = st.one_of(
    st.integers(0, MODULUS - 1), st.integers(MODULUS - 12, MODULUS - 1), st.integers(0, 3)
)


@dataclass(frozen=True)
class History:
    """What a meter executed before S0 and since, and what it shows of it."""

    start: int  # the sequence of S0
    before: tuple[str, TokenStatus] | None
    since: tuple[tuple[str, TokenStatus], ...]
    log_size: int

    def snapshot(self, executed: int, *, executing: bool = False) -> Snapshot:
        token, status = self.since[executed - 1] if executed else self.before or ("", None)
        number = STATUSES.number(status) if status else 0
        shown = STATUSES.number(TokenStatus.NOT_READY) if executing else number
        return Snapshot(shown, (self.start + executed) % MODULUS, token, number)

    def log(self, executed: int) -> list[LogEntry]:
        entries = [
            LogEntry((self.start + place) % MODULUS, token, STATUSES.number(status))
            for place, (token, status) in enumerate(self.since[:executed], 1)
        ]
        return entries[::-1][: self.log_size]

    def decide(self, *, log_later: int = 0) -> Decision:
        """Decide as a client does: from the snapshot, then with the log if it must be read."""
        executed = len(self.since) - log_later
        s0, snapshot = self.snapshot(0), self.snapshot(executed)
        decision = resolve(s0, snapshot, None, OURS, STATUSES)
        if isinstance(decision, LogNeeded):
            log = self.log(len(self.since))[: max(decision.count + log_later, 1)]
            decision = resolve(s0, snapshot, log, OURS, STATUSES)
        return decision


histories = st.builds(
    History,
    starts,
    st.none() | st.tuples(st.sampled_from((OURS, *OTHERS)), results),
    executions.map(tuple),
    st.integers(1, 10),
)


def truth(executed: tuple[tuple[str, TokenStatus], ...]) -> TokenStatus | None:
    """What became of our token, by looking at everything that ever happened."""
    ours = [status for token, status in executed if token == OURS]
    taken = [status for status in ours if status.taken]
    if taken:
        return taken[0]
    return ours[-1] if ours else None


@given(histories)
def test_the_decision_is_the_truth_or_says_that_it_cannot_tell(history: History) -> None:
    decision = history.decide()
    true = truth(history.since)
    seen = truth(history.since[-history.log_size :])
    if len(history.since) <= history.log_size:
        expected_unknown = False
    else:
        expected_unknown = seen is None or not seen.taken
    if expected_unknown:
        assert decision == Lost(Loss.GAP)
    elif true is None:
        assert decision == NeverExecuted()
    else:
        assert isinstance(decision, Executed)
        assert decision.status is not None
        assert decision.status.taken == true.taken
        if not true.taken:
            assert decision.status is true
        place = (decision.sequence - history.start) % MODULUS
        assert history.since[place - 1] == (OURS, decision.status)


@given(histories, st.integers(0, 3))
def test_a_log_that_moved_on_since_the_snapshot_does_not_mislead(
    history: History, later: int
) -> None:
    later = min(later, len(history.since))
    decision = history.decide(log_later=later)
    known = history.since[: len(history.since) - later]
    match decision:
        case NeverExecuted():
            assert truth(known) is None
        case Executed(status, _, _):
            true = truth(known)
            assert status is not None
            assert true is not None
            assert status.taken == true.taken
        case Lost() | Contradictory():
            assert len(history.since) > history.log_size
        case _:
            pytest.fail(f"{decision} is no end")


@given(histories)
def test_a_log_read_before_the_last_execution_is_never_decisive(history: History) -> None:
    """An answer that comes late shows an older log: it must not say that nothing was taken."""
    if not history.since:
        return
    s0, snapshot = history.snapshot(0), history.snapshot(len(history.since))
    old = history.log(len(history.since) - 1)
    decision = resolve(s0, snapshot, old, OURS, STATUSES)
    if isinstance(decision, Executed):
        assert truth(history.since) is not None
    else:
        assert isinstance(decision, Contradictory)


@given(histories, st.data())
def test_order_and_repeats_of_log_entries_do_not_matter(
    history: History, data: st.DataObject
) -> None:
    executed = len(history.since)
    log = history.log(executed)
    if not log:
        return
    mixed = data.draw(st.permutations(log + data.draw(st.lists(st.sampled_from(log), max_size=4))))
    args = history.snapshot(0), history.snapshot(executed)
    assert resolve(*args, mixed, OURS, STATUSES) == resolve(*args, log, OURS, STATUSES)


@given(histories)
def test_while_it_executes_nothing_else_is_looked_at(history: History) -> None:
    shown = history.snapshot(len(history.since), executing=True)
    log = history.log(len(history.since))
    assert resolve(history.snapshot(0), shown, log, OURS, STATUSES) == Executing()


@given(histories, st.integers(1, 2**31))
@example(History(0, None, (), 1), 1)
@example(History(5, None, (), 1), 2**31)
def test_a_sequence_below_the_first_is_lost(history: History, down: int) -> None:
    s0 = history.snapshot(0)
    below = Snapshot(1, (s0.sequence - down) % MODULUS, OURS, 1)
    assert resolve(s0, below, None, OURS, STATUSES) == Lost(Loss.BELOW)


@given(histories, st.sampled_from((OURS, *OTHERS)), st.integers(0, 20))
def test_an_unchanged_sequence_with_another_result_is_contradictory(
    history: History, token: str, number: int
) -> None:
    s0 = history.snapshot(0)
    other = Snapshot(1, s0.sequence, token, number)
    decision = resolve(s0, other, None, OURS, STATUSES)
    if (token, number) == (s0.last_token, s0.last_status):
        assert decision == NeverExecuted()
    else:
        assert isinstance(decision, Contradictory)


def test_an_unnamed_result_is_not_taken_for_any_other() -> None:
    s0 = Snapshot(0, 4, "", 0)
    assert resolve(s0, Snapshot(99, 5, OURS, 99), None, OURS, STATUSES) == Executed(None, 99, 5)


@pytest.mark.parametrize("number", [0, 15, 16])
def test_a_last_result_that_cannot_be_one_is_contradictory(number: int) -> None:
    s0 = Snapshot(0, 4, "", 0)
    decision = resolve(s0, Snapshot(1, 5, OURS, number), None, OURS, STATUSES)
    assert isinstance(decision, Contradictory)


def test_a_log_that_disagrees_with_the_last_result_is_contradictory() -> None:
    s0, snapshot = Snapshot(0, 4, "", 0), Snapshot(1, 6, OTHERS[0], 1)
    log = [LogEntry(6, OTHERS[1], 1), LogEntry(5, OTHERS[1], 1)]
    assert isinstance(resolve(s0, snapshot, log, OURS, STATUSES), Contradictory)


def test_a_lockout_shown_is_no_obstacle() -> None:
    s0 = Snapshot(13, 4, OTHERS[0], 13)
    assert resolve(s0, Snapshot(15, 4, OTHERS[0], 13), None, OURS, STATUSES) == NeverExecuted()


@given(
    st.integers(0, MODULUS - 1),
    st.integers(0, 10**20 - 1),
    st.integers(0, 255),
    st.sampled_from([",,", "6600000,0.0,10000", "6600000,2.10,", ",1.0,4"]),
)
def test_log_entries_are_read(sequence: int, token: int, status: int, details: str) -> None:
    text = f"{sequence},{token:020d},{details},{status}"
    assert LogEntry.parse(text) == LogEntry(sequence, f"{token:020d}", status)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1,2,,,,1", f"1,{OURS},,,1", f"{MODULUS},{OURS},,,,1", f"-1,{OURS},,,,1",
     f"1,{OURS},,,,", f"1,{OURS},,,,,1"],
)  # fmt: skip
def test_what_is_no_log_entry_is_no_evidence(text: str) -> None:
    assert LogEntry.parse(text) is None


def test_no_token_in_a_repr() -> None:
    assert OURS not in repr(Snapshot(1, 1, OURS, 1))
    assert OURS not in repr(LogEntry(1, OURS, 1))

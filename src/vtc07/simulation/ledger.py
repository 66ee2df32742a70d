"""What a meter really did: every durable transaction, checked as it happens.

The ledger judges a meter by what it was given and what its store holds, with rules of its own: it
shares no code with the meter's application process. Whatever does not follow is a `Violation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter import Changes, MeterState
from vtc07.simulation.issued import Issued
from vtc07.tokens import (
    TCT,
    ClearCredit,
    ClearTamperCondition,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    TokenData,
    TransferCredit,
)

_CREDIT_UNIT: Final = 100  # Wh in 0.1 kWh
_HOUR_NS: Final = 3600 * S
_LOSS_NS: Final = 10 * S  # what may be lost of consumption: so much time ...
_LOSS_WH: Final = 10  # ... or so much energy
_FAILURES: Final = 5
_FIRST_LOCK_S: Final = 60
_LONGEST_LOCK_S: Final = 3600


class Violation(Exception):
    """Something that must never happen; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A token executed to a result.

    ``number`` counts from 1 over the meter's life. ``unit``: whose entry it was, 0 for the keypad.
    """

    number: int
    digits: str = field(repr=False)
    status: TokenStatus
    unit: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A token that was taken for execution: from which carrier, and when in powered ns.

    ``unit``: the hand-held unit that had the line then. ``reports``: how many reports there were.
    """

    digits: str = field(repr=False)
    carrier: TCT
    powered_ns: int
    unit: int = 0
    reports: int = 0


class Ledger:
    """The durable history of one meter.

    ``known``: the tokens of the run by their digits. ``power``: W that the load takes while the
    switch is closed.
    """

    def __init__(self, name: str, state: MeterState, known: Mapping[str, Issued], power: int):
        self.name = name
        self.known = known
        self.power = power
        self.first = self.committed = state
        self.executed: list[Executed] = []
        self.entry: Entry | None = None
        self.commits = 0
        self.unit = 0
        #: the first violation: a part of the meter may swallow what is raised
        self.violation: Violation | None = None
        #: every value that lowCreditThreshold had durably
        self.thresholds = {state.settings.low_credit_threshold}
        #: how often each token was sent to the meter, by whomever
        self.sent: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._reports = 0
        self._not_taken: dict[tuple[int, str], int] = {}
        self._pending: Changes | None = None
        self._entry_before: Entry | None = None
        self._seen_live = state
        self._accepted_tids: set[tuple[int, int]] = set()

    # --- what happens ----------------------------------------------------------------------------

    def entered(self, entry: Entry) -> None:
        """Take notice of a token taken for execution."""
        if entry.carrier is TCT.VIRTUAL:
            self._taken[entry.digits] += 1
            self._require(
                self._taken[entry.digits] <= self.sent[entry.digits],
                "a token was taken that nobody sent, or more often than it was sent",
            )
        self._require(self.entry is None, "a token was taken while another one was being executed")
        self.entry = replace(entry, unit=self.unit, reports=self._reports)

    def reported(self, unit: int, digits: str, *, not_taken: bool) -> None:
        """Take notice of what a unit said of a token: "not taken" must stay true."""
        if not_taken:
            self._not_taken[unit, digits] = self._reports
        self._reports += 1

    def begin(self, changes: Changes) -> None:
        """Take notice of a commit that begins."""
        if changes.before is not self.committed and changes.before != self.committed:
            raise self._violation("a commit does not follow the one before it")
        self._pending = changes

    def done(self) -> None:
        """Take notice that it is durable."""
        changes, self._pending = self._pending, None
        assert changes is not None
        self._follow(changes)

    def failed(self) -> None:
        """Take notice that it is not, by the store's own word."""
        self.entry = None

    def power_lost(self, live: MeterState | None) -> None:
        """Take notice of what was metered when power failed; None: the meter was out of order."""
        self._seen_live = self.committed if live is None else live
        self._entry_before, self.entry = self.entry, None

    def powered_up(self, state: MeterState) -> None:
        """Compare what the store gives back with what was durable."""
        pending, self._pending = self._pending, None
        self.entry = self._entry_before  # its commit may have been the last thing that happened
        if pending is not None and state == pending.after:
            self._follow(pending)
        elif state != self.committed:
            raise self._violation("after a loss of power the store holds another state")
        self._bound_loss()
        self.committed = state
        self.entry = None

    # --- what must hold --------------------------------------------------------------------------

    def _violation(self, sentence: str) -> Violation:
        violation = Violation(f"meter {self.name}: {sentence}")
        self.violation = self.violation or violation
        return violation

    def _require(self, truth: bool, sentence: str) -> None:  # noqa: FBT001 - as assert
        if not truth:
            raise self._violation(sentence)

    def _bound_loss(self) -> None:
        lost = self._seen_live.account.consumed - self.committed.account.consumed
        bound = max(_LOSS_WH, -(-self.power * _LOSS_NS // _HOUR_NS))
        self._require(lost <= bound, f"{lost} Wh of consumption were lost, at most {bound} may be")
        self._seen_live = self.committed

    def _follow(self, changes: Changes) -> None:
        before, after = changes.before, changes.after
        self.commits += 1
        self.thresholds.add(after.settings.low_credit_threshold)
        tokens = after.tokens_executed - before.tokens_executed
        self._require(tokens in (0, 1), f"{tokens} tokens were executed in one transaction")
        self._consumption(before, after)
        if tokens:
            self._token(before, after)
        else:
            self._no_token(before, after)
        self._require(after.nameplate == before.nameplate, "the nameplate changed")
        self._require(
            after.switch.closed <= (after.account.balance > 0 and not after.switch.tamper),
            "the load switch is closed without credit or in spite of a tamper condition",
        )
        self.committed = after

    def _consumption(self, before: MeterState, after: MeterState) -> None:
        powered = after.powered_ns - before.powered_ns
        consumed = after.account.consumed - before.account.consumed
        self._require(powered >= 0, "powered time went back")
        self._require(consumed >= 0, "consumption went back")
        most = -(-self.power * powered // _HOUR_NS) + 1
        self._require(consumed <= most, f"{consumed} Wh were consumed, at most {most} can be")

    def _no_token(self, before: MeterState, after: MeterState) -> None:
        consumed = after.account.consumed - before.account.consumed
        self._require(
            after.account.balance == before.account.balance - consumed
            and after.account.accepted == before.account.accepted,
            "credit changed without a token",
        )
        self._require(after.tids == before.tids, "the TID store changed without a token")
        self._require(
            after.key == before.key and after.attributes == before.attributes,
            "the key changed without a token",
        )
        self._require(after.last == before.last, "the last result changed without a token")
        self._require(after.token_log == before.token_log, "the token log changed without a token")
        self._limits(before, after)
        self._staged_sections_stay(before, after)
        self._require(
            after.switch.tamper | before.switch.tamper == after.switch.tamper,
            "a tamper condition was cleared without a token",
        )
        self._locks_run_down(before, after)

    def _limits(self, before: MeterState, after: MeterState) -> None:
        self._require(
            (after.switch.maximum_power, after.switch.maximum_unbalance)
            == (before.switch.maximum_power, before.switch.maximum_unbalance),
            "a limit changed without its token",
        )

    def _token(self, before: MeterState, after: MeterState) -> None:
        entry, entered = after.token_log[0], self.entry
        self._require(entry.number == after.tokens_executed, "the token log has a wrong number")
        self._require(
            (after.last.token, after.last.status) == (entry.token, entry.status),
            "the last result and the token log tell two stories",
        )
        self._require(entry.status.is_result, f"{entry.status.value} is no result")
        if entered is None:
            raise self._violation("a token was executed that nobody entered")
        self._require(entered.digits == entry.token, "another token was executed than was entered")
        if entered.carrier is TCT.VIRTUAL:
            said = self._not_taken.get((entered.unit, entered.digits), -1)
            self._require(said < entered.reports, "a token was executed after 'not taken' was said")
        issued = self.known.get(entry.token)
        taken = entry.status.taken
        if issued is None or issued.token is None:
            self._require(not taken, "digits that mean nothing were accepted")
        self._credit(before, after, issued, taken=taken)
        self._tids(before, after, issued, taken=taken)
        self._key(before, after, issued, entry.status)
        self._switch_values(before, after, issued, taken=taken)
        self._lock(before, after, entered, entry.status)
        unit = entered.unit if entered.carrier is TCT.VIRTUAL else 0
        self.executed.append(Executed(entry.number, entry.token, entry.status, unit))
        self.entry = None

    def _credit(
        self, before: MeterState, after: MeterState, issued: Issued | None, *, taken: bool
    ) -> None:
        consumed = after.account.consumed - before.account.consumed
        token = None if issued is None or not taken else issued.token
        credit = 0
        match token:
            case TransferCredit(service=service, amount=amount):
                self._require(service is Service.ELECTRICITY, "another service's credit was taken")
                credit = amount * _CREDIT_UNIT
            case ClearCredit():
                self._require(after.account.balance == 0, "cleared credit is not 0")
                self._require(
                    after.account.accepted == before.account.accepted, "cleared credit was counted"
                )
                return
        self._require(
            after.account.balance == before.account.balance + credit - consumed,
            f"the balance went from {before.account.balance} to {after.account.balance} Wh with "
            f"{credit} Wh of credit and {consumed} Wh of consumption",
        )
        self._require(
            after.account.accepted == before.account.accepted + credit,
            "the accepted credit is not the sum of the credits",
        )

    def _tids(
        self, before: MeterState, after: MeterState, issued: Issued | None, *, taken: bool
    ) -> None:
        tid = None if issued is None or not taken else issued.tid
        if tid is None:
            self._require(after.tids == before.tids, "the TID store changed without a TID")
            return
        era = (int(before.attributes.base_date.code), tid)
        self._require(era not in self._accepted_tids, "a token had its effect twice")
        self._accepted_tids.add(era)
        self._require(tid in after.tids, "the TID of an accepted token was not stored")
        wanted = sorted((*before.tids, tid), reverse=True)[: len(before.tids)]
        self._require(list(after.tids) == wanted, "the TID store is not the newest TIDs")

    def _key(
        self, before: MeterState, after: MeterState, issued: Issued | None, status: TokenStatus
    ) -> None:
        section = issued is not None and issued.new_key is not None
        if status is TokenStatus.ACCEPT and section:
            assert issued is not None
            self._require(
                after.key == issued.new_key and after.attributes == issued.new_attributes,
                "the key after a key change is another one",
            )
            self._require(after.staging is None, "sections are staged after the key changed")
            return
        self._require(
            after.key == before.key and after.attributes == before.attributes,
            "the key changed without a complete set",
        )
        if not status.taken or not section:
            self._staged_sections_stay(before, after)
        else:
            self._require(after.staging is not None, "an accepted section was not staged")

    def _staged_sections_stay(self, before: MeterState, after: MeterState) -> None:
        staging = before.staging
        late = staging is not None and after.powered_ns >= staging.deadline_ns
        self._require(
            after.staging == staging or (late and after.staging is None),
            "staged sections changed without a section",
        )

    def _switch_values(
        self, before: MeterState, after: MeterState, issued: Issued | None, *, taken: bool
    ) -> None:
        token = None if issued is None or not taken else issued.token
        wanted = before.switch
        match token:
            case SetMaximumPowerLimit(watts=watts):
                wanted = replace(wanted, maximum_power=watts)
            case SetMaximumPhasePowerUnbalanceLimit(watts=watts):
                wanted = replace(wanted, maximum_unbalance=watts)
        self._require(
            (after.switch.maximum_power, after.switch.maximum_unbalance)
            == (wanted.maximum_power, wanted.maximum_unbalance),
            "a limit is not what the token says",
        )
        if isinstance(token, ClearTamperCondition):
            self._require(after.switch.tamper == 0, "a tamper condition was not cleared")
        else:
            self._require(
                after.switch.tamper | before.switch.tamper == after.switch.tamper,
                "a tamper condition was cleared by another token",
            )
        self._require(after.settings == before.settings, "a setting changed with a token")

    # --- the lockout -----------------------------------------------------------------------------

    def _locks_run_down(self, before: MeterState, after: MeterState) -> None:
        elapsed = after.powered_ns - before.powered_ns
        for was, now in (
            (before.virtual_lockout, after.virtual_lockout),
            (before.keypad_lockout, after.keypad_lockout),
        ):
            self._require(
                _facts(now) == _facts(_later(was, elapsed)), "a lockout changed without a token"
            )

    def _lock(
        self, before: MeterState, after: MeterState, entered: Entry, status: TokenStatus
    ) -> None:
        elapsed = after.powered_ns - before.powered_ns
        virtual = entered.carrier is TCT.VIRTUAL
        mine, other = before.virtual_lockout, before.keypad_lockout
        mine_after, other_after = after.virtual_lockout, after.keypad_lockout
        if not virtual:
            mine, other, mine_after, other_after = other, mine, other_after, mine_after
        at_entry = _later(mine, entered.powered_ns - before.powered_ns)
        self._require(at_entry.remaining_ns == 0, "a token was taken during the lockout")
        wanted = _later(mine, elapsed)
        if status in (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR):
            failures = wanted.failures + 1
            wanted = replace(wanted, failures=failures)
            if failures >= _FAILURES:
                length = min(2 * wanted.last_lock_s, _LONGEST_LOCK_S) or _FIRST_LOCK_S
                wanted = replace(wanted, remaining_ns=length * S, last_lock_s=length)
        elif status.taken and TokenData.from_digits(entered.digits).token_class in (0, 2):
            wanted = Lockout()
        self._require(_facts(mine_after) == _facts(wanted), "the lockout is not what it must be")
        self._require(
            _facts(other_after) == _facts(_later(other, elapsed)),
            "a token changed the lockout of another carrier",
        )

    def close(self) -> None:
        """Check the sum at the end: credit is what was accepted, less what was used or cleared."""
        balance, accepted = self.first.account.balance, self.first.account.accepted
        for executed in self.executed:
            issued = self.known.get(executed.digits)
            if issued is None or not executed.status.taken:
                continue
            if isinstance(issued.token, TransferCredit):
                accepted += issued.token.amount * _CREDIT_UNIT
        account = self.committed.account
        self._require(account.accepted == accepted, "the accepted credit is not the sum")
        cleared = any(
            isinstance(self.known[e.digits].token, ClearCredit)
            for e in self.executed
            if e.status.taken and e.digits in self.known
        )
        used = account.consumed - self.first.account.consumed
        balance += accepted - self.first.account.accepted - used
        self._require(
            account.balance == balance or cleared,
            f"the balance is {account.balance} Wh, the sum {balance} Wh",
        )

    # --- what a report must agree with -----------------------------------------------------------

    def results(self, digits: str, since: int, until: int | None) -> list[Executed]:
        """Return the executions of a token after the ``since``-th of all, up to ``until``."""
        return [e for e in self.executed[:until] if e.digits == digits and e.number > since]


def _later(lock: Lockout, elapsed_ns: int) -> Lockout:
    left = max(0, lock.remaining_ns - max(0, elapsed_ns))
    return replace(lock, remaining_ns=left)


def _facts(lock: Lockout) -> tuple[int, int, int]:
    return lock.failures, lock.remaining_ns, lock.last_lock_s

"""What a meter really did: every durable transaction, checked as it happens.

The ledger judges a meter by what it was given and what its store holds, with rules of its own: it
shares no code with the meter's application process. Whatever does not follow is a `Violation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from vtc07.carrier.companion import S
from vtc07.carrier.registers import Value
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import Changes, MeterState
from vtc07.simulation.expected import CREDIT_UNIT, expected_result, staged_rightly
from vtc07.simulation.issued import Issued
from vtc07.simulation.lockouts import later, locked_wrongly
from vtc07.simulation.logged import noted_wrongly, token_logged_wrongly
from vtc07.simulation.metering import lost_too_much, metered_wrongly
from vtc07.simulation.passwords import delay_left, guarded_wrongly
from vtc07.tokens import (
    TCT,
    ClearCredit,
    ClearTamperCondition,
    InitiateMeterTest,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    TransferCredit,
)

_SEQUENCES: Final = 2**32  # tokenSequence begins anew there
_EXECUTED_NS: Final = 5 * S  # a token is executed within this, of powered time


class Violation(Exception):
    """Something that must never happen; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A token executed to a result.

    ``number`` counts from 1 over the run. ``unit``: whose entry it was, 0 for the keypad.
    ``sequence``: the meter's tokenSequence after it.
    """

    number: int
    digits: str = field(repr=False)
    status: TokenStatus
    unit: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A token that was taken for execution: from which carrier, and when in powered ns.

    ``digits`` is empty for a value that is no token. ``unit``: the hand-held unit that had the line
    then, 0 for the keypad.
    """

    digits: str = field(repr=False)
    carrier: TCT
    powered_ns: int
    unit: int = 0


class Ledger:
    """The durable history of one meter.

    ``known``: the tokens of the run by their digits. ``power``: W that the load takes while the
    switch is closed. ``behind_password``: registers are written behind a password only.
    """

    def __init__(
        self,
        name: str,
        state: MeterState,
        known: Mapping[str, Issued],
        power: int,
        *,
        behind_password: bool = False,
    ) -> None:
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
        self._pending: Changes | None = None
        self._entry_before: Entry | None = None
        self._powered_up = True  # the next transaction is the first one since power came
        self._store_failed = False
        self._refused = {TCT.VIRTUAL: False, TCT.NUMERIC: False}
        self._written: list[tuple[str, Value]] = []
        self._behind_password = behind_password
        self._access = False  # the session that is open gave the right password
        self._compared: list[bool] = []  # whether each password was right
        #: the errors with which entries were refused, by unit and token
        self.refusals: set[tuple[int, str, ErrorCode]] = set()
        self._seen_live = state
        self._accepted_tids: set[tuple[int, int]] = set()

    # --- what happens ----------------------------------------------------------------------------

    def entered(self, entry: Entry, error: ErrorCode | None) -> None:
        """Take notice of a token that came, and of the error that refused it; None: it is taken."""
        wanted = self._refusal(entry)
        self._require(error is wanted, f"an entry was {_got(error)} that had to be {_got(wanted)}")
        if error is ErrorCode.TOKEN_LOCKOUT:
            self._refused[entry.carrier] = True
        if error is not None:
            self.refusals.add((self.unit, entry.digits, error))
            return
        if entry.carrier is TCT.VIRTUAL:
            self._taken[entry.digits] += 1
            self._require(
                self._taken[entry.digits] <= self.sent[entry.digits],
                "a token was taken that nobody sent, more often than it was sent, or after 'not "
                "taken' was said",
            )
        self.entry = replace(entry, unit=self.unit if entry.carrier is TCT.VIRTUAL else 0)

    def _refusal(self, entry: Entry) -> ErrorCode | None:
        """Return the error that an entry must get (docs/protocol.md 4)."""
        if self.entry is not None:
            return ErrorCode.TOKEN_EXECUTING
        lock = self.committed.lockout(entry.carrier)
        if later(lock, entry.powered_ns - self.committed.powered_ns).remaining_ns:
            return ErrorCode.TOKEN_LOCKOUT
        if not entry.digits:
            return ErrorCode.VALUE_REFUSED
        return ErrorCode.STORE_FAULT if self._store_failed else None

    def to_write(self, name: str, value: Value) -> None:
        """Take notice of a register that a client writes."""
        allowed = self._access or not self._behind_password
        self._require(allowed, "a register was written without the password")
        self._written.append((name, value))

    def password_given(self, *, right: bool, powered_ns: int) -> None:
        """Take notice of a password that a client gave; in a delay none counts."""
        self._access = False
        if not self._store_failed and not delay_left(self.committed, powered_ns):
            self._access = right
            self._compared.append(right)

    def access_over(self) -> None:
        """Take notice that no password given before counts any more."""
        self._access = False

    def reported_not_taken(self, digits: str) -> None:
        """Take notice that a unit said "not taken": none of what was sent may still be taken."""
        self._taken[digits] = self.sent[digits]

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

    def failed(self, error: Exception, *, struck: bool) -> None:
        """Take notice that it is not, by the store's own word; ``struck``: its disk had failed."""
        self._pending = self.entry = None
        self._store_failed = True
        self._compared.clear()
        self._require(struck, f"a commit failed on a disk that did not: {error!r}")

    def swallowed(self, error: Exception) -> None:
        """Take notice of an exception of a commit that is no word of the store."""
        self.violation = self.violation or Violation(f"{type(error).__name__} left a part: {error}")

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
        self._none_of(lost_too_much(self._seen_live, self.committed, self.power))
        self.committed = state
        self.entry = None
        self._powered_up = True
        self._store_failed = False
        self._refused = dict.fromkeys(self._refused, False)
        self._access = False
        self._compared.clear()
        self._written.clear()

    # --- what must hold --------------------------------------------------------------------------

    def _violation(self, sentence: str) -> Violation:
        violation = Violation(f"meter {self.name}: {sentence}")
        self.violation = self.violation or violation
        return self.violation  # the first: what follows may be of its making

    def _require(self, truth: bool, sentence: str) -> None:  # noqa: FBT001 - as assert
        if not truth:
            raise self._violation(sentence)

    def _none_of(self, wrong: Iterable[str]) -> None:
        for sentence in wrong:
            raise self._violation(sentence)

    def _follow(self, changes: Changes) -> None:
        before, after = changes.before, changes.after
        self.commits += 1
        self.thresholds.add(after.settings.low_credit_threshold)
        tokens = after.tokens_executed - before.tokens_executed
        self._require(tokens in (0, 1), f"{tokens} tokens were executed in one transaction")
        self._none_of(metered_wrongly(before, after, self.power))
        self._none_of(noted_wrongly(before, after, powered_up=self._powered_up))
        self._none_of(guarded_wrongly(before, after, self._compared))
        self._powered_up = False
        entered = self.entry
        if tokens:
            self._token(before, after)
        else:
            self._no_token(before, after)
        self._require(after.nameplate == before.nameplate, "the nameplate changed")
        carrier = None if not tokens or entered is None else entered.carrier
        self._none_of(locked_wrongly(before, after, self._refused, carrier))
        self._refused = dict.fromkeys(self._refused, False)
        self.committed = after

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
        self._require(after.last_test == before.last_test, "a test was noted without a token")
        self._settings(before, after)
        self._limits(before, after)
        self._staged_sections_stay(before, after)
        self._require(
            after.switch.tamper | before.switch.tamper == after.switch.tamper,
            "a tamper condition was cleared without a token",
        )

    def _settings(self, before: MeterState, after: MeterState) -> None:
        if after.settings == before.settings:
            return
        for place, (name, value) in enumerate(self._written):
            wanted = {**_settings_of(before), name: value}
            if wanted == _settings_of(after):
                del self._written[: place + 1]
                return
        raise self._violation("a setting changed that nobody wrote")

    def _limits(self, before: MeterState, after: MeterState) -> None:
        self._require(
            (after.switch.maximum_power, after.switch.maximum_unbalance)
            == (before.switch.maximum_power, before.switch.maximum_unbalance),
            "a limit changed without its token",
        )

    def _token(self, before: MeterState, after: MeterState) -> None:
        issued = self.known.get(after.last.token)
        self._none_of(token_logged_wrongly(before, after, issued))
        entry, entered = after.token_log[0], self.entry
        self._require(entry.status.is_result, f"{entry.status.value} is no result")
        if entered is None:
            raise self._violation("a token was executed that nobody entered")
        self._require(entered.digits == entry.token, "another token was executed than was entered")
        self._in_time(after.powered_ns)
        taken = entry.status.taken
        if issued is None:
            self._require(not taken, "digits that mean nothing were accepted")
        else:
            wanted = expected_result(issued, before, after)
            self._require(
                entry.status is wanted,
                f"a token ({issued.kind.value}) got {entry.status.value}, not {wanted.value}",
            )
        tested = taken and issued is not None and isinstance(issued.token, InitiateMeterTest)
        self._require(
            tested or after.last_test == before.last_test,
            "a test was noted that no token asked for",
        )
        self._credit(before, after, issued, taken=taken)
        self._tids(before, after, issued, taken=taken)
        self._key(before, after, issued, entry.status)
        self._switch_values(before, after, issued, taken=taken)
        number, sequence = len(self.executed) + 1, entry.number % _SEQUENCES
        self.executed.append(Executed(number, entry.token, entry.status, entered.unit, sequence))
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
                credit = amount * CREDIT_UNIT
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
        if issued is None or not status.taken or not section:
            self._staged_sections_stay(before, after)
        else:
            self._require(
                staged_rightly(issued, before, after), "an accepted section was not staged"
            )

    def _staged_sections_stay(self, before: MeterState, after: MeterState) -> None:
        staging = before.staging
        if staging is not None and after.powered_ns >= staging.deadline_ns:
            staging = None
        self._require(after.staging == staging, "staged sections changed without a section")

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

    # --- the end ---------------------------------------------------------------------------------

    def _in_time(self, powered_ns: int) -> None:
        late = self.entry is not None and powered_ns - self.entry.powered_ns > _EXECUTED_NS
        self._require(not late, "a token was not executed in time")

    def close(self, powered_ns: int) -> None:
        """Check the sum at the end: credit is what was accepted, less what was used or cleared.

        ``powered_ns``: the meter's powered time now, to which it must have executed its tokens.
        """
        self._in_time(powered_ns)
        self._require(all(self._compared), "a wrong password was not counted")
        balance, accepted = self.first.account.balance, self.first.account.accepted
        for executed in self.executed:
            issued = self.known.get(executed.digits)
            if issued is None or not executed.status.taken:
                continue
            if isinstance(issued.token, TransferCredit):
                accepted += issued.token.amount * CREDIT_UNIT
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

    def place(self, sequence: int) -> int:
        """Return how many tokens the run had executed when tokenSequence was this."""
        return (sequence - self.first.tokens_executed) % _SEQUENCES

    def results(self, digits: str, since: int, until: int | None) -> list[Executed]:
        """Return the executions of a token after the ``since``-th of the run, up to ``until``."""
        return [e for e in self.executed[since:until] if e.digits == digits]


def _got(error: ErrorCode | None) -> str:
    return "taken" if error is None else f"refused ({error.value})"


def _settings_of(state: MeterState) -> dict[str, Value]:
    """Return what a client may write, by the names of the registers."""
    settings = state.settings
    return {
        "lowCreditThreshold": settings.low_credit_threshold,
        "installationReference": settings.installation_reference,
        "lowCreditAlarmEnabled": settings.low_credit_alarm_enabled,
    }

"""Deliberate defects: doubles of single parts, each wrong in one way.

They prove that the simulation would notice. A defect is a mistake that somebody could make in a
meter or in a hand-held unit; a run with it must come to a violation before long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from vtc07.carrier.client import Client
from vtc07.carrier.endpoint import Procedure, perform
from vtc07.carrier.events import (
    ClientEvent,
    Command,
    EnterToken,
    Entry,
    Read,
    ReadSnapshot,
    RegistersRead,
    TokenEntryAnswered,
)
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.reader import Frame, Framed
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.server import Server
from vtc07.carrier.states import ClientInput
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.hhu.delivery import Deliverer, TokenToSend
from vtc07.hhu.journal import Delivery
from vtc07.hhu.outcome import Delivered, NotTaken, NotTakenReason, Outcome, Refused
from vtc07.hhu.progress import ResolvingEarlier
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Session
from vtc07.meter import Changes, MeterServer, SQLiteStore
from vtc07.simulation.doubles import REAL, Parts
from vtc07.simulation.powered import WatchedMeter
from vtc07.tokens import TCT


@dataclass(frozen=True, slots=True)
class Defect:
    """A double: its ``name``, what it does wrong, and the parts of a world that has it."""

    name: str
    does: str
    parts: Parts


# --- in the meter -------------------------------------------------------------------------------


class _TIDLater(WatchedMeter):
    """Stores the TID of an accepted token with the commit after."""

    _owed: tuple[int, ...] = ()

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.last is self._committed.last:
            return cause, replace(after, tids=self._owed) if self._owed else after
        self._owed, before = after.tids, self._committed.tids
        return cause, replace(after, tids=before)


class _LockoutForgotten(WatchedMeter):
    """Is not locked any more after a loss of power."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, virtual_lockout=Lockout(), keypad_lockout=Lockout()))


class _StagingForgotten(WatchedMeter):
    """Has no sections any more after a loss of power."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, staging=None))


class _CountedAt16(WatchedMeter):
    """Counts the credit when the token is entered, and when it is executed."""

    def enter(self, token: str | None, carrier: TCT, now_ns: int) -> ErrorCode | None:
        error = super().enter(token, carrier, now_ns)
        if error is None and self._entry is not None:
            now_ns, entry = self._now_ns, self._entry
            self._entry, self._now_ns = replace(entry, due_ns=now_ns), now_ns
            _, after = super()._next_transaction()
            self._entry = entry
            self._live_is(replace(self._up_to_date(), account=after.account))
        return error


class _SecondEntryTaken(WatchedMeter):
    """Takes a second token while the first is being executed, in its place."""

    def enter(self, token: str | None, carrier: TCT, now_ns: int) -> ErrorCode | None:
        if self._entry is not None and not self._flight:
            self._entry = None
            self._plan = None
        return super().enter(token, carrier, now_ns)


class _Never16(WatchedMeter):
    """Shows the last result while a token is being executed."""

    @property
    def token_status(self) -> TokenStatus:
        return self.state.last.status


class _FailedShownAsDone(WatchedMeter):
    """Shows a result that its store could not keep."""

    def _fail(self, flight: Any) -> None:
        super()._fail(flight)
        self._live_is(flight.after)


class _RefusedNotCounted(WatchedMeter):
    """Counts accepted tokens only."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        before = self._committed
        if after.last is before.last or after.last.status.taken:
            return cause, after
        return cause, replace(
            after, tokens_executed=before.tokens_executed, token_log=before.token_log
        )


class _KeypadUnlocks(WatchedMeter):
    """Lets an accepted token of the keypad end the lockout of the line."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        keypad = getattr(cause, "carrier", None) is TCT.NUMERIC
        if keypad and after.last.status.taken:
            after = replace(after, virtual_lockout=Lockout())
        return cause, after


class _ShortMemory(WatchedMeter):
    """Remembers the newest TID only, and takes what is not it."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.tids != self._committed.tids:
            after = replace(after, tids=(after.tids[0],) + (0,) * (len(after.tids) - 1))
        return cause, after


class _LogLater(WatchedMeter):
    """Writes the token log's entry with the commit after."""

    _owed: tuple[Any, ...] = ()

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.last is self._committed.last:
            return cause, replace(after, token_log=self._owed) if self._owed else after
        self._owed, before = after.token_log, self._committed.token_log
        return cause, replace(after, token_log=before)


# --- in the store -------------------------------------------------------------------------------


class _DurableLater(SQLiteStore):
    """Reports a commit as durable and writes it with the one after."""

    _late: Changes | None = None

    def commit(self, changes: Changes) -> None:
        late, self._late = self._late, changes
        if late is not None:
            super().commit(late)
        self._shown = changes.after


class _TwoHalves(SQLiteStore):
    """Writes the account in one transaction and the rest in another."""

    def commit(self, changes: Changes) -> None:
        before, after = changes.before, changes.after
        if before.account != after.account and before.last != after.last:
            half = replace(before, account=after.account)
            super().commit(Changes(before, half))
            before = half
        super().commit(Changes(before, after))


class _NotTakenBack(SQLiteStore):
    """Leaves a transaction in the file whose end was reported as failed."""

    def _take_back(self, *_: Any) -> None:
        pass


# --- in the server ------------------------------------------------------------------------------


class _TrustingServer(Server):
    """Ignores the BCC, and damaged characters."""

    def _hear(self, framed: Framed, now_ns: int) -> None:
        super()._hear(_repaired(framed), now_ns)


class _ObeysAgain(Server):
    """Carries out the last command again where a NAK asks for the last answer."""

    _heard: Framed | None = None

    def _hear(self, framed: Framed, now_ns: int) -> None:
        if framed.frame is Frame.COMMAND:
            self._heard = framed
        again = framed.frame is Frame.NAK and self.connected and self._heard is not None
        super()._hear(self._heard if again and self._heard is not None else framed, now_ns)


def _repaired(framed: Framed) -> Framed:
    if framed.frame not in (Frame.COMMAND, Frame.DATA):
        return framed
    chars = framed.chars.replace(bytes((DAMAGED,)), b"0")
    bcc = 0
    for char in chars[1:-1]:
        bcc ^= char
    return Framed(framed.frame, chars[:-1] + bytes((bcc,)), damaged=False)


def _served_by(core: type[Server]) -> type[MeterServer]:
    return type(f"Served{core.__name__}", (MeterServer,), {"core_type": core})


# --- in the hand-held unit ----------------------------------------------------------------------


class _TrustingClient(Client):
    """Ignores the BCC, and damaged characters."""

    def _hear(self, framed: Framed, now_ns: int) -> None:
        super()._hear(_repaired(framed), now_ns)


class _OneCount(Client):
    """Asks for every snapshot with the same count, and takes what comes for its answer."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._snapshot_counts = (4,)


class _NAKMeansNotTaken(Client):
    """Believes a NAK that answers a token entry."""

    def _transit(self, heard: Any, now_ns: int, event: Any = None) -> None:
        if heard is ClientInput.NAK and isinstance(self._command, EnterToken):
            heard, event = ClientInput.ERROR, TokenEntryAnswered(Entry.REFUSED, _NOT_TAKEN, "NAK")
        super()._transit(heard, now_ns, event)


_NOT_TAKEN: Final = ErrorCode.VALUE_REFUSED


class _SilenceMeansNotTaken(Client):
    """Believes that an entry without an answer did not arrive."""

    def _transit(self, heard: Any, now_ns: int, event: Any = None) -> None:
        if heard is ClientInput.SILENCE and isinstance(self._command, EnterToken):
            heard, event = ClientInput.ERROR, TokenEntryAnswered(Entry.REFUSED, _NOT_TAKEN, "")
        super()._transit(heard, now_ns, event)


class _AckMeansAccepted(Deliverer):
    """Reports "delivered" when the entry is acknowledged."""

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        if not (yield from self._announce(delivery, 1)):
            return NotTaken(NotTakenReason.JOURNAL)
        event = yield from perform(EnterToken(token))
        self._last = None
        if isinstance(event, TokenEntryAnswered) and event.entry is Entry.ACK:
            return Delivered(TokenStatus.ACCEPT, s0.sequence + 1)
        decision = yield from self._settle(s0, token, to_write_again=False)
        return NotTaken(NotTakenReason.NOT_ARRIVED) if decision is None else _told(decision)


def _told(decision: Any) -> Outcome:
    status = getattr(decision, "status", None)
    if isinstance(status, TokenStatus):
        number = decision.sequence
        return Delivered(status, number) if status.taken else Refused(status, number)
    return NotTaken(NotTakenReason.NOT_ARRIVED)


class _BlindResend(Deliverer):
    """Writes a token again, without a look, where no answer came."""

    def _settle(self, s0: Snapshot, token: str, *, to_write_again: bool) -> Procedure[Any]:
        if to_write_again:
            yield from perform(EnterToken(token))
        return (yield from super()._settle(s0, token, to_write_again=to_write_again))


class _JournalAfterwards(Deliverer):
    """Opens the journal's entry with an S0 that was read after the token was entered."""

    def deliver(self, token: TokenToSend) -> Procedure[Outcome]:
        yield from perform(EnterToken(token.digits))
        self._last = None
        return (yield from super().deliver(token))


class _EarlierForgotten(Deliverer):
    """Closes what the journal holds without result as "not taken", without a look."""

    def _resolve_earlier(self, delivery: Delivery) -> Procedure[Outcome]:
        self._session.on_progress(ResolvingEarlier(delivery.number))
        outcome = NotTaken(NotTakenReason.NOT_ARRIVED)
        yield from self._close(delivery, outcome)
        return outcome


class _UsedMeansDelivered(Deliverer):
    """Reports UsedError as delivered."""

    def deliver(self, token: TokenToSend) -> Procedure[Outcome]:
        outcome = yield from super().deliver(token)
        if isinstance(outcome, Refused) and outcome.status is TokenStatus.USED_ERROR:
            return Delivered(TokenStatus.ACCEPT, outcome.sequence)
        return outcome


class _OldSnapshot(Deliverer):
    """Takes the S0 of the first token for that of the later ones too."""

    _first: Snapshot | None = None

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        self._first = self._first or s0
        return (yield from super()._enter(delivery, token, self._first))


class _PanNotCompared(Session):
    """Goes on with whatever meter answers after a reconnection."""

    def _compare(self, event: ClientEvent) -> str:
        assert isinstance(event, RegistersRead)
        self._expected_pan = str(event.values[0].value)
        return super()._compare(event)


class _TwoReads(Session):
    """Reads a snapshot in two messages: tokenStatus and tokenSequence, then the last token."""

    def command(self, command: Command) -> Procedure[ClientEvent]:
        if not isinstance(command, ReadSnapshot):
            return (yield from super().command(command))
        table = self.companion.table
        while True:
            first = yield from super().command(Read(table.named("tokenStatus"), 2))
            second = yield from super().command(Read(table.named("lastToken"), 2))
            if isinstance(first, RegistersRead) and isinstance(second, RegistersRead):
                return replace(second, values=first.values + second.values)


class _KeyShown(WatchedMeter):
    """Shows its key in a register."""

    def values(self, registers: Sequence[Register], now_ns: int) -> tuple[Value, ...]:
        secret = self.state.key.material.hex().upper()[:32]
        return tuple(
            secret if register.name == "softwareVersion" else value
            for register, value in zip(registers, super().values(registers, now_ns), strict=True)
        )


def _meter(meter: type[WatchedMeter]) -> Parts:
    return replace(REAL, meter=meter)


def _store(store: type[SQLiteStore]) -> Parts:
    return replace(REAL, store=store)


def _server(core: type[Server]) -> Parts:
    return replace(REAL, server=_served_by(core))


def _client(client: type[Client]) -> Parts:
    return replace(REAL, client=client)


def _deliverer(deliverer: type[Deliverer]) -> Parts:
    return replace(REAL, deliverer=deliverer)


def _session(session: type[Session]) -> Parts:
    return replace(REAL, session=session)


_ALL: Final = (
    ("tid-later", _meter(_TIDLater), _TIDLater),
    ("log-later", _meter(_LogLater), _LogLater),
    ("short-memory", _meter(_ShortMemory), _ShortMemory),
    ("refused-not-counted", _meter(_RefusedNotCounted), _RefusedNotCounted),
    ("lockout-forgotten", _meter(_LockoutForgotten), _LockoutForgotten),
    ("keypad-unlocks", _meter(_KeypadUnlocks), _KeypadUnlocks),
    ("staging-forgotten", _meter(_StagingForgotten), _StagingForgotten),
    ("counted-at-16", _meter(_CountedAt16), _CountedAt16),
    ("second-entry-taken", _meter(_SecondEntryTaken), _SecondEntryTaken),
    ("never-16", _meter(_Never16), _Never16),
    ("failed-shown-as-done", _meter(_FailedShownAsDone), _FailedShownAsDone),
    ("key-shown", _meter(_KeyShown), _KeyShown),
    ("durable-later", _store(_DurableLater), _DurableLater),
    ("two-halves", _store(_TwoHalves), _TwoHalves),
    ("not-taken-back", _store(_NotTakenBack), _NotTakenBack),
    ("server-without-bcc", _server(_TrustingServer), _TrustingServer),
    ("nak-obeyed-again", _server(_ObeysAgain), _ObeysAgain),
    ("client-without-bcc", _client(_TrustingClient), _TrustingClient),
    ("one-count", _client(_OneCount), _OneCount),
    ("nak-means-not-taken", _client(_NAKMeansNotTaken), _NAKMeansNotTaken),
    ("silence-means-not-taken", _client(_SilenceMeansNotTaken), _SilenceMeansNotTaken),
    ("ack-means-accepted", _deliverer(_AckMeansAccepted), _AckMeansAccepted),
    ("blind-resend", _deliverer(_BlindResend), _BlindResend),
    ("journal-afterwards", _deliverer(_JournalAfterwards), _JournalAfterwards),
    ("earlier-forgotten", _deliverer(_EarlierForgotten), _EarlierForgotten),
    ("used-means-delivered", _deliverer(_UsedMeansDelivered), _UsedMeansDelivered),
    ("old-snapshot", _deliverer(_OldSnapshot), _OldSnapshot),
    ("pan-not-compared", _session(_PanNotCompared), _PanNotCompared),
    ("snapshot-in-two-reads", _session(_TwoReads), _TwoReads),
)

#: Every defect by its name.
DEFECTS: Final[Mapping[str, Defect]] = {
    name: Defect(name, (double.__doc__ or "").splitlines()[0], parts)
    for name, parts, double in _ALL
}

"""Hand-held units that are wrong in one way each; see `vtc07.simulation.defects`."""

# ruff: noqa: D102 - the docstring of a double's class says it all

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.endpoint import Procedure, now, perform
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
from vtc07.carrier.framing import Framed
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.registers import Value
from vtc07.carrier.states import ClientInput
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.durable.database import Connection, Rows
from vtc07.hhu.delivery import Deliverer, TokenToSend
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.outcome import (
    Delivered,
    NoLink,
    NotTaken,
    NotTakenReason,
    Outcome,
    Refused,
    Unresolved,
    UnresolvedReason,
)
from vtc07.hhu.progress import ResolvingEarlier
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Session
from vtc07.simulation.meter_defects import repaired


class TrustingClient(Client):
    """Ignores the BCC, and damaged characters."""

    def _hear(self, framed: Framed, now_ns: int) -> None:
        super()._hear(repaired(framed), now_ns)


class OneCount(Client):
    """Asks for every snapshot with the same count, and takes what comes for its answer."""

    def __init__(self, companion: Companion, **named: Any) -> None:
        one = replace(companion.token_entry, snapshot_counts=(4,))
        super().__init__(replace(companion, token_entry=one), **named)


class NAKMeansNotTaken(Client):
    """Believes a NAK that answers a token entry."""

    def _transit(self, heard: Any, now_ns: int, event: Any = None) -> None:
        if heard is ClientInput.NAK and isinstance(self._command, EnterToken):
            heard, event = ClientInput.ERROR, TokenEntryAnswered(Entry.REFUSED, _NOT_TAKEN, "NAK")
        super()._transit(heard, now_ns, event)


_NOT_TAKEN: Final = ErrorCode.VALUE_REFUSED


class SilenceMeansNotTaken(Client):
    """Believes that an entry without an answer did not arrive."""

    def _transit(self, heard: Any, now_ns: int, event: Any = None) -> None:
        if heard is ClientInput.SILENCE and isinstance(self._command, EnterToken):
            heard, event = ClientInput.ERROR, TokenEntryAnswered(Entry.REFUSED, _NOT_TAKEN, "")
        super()._transit(heard, now_ns, event)


class BlindResend(Client):
    """Writes a token again, without a look, where no answer came."""

    def _transit(self, heard: Any, now_ns: int, event: Any = None) -> None:
        silent = heard is ClientInput.SILENCE and isinstance(self._command, EnterToken)
        if silent and self._attempt < self._timing.attempts:
            self._try(now_ns)
        else:
            super()._transit(heard, now_ns, event)


class AckMeansAccepted(Deliverer):
    """Reports "delivered" when the entry is acknowledged."""

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        if not (yield from self._announce(delivery, 1)):
            return NotTaken(NotTakenReason.JOURNAL)
        event = yield from perform(EnterToken(token))
        self._last = None
        if isinstance(event, TokenEntryAnswered) and event.entry is Entry.ACK:
            return Delivered(TokenStatus.ACCEPT, s0.sequence + 1)
        decision = yield from self._settle(s0, token, to_write_again=False)
        return _told(decision)


def _told(decision: Any) -> Outcome:
    status = getattr(decision, "status", None)
    if isinstance(status, TokenStatus):
        number = decision.sequence
        return Delivered(status, number) if status.taken else Refused(status, number)
    return NotTaken(NotTakenReason.NOT_ARRIVED)


class JournalAfterwards(Deliverer):
    """Opens the journal's entry with an S0 that was read after the token was entered."""

    def deliver(self, token: TokenToSend) -> Procedure[Outcome]:
        yield from perform(EnterToken(token.digits))
        self._last = None
        return (yield from super().deliver(token))


class EarlierForgotten(Deliverer):
    """Closes what the journal holds without result as "not taken", without a look."""

    def _resolve_earlier(self, delivery: Delivery) -> Procedure[Outcome]:
        self._session.on_progress(ResolvingEarlier(delivery.number))
        outcome = NotTaken(NotTakenReason.NOT_ARRIVED)
        yield from self._close(delivery, outcome)
        return outcome


class UsedMeansDelivered(Deliverer):
    """Reports UsedError as delivered."""

    def deliver(self, token: TokenToSend) -> Procedure[Outcome]:
        outcome = yield from super().deliver(token)
        if isinstance(outcome, Refused) and outcome.status is TokenStatus.USED_ERROR:
            return Delivered(TokenStatus.ACCEPT, outcome.sequence)
        return outcome


class OldSnapshot(Deliverer):
    """Takes the S0 of the first token for that of the later ones too."""

    _first: Snapshot | None = None

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        self._first = self._first or s0
        return (yield from super()._enter(delivery, token, self._first))


class NotSentAfterAll(Deliverer):
    """Says "not sent" of a token that it has written, where the link was lost behind it."""

    def _enter(self, delivery: Delivery, token: str, s0: Snapshot) -> Procedure[Outcome]:
        outcome = yield from super()._enter(delivery, token, s0)
        if isinstance(outcome, Unresolved) and outcome.reason is UnresolvedReason.NO_LINK:
            return NoLink("the link was lost")
        return outcome


class Unannounced(Deliverer):
    """Writes tokens without a line in the journal that says so."""

    def _announce(self, delivery: Delivery, number: int) -> Procedure[bool]:  # noqa: ARG002
        yield from now()
        return True


class JournalOtherwise(Deliverer):
    """Writes "not taken" into the journal of a token that was refused."""

    def _close(self, delivery: Delivery, outcome: Outcome) -> Procedure[None]:
        if isinstance(outcome, Refused):
            outcome = NotTaken(NotTakenReason.NOT_ARRIVED)
        yield from super()._close(delivery, outcome)


class EntryLater(MemoryPlace):
    """Reports a journal's entry as durable and writes it with the one after."""

    def connect(self) -> Connection:
        return _Late(super().connect())


class _Late:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._under_way = False

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        if sql == "COMMIT":
            self._under_way = True
            sql = "SELECT 1"
        elif sql.startswith("BEGIN") and self._under_way:
            self._connection.execute("COMMIT")
            self._under_way = False
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()


class PanNotCompared(Session):
    """Goes on with whatever meter answers after a reconnection."""

    def _compare(self, value: Value) -> str:
        self._expected_pan = str(value)
        return super()._compare(value)


class TwoReads(Session):
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


def signed_on_by(commands: type[Client]) -> type[ModeCClient]:
    """Return a client of mode C with this core of commands."""
    return type(f"SignedOn{commands.__name__}", (ModeCClient,), {"commands_type": commands})

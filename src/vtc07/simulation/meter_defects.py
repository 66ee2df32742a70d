"""Meters, stores and servers that are wrong in one way each; see `vtc07.simulation.defects`."""

# ruff: noqa: D102 - the docstring of a double's class says it all

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.server import Server
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter import Changes, ConstantLoad, MeterServer, SQLiteStore
from vtc07.simulation.powered import WatchedMeter
from vtc07.tokens import TCT


class TIDLater(WatchedMeter):
    """Stores the TID of an accepted token with the commit after."""

    _owed: tuple[int, ...] = ()

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.last is self._committed.last:
            return cause, replace(after, tids=self._owed) if self._owed else after
        self._owed, before = after.tids, self._committed.tids
        return cause, replace(after, tids=before)


class LockoutForgotten(WatchedMeter):
    """Is not locked any more after a loss of power."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, virtual_lockout=Lockout(), keypad_lockout=Lockout()))


class StagingForgotten(WatchedMeter):
    """Has no sections any more after a loss of power."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, staging=None))


class CountedAt16(WatchedMeter):
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


class SecondEntryTaken(WatchedMeter):
    """Takes a second token while the first is being executed, in its place."""

    def enter(self, token: str | None, carrier: TCT, now_ns: int) -> ErrorCode | None:
        if self._entry is not None and not self._flight:
            self._entry = None
            self._plan = None
        return super().enter(token, carrier, now_ns)


class Never16(WatchedMeter):
    """Shows the last result while a token is being executed."""

    @property
    def token_status(self) -> TokenStatus:
        return self.state.last.status


class FailedShownAsDone(WatchedMeter):
    """Shows a result that its store could not keep."""

    def _fail(self, flight: Any) -> None:
        super()._fail(flight)
        self._live_is(flight.after)


class RefusedNotCounted(WatchedMeter):
    """Counts accepted tokens only."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        before = self._committed
        if after.last is before.last or after.last.status.taken:
            return cause, after
        return cause, replace(
            after, tokens_executed=before.tokens_executed, token_log=before.token_log
        )


class KeypadUnlocks(WatchedMeter):
    """Lets an accepted token of the keypad end the lockout of the line."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        keypad = getattr(cause, "carrier", None) is TCT.NUMERIC
        if keypad and after.last.status.taken:
            after = replace(after, virtual_lockout=Lockout())
        return cause, after


class ShortMemory(WatchedMeter):
    """Remembers the newest TID only, and takes what is not it."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.tids != self._committed.tids:
            after = replace(after, tids=(after.tids[0],) + (0,) * (len(after.tids) - 1))
        return cause, after


class LogLater(WatchedMeter):
    """Writes the token log's entry with the commit after."""

    _owed: tuple[Any, ...] = ()

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.last is self._committed.last:
            return cause, replace(after, token_log=self._owed) if self._owed else after
        self._owed, before = after.token_log, self._committed.token_log
        return cause, replace(after, token_log=before)


class HalfTheRoom(WatchedMeter):
    """Holds half as much credit as it must."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        policy = self._rules.policy
        policy = replace(policy, credit_maximum=policy.credit_maximum // 2)
        self._rules = replace(self._rules, policy=policy)


class HalfTheLoad(WatchedMeter):
    """Counts half of what flows."""

    def __init__(self, *given: Any, load: ConstantLoad, **named: Any) -> None:
        half = ConstantLoad(tuple(phase // 2 for phase in load.phases))
        super().__init__(*given, load=half, **named)


class SeldomCommitted(WatchedMeter):
    """Commits what was consumed every 50 Wh or 100 s."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        policy = replace(self._rules.policy, commit_interval_s=100, commit_consumption=50)
        self._rules = replace(self._rules, policy=policy)


class LockedAtFour(WatchedMeter):
    """Locks a carrier at the fourth wrong token."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._rules = replace(self._rules, lockout=replace(self._rules.lockout, failures=4))


class LossNotCounted(WatchedMeter):
    """Does not count its losses of power."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._live_is(replace(self._live, power_fails=self._committed.power_fails))


class SwitchLeftOpen(WatchedMeter):
    """Leaves the load switch open when credit comes."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if self._committed.switch.closed or not after.switch.closed:
            return cause, after
        return cause, replace(after, switch=replace(after.switch, closed=False))


class OneSectionStaged(WatchedMeter):
    """Keeps the last section of a key change only."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        staging = after.staging
        if staging is None or staging == self._committed.staging:
            return cause, after
        return cause, replace(after, staging=replace(staging, sections=staging.sections[-1:]))


class TwoSettings(WatchedMeter):
    """Changes another setting with the one that is written."""

    def _next_transaction(self) -> Any:
        cause, after = super()._next_transaction()
        if after.settings == self._committed.settings:
            return cause, after
        return cause, replace(after, settings=replace(after.settings, installation_reference="?"))


class EntryForgotten(WatchedMeter):
    """Forgets the token that is being executed when it is tampered with."""

    def tamper(self, flags: int, now_ns: int) -> None:
        super().tamper(flags, now_ns)
        self._entry = None
        self._plan = None


class KeyShown(WatchedMeter):
    """Shows its key in a register."""

    def values(self, registers: Sequence[Register], now_ns: int) -> tuple[Value, ...]:
        secret = self.state.key.material.hex().upper()[:32]
        return tuple(
            secret if register.name == "softwareVersion" else value
            for register, value in zip(registers, super().values(registers, now_ns), strict=True)
        )


# --- in the store -------------------------------------------------------------------------------


class DurableLater(SQLiteStore):
    """Reports a commit as durable and writes it with the one after."""

    _late: Changes | None = None

    def commit(self, changes: Changes) -> None:
        late, self._late = self._late, changes
        if late is not None:
            super().commit(late)
        self._shown = changes.after


class TwoHalves(SQLiteStore):
    """Writes the account in one transaction and the rest in another."""

    def commit(self, changes: Changes) -> None:
        before, after = changes.before, changes.after
        if before.account != after.account and before.last != after.last:
            half = replace(before, account=after.account)
            super().commit(Changes(before, half))
            before = half
        super().commit(Changes(before, after))


class NotTakenBack(SQLiteStore):
    """Leaves a transaction in the file whose end was reported as failed."""

    def _take_back(self, *_: Any) -> None:
        pass


# --- in the server ------------------------------------------------------------------------------


class TrustingServer(Server):
    """Ignores the BCC, and damaged characters."""

    def _hear(self, framed: Framed, now_ns: int) -> None:
        super()._hear(repaired(framed), now_ns)


class ObeysAgain(Server):
    """Carries out the last command again where a NAK asks for the last answer."""

    _heard: Framed | None = None

    def _hear(self, framed: Framed, now_ns: int) -> None:
        if framed.frame is Frame.COMMAND:
            self._heard = framed
        again = framed.frame is Frame.NAK and self.connected and self._heard is not None
        super()._hear(self._heard if again and self._heard is not None else framed, now_ns)


def repaired(framed: Framed) -> Framed:
    """Return a message with its damage made good as far as nobody looks."""
    if framed.frame not in (Frame.COMMAND, Frame.DATA):
        return framed
    chars = framed.chars.replace(bytes((DAMAGED,)), b"0")
    bcc = 0
    for char in chars[1:-1]:
        bcc ^= char
    return Framed(framed.frame, chars[:-1] + bytes((bcc,)), damaged=False)


def served_by(core: type[Server]) -> type[MeterServer]:
    """Return a server with this core."""
    return type(f"Served{core.__name__}", (MeterServer,), {"core_type": core})

"""The display and the keypad of a meter on the bench.

Time here is real time, since people look at it; the meter's own may pass faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.texts import Said, counted, said
from vtc07.meter import MeterState, TokenExecuted
from vtc07.web.bench.facts import KEYS, BenchRefused, Kind
from vtc07.web.bench.meter_tests import TEST_TITLES, asked, shown, thousandths

S: Final = 1_000_000_000
#: How long a value is shown before the next one, and how long the result of a token.
VALUE_NS: Final = 4 * S
RESULT_NS: Final = 6 * S
_TEST_NS: Final = 2 * S
#: Digits that nobody goes on with are forgotten.
_TYPING_NS: Final = 60 * S
_DIGITS: Final = 20
_GROUP: Final = 4
#: What the display says to an entry that the meter does not take for execution.
_REFUSED: Final = {
    ErrorCode.TOKEN_EXECUTING: "BUSY",
    ErrorCode.TOKEN_LOCKOUT: "LOCKED",
    ErrorCode.VALUE_REFUSED: "INVALID",
    ErrorCode.STORE_FAULT: "FAULT",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a display shows: lines as a meter has them, and the same as a sentence."""

    lines: tuple[str, ...]
    said: Said


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a token: the words, and whether it was taken."""

    said: Said
    good: bool
    lines: tuple[str, ...] = field(repr=False)


class Display:
    """What is typed, what is shown. ``now_ns``: real time in ns, of any origin."""

    def __init__(self, kind: Kind, now_ns: int) -> None:
        self._kind = kind
        self._since_ns = now_ns
        self._typed = ""
        self._typed_ns = now_ns
        self._result: Result | None = None
        self._result_ns = now_ns
        self._tests: tuple[int, ...] = ()
        self._tests_ns = now_ns

    # --- what is done to it -----------------------------------------------------------------------

    def press(self, key: str, now_ns: int) -> str | None:
        """Press a key; return the digits where they are to be entered.

        BenchRefused: there is no such key, or nothing to do for it.
        """
        if key not in KEYS:
            raise BenchRefused(said("There is no such key on the keypad."))
        typed = self.typed(now_ns)
        self._typed_ns = now_ns
        self._result, self._tests = None, ()
        if key.isdigit():
            if len(typed) == _DIGITS:
                raise BenchRefused(said("All 20 digits are typed: press enter, or clear them."))
            typed += key
        elif key == "back":
            typed = typed[:-1]
        else:
            entered, typed = typed, ""
            self._typed = ""
            return entered if key == "enter" and entered else None
        self._typed = typed
        return None

    def refused(self, error: ErrorCode, lockout_s: int, now_ns: int) -> None:
        """Show that an entry was not taken for execution."""
        word = _REFUSED.get(error, "ERROR")
        locked = error is ErrorCode.TOKEN_LOCKOUT
        lines = (word, f"{lockout_s} s") if locked else (word,)
        self._show(Result(Said(error.value), good=False, lines=lines), now_ns)

    def executed(self, event: TokenExecuted, committed: MeterState, now_ns: int) -> None:
        """Show what became of a token, whatever way it came."""
        if event.status is None:
            self.refused(ErrorCode.STORE_FAULT, 0, now_ns)
            return
        status, entry = event.status, committed.token_log[0]
        lines = [status.value]
        if status is TokenStatus.ACCEPT and entry.kind is not None and entry.value is not None:
            of_class, _, subclass = entry.kind.partition(".")
            if of_class == "0":
                lines.append(f"+{thousandths(entry.value)} {self._kind.large_unit}")
            elif of_class == "1":
                self._tests, self._tests_ns = asked(entry.value, int(subclass)), now_ns
        self._show(Result(Said(status.value), status.taken, tuple(lines)), now_ns)

    def _show(self, result: Result, now_ns: int) -> None:
        self._result, self._result_ns = result, now_ns

    # --- what it shows ----------------------------------------------------------------------------

    def typed(self, now_ns: int) -> str:
        """Return the digits typed so far."""
        if now_ns - self._typed_ns > _TYPING_NS:
            self._typed = ""
        return self._typed

    def result(self, now_ns: int) -> Result | None:
        """Return what became of the last token, for some seconds after it."""
        if self._result is not None and now_ns - self._result_ns > RESULT_NS:
            self._result = None
        return self._result

    def shown(
        self, state: MeterState, flowing: Sequence[int], now_ns: int, *, executing: bool
    ) -> Shown:
        """Return what it shows of a meter under power."""
        typed = self.typed(now_ns)
        if typed:
            groups = [typed[at : at + _GROUP] for at in range(0, len(typed), _GROUP)]
            sentence = counted(
                "{count} digit is typed.", "{count} of 20 digits are typed.", len(typed)
            )
            return Shown((" ".join(groups), f"{len(typed)}/{_DIGITS}"), sentence)
        if executing:
            return Shown(("- - - -",), said("A token is being executed."))
        test = self._test(state, sum(flowing), now_ns)
        if test is not None:
            return test
        result = self.result(now_ns)
        if result is not None:
            return Shown(result.lines, said("The last token: {result}", result=result.said))
        values = self._values(state, flowing)
        return values[(now_ns - self._since_ns) // VALUE_NS % len(values)]

    def _test(self, state: MeterState, power: int, now_ns: int) -> Shown | None:
        """Return the value of the test whose turn it is; the result first, then all of them."""
        place = (now_ns - self._tests_ns) // _TEST_NS - 1
        if not self._tests or place < 0:
            return None
        values = [(test, shown(test, state, power, self._kind)) for test in self._tests]
        there = [(test, value) for test, value in values if value is not None]
        if place >= len(there):
            self._tests = ()
            return None
        test, value = there[place]
        title = Said(TEST_TITLES[test])
        return Shown((value, f"{test:02d}"), said("{name}: {value}", name=title, value=value))

    def _values(self, state: MeterState, flowing: Sequence[int]) -> list[Shown]:
        """Return what is shown in turn while nobody does anything."""
        kind, attributes = self._kind, state.attributes
        credit = f"{thousandths(state.account.balance)} {kind.large_unit}"
        total = f"{thousandths(state.account.consumed)} {kind.large_unit}"
        power = f"{sum(flowing)} {kind.flow_unit}"
        values = [
            Shown((credit, "CREDIT"), said("Credit: {value}", value=credit)),
            Shown((power, "NOW"), said("Power now: {value}", value=power))
            if kind.flow_unit == "W"
            else Shown((power, "NOW"), said("Flow now: {value}", value=power)),
            Shown((total, "TOTAL"), said("Total consumption: {value}", value=total)),
        ]
        if len(flowing) > 1:
            values[2:2] = [
                Shown(
                    (f"{watts} W", f"L{number}"),
                    said("Phase L{number}: {value}", number=number, value=f"{watts} W"),
                )
                for number, watts in enumerate(flowing, 1)
            ]
        for word, lockout in (("KEYPAD", state.keypad_lockout), ("PORT", state.virtual_lockout)):
            if lockout.locked:
                left = f"{lockout.remaining_s} s"
                sentence = (
                    said("The keypad is locked for {time}.", time=left)
                    if lockout is state.keypad_lockout
                    else said("The port takes no token for {time}.", time=left)
                )
                values.append(Shown((left, f"LOCK {word}"), sentence))
        if state.switch.tamper:
            flags = f"{state.switch.tamper:04X}"
            values.append(Shown((flags, "TAMPER"), said("Tamper: {flags}", flags=flags)))
        key = f"KRN {attributes.krn}  KEN {attributes.ken}"
        group = f"SGC {attributes.sgc}  TI {attributes.ti}"
        values.append(Shown((key, group), said("Key: {value}", value=f"{key}, {group}")))
        return values

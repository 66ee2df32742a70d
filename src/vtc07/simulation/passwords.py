"""What wrong passwords must cost at a port of mode C, told from one durable state to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from vtc07.carrier.companion import S
from vtc07.meter import MeterState
from vtc07.meter.passwords import PasswordGuard

_FAILURES: Final = 3
_FIRST_DELAY_S: Final = 60
_LONGEST_DELAY_S: Final = 3600


def delay_left(state: MeterState, powered_ns: int) -> int:
    """Return how long no password is compared at an instant after a state, in ns."""
    elapsed = max(0, powered_ns - state.powered_ns)
    return max(0, state.password_guard.remaining_ns - elapsed)


def guarded_wrongly(before: MeterState, after: MeterState, compared: list[bool]) -> Iterator[str]:
    """Give what is wrong with the count of wrong passwords.

    ``compared``: whether each password since was right; what the transaction counts is taken out.
    """
    if after.password != before.password:
        yield "the password changed"
    wanted = replace(before.password_guard, remaining_ns=delay_left(before, after.powered_ns))
    if after.password_guard == wanted:
        return  # a right one changes nothing where none was wrong before
    for place, right in enumerate(compared):
        if after.password_guard == _after(wanted, right=right):
            del compared[: place + 1]
            return
    yield "the count of wrong passwords is not what it must be"


def _after(guard: PasswordGuard, *, right: bool) -> PasswordGuard:
    if right:
        return PasswordGuard()
    failures = guard.failures + 1
    if failures < _FAILURES:
        return replace(guard, failures=failures)
    length = min(2 * guard.last_delay_s, _LONGEST_DELAY_S) or _FIRST_DELAY_S
    return PasswordGuard(failures, length * S, length)

"""What becomes of the two lockouts of token entry, told from one durable state to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from vtc07.carrier.companion import S
from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter import MeterState
from vtc07.tokens import TCT, TokenData

_FAILURES: Final = 5
_FIRST_LOCK_S: Final = 60
_LONGEST_LOCK_S: Final = 3600
_UNLOCKING: Final = (0, 2)  # classes of the tokens that set a lockout to 0


def later(lock: Lockout, elapsed_ns: int) -> Lockout:
    """Return a lockout after so much powered time."""
    left = max(0, lock.remaining_ns - max(0, elapsed_ns))
    return replace(lock, remaining_ns=left)


def locked_wrongly(
    before: MeterState, after: MeterState, refused: Mapping[TCT, bool], carrier: TCT | None
) -> Iterator[str]:
    """Give what is wrong with the lockouts.

    ``refused``: which of them refused an entry meanwhile; ``carrier``: whence the token came that
    was executed, None where none was.
    """
    elapsed = after.powered_ns - before.powered_ns
    for each in (TCT.VIRTUAL, TCT.NUMERIC):
        was, now = before.lockout(each), after.lockout(each)
        wanted = later(was, elapsed)
        shown = (was.refused or refused[each]) and wanted.remaining_ns > 0
        if each is carrier:
            wanted = _after_token(wanted, after.last.token, after.last.status)
        if _facts(now) != _facts(wanted):
            yield _WRONG[None if carrier is None else carrier is each]
        if now.refused is not shown:
            yield "that a lockout refused an entry is not noted, or without cause"


_WRONG: Final = {
    None: "a lockout changed without a token",
    True: "the lockout is not what it must be",
    False: "a token changed the lockout of another carrier",
}


def _after_token(lock: Lockout, digits: str, status: TokenStatus) -> Lockout:
    if status in (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR):
        lock = replace(lock, failures=lock.failures + 1)
        if lock.failures < _FAILURES:
            return lock
        length = min(2 * lock.last_lock_s, _LONGEST_LOCK_S) or _FIRST_LOCK_S
        return replace(lock, remaining_ns=length * S, last_lock_s=length)
    if status.taken and TokenData.from_digits(digits).token_class in _UNLOCKING:
        return Lockout()
    return lock


def _facts(lock: Lockout) -> tuple[int, int, int]:
    return lock.failures, lock.remaining_ns, lock.last_lock_s

"""TokenLockout and the order in which a token entry is refused (IEC 62055-52 6.6 by name).

The policy is our choice; its numbers are the companion's. The state is a fact that belongs to the
meter's transaction: there is no second counter anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vtc07.carrier.companion import LockoutPolicy, S
from vtc07.carrier.status import ErrorCode, TokenStatus


def judge(
    *, token: str | None, executing: bool, locked: bool, store_fault: bool
) -> ErrorCode | None:
    """Return the first error that a token entry gets, or None: it is taken.

    ``token`` None: the value is not a token. The order is ER07, ER06, ER05, ER08
    (docs/protocol.md 4); the errors before them (ER01 to ER04) have been judged by the server.
    """
    if executing:
        return ErrorCode.TOKEN_EXECUTING
    if locked:
        return ErrorCode.TOKEN_LOCKOUT
    if token is None:
        return ErrorCode.VALUE_REFUSED
    if store_fault:
        return ErrorCode.STORE_FAULT
    return None


@dataclass(frozen=True, slots=True)
class Lockout:
    """The lockout of one carrier (virtual, or keypad).

    ``failures``: CRCErrors and MfrCodeErrors since the last accepted token of class 0 or 2.
    ``remaining_ns``: powered time until entries are taken again; 0: not locked.
    ``last_lock_s``: length of the latest lockout since that token, in s; 0: none yet.
    ``refused``: an entry was refused (ER06) in the lockout that is on; False without one.
    """

    failures: int = 0
    remaining_ns: int = 0
    last_lock_s: int = 0
    refused: bool = False

    @property
    def locked(self) -> bool:
        """True while entries get ER06."""
        return self.remaining_ns > 0

    @property
    def remaining_s(self) -> int:
        """Seconds until entries are taken again, rounded up."""
        return -(-self.remaining_ns // S)

    def after(self, status: TokenStatus, token_class: int, policy: LockoutPolicy) -> Lockout:
        """Return the lockout after a token of ``token_class`` (0 to 3) got ``status``."""
        if status in (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR):
            failures = self.failures + 1
            if failures < policy.failures:
                return replace(self, failures=failures)
            length = min(2 * self.last_lock_s, policy.longest_s) or policy.first_s
            return Lockout(failures, length * S, length)
        if status.taken and token_class in (0, 2):
            return Lockout()
        return self

    def elapsed(self, powered_ns: int) -> Lockout:
        """Return the lockout after ``powered_ns`` more of powered time."""
        if not self.remaining_ns:
            return self
        remaining_ns = max(0, self.remaining_ns - powered_ns)
        return replace(self, remaining_ns=remaining_ns, refused=self.refused and remaining_ns > 0)

    def after_refusal(self) -> Lockout:
        """Return the lockout after an entry got ER06 from it."""
        return replace(self, refused=True) if self.locked and not self.refused else self

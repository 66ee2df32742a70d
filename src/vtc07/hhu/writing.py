"""Writing ordinary registers: simply repeated by the core, read back on request.

The token-entry register is not written here: a token is delivered (`vtc07.hhu.delivery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.events import CommandRefused, Write, Written
from vtc07.carrier.registers import Register, Value
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.progress import RegisterWritten
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one register.

    ``written``: the meter acknowledged. ``error`` and ``error_text``: its error message.
    ``read_back``: the value read afterwards, None where that was not asked for or not possible.
    """

    register: Register
    value: Value
    written: bool
    error: ErrorCode | None = None
    error_text: str = ""
    read_back: Value | None = None

    @property
    def good(self) -> bool:
        """Say whether it was written and, where it was read back, reads as written."""
        return self.written and self.read_back in (None, self.value)


def write(
    session: Session,
    values: Sequence[tuple[Register, Value]],
    *,
    verify: bool = False,
) -> Procedure[tuple[WriteResult, ...]]:
    """Write registers in this order and stop at the first that the meter refuses.

    All values are checked first: ValueRefused where a register cannot hold one, ValueError for
    the token-entry register; nothing has been sent then. A register that the companion lists as
    not to be written is the meter's to refuse; such go first, so that a refusal leaves everything
    as it was. So is one that needs a password, where none was given. The meter is identified
    first where need be. Raises NoLink or AnotherMeter.
    """
    for register, value in values:
        if register == session.companion.token_entry.register:
            raise ValueError(f"{register.name} takes tokens: a token is delivered, not written")
        register.encode(value)
    yield from session.ready()
    results: list[WriteResult] = []
    for register, value in sorted(values, key=lambda pair: pair[0].write_level is not None):
        event = yield from session.command(Write(register, value))
        if isinstance(event, CommandRefused):
            refusal = WriteResult(
                register, value, written=False, error=event.error, error_text=event.error_text
            )
            results.append(refusal)
            break
        assert isinstance(event, Written)
        session.on_progress(RegisterWritten(register.name))
        results.append(WriteResult(register, value, written=True))
    if not verify:
        return tuple(results)
    readable = [
        r.register
        for r in results
        if r.written
        and r.register.read_level is not None
        and r.register.read_level <= session.level
    ]
    found = yield from read(session, readable)
    back = {v.register: v.value for v in found.values}
    return tuple(
        WriteResult(r.register, r.value, r.written, r.error, r.error_text, back.get(r.register))
        for r in results
    )

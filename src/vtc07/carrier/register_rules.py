"""What a server does with the registers of a companion, whatever sign-on stands before it.

Which command is refused with which error, which registers one read shows, and how their values are
written (docs/protocol.md 4). ER01 and ER02 are the messages' and have been judged before.
"""

from __future__ import annotations

from collections.abc import Sequence

from vtc07.carrier.companion import Companion, MessageLimits
from vtc07.carrier.events import ReadRequested, TokenEntered, WriteRequested
from vtc07.carrier.messages import DataSet, sets_that_fit
from vtc07.carrier.registers import MAX_VALUE_LENGTH, Register, Value, ValueRefused
from vtc07.carrier.status import ErrorCode


def judge_read(
    companion: Companion,
    request: int,
    address: str,
    count: int | None,
    *,
    level: int = 0,
    limits: MessageLimits | None = None,
) -> ReadRequested | ErrorCode:
    """Return what to ask of the host for a read of ``count`` registers, or its error.

    ``count``: None for one that is none. ``level``: the access level that is open. ``limits``:
    those of the one message that is the answer; None: it has as many as it takes. What could not
    fit even at its shortest is not asked of the host.
    """
    table = companion.table
    start = table.find(address)
    if start is None:
        return ErrorCode.NO_SUCH_REGISTER
    if not _open(start.read_level, level):
        return ErrorCode.ACCESS_DENIED
    if count is None:
        return ErrorCode.VALUE_REFUSED
    registers = table.readable_from(start, count, level)
    if limits is not None:
        by_alias = is_alias(start, address)
        shortest = (_shortest(register, by_alias=by_alias) for register in registers)
        fitting, _ = sets_that_fit(shortest, limits)
        registers = registers[: max(1, fitting)]
    return ReadRequested(request, registers)


def judge_write(
    companion: Companion, request: int, address: str, text: str, *, level: int = 0
) -> WriteRequested | TokenEntered | ErrorCode:
    """Return what to ask of the host for a write, or its error; ``text``: the value's characters.

    A token entry is always asked of the host: its errors have an order of their own
    (`vtc07.carrier.token_entry.judge`).
    """
    register = companion.table.find(address)
    if register is None:
        return ErrorCode.NO_SUCH_REGISTER
    if not _open(register.write_level, level):
        return ErrorCode.ACCESS_DENIED
    value = None
    if len(text) <= MAX_VALUE_LENGTH:
        try:
            value = register.decode(text)
        except ValueRefused:
            value = None
    if register == companion.token_entry.register:
        return TokenEntered(request, str(value) if value else None)
    if value is None:
        return ErrorCode.VALUE_REFUSED
    return WriteRequested(request, register, value)


def encoded(registers: Sequence[Register], values: Sequence[Value]) -> list[str]:
    """Return the characters of a host's values; ValueError where they are not as many."""
    if len(values) != len(registers):
        raise ValueError(f"{len(registers)} values are asked for, {len(values)} given")
    return [register.encode(value) for register, value in zip(registers, values, strict=True)]


def data_sets(
    registers: Sequence[Register], values: Sequence[Value], *, by_alias: bool = False
) -> list[DataSet]:
    """Return a host's values as data sets; ``by_alias``: under the alias of those that have one."""
    return [
        DataSet(_address(register, by_alias=by_alias), text, register.unit)
        for register, text in zip(registers, encoded(registers, values), strict=True)
    ]


def is_alias(register: Register, address: str) -> bool:
    """Say whether an address that found this register is its alias."""
    return register.alias is not None and address.upper() == register.alias.upper()


def _open(needed: int | None, level: int) -> bool:
    return needed is not None and needed <= level


def _address(register: Register, *, by_alias: bool) -> str:
    return register.alias if by_alias and register.alias else register.address


def _shortest(register: Register, *, by_alias: bool) -> int:
    unit = len(register.unit) + 1 if register.unit else 0
    return len(_address(register, by_alias=by_alias)) + 2 + (register.width or 0) + unit

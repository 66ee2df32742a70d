"""Addresses, values and data sets in the names and units of a companion, where there is one."""

from __future__ import annotations

from collections.abc import Iterator

from vtc07.carrier.companion import Companion
from vtc07.carrier.messages import DataSet
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.trace.pieces import Piece, Role
from vtc07.trace.values import meaning_text, number_text


def register_pieces(address: str, companion: Companion | None) -> Iterator[Piece]:
    """Name what a command asks for."""
    yield Piece(" ")
    yield Piece(address, Role.REGISTER_ID)
    if companion is None:
        return
    register = companion.table.find(address)
    yield Piece(" ")
    if register is None:
        yield Piece("not in the RegisterTable", Role.ERROR)
    else:
        yield Piece(register.name, Role.NAME)


def data_set_pieces(data_set: DataSet, companion: Companion | None) -> Iterator[Piece]:
    """Explain one data set; a value without an address as it stands."""
    register = None if companion is None else companion.table.find(data_set.address)
    if register is None or companion is None:
        if data_set.address:
            yield Piece(data_set.address, Role.REGISTER_ID)
            yield Piece(" ")
        yield Piece(data_set.value or "(empty)", Role.RAW)
        if data_set.unit:
            yield Piece(f" {data_set.unit}", Role.UNIT)
        return
    yield Piece(register.name, Role.NAME)
    yield Piece(" ")
    yield from text_pieces(register, data_set.value, companion)


def text_pieces(
    register: Register | None, text: str, companion: Companion | None
) -> Iterator[Piece]:
    """Explain a value as it stands between the parentheses."""
    if register is None or companion is None:
        yield Piece(text or "(empty)", Role.RAW)
        return
    try:
        value = register.decode(text)
    except ValueRefused:
        yield Piece(text or "(empty)", Role.ERROR)
        return
    yield from _plain(register, value, companion)


def named_value_pieces(register: Register, value: Value, companion: Companion) -> Iterator[Piece]:
    """Say a register's name and a value of it."""
    yield Piece(register.name, Role.NAME)
    yield Piece(" ")
    yield from _plain(register, value, companion)


def _plain(register: Register, value: Value, companion: Companion) -> Iterator[Piece]:
    yield Piece(number_text(register, value), Role.VALUE)
    if register.unit is not None:
        yield Piece(f" {register.unit}", Role.UNIT)
    if meaning := meaning_text(register, value, companion):
        yield Piece(f" ({meaning})", Role.MEANING)

"""What a client says to a meter of a companion, and what the meter's messages mean to it.

Pure: commands become characters, Data becomes register values (docs/protocol.md 4), with the
companion's deviations where it names some (`Compatibility`).
"""

from __future__ import annotations

import re
from typing import Final

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import (
    Break,
    Command,
    EnterToken,
    Identify,
    Identity,
    Read,
    ReadSnapshot,
    RegisterValue,
    Write,
)
from vtc07.carrier.exchange.messages import check_is_good, close, error_text, parse_data_sets
from vtc07.carrier.exchange.settings import STANDARD
from vtc07.carrier.grammar import ADDRESS
from vtc07.carrier.messages import BREAK_MESSAGE, DataMessage, ErrorMessage, IDRequest, parse_data
from vtc07.carrier.registers import Register, Value, ValueRefused
from vtc07.tokens.errors import TokenError
from vtc07.tokens.identifiers import MeterPAN

_ADDRESS = re.compile(ADDRESS)
LARGEST_COUNT: Final = 255


class ClientMessages:
    """Builds and reads one companion's messages.

    ``level``: the access level of the session; it says which registers an answer holds.
    """

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._compat = companion.compatibility
        rule = companion.mode_c
        self._read = "R1" if rule is None else rule.read.value
        self._write = "W1" if rule is None else rule.write.value
        self._snapshot_turn = 0
        self.level = 0

    # --- commands ------------------------------------------------------------------------------

    def compose(self, command: Command) -> tuple[bytes, tuple[Register, ...]]:
        """Return a command's characters and the registers that its answer may hold.

        Each `ReadSnapshot` asks with the next count in turn. ValueError: a command that cannot be
        said (an address or a value that the companion does not know).
        """
        table = self._companion.table
        match command:
            case Identify(address=address):
                if not _ADDRESS.fullmatch(address):
                    raise ValueError(
                        f"{address!r} is no address: 0 to 32 digits, letters and spaces"
                    )
                return IDRequest(address).to_chars(), ()
            case Read(start, count):
                if not 1 <= count <= LARGEST_COUNT:
                    raise ValueError(f"{count} registers: a read asks for 1 to {LARGEST_COUNT}")
                text = "" if count == 1 else f"{count:02X}"
                return self._command(self._read, start, text), self._readable(start, count)
            case ReadSnapshot():
                counts = self._snapshot_counts()
                if not counts:
                    raise ValueError("the companion has no snapshot registers")
                count = counts[self._snapshot_turn % len(counts)]
                self._snapshot_turn += 1
                start = table.named("tokenStatus")
                return self._command(self._read, start, f"{count:02X}"), self._readable(
                    start, count
                )
            case Write(register, value):
                return self._command(self._write, register, register.encode(value)), ()
            case EnterToken(token):
                if not token:
                    raise ValueError("a token is 20 decimal digits")
                register = self._companion.token_entry.register
                return self._command(self._write, register, register.encode(token)), ()
            case Break():
                return BREAK_MESSAGE, ()

    def _command(self, code: str, register: Register, value: str) -> bytes:
        message = f"\x01{code}\x02{register.address}({value})".encode("ascii")
        return close(message, self._compat.check)

    def _readable(self, start: Register, count: int) -> tuple[Register, ...]:
        return self._companion.table.readable_from(start, count, self.level)

    def _snapshot_counts(self) -> tuple[int, ...]:
        """Return the counts whose answers can be told apart; empty without snapshot registers."""
        table = self._companion.table
        if not table.has("tokenStatus"):
            return ()
        start = table.named("tokenStatus")
        counts = self._companion.token_entry.snapshot_counts
        return tuple(n for n in counts if len(self._readable(start, n)) == n)

    # --- answers -------------------------------------------------------------------------------

    def is_good(self, chars: bytes) -> bool:
        """Check a whole message, SOH or STX to BCC."""
        return check_is_good(chars, self._compat.check)

    def data(self, chars: bytes) -> DataMessage | ErrorMessage | None:
        """Parse a whole Data message whose BCC is good; None where it is none."""
        if self._compat == STANDARD:
            return parse_data(chars)
        body = chars[1:-2].decode("latin-1")
        text = error_text(body, self._compat)
        if text is not None:
            return ErrorMessage(text)
        data_sets = parse_data_sets(body)
        return None if data_sets is None else DataMessage(data_sets)

    def values(
        self, message: DataMessage, expected: tuple[Register, ...]
    ) -> tuple[RegisterValue, ...] | None:
        """Return the values of the registers asked for, or None where they are not those."""
        if len(message.data_sets) > len(expected):
            return None
        found: list[RegisterValue] = []
        for register, data_set in zip(expected, message.data_sets, strict=False):
            echoed = data_set.address.upper()
            if echoed != register.address.upper() and (
                echoed or not self._compat.address_not_echoed
            ):
                return None
            if data_set.unit is not None and data_set.unit != register.unit:
                return None
            try:
                value = register.decode(data_set.value)
            except ValueRefused:
                return None
            if register.name == "meterPAN" and not _is_meter_pan(str(value)):
                return None
            found.append(RegisterValue(register, value))
        return tuple(found)

    def identity(self, flag: str, baud_identification: str, identification: str) -> Identity:
        """Return what an identification says; what it may begin with to name a mode is no part.

        ``identification``: all characters after Z.
        """
        text, values = identification, list[Value]()
        while self._companion.mode_c is not None and text.startswith("\\"):
            text = text[2:]
        for register in self._companion.identification:
            width = register.width or register.data_type.size
            try:
                values.append(register.decode(text[:width]))
            except ValueRefused:
                break
            text = text[width:]
        parts = self._companion.identification
        laid_out = len(values) == len(parts) and not (parts and text)  # no parts: not looked at
        return Identity(
            flag, baud_identification, identification, tuple(values) if laid_out else None
        )


def _is_meter_pan(text: str) -> bool:
    try:
        MeterPAN(text)
    except TokenError:
        return False
    return True

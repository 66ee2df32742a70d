"""What a meter's port does with partial blocks: a value put together, an answer cut up.

IEC 62056-21 6.3.5, 6.5 and annex A (partial block communication, mode C). The length of a block is
free; where the standard is silent it is our choice, and in docs/provenance.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.messages import (
    CommandMessage,
    build_answer,
    build_data,
    parse_data_sets,
)
from vtc07.carrier.exchange.meter_states import MeterInput
from vtc07.carrier.exchange.settings import Compatibility
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import DataSet

#: Commands that may come, and be answered, in partial blocks; R6 by national use (VDEW).
WRITES_IN_BLOCKS: Final = ("W3", "W4")
READS_IN_BLOCKS: Final = ("R3", "R4", "R6")
#: The greatest number of characters of a value written in blocks (our choice).
LONGEST_VALUE: Final = 4096


class PartialWrite:
    """The value of a W3 or W4 while its blocks come in; bounded by `LONGEST_VALUE`.

    The address stands in the first block only. Nothing is handed on before the last block.
    ``repeat_ns``: a client that hears no answer may say a block again after this time.
    """

    def __init__(self, repeat_ns: int) -> None:
        self._repeat_ns = repeat_ns
        self.forget()

    @property
    def held(self) -> int:
        """How many characters it holds."""
        return len(self._address) + len(self._value) + len(self._latest)

    @property
    def whole(self) -> DataSet:
        """Address and value as far as they came."""
        return DataSet(self._address, self._value)

    def forget(self) -> None:
        """Drop what there is of a value."""
        self._code = self._address = self._value = ""
        self._latest = b""
        self._latest_ns = 0

    def hear(self, command: CommandMessage, chars: bytes, begun_ns: int, now_ns: int) -> MeterInput:
        """Judge a command whose check is good, and keep it where it is a block of a value.

        ``chars``: all of it; from ``begun_ns`` to ``now_ns`` it was on the line. Returns COMMAND,
        BLOCK, LAST_BLOCK or BLOCK_UNFIT; after any but BLOCK and LAST_BLOCK nothing is held.
        """
        found = parse_data_sets(command.data) if command.code in WRITES_IN_BLOCKS else None
        data_set = found[0] if found is not None and len(found) == 1 else None
        if not command.partial and (data_set is None or data_set.address):
            self.forget()
            return MeterInput.COMMAND
        if data_set is None or data_set.unit is not None:
            return self._unfit()
        if data_set.address:
            self._code, self._address, self._value = command.code, data_set.address, ""
        elif command.code != self._code or self._may_be_a_repeat(chars, begun_ns):
            return self._unfit()
        if len(self._value) + len(data_set.value) > LONGEST_VALUE:
            return self._unfit()
        self._value += data_set.value
        self._latest, self._latest_ns = chars, now_ns
        return MeterInput.BLOCK if command.partial else MeterInput.LAST_BLOCK

    def _may_be_a_repeat(self, chars: bytes, begun_ns: int) -> bool:
        """Tell whether the client may have missed the ACK to the block before and said it again.

        Nobody can know then whether these characters belong to the value once or twice.
        """
        return chars == self._latest and begun_ns - self._latest_ns >= self._repeat_ns

    def _unfit(self) -> MeterInput:
        self.forget()
        return MeterInput.BLOCK_UNFIT


def data_message(
    data_sets: Sequence[DataSet], compat: Compatibility, limits: MessageLimits
) -> bytes:
    """Build one data message of the longest prefix of whole data sets within its limit.

    One data set is sent whatever its length.
    """

    def build(count: int) -> bytes:
        return build_data(build_answer(data_sets[:count], compat, limits), compat)

    fits, beyond = min(1, len(data_sets)), len(data_sets) + 1
    if len(whole := build(len(data_sets))) <= limits.data_message:
        return whole
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if len(build(middle)) <= limits.data_message:
            fits = middle
        else:
            beyond = middle
    return build(fits)


def partial_blocks(
    data_sets: Sequence[DataSet], size: int, compat: Compatibility, limits: MessageLimits
) -> list[bytes]:
    """Build the messages of an answer in partial blocks: EOT on all but the last, which has ETX.

    A block has at most ``size`` characters between STX and ETX or EOT, and whole data sets; one
    data set that is longer is a block of its own. Every block but the last ends with a line's end,
    so that all of them joined are lines.
    """
    lines = build_answer(data_sets, compat, _lines_within(limits, size))
    blocks: list[list[str]] = [] if lines else [[]]
    length = 0
    for line in lines:
        added = len(line) + 2
        if blocks and length + added <= size:
            blocks[-1].append(line)
            length += added
        else:
            blocks.append([line])
            length = added
    last = len(blocks) - 1
    return [
        build_data(block, compat)
        if number == last
        else build_data(block if compat.crlf_before_etx else [*block, ""], compat, end=EOT)
        for number, block in enumerate(blocks)
    ]


def _lines_within(limits: MessageLimits, size: int) -> MessageLimits:
    """Return limits whose lines, with their ends, are not longer than a block."""
    if limits.line + 2 <= size:
        return limits
    return MessageLimits(line=size - 2)

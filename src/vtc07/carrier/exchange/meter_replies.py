"""What a meter's port is set to, and how the host's replies are put in characters.

Strict in what is sent (IEC 62056-21 6.3 to 6.6), but for the deviations of `Compatibility`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vtc07.carrier.companion import MessageLimits, Timing
from vtc07.carrier.exchange.events import (
    Acknowledged,
    Block,
    CommandGiven,
    DataSets,
    Denied,
    ErrorText,
    Granted,
    Identification,
    IdentificationAsked,
    MeterReply,
    MeterRequest,
    Operand,
    OperandAsked,
    PasswordGiven,
    ReadoutAsked,
    ResultGiven,
)
from vtc07.carrier.exchange.messages import (
    build_block,
    build_error,
    build_identification,
    operand_message,
)
from vtc07.carrier.exchange.meter_blocks import READS_IN_BLOCKS, data_message, partial_blocks
from vtc07.carrier.exchange.meter_states import MeterInput
from vtc07.carrier.exchange.settings import (
    STANDARD,
    START_SPEED,
    Compatibility,
    OptionFault,
    mode_and_speed,
)
from vtc07.carrier.messages import DEFAULT_LIMITS, DataSet

#: Greatest lengths of a value in a readout and in programming mode (6.5).
READOUT_VALUE: Final = 32
PROGRAMMING_VALUE: Final = 128

_ADDRESS = re.compile(r"[ \"-'*-.0-~]{0,16}")
_VALUE = re.compile(r"[ \"-'+-.0-~]*")
_MODE_E: Final = "\\2"
_SMALLEST_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class PortSettings:
    r"""What a meter's port is. ValueError where a value is not possible.

    ``flag``: three FLAG letters; the third in lower case announces a reaction time of 20 ms.
    ``baud_identification``: Z, which decides the mode, too. ``addresses``: what the meter answers
    to besides the empty address. ``mode_e``: the identification begins with ``\2`` (HDLC), which is
    answered as mode C all the same. ``partial_block``: the greatest number of characters between
    STX and ETX or EOT in one block of an R3, R4 or R6. ``speeds``: Bd that an option select may ask
    for; none: 300 and that of Z, as the standard has it. ``block_error``: what a block of a partial
    write gets that does not fit, and a block of a command that has none.
    """

    flag: str
    baud_identification: str
    addresses: tuple[str, ...] = ()
    mode_e: bool = False
    option_fault: OptionFault = OptionFault.SILENCE
    compatibility: Compatibility = STANDARD
    timing: Timing = field(default_factory=Timing)
    limits: MessageLimits = DEFAULT_LIMITS
    partial_block: int = 64
    speeds: tuple[int, ...] = ()
    block_error: str = "ER02"

    def __post_init__(self) -> None:
        build_identification(self.flag, self.baud_identification, "")
        build_error(self.block_error)
        if not all(self.addresses):
            raise ValueError("an own address is never empty: the empty address is everybody's")
        if self.partial_block < _SMALLEST_BLOCK:
            raise ValueError(f"a partial block has {_SMALLEST_BLOCK} characters or more")

    @property
    def reaction_ns(self) -> int:
        """The shortest reaction time, by the third FLAG letter (IEC 62056-21 6.3.2)."""
        timing = self.timing
        return timing.fast_reaction_ns if self.flag[2].islower() else timing.reaction_ns

    @property
    def accepted_speeds(self) -> frozenset[int]:
        """The speeds in Bd that an option select may ask for."""
        _, top = mode_and_speed(self.baud_identification)
        return frozenset(self.speeds or (START_SPEED, top))


class Answer(NamedTuple):
    """A reply in characters. ``heard``: what it is to the state table; None: just sent.

    ``blocks``: an answer in several parts; then ``chars`` is empty. ``operand``: P0's value.
    """

    heard: MeterInput | None
    chars: bytes = b""
    blocks: tuple[bytes, ...] = ()
    operand: str = ""


def encode(asked: MeterRequest, reply: MeterReply, settings: PortSettings) -> Answer:
    """Put a reply in characters; ValueError where it does not fit or cannot be said."""
    compat, limits = settings.compatibility, settings.limits
    match asked, reply:
        case IdentificationAsked(), Identification(text):
            return Answer(None, _identification(text, settings))
        case ReadoutAsked(), Block(lines):
            for line in lines:
                _check(line, READOUT_VALUE)
            return Answer(None, build_block(lines, compat, limits))
        case OperandAsked(), Operand(text):
            return Answer(None, operand_message(text, compat.check), operand=text)
        case ((PasswordGiven() | ResultGiven()), Granted()):
            return Answer(MeterInput.DONE)
        case ((PasswordGiven() | ResultGiven()), Denied()):
            return Answer(MeterInput.DENIED)
        case CommandGiven(), Acknowledged():
            return Answer(MeterInput.DONE)
        case CommandGiven(), ErrorText(text):
            return Answer(MeterInput.REFUSED, build_error(text, compat.check))
        case CommandGiven(code=code), DataSets(data_sets):
            _check(data_sets, PROGRAMMING_VALUE)
            if code in READS_IN_BLOCKS:
                blocks = partial_blocks(data_sets, settings.partial_block, compat, limits)
                if len(blocks) > 1:
                    return Answer(MeterInput.DATA_BLOCKS, blocks=tuple(blocks))
                return Answer(MeterInput.DATA, blocks[0])
            return Answer(MeterInput.DATA, data_message(data_sets, compat, limits))
    raise ValueError(f"{type(reply).__name__} is no answer to {type(asked).__name__}")


def _identification(text: str, settings: PortSettings) -> bytes:
    if settings.mode_e and not text.startswith(_MODE_E):
        text = _MODE_E + text
    return build_identification(
        settings.flag, settings.baud_identification, text, settings.compatibility
    )


def _check(data_sets: Iterable[DataSet], longest: int) -> None:
    """Raise ValueError where a data set would not be the standard's (6.5)."""
    for data_set in data_sets:
        if not _ADDRESS.fullmatch(data_set.address):
            raise ValueError(
                f"an address is up to 16 printable characters without ( ) / and !, "
                f"not {data_set.address!r}"
            )
        if not _VALUE.fullmatch(data_set.value) or len(data_set.value) > longest:
            raise ValueError(
                f"the value of {data_set.address or 'a data set'} is up to {longest} printable "
                "characters without ( ) * / and !"
            )
        if data_set.unit is not None and not _ADDRESS.fullmatch(data_set.unit):
            raise ValueError(
                f"a unit is up to 16 printable characters without ( ) / and !, "
                f"not {data_set.unit!r}"
            )

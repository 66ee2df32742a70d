"""All transitions of a hand-held unit of IEC 62056-21, in one table.

The machine in `hhu` turns what happens on the line and on the clock into inputs and carries out
the actions; it decides nothing that is not here. Source: the HHU's side of annex A and of 6.4; what
a unit does after silence, damage and a lost session is our choice where the standard says nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from vtc07.carrier.exchange.events import GivePassword, GiveResult, Order, SignOff, SignOn


class HHUState(enum.Enum):
    """What a hand-held unit is doing or waiting for."""

    READY = "no command"
    LEAVING = "leaving a session that may still be open"
    IDENTIFICATION = "awaiting the identification"
    OPTION = "sending the option select"
    READOUT = "awaiting the readout"
    OPERAND = "awaiting P0"
    ACCESS = "awaiting the answer to P1 or P2"
    ANSWER = "awaiting the answer to a command"
    BLOCKS = "awaiting the next block of an answer"
    WRITING = "awaiting the ACK of a block"
    LAST_BLOCK = "awaiting the answer to the last block"
    SIGN_OFF = "signing off"


class HHUInput(enum.Enum):
    """What can happen to a hand-held unit."""

    IDENTIFICATION_AB = "identification of mode A or B"
    IDENTIFICATION_C = "identification of mode C or E"
    SENT_FOR_READOUT = "the option select is out, for a readout"
    SENT_FOR_PROGRAMMING = "the option select is out, for programming mode"
    READOUT = "a readout"
    READOUT_AGAIN = "a readout, though Z was 0"
    OPERAND = "P0"
    DATA = "Data up to ETX"
    BLOCK = "Data up to EOT"
    TWIN = "the block of before once more, after its ACK"
    ERROR = "an error message"
    ACK = "ACK"
    ACK_BEFORE_LAST = "ACK, one block is left"
    NAK = "NAK"
    BREAK = "B0"
    DAMAGED = "a damaged message, NAKs left"
    DAMAGED_TOO_OFTEN = "a damaged message, no NAK left"
    FOREIGN = "any other message, an echo"
    SILENCE = "no answer in time, attempts left"
    GIVE_UP = "no answer in time, no attempt left"
    SENT = "B0 is out"
    LINK_LOST = "link lost"


class HHUAction(enum.Enum):
    """What a hand-held unit does about it."""

    REQUEST = "request at 300 Bd"
    SELECT = "option select"
    LISTEN = "change of speed"
    LEAVE = "B0, and sign-on after 1.5 s"
    FINISH = "report it"
    REFUSED = "report that programming mode is refused"
    SEND_NAK = "NAK"
    NEXT = "ACK"
    NEXT_BLOCK = "the next block"
    SAME_BLOCK = "the same block again"
    REPEAT = "the command again"
    OVER = "all blocks again from the first"
    FAIL = "report the failure"
    DROP = "nothing"


class HHUTransition(NamedTuple):
    """Where a hand-held unit goes and what it does on the way."""

    state: HHUState
    action: HHUAction


_READY = HHUState.READY
_STAYS = frozenset(
    {HHUAction.DROP, HHUAction.SEND_NAK, HHUAction.SAME_BLOCK, HHUAction.REPEAT, HHUAction.OVER}
)

# What can be heard wherever something is awaited; where a readout is, ACK begins an echo.
_STRAY = (HHUInput.OPERAND, HHUInput.NAK, HHUInput.BREAK, HHUInput.FOREIGN)
_STRAY_ACK = (*_STRAY, HHUInput.ACK)
_STRAY_DATA = (*_STRAY_ACK, HHUInput.DATA, HHUInput.BLOCK)


def _row(
    state: HHUState,
    stray: Iterable[HHUInput],
    does: Mapping[HHUInput, HHUAction | tuple[HHUState, HHUAction]],
) -> Mapping[HHUInput, HHUTransition]:
    """Complete a row: a lost link ends every command, and what is ``stray`` is dropped.

    What is in no row cannot happen there.
    """
    found: dict[HHUInput, HHUAction | tuple[HHUState, HHUAction]] = {
        **dict.fromkeys(stray, HHUAction.DROP),
        HHUInput.LINK_LOST: HHUAction.FAIL,
        **does,
    }
    row: dict[HHUInput, HHUTransition] = {}
    for heard in (heard for heard in HHUInput if heard in found):
        goes = found[heard]
        if isinstance(goes, HHUAction):
            goes = (state if goes in _STAYS else _READY, goes)
        row[heard] = HHUTransition(*goes)
    return MappingProxyType(row)


_REPORTED: Mapping[HHUInput, HHUAction] = {
    HHUInput.ERROR: HHUAction.FINISH,
    HHUInput.BREAK: HHUAction.FINISH,
    HHUInput.DAMAGED: HHUAction.SEND_NAK,
    HHUInput.GIVE_UP: HHUAction.FAIL,
}
_AGAIN = (HHUState.ANSWER, HHUAction.REPEAT)
_AFRESH = (HHUState.WRITING, HHUAction.OVER)
_LEAVE = (HHUState.LEAVING, HHUAction.LEAVE)
_REQUEST = (HHUState.IDENTIFICATION, HHUAction.REQUEST)

HHU_TABLE: Final[Mapping[HHUState, Mapping[HHUInput, HHUTransition]]] = MappingProxyType({
    _READY: MappingProxyType({}),  # nothing is awaited, so nothing that comes is an answer
    HHUState.LEAVING: _row(HHUState.LEAVING, (), {HHUInput.SENT: _REQUEST}),
    # A readout that comes here is that of t_t: its end is awaited, as of anything else.
    HHUState.IDENTIFICATION: _row(HHUState.IDENTIFICATION, _STRAY_ACK, {
        HHUInput.IDENTIFICATION_AB: (HHUState.READOUT, HHUAction.LISTEN),
        HHUInput.IDENTIFICATION_C: (HHUState.OPTION, HHUAction.SELECT),
        HHUInput.DAMAGED: _REQUEST,
        HHUInput.SILENCE: _REQUEST,
        HHUInput.GIVE_UP: HHUAction.FAIL,
    }),
    HHUState.OPTION: _row(HHUState.OPTION, (), {
        HHUInput.SENT_FOR_READOUT: (HHUState.READOUT, HHUAction.LISTEN),
        HHUInput.SENT_FOR_PROGRAMMING: (HHUState.OPERAND, HHUAction.LISTEN),
    }),
    HHUState.READOUT: _row(HHUState.READOUT, _STRAY, {
        HHUInput.READOUT: HHUAction.FINISH,
        HHUInput.DAMAGED: HHUAction.SEND_NAK,
        HHUInput.DAMAGED_TOO_OFTEN: HHUAction.FAIL,
        HHUInput.SILENCE: _REQUEST,
        HHUInput.GIVE_UP: HHUAction.FAIL,
    }),
    # P0 error: B0. A readout in its place is consumed, and programming mode asked for with Z = 0.
    HHUState.OPERAND: _row(HHUState.OPERAND, _STRAY, {
        HHUInput.OPERAND: HHUAction.FINISH,
        HHUInput.READOUT: _REQUEST,
        HHUInput.READOUT_AGAIN: HHUAction.REFUSED,
        HHUInput.BREAK: _REQUEST,
        HHUInput.DAMAGED: _LEAVE,
        HHUInput.SILENCE: _LEAVE,
        HHUInput.GIVE_UP: HHUAction.FAIL,
    }),
    HHUState.ACCESS: _row(HHUState.ACCESS, _STRAY_DATA, {
        **_REPORTED,
        HHUInput.ACK: HHUAction.FINISH,
        HHUInput.NAK: HHUAction.REPEAT,
        HHUInput.DAMAGED_TOO_OFTEN: HHUAction.REPEAT,
        HHUInput.SILENCE: HHUAction.REPEAT,
    }),
    HHUState.ANSWER: _row(HHUState.ANSWER, _STRAY_DATA, {
        **_REPORTED,
        HHUInput.DATA: HHUAction.FINISH,
        HHUInput.BLOCK: (HHUState.BLOCKS, HHUAction.NEXT),
        HHUInput.ACK: HHUAction.FINISH,
        HHUInput.NAK: HHUAction.REPEAT,
        HHUInput.DAMAGED_TOO_OFTEN: HHUAction.REPEAT,
        HHUInput.SILENCE: HHUAction.REPEAT,
    }),
    # After silence nobody knows whether the ACK or the block was lost: from the beginning again.
    HHUState.BLOCKS: _row(HHUState.BLOCKS, _STRAY_DATA, {
        **_REPORTED,
        HHUInput.DATA: HHUAction.FINISH,
        HHUInput.BLOCK: (HHUState.BLOCKS, HHUAction.NEXT),
        HHUInput.TWIN: _AGAIN,
        HHUInput.NAK: _AGAIN,
        HHUInput.DAMAGED_TOO_OFTEN: _AGAIN,
        HHUInput.SILENCE: _AGAIN,
    }),
    HHUState.WRITING: _row(HHUState.WRITING, _STRAY_DATA, {
        **_REPORTED,
        HHUInput.ACK: (HHUState.WRITING, HHUAction.NEXT_BLOCK),
        HHUInput.ACK_BEFORE_LAST: (HHUState.LAST_BLOCK, HHUAction.NEXT_BLOCK),
        HHUInput.NAK: HHUAction.SAME_BLOCK,
        HHUInput.DAMAGED_TOO_OFTEN: _AFRESH,
        HHUInput.SILENCE: _AFRESH,
    }),
    HHUState.LAST_BLOCK: _row(HHUState.LAST_BLOCK, _STRAY_DATA, {
        **_REPORTED,
        HHUInput.DATA: HHUAction.FINISH,
        HHUInput.ACK: HHUAction.FINISH,
        HHUInput.NAK: HHUAction.SAME_BLOCK,
        HHUInput.DAMAGED_TOO_OFTEN: _AFRESH,
        HHUInput.SILENCE: _AFRESH,
    }),
    # B0 is not answered; B1, after a fast wake-up, is acknowledged.
    HHUState.SIGN_OFF: _row(HHUState.SIGN_OFF, _STRAY_ACK, {
        HHUInput.SENT: HHUAction.FINISH,
        HHUInput.ACK: HHUAction.FINISH,
        HHUInput.SILENCE: HHUAction.REPEAT,
        HHUInput.GIVE_UP: HHUAction.FINISH,
    }),
})  # fmt: skip

#: What a unit waits for once a command has begun; a SignOn begins with `HHUState.LEAVING` where a
#: session may still be open, an Order in blocks with `HHUState.WRITING`.
HHU_BEGINS: Final[Mapping[type, HHUState]] = MappingProxyType({
    SignOn: HHUState.IDENTIFICATION,
    GivePassword: HHUState.ACCESS,
    GiveResult: HHUState.ACCESS,
    Order: HHUState.ANSWER,
    SignOff: HHUState.SIGN_OFF,
})  # fmt: skip

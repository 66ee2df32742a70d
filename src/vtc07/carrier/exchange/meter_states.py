"""All transitions of a meter's port of IEC 62056-21, in one place.

`meter_port` turns what happens on the line, on the clock and at the host into inputs and carries
out the actions; it decides nothing that is not here. Source: annex A, figure A.1 (mode C), 6.4.1
and 6.4.2 (modes A and B); where the standard is silent it is our choice, and in
docs/provenance.md. What is missing in a row cannot happen in that state.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class MeterState(enum.Enum):
    """What a meter's port waits for. At the start it is at 300 Bd, and so it is when identified.

    A partial write is a state of its own: only there is a block without an address its next part.
    """

    IDLE = "Idle"
    WAIT_OPTION = "Identified"
    SENT_READOUT = "Readout sent"
    PROG = "Programming mode"
    PARTIAL = "Partial read"
    WRITING = "Partial write"


class MeterInput(enum.Enum):
    """What can happen to a meter's port."""

    REQUEST = "request for this meter"
    REQUEST_OTHER = "request for another meter"
    REQUEST_DAMAGED = "damaged, malformed or incomplete request"
    IDENTIFIED = "identification of mode A or B sent"
    OPTION_READOUT = "option select: readout"
    OPTION_PROGRAMMING = "option select: programming mode"
    OPTION_UNSUPPORTED = "option select: what is not supported"
    OPTION_FAULT_SILENCE = "faulty option select, set to silence"
    OPTION_FAULT_READOUT = "faulty option select, set to readout"
    NO_OPTION = "no option select within t_t"
    COMMAND = "command"
    BLOCK = "block of a partial write, not the last"
    LAST_BLOCK = "last block of the partial write"
    BLOCK_UNFIT = "block that does not fit"
    BREAK = "B0"
    BREAK_ACKNOWLEDGED = "B1"
    DAMAGED = "message with a wrong check, damaged, malformed or overlong"
    INCOMPLETE = "message incomplete for 1500 ms"
    ACK_MORE = "ACK, two or more blocks left"
    ACK_LAST = "ACK, one block left"
    NOISE = "stray ACK"
    NAK = "NAK, up to the third for one message"
    NAK_TOO_MANY = "NAK beyond the third"
    DATA = "host: data"
    DATA_BLOCKS = "host: data of several blocks"
    DONE = "host: done, or access granted"
    REFUSED = "host: refused"
    DENIED = "host: access denied"
    LATE = "answer too late"
    READOUT_OVER = "no NAK within the longest reaction"
    INACTIVITY = "inactivity for 60 to 120 s"
    LINK_CLOSED = "link closed"


class MeterAction(enum.Enum):
    """What a meter's port does about it."""

    IDENTIFY = "identification at 300 Bd"
    READ_OUT = "readout at the speed chosen"
    READ_OUT_SLOW = "readout at 300 Bd"
    READ_OUT_THEN_LISTEN = "readout at the speed of Z, then 300 Bd"
    SEND_OPERAND = "P0 at the speed chosen"
    ASK = "ask the host"
    KEEP_BLOCK = "ACK, block kept"
    SEND_DATA = "data"
    SEND_BLOCK = "next block"
    ACKNOWLEDGE = "ACK"
    REFUSE = "error message"
    BREAK_OFF = "B0"
    SEND_NAK = "NAK"
    REPEAT = "the last message again"
    SILENCE = "silence"


class MeterTransition(NamedTuple):
    """Where a meter's port goes and what it does on the way."""

    state: MeterState
    action: MeterAction


_IDLE, _PROG, _PARTIAL = MeterState.IDLE, MeterState.PROG, MeterState.PARTIAL
_WAIT_OPTION, _SENT_READOUT = MeterState.WAIT_OPTION, MeterState.SENT_READOUT
_WRITING = MeterState.WRITING
_SILENCE = MeterAction.SILENCE

# What can be heard, and what time brings, while identified and in every state after that.
_ALWAYS = (
    MeterInput.REQUEST_OTHER,
    MeterInput.REQUEST_DAMAGED,
    MeterInput.COMMAND,
    MeterInput.BREAK,
    MeterInput.BREAK_ACKNOWLEDGED,
    MeterInput.DAMAGED,
    MeterInput.INCOMPLETE,
    MeterInput.NAK,
    MeterInput.LATE,
    MeterInput.INACTIVITY,
    MeterInput.LINK_CLOSED,
)
# An ACK while identified begins an option select, and in a partial read asks for the next block.
_LATER = (*_ALWAYS, MeterInput.NAK_TOO_MANY)
_STRAY = (*_LATER, MeterInput.NOISE)

# While Idle only requests are heard, so nothing else can happen but a closed link and an answer
# (B0, or ACK to B1) that nobody took in time.
_HEARD_IDLE = (
    MeterInput.REQUEST_OTHER,
    MeterInput.REQUEST_DAMAGED,
    MeterInput.LATE,
    MeterInput.LINK_CLOSED,
)


def _row(
    state: MeterState, inputs: Iterable[MeterInput], more: Mapping[MeterInput, MeterTransition]
) -> Mapping[MeterInput, MeterTransition]:
    """Complete a row: these inputs are met with silence and lead to ``state`` where not named."""
    row = {heard: MeterTransition(state, _SILENCE) for heard in inputs}
    row[MeterInput.REQUEST] = MeterTransition(_WAIT_OPTION, MeterAction.IDENTIFY)
    row.update(more)
    return {heard: row[heard] for heard in MeterInput if heard in row}


# A session ends in the same manner wherever it is.
_ENDS: Mapping[MeterInput, MeterTransition] = {
    MeterInput.REQUEST_OTHER: MeterTransition(_IDLE, _SILENCE),
    MeterInput.BREAK: MeterTransition(_IDLE, _SILENCE),
    MeterInput.BREAK_ACKNOWLEDGED: MeterTransition(_IDLE, MeterAction.ACKNOWLEDGE),
    MeterInput.INACTIVITY: MeterTransition(_IDLE, _SILENCE),
    MeterInput.LINK_CLOSED: MeterTransition(_IDLE, _SILENCE),
}

# Commands are taken alike in programming mode and in the middle of a transfer, which they abort.
_COMMANDS: Mapping[MeterInput, MeterTransition] = {
    **_ENDS,
    MeterInput.COMMAND: MeterTransition(_PROG, MeterAction.ASK),
    MeterInput.BLOCK: MeterTransition(_WRITING, MeterAction.KEEP_BLOCK),
    MeterInput.BLOCK_UNFIT: MeterTransition(_PROG, MeterAction.REFUSE),
}

METER: Mapping[MeterState, Mapping[MeterInput, MeterTransition]] = {
    _IDLE: _row(_IDLE, _HEARD_IDLE, {}),
    _WAIT_OPTION: _row(
        _WAIT_OPTION,
        _ALWAYS,
        {
            **_ENDS,
            MeterInput.IDENTIFIED: MeterTransition(_PROG, MeterAction.READ_OUT_THEN_LISTEN),
            MeterInput.OPTION_READOUT: MeterTransition(_SENT_READOUT, MeterAction.READ_OUT),
            MeterInput.OPTION_PROGRAMMING: MeterTransition(_PROG, MeterAction.SEND_OPERAND),
            MeterInput.OPTION_UNSUPPORTED: MeterTransition(
                _SENT_READOUT, MeterAction.READ_OUT_SLOW
            ),
            MeterInput.OPTION_FAULT_SILENCE: MeterTransition(_IDLE, _SILENCE),
            MeterInput.OPTION_FAULT_READOUT: MeterTransition(
                _SENT_READOUT, MeterAction.READ_OUT_SLOW
            ),
            MeterInput.NO_OPTION: MeterTransition(_SENT_READOUT, MeterAction.READ_OUT_SLOW),
            MeterInput.LATE: MeterTransition(_IDLE, _SILENCE),
        },
    ),
    # Whatever is no NAK ends it; a client sends NAK within its longest reaction time or never.
    _SENT_READOUT: _row(
        _IDLE,
        (*_STRAY, MeterInput.READOUT_OVER),
        {**_ENDS, MeterInput.NAK: MeterTransition(_SENT_READOUT, MeterAction.REPEAT)},
    ),
    _PROG: _row(
        _PROG,
        _STRAY,
        {
            **_COMMANDS,
            MeterInput.DAMAGED: MeterTransition(_PROG, MeterAction.SEND_NAK),
            MeterInput.NAK: MeterTransition(_PROG, MeterAction.REPEAT),
            MeterInput.DATA: MeterTransition(_PROG, MeterAction.SEND_DATA),
            MeterInput.DATA_BLOCKS: MeterTransition(_PARTIAL, MeterAction.SEND_BLOCK),
            MeterInput.DONE: MeterTransition(_PROG, MeterAction.ACKNOWLEDGE),
            MeterInput.REFUSED: MeterTransition(_PROG, MeterAction.REFUSE),
            MeterInput.DENIED: MeterTransition(_IDLE, MeterAction.BREAK_OFF),
        },
    ),
    _PARTIAL: _row(
        _PARTIAL,
        _LATER,
        {
            **_COMMANDS,
            MeterInput.ACK_MORE: MeterTransition(_PARTIAL, MeterAction.SEND_BLOCK),
            MeterInput.ACK_LAST: MeterTransition(_PROG, MeterAction.SEND_BLOCK),
            MeterInput.DAMAGED: MeterTransition(_PARTIAL, MeterAction.SEND_NAK),
            MeterInput.NAK: MeterTransition(_PARTIAL, MeterAction.REPEAT),
        },
    ),
    # NAK is not answered by the ACK to the block before: a client whose block was lost would take
    # that for the ACK to this one, and a part of the value would be missing.
    _WRITING: _row(
        _WRITING,
        (*_ALWAYS, MeterInput.NOISE),
        {
            **_COMMANDS,
            MeterInput.LAST_BLOCK: MeterTransition(_PROG, MeterAction.ASK),
            MeterInput.DAMAGED: MeterTransition(_WRITING, MeterAction.SEND_NAK),
        },
    ),
}

"""Every row of the state table of a meter's port: each is a test that bears the row's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench_meter_port import (
    ACK,
    B0,
    B1,
    BLOCKS,
    DATA,
    IDENTIFICATION,
    NAK,
    P0,
    READOUT,
    REQUEST,
    SETTINGS,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    checked,
    command,
    host,
)

from vtc07.carrier.companion import MS, Timing
from vtc07.carrier.exchange.events import MeterReply, MeterRequest, ReadoutAsked
from vtc07.carrier.exchange.meter_states import METER, MeterAction, MeterInput, MeterState
from vtc07.carrier.exchange.settings import OptionFault

R1, R3 = command("R1", "1.8.0()"), command("R3", "0001(3)")
FIRST = command("W3", "0001(a)", more=True)
LAST = command("W3", "(c)")
SPECIAL = {
    MeterInput.OPTION_FAULT_READOUT: replace(SETTINGS, option_fault=OptionFault.READOUT),
    MeterInput.IDENTIFIED: replace(SETTINGS, baud_identification="D"),  # mode B, 4800 Bd
    MeterInput.INCOMPLETE: replace(SETTINGS, timing=Timing(inter_character_ns=300 * MS)),
}


def slow(*chars: bytes) -> Callable[[PortBench], None]:
    """The driver comes 2 s late with the answer to the last of these."""

    def run(bench: PortBench) -> None:
        for said in chars[:-1]:
            bench.say(said, 700)
        bench.hear(chars[-1])
        bench.now_ns += 2000 * MS
        bench.turn()

    return run


def say(*chars: bytes, wait_ms: float = 700) -> Callable[[PortBench], None]:
    def run(bench: PortBench) -> None:
        for said in chars:
            bench.say(said, wait_ms)

    return run


def pause(ms: float) -> Callable[[PortBench], None]:
    return lambda bench: bench.advance(ms)


REACHED: dict[MeterState, Callable[[PortBench], None]] = {
    MeterState.IDLE: say(),
    MeterState.WAIT_OPTION: say(REQUEST),
    MeterState.SENT_READOUT: say(REQUEST, TO_READ_OUT),
    MeterState.PROG: say(REQUEST, TO_PROGRAM),
    MeterState.PARTIAL: say(REQUEST, TO_PROGRAM, R3),
    MeterState.WRITING: say(REQUEST, TO_PROGRAM, FIRST),
}
CAUSED: dict[MeterInput, Callable[[PortBench], None]] = {
    MeterInput.REQUEST: say(b"/?00010203!\r\n"),
    MeterInput.REQUEST_OTHER: say(b"/?10204!\r\n"),
    MeterInput.REQUEST_DAMAGED: say(b"/?102\xff3!\r\n"),
    MeterInput.IDENTIFIED: say(),
    MeterInput.OPTION_READOUT: say(TO_READ_OUT),
    MeterInput.OPTION_PROGRAMMING: say(TO_PROGRAM),
    MeterInput.OPTION_UNSUPPORTED: say(b"\x06252\r\n"),
    MeterInput.OPTION_FAULT_SILENCE: say(b"\x060\xff1\r\n"),
    MeterInput.OPTION_FAULT_READOUT: say(b"\x060\xff1\r\n"),
    MeterInput.NO_OPTION: pause(2300),
    MeterInput.COMMAND: say(R1),
    MeterInput.BLOCK: say(FIRST),
    MeterInput.LAST_BLOCK: say(LAST),
    MeterInput.BLOCK_UNFIT: say(command("R1", "1.8.0()", more=True)),
    MeterInput.BREAK: say(B0),
    MeterInput.BREAK_ACKNOWLEDGED: say(B1),
    MeterInput.DAMAGED: say(R1[:-1] + bytes([R1[-1] ^ 1])),
    MeterInput.INCOMPLETE: say(R1[:-1], wait_ms=300),
    MeterInput.ACK_MORE: say(ACK),
    MeterInput.ACK_LAST: say(ACK, ACK),
    MeterInput.NOISE: say(ACK),
    MeterInput.NAK: say(NAK),
    MeterInput.NAK_TOO_MANY: say(NAK, NAK, NAK, NAK),
    MeterInput.DATA: say(R1),
    MeterInput.DATA_BLOCKS: say(R3),
    MeterInput.DONE: say(command("P1", "(right)")),
    MeterInput.REFUSED: say(command("E2", "0001()")),
    MeterInput.DENIED: say(command("P1", "(wrong)")),
    MeterInput.READOUT_OVER: pause(1500),
    MeterInput.INACTIVITY: pause(120_000),
    MeterInput.LINK_CLOSED: lambda bench: bench.port.connection_lost(bench.now_ns),
}
LATE: dict[MeterState, tuple[bytes, ...]] = {
    MeterState.IDLE: (REQUEST, TO_PROGRAM, command("P1", "(wrong)")),
    MeterState.WAIT_OPTION: (REQUEST,),
    MeterState.SENT_READOUT: (REQUEST, TO_READ_OUT),
    MeterState.PROG: (R1,),
    MeterState.PARTIAL: (R3,),
    MeterState.WRITING: (FIRST,),
}
SENT: dict[MeterAction, tuple[int | None, tuple[bytes, ...]]] = {
    # The speed, where the action names one, and what may be sent.
    MeterAction.IDENTIFY: (300, (IDENTIFICATION,)),
    MeterAction.READ_OUT: (9600, (READOUT,)),
    MeterAction.READ_OUT_SLOW: (300, (READOUT,)),
    MeterAction.READ_OUT_THEN_LISTEN: (4800, (READOUT,)),
    MeterAction.SEND_OPERAND: (9600, (P0,)),
    MeterAction.ASK: (None, (DATA, ACK, b"\x02(ER01)\x03\x14")),  # the host's answer
    MeterAction.KEEP_BLOCK: (None, (ACK,)),
    MeterAction.SEND_DATA: (None, (DATA,)),
    MeterAction.SEND_BLOCK: (None, tuple(
        checked(b"\x02%s%s" % (str(data_set).encode(), b"\r\n\x04" if n < 2 else b"\x03"))
        for n, data_set in enumerate(BLOCKS))),
    MeterAction.ACKNOWLEDGE: (None, (ACK,)),
    MeterAction.REFUSE: (None, (b"\x02(ER02)\x03\x17", b"\x02(ER01)\x03\x14")),
    MeterAction.BREAK_OFF: (9600, (B0,)),
    MeterAction.SEND_NAK: (None, (NAK,)),
}  # fmt: skip

ROWS = [(state, heard) for state, row in METER.items() for heard in row]


def no_readout(request: MeterRequest) -> MeterReply | None:
    return None if isinstance(request, ReadoutAsked) else host(request)


def caused(state: MeterState, heard: MeterInput) -> tuple[PortBench, int, int]:
    """Bring a port into a state, let the input happen; return what was used and sent before."""
    bench = PortBench(SPECIAL.get(heard, SETTINGS))
    if heard is MeterInput.INACTIVITY and state in (
        MeterState.WAIT_OPTION,
        MeterState.SENT_READOUT,
    ):
        # Only a host that does not answer leaves a port there so long.
        waiting = state is MeterState.WAIT_OPTION
        bench.host = (lambda _: None) if waiting else no_readout
    if heard is MeterInput.LATE:
        if state not in (MeterState.IDLE, MeterState.WAIT_OPTION, MeterState.SENT_READOUT):
            say(REQUEST, TO_PROGRAM)(bench)
        said = LATE[state]
        say(*said[:-1])(bench)
        before = len(bench.used), len(bench.sent)
        slow(said[-1])(bench)
        return bench, *before
    if heard is MeterInput.IDENTIFIED:
        before = len(bench.used), 1
        bench.say(REQUEST)
        return bench, *before
    REACHED[state](bench)
    assert bench.port.state is state
    before = len(bench.used), len(bench.sent)
    CAUSED[heard](bench)
    return bench, *before


@pytest.mark.parametrize(
    ("state", "heard"), ROWS, ids=[f"{state.value}: {heard.value}" for state, heard in ROWS]
)
def test_row(state: MeterState, heard: MeterInput) -> None:
    bench, used, sent = caused(state, heard)
    assert (state, heard) in bench.used[used:]
    at = bench.used.index((state, heard), used)
    after, action = METER[state][heard]
    reached = bench.used[at + 1][0] if at + 1 < len(bench.used) else bench.port.state
    assert reached is after
    answered = [(speed, chars) for _, speed, chars in bench.sent[sent:]]
    if action is MeterAction.SILENCE:
        if heard is MeterInput.NAK_TOO_MANY:
            answered = answered[3:]
        assert answered == []
        return
    if action is MeterAction.REPEAT:
        assert answered == [(bench.sent[sent - 1][1], bench.sent[sent - 1][2])]
        return
    speed, expected = SENT[action]
    if heard is MeterInput.ACK_LAST:
        expected = expected[2:]
        answered = answered[1:]
    assert len(answered) == 1
    assert answered[0][1] in expected
    assert speed in (None, answered[0][0])


def test_every_input_has_a_row_and_every_row_leads_to_a_state_with_rows() -> None:
    assert {heard for row in METER.values() for heard in row} == set(MeterInput)
    assert {transition.state for row in METER.values() for transition in row.values()} == set(METER)
    assert {transition.action for row in METER.values() for transition in row.values()} == set(
        MeterAction
    )

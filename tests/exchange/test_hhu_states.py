"""Every row of the hand-held unit's table is a test that bears its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench_hhu import (
    ACK,
    B0,
    BLOCK,
    DATA,
    ERROR,
    IDENTIFICATION,
    NAK,
    P0,
    PROGRAM,
    READ,
    READOUT,
    REQUEST,
    HHUBench,
    damaged,
    part,
)

from vtc07.carrier.exchange.events import (
    ExchangeFailed,
    ExchangeFailure,
    GivePassword,
    Order,
    ProgrammingRefused,
    ReadOut,
    SignedOffFromMeter,
    SignedOn,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.hhu_states import HHU_BEGINS, HHU_TABLE, HHUAction, HHUInput, HHUState
from vtc07.carrier.exchange.settings import WakeUp

LAST = ("0", "1", "2")  # values of three blocks
WRITE = Order("W3", "C.1(012)", block=1)
FIRST_BLOCK, MORE_BLOCKS = b"\x01W3\x02C.1(0)\x04", b"\x01W3\x02(1)\x04"
FINAL_BLOCK = b"\x01W3\x02(2)\x03"


def _leaving(bench: HHUBench) -> None:
    bench.sign_on()
    bench.start(PROGRAM)


def _identification(bench: HHUBench) -> None:
    bench.start(PROGRAM)


def _option(bench: HHUBench) -> None:
    bench.start(PROGRAM)
    bench.hear(IDENTIFICATION)


def _readout(bench: HHUBench) -> None:
    bench.start(SignOn())
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.advance(0)


def _operand(bench: HHUBench) -> None:
    bench.start(PROGRAM)
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.advance(0)


def _access(bench: HHUBench) -> None:
    bench.sign_on()
    bench.order(GivePassword("secret"))


def _answer(bench: HHUBench) -> None:
    bench.sign_on()
    bench.order(READ)


def _blocks(bench: HHUBench) -> None:
    _answer(bench)
    bench.hear(part(b"1.8.0(1)"))
    bench.until_it_speaks()


def _writing(bench: HHUBench) -> None:
    bench.sign_on()
    bench.order(WRITE)


def _last_block(bench: HHUBench) -> None:
    _writing(bench)
    for _ in range(2):
        bench.hear(ACK)
        bench.until_it_speaks()


def _sign_off(bench: HHUBench) -> None:
    """After a fast wake-up, so that an answer is awaited."""
    bench.sign_on()
    bench.order(SignOff(after_fast_wake_up=True))


REACH: dict[HHUState, Callable[[HHUBench], None]] = {
    HHUState.LEAVING: _leaving,
    HHUState.IDENTIFICATION: _identification,
    HHUState.OPTION: _option,
    HHUState.READOUT: _readout,
    HHUState.OPERAND: _operand,
    HHUState.ACCESS: _access,
    HHUState.ANSWER: _answer,
    HHUState.BLOCKS: _blocks,
    HHUState.WRITING: _writing,
    HHUState.LAST_BLOCK: _last_block,
    HHUState.SIGN_OFF: _sign_off,
}

SAID: dict[HHUInput, bytes] = {
    HHUInput.IDENTIFICATION_AB: b"/VTCATEST1\r\n",
    HHUInput.IDENTIFICATION_C: IDENTIFICATION,
    HHUInput.READOUT: READOUT,
    HHUInput.OPERAND: P0,
    HHUInput.DATA: DATA,
    HHUInput.BLOCK: part(b"1.8.0(2)"),
    HHUInput.TWIN: part(b"1.8.0(1)"),
    HHUInput.ERROR: ERROR,
    HHUInput.ACK: ACK,
    HHUInput.NAK: NAK,
    HHUInput.BREAK: B0,
    HHUInput.FOREIGN: REQUEST,
}
DAMAGED = {
    HHUState.IDENTIFICATION: damaged(IDENTIFICATION),
    HHUState.READOUT: damaged(READOUT),
    HHUState.OPERAND: damaged(P0),
}


def _bring_about(bench: HHUBench, state: HHUState, heard: HHUInput) -> None:
    """Have an input happen once the state is reached."""
    match heard:
        case HHUInput.SENT if state is HHUState.SIGN_OFF:
            bench.advance(10_000)
            bench.sign_on()
            bench.order(SignOff())
            bench.advance(0)
        case HHUInput.SENT | HHUInput.SENT_FOR_PROGRAMMING:
            bench.until_it_speaks()
            bench.advance(0)
        case HHUInput.SENT_FOR_READOUT:
            bench.advance(10_000)
            bench.start(SignOn())
            bench.hear(IDENTIFICATION, 2_000)
            bench.until_it_speaks()
            bench.advance(0)
        case HHUInput.READOUT_AGAIN:
            bench.hear(READOUT)
            bench.until_it_speaks()
            bench.hear(IDENTIFICATION)
            bench.until_it_speaks()
            bench.hear(READOUT)
        case HHUInput.ACK_BEFORE_LAST:
            bench.hear(ACK)
            bench.until_it_speaks()
            bench.hear(ACK)
        case HHUInput.FOREIGN if state is HHUState.IDENTIFICATION:
            bench.hear(READOUT)
        case HHUInput.ACK if state is HHUState.BLOCKS:
            bench.hear(ACK + ACK)  # the first is the echo of its own
        case HHUInput.DAMAGED:
            bench.hear(DAMAGED.get(state, damaged(DATA)))
        case HHUInput.DAMAGED_TOO_OFTEN:
            for _ in range(3):
                bench.hear(DAMAGED.get(state, damaged(DATA)))
                bench.until_it_speaks()
            bench.hear(DAMAGED.get(state, damaged(DATA)))
        case HHUInput.SILENCE:
            bench.advance(2_000)
        case HHUInput.GIVE_UP:
            for _ in range(20):
                if not bench.hhu.busy:
                    break
                if bench.hhu.state is not state:
                    REACH_AGAIN[bench.hhu.state](bench)
                else:
                    bench.advance(2_000)
        case HHUInput.LINK_LOST:
            bench.lose()
        case _:
            bench.hear(SAID[heard])


def _identify(bench: HHUBench) -> None:
    bench.until_it_speaks()
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.advance(0)


def _take_blocks(bench: HHUBench) -> None:
    bench.until_it_speaks()
    bench.hear(part(b"1.8.0(1)"))
    bench.until_it_speaks()


def _take_acks(bench: HHUBench) -> None:
    bench.until_it_speaks()
    for _ in range(2):
        bench.hear(ACK)
        bench.until_it_speaks()


# How a state is come back to after it was left for another attempt.
REACH_AGAIN: dict[HHUState, Callable[[HHUBench], None]] = {
    HHUState.LEAVING: lambda bench: bench.advance(300),
    HHUState.IDENTIFICATION: _identify,
    HHUState.OPTION: lambda bench: bench.advance(300),
    HHUState.ANSWER: _take_blocks,
    HHUState.WRITING: _take_acks,
}

ROWS = [
    pytest.param(state, heard, id=f"{state.value}: {heard.value}")
    for state, row in HHU_TABLE.items()
    for heard in row
]


def _expected(state: HHUState, heard: HHUInput, action: HHUAction, command: bytes) -> bytes:
    """Return what is said next, or what it begins with."""
    match action:
        case HHUAction.REQUEST:
            return REQUEST
        case HHUAction.SELECT:
            return b"\x06051\r\n"
        case HHUAction.LEAVE:
            return B0
        case HHUAction.SEND_NAK:
            return NAK
        case HHUAction.NEXT:
            return ACK
        case HHUAction.NEXT_BLOCK:
            return FINAL_BLOCK if heard is HHUInput.ACK_BEFORE_LAST else MORE_BLOCKS
        case HHUAction.SAME_BLOCK:
            return FIRST_BLOCK if state is HHUState.WRITING else FINAL_BLOCK
        case HHUAction.OVER:
            return FIRST_BLOCK
        case HHUAction.REPEAT if state is HHUState.BLOCKS:
            return b"\x01R1\x021.8.0()\x03"
        case _:
            return command


@pytest.mark.parametrize(("state", "heard"), ROWS)
def test_row(state: HHUState, heard: HHUInput) -> None:
    bench = HHUBench()
    REACH[state](bench)
    assert bench.hhu.state is state
    before, events = len(bench.sent), len(bench.events)
    command = bench.said[-1]
    _bring_about(bench, state, heard)
    goes, action = HHU_TABLE[state][heard]
    at = len(bench.used) - 1 - bench.used[::-1].index((state, heard))
    reached = [*(was for was, _ in bench.used[at + 1 :]), bench.hhu.state]
    assert reached[0] is goes
    match action:
        case HHUAction.FINISH:
            assert len(bench.events) > events
            assert not isinstance(bench.last, ExchangeFailed)
        case HHUAction.REFUSED:
            assert isinstance(bench.last, ProgrammingRefused)
            assert bench.last.chars == BLOCK
            assert bench.speed == 300
        case HHUAction.FAIL:
            assert isinstance(bench.last, ExchangeFailed)
            wanted = {
                HHUInput.GIVE_UP: ExchangeFailure.NO_ANSWER,
                HHUInput.LINK_LOST: ExchangeFailure.LINK_LOST,
                HHUInput.DAMAGED_TOO_OFTEN: ExchangeFailure.DAMAGED,
            }
            assert bench.last.failure is wanted[heard]
        case HHUAction.LISTEN:
            assert bench.speed == (600 if heard is HHUInput.IDENTIFICATION_AB else 9600)
        case HHUAction.DROP:
            assert len(bench.events) == events
            bench.advance(1_000)
            assert len(bench.sent) == before
            assert bench.hhu.busy
        case _:
            if len(bench.sent) == bench.known[at]:
                bench.until_it_speaks()
            said = bench.said[bench.known[at]]
            assert said.startswith(_expected(state, heard, action, command))
            assert len(bench.events) == events
            if action is HHUAction.REQUEST:
                assert bench.sent[-1][1] == 300


def test_nothing_else_can_happen() -> None:
    """What commands begin, and that every state and input is somewhere in the table."""
    assert set(HHU_TABLE) == set(HHUState)
    assert {heard for row in HHU_TABLE.values() for heard in row} == set(HHUInput)
    goes = {transition.state for row in HHU_TABLE.values() for transition in row.values()}
    assert goes | set(HHU_BEGINS.values()) | {HHUState.LEAVING, HHUState.WRITING} == set(HHUState)


def test_a_unit_without_a_command_hears_nothing() -> None:
    bench = HHUBench()
    for chars in SAID.values():
        bench.hear(chars)
    bench.advance(5_000)
    assert (bench.sent, bench.events, bench.used) == ([], [], [])


def test_what_a_whole_session_reports() -> None:
    bench = HHUBench()
    bench.sign_on()
    assert isinstance(bench.last, SignedOn)
    assert (bench.last.operand, bench.last.speed, bench.speed) == ("4711", 9600, 9600)
    bench.sign_off()
    assert bench.reported() == SignedOffFromMeter()
    assert (bench.speed, bench.hhu.signed_on) == (300, False)
    bench.advance(2_000)
    bench.start(SignOn())
    bench.hear(IDENTIFICATION)
    bench.until_it_speaks()
    bench.hear(READOUT)
    readout = bench.reported()
    assert isinstance(readout, ReadOut)
    assert (readout.chars, readout.checked, readout.speed) == (BLOCK, True, 9600)
    assert bench.speed == 300
    assert [speed for _, speed in bench.told] == [300, 9600, 300, 9600, 300]


def test_what_cannot_be_begun() -> None:
    bench = HHUBench(wake_up=WakeUp.NONE)
    bench.start(READ)
    assert bench.reported() == ExchangeFailed(READ, ExchangeFailure.NOT_SIGNED_ON, 0)
    bench.start(SignOff())
    assert bench.reported() == SignedOffFromMeter()
    with pytest.raises(ValueError, match="no address"):
        bench.start(SignOn("12-34"))
    bench.start(PROGRAM)
    with pytest.raises(ValueError, match="one at a time"):
        bench.start(PROGRAM)

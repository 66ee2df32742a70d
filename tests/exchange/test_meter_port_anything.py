"""A meter's port and anything at all: it never raises, stays small, and is at the start again."""

from __future__ import annotations

from bench_meter_port import (
    ACK,
    B0,
    B1,
    IDENTIFICATION,
    NAK,
    P0,
    REQUEST,
    TO_PROGRAM,
    TO_READ_OUT,
    PortBench,
    command,
    host,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion import MS
from vtc07.carrier.exchange.events import MeterReply, MeterRequest
from vtc07.carrier.exchange.meter_port import PortSettings
from vtc07.carrier.exchange.meter_states import METER, MeterState
from vtc07.carrier.exchange.settings import Compatibility, OptionFault

MESSAGES = (
    REQUEST,
    b"/?10203!\r\n",
    b"/?10204!\r\n",
    TO_READ_OUT,
    TO_PROGRAM,
    b"\x06252\r\n",
    b"\x06001\r\n",
    ACK,
    NAK,
    B0,
    B1,
    command("P1", "(right)"),
    command("P1", "(wrong)"),
    command("P2", "(result)"),
    command("R1", "1.8.0(1)"),
    command("R2", "F001"),
    command("R3", "0001(3)"),
    command("W1", "0001(x)"),
    command("W3", "0001(abc)", more=True),
    command("W3", "(def)", more=True),
    command("W3", "(ghi)"),
    command("E2", "0001()"),
)
#: More than any of the port's own bounds together, by the bench's host.
MOST_HELD = 192 + 4096 + 2 * 1024 + 300

characters = st.one_of(
    st.sampled_from(MESSAGES),
    st.binary(max_size=40),
    st.lists(st.sampled_from(b"\x00\x01\x02\x03\x04\x06\x15/?!()\r\nRWPB01\xff"), max_size=12).map(
        bytes
    ),
    st.tuples(st.sampled_from(MESSAGES), st.integers(0, 30), st.integers(0, 255)).map(
        lambda struck: struck[0][: struck[1]] + bytes([struck[2]]) + struck[0][struck[1] + 1 :]
    ),
)
pauses = st.sampled_from([0, 0, 1, 30, 150, 250, 700, 1490, 1510, 2100, 5000, 121_000])
delays = st.sampled_from([0, 0, 0, 100, 1400, 1600, 4000, None])
ports = st.builds(
    PortSettings,
    st.sampled_from(["VTC", "VTc"]),
    st.sampled_from(["0", "5", "9", "A", "F", " "]),
    st.just(("10203",)),
    mode_e=st.booleans(),
    option_fault=st.sampled_from(OptionFault),
    compatibility=st.sampled_from([Compatibility(), Compatibility(no_readout_bcc=True)]),
)


@settings(max_examples=400)
@given(
    ports,
    st.booleans(),
    st.lists(st.tuples(characters, st.integers(1, 40), pauses, delays), max_size=12),
)
def test_anything_at_any_split_and_time(
    port: PortSettings,
    paced: bool,
    said: list[tuple[bytes, int, int, int | None]],
) -> None:
    answered: dict[int, int] = {}

    def sometimes(request: MeterRequest) -> MeterReply | None:
        answered[request.request] = answered.get(request.request, 0) + 1
        return None if silent else host(request)

    silent = False
    bench = PortBench(port, paced=paced, host=sometimes)
    for chars, piece, pause, delay in said:
        silent, bench.host_delay_ns = delay is None, (delay or 0) * MS
        for at in range(0, len(chars), piece):
            bench.hear(chars[at : at + piece])
            assert bench.port.held <= MOST_HELD
        bench.advance(pause)
        assert bench.port.held <= MOST_HELD
        assert bench.port.speed == bench.line_speed
    assert all(times == 1 for times in answered.values())
    assert set(bench.used) <= {(state, heard) for state, row in METER.items() for heard in row}

    silent, bench.host_delay_ns = False, 0
    bench.advance(240_000)  # an answer of the host may begin the inactivity once more
    assert bench.port.state is MeterState.IDLE
    assert bench.port.speed == bench.line_speed == 300
    assert bench.port.held == 0
    bench.line_speed = 300
    identified = bench.say(REQUEST, 800)
    assert identified.startswith(b"/VT")
    if port.baud_identification in "059":
        assert bench.say(b"\x060%s1\r\n" % port.baud_identification.encode()) == P0
    else:
        bench.advance(4000)
    assert bench.say(command("P1", "(right)")) == ACK
    assert bench.say(B0, 3000) == b""


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 200), max_size=6),
    st.integers(1, 20),
    st.booleans(),
)
def test_a_clean_session_at_any_split_is_answered_alike(
    cuts: list[int], gap_ms: int, paced: bool
) -> None:
    session = (REQUEST, TO_PROGRAM, command("R1", "1.8.0(1)"), command("R3", "0001(3)"), ACK, ACK)
    answers = []
    for split in (False, True):
        bench = PortBench(PortSettings("VTC", "5"), paced=paced)
        place = 0
        for chars in session:
            ends = sorted({cut - place for cut in cuts if 0 < cut - place < len(chars)})
            begun = 0
            for end in (*ends, len(chars)) if split else (len(chars),):
                bench.hear(chars[begun:end])
                if split and end < len(chars):
                    bench.advance(gap_ms)
                begun = end
            bench.advance(1200)
            place += len(chars)
        answers.append([(speed, chars) for _, speed, chars in bench.sent])
    assert answers[0] == answers[1]
    assert answers[0][0] == (300, IDENTIFICATION)

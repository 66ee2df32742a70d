"""Echo: our own characters do not come back as somebody's answer."""

from __future__ import annotations

import itertools
import os
import select
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import needs
from vtc07.carrier.client import Client
from vtc07.carrier.companion import Parity
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure, perform
from vtc07.carrier.events import ClientEvent, Identify, Read, RegistersRead
from vtc07.links import blocking
from vtc07.links.address import SerialAddress
from vtc07.links.echo import LATENESS_NS, NO_ANSWER_NS, EchoFilter
from vtc07.meter import MemoryStore, Meter, MeterServer, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
)

CHARACTER_NS = 4_166_667


#: When an answer may arrive at the earliest, after the last character sent.
ANSWERED_NS = NO_ANSWER_NS + CHARACTER_NS


def cut(chars: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(chars), *(each for each in cuts if each < len(chars))})
    return [chars[a:b] for a, b in itertools.pairwise(edges)]


@given(
    sent=st.binary(min_size=1, max_size=60),
    answer=st.binary(max_size=60),
    damaged=st.sets(st.integers(0, 59)),
    cuts=st.lists(st.integers(0, 120)),
    late=st.booleans(),
)
def test_the_answer_is_left_whole_however_a_damaged_echo_arrives(
    sent: bytes, answer: bytes, damaged: set[int], cuts: list[int], late: bool
) -> None:
    """In time, or all of it together with the answer because the machine was busy."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(sent, 1000)
    back = bytes(0xFF if i in damaged else char for i, char in enumerate(sent))
    out = 1000 + len(sent) * CHARACTER_NS
    if late:
        heard = [(piece, out + ANSWERED_NS) for piece in cut(back + answer, cuts)]
    else:
        heard = [(piece, out) for piece in cut(back, cuts)]
        heard += [(piece, out + ANSWERED_NS) for piece in cut(answer, cuts)]
    assert b"".join(echo.heard(piece, at) for piece, at in heard) == answer


COMMAND = b"\x01R1\x021.8.0(1)\x03k"
ANSWER = b"\x021.8.0(00042.7*kWh)\x03\x06"


def strange_echoes() -> list[bytes]:
    """The command with one character lost, doubled, or another than it was, at every place."""
    found = []
    for at, char in enumerate(COMMAND):
        found.append(COMMAND[:at] + COMMAND[at + 1 :])
        found.append(COMMAND[: at + 1] + COMMAND[at:])
        found.append(COMMAND[:at] + bytes([char ^ 0x41]) + COMMAND[at + 1 :])
        found.append(COMMAND[:at] + COMMAND[at + 3 :])
    return found


@pytest.mark.parametrize("back", strange_echoes())
def test_a_strange_echo_that_comes_in_time_costs_the_answer_nothing(back: bytes) -> None:
    """Character by character, the last of it as late as an adapter's latency has it."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(COMMAND, 0)
    for at in range(len(back)):
        assert echo.heard(back[at : at + 1], (at + 1) * CHARACTER_NS) == b""
    out = len(COMMAND) * CHARACTER_NS
    assert echo.heard(ANSWER, out + 200_000_000) == ANSWER


@pytest.mark.parametrize("back", strange_echoes())
def test_a_strange_echo_that_comes_with_the_answer_costs_the_answer_nothing(back: bytes) -> None:
    """All at once, as a busy machine gets it; at most a piece of the echo is taken for noise.

    An echo without its begin might as well be an answer: it is let through.
    """
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(COMMAND, 0)
    heard = echo.heard(back + ANSWER, len(COMMAND) * CHARACTER_NS + 30_000_000)
    assert heard.endswith(ANSWER)
    assert len(heard) - len(ANSWER) <= 3 or back[:2] not in COMMAND[:3]


@pytest.mark.parametrize("back", strange_echoes())
@pytest.mark.parametrize("paced", [True, False])
def test_a_strange_echo_in_pieces_costs_the_answer_nothing(back: bytes, paced: bool) -> None:
    """On a path without a speed the clock does not help: what cannot be told is let through."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS, paced=paced)
    echo.sent(COMMAND, 0)
    out = len(COMMAND) * CHARACTER_NS
    heard = b"".join(echo.heard(back[at : at + 1], out + 30_000_000) for at in range(len(back)))
    assert (heard + echo.heard(ANSWER, out + 200_000_000)).endswith(ANSWER)


def test_the_echo_of_two_speeds_is_taken() -> None:
    """The option select goes out at 300 Bd, the next command at 9600."""
    slow, fast = 33_333_334, 1_041_667
    echo = EchoFilter(echoes=True, character_ns=slow)
    select = b"\x06051\r\n"
    echo.sent(select, 0)
    now = len(select) * slow
    assert echo.heard(select[:-1], now - 1) == b""
    echo.character_ns = fast
    assert echo.heard(select[-1:], now + 16_000_000) == b""
    operand = b"\x01P0\x02()\x03\x60"
    assert echo.heard(operand, now + 200_000_000) == operand
    now += 400_000_000
    echo.sent(COMMAND, now)
    now += len(COMMAND) * fast
    assert echo.heard(COMMAND, now) == b""
    assert echo.heard(ANSWER, now + 20_000_000 + fast) == ANSWER


def test_a_garbled_last_character_is_not_expected_once_more() -> None:
    """The answer may begin with the very character that did not come back as it was."""
    for garbled in (b"\xff", b"x"):
        echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
        echo.sent(b"abc\x06", 0)
        now = 4 * CHARACTER_NS
        assert echo.heard(b"abc" + garbled, now) == b""
        assert echo.heard(b"\x06", now + 20_000_000 + CHARACTER_NS) == b"\x06"


def test_a_sender_that_is_a_little_fast_is_answered_a_little_early() -> None:
    """1.5 % of a long message is more than the pause before an answer."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(b"0" * 1000, 0)
    out = 1000 * CHARACTER_NS * 985 // 1000
    assert echo.heard(b"0" * 1000, out) == b""
    assert echo.heard(b"\x02", out + 20_000_000) == b"\x02"


def test_an_echo_that_lost_its_end_gives_way_to_the_answer() -> None:
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(b"/?!\r\n", 0)
    now = 5 * CHARACTER_NS
    assert echo.heard(b"/?", now) == b""
    assert echo.heard(b"/VTC3", now + 40_000_000) == b"/VTC3"


def test_a_head_that_echoes_nothing_though_the_settings_say_so_costs_the_answer_nothing() -> None:
    """Answers that begin as the command did, with a pause shorter than an adapter's latency."""
    for command, answer in (
        (b"/?!\r\n", b"/VTC3METER\r\n"),
        (COMMAND, ANSWER),
        (b"\x06051\r\n", b"\x01P0\x02()\x03\x60"),
        (COMMAND, b"\x15"),
    ):
        for pieces in (cut(answer, []), cut(answer, list(range(len(answer))))):
            echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
            echo.sent(command, 0)
            now = len(command) * CHARACTER_NS + ANSWERED_NS
            assert b"".join(echo.heard(piece, now) for piece in pieces) == answer


def test_a_head_that_echoes_though_the_settings_say_no_is_found_out() -> None:
    echo = EchoFilter(echoes=False, character_ns=CHARACTER_NS)
    now = 0
    for _ in range(2):
        echo.sent(COMMAND, now)
        now += len(COMMAND) * CHARACTER_NS
        assert b"".join(echo.heard(piece, now) for piece in cut(COMMAND, [3, 7])) == b""
        assert echo.echoes
        assert echo.heard(ANSWER, now + ANSWERED_NS) == ANSWER
        now += 1_000_000_000
    # Known by now: a damaged echo is taken as well.
    echo.sent(COMMAND, now)
    now += len(COMMAND) * CHARACTER_NS
    assert echo.heard(COMMAND[:4] + b"\xff" + COMMAND[5:], now) == b""


@given(sent=st.binary(min_size=1, max_size=20), answer=st.binary(min_size=1, max_size=30))
def test_without_an_echo_nothing_is_taken_whatever_is_answered(sent: bytes, answer: bytes) -> None:
    """Character by character; held back is only what repeats the command from its begin."""
    echo = EchoFilter(echoes=False, character_ns=CHARACTER_NS)
    echo.sent(sent, 0)
    heard = b"".join(echo.heard(answer[at : at + 1], 1) for at in range(len(answer)))
    if len(sent) >= 4 and answer.startswith(sent):
        assert heard == answer[len(sent) :]
    elif sent.startswith(answer) and len(answer) < len(sent):
        assert heard == b""
        assert echo.heard(b"!", 10_000_000_000) == answer + b"!"
    else:
        assert heard == answer


def test_a_short_answer_is_no_echo_of_a_short_message() -> None:
    """ACK for ACK, break for break: too little to say that the head echoes."""
    for chars in (b"\x06", b"\x15", b"abc"):
        echo = EchoFilter(echoes=False, character_ns=CHARACTER_NS)
        echo.sent(chars, 0)
        assert echo.heard(chars, 1) == chars
        assert not echo.echoes


def test_the_acknowledgement_of_a_fast_wake_up_is_heard_between_the_bursts() -> None:
    """It may begin 10 ms after a burst (IEC 62056-21 annex B.2), with the tail of its echo."""
    character_ns = 1_041_667  # 9600 Bd
    echo = EchoFilter(echoes=True, character_ns=character_ns)
    burst = b"\x00" * 500
    echo.sent(burst, 0)
    now = 500 * character_ns
    assert echo.heard(burst[:-5], now - 1) == b""
    assert echo.heard(burst[-5:] + b"\x06", now + 10_000_000 + character_ns) == b"\x06"


def test_echoes_that_never_came_do_not_add_up() -> None:
    """A head that was off returned nothing; once it is on again every answer is heard whole."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    now = 0
    for _ in range(3):  # the head is off
        echo.sent(b"/" * 20, now)
        now += 20 * CHARACTER_NS + 2_000_000_000
    echo.sent(b"/" * 20, now)
    now += 20 * CHARACTER_NS
    assert echo.heard(b"/" * 20, now) == b""
    assert echo.heard(b"answer", now + 100_000_000) == b"answer"


def test_what_does_not_come_back_in_time_is_not_taken_from_an_answer() -> None:
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(b"abcdefghijk\x06", 0)
    assert echo.heard(b"ab", 2 * CHARACTER_NS) == b""
    late = 12 * CHARACTER_NS + LATENESS_NS
    assert echo.heard(b"c", late) == b""
    assert echo.heard(b"d", late + 1) == b"d"


def test_what_was_held_back_is_not_lost_where_it_was_no_echo() -> None:
    """The first character of an answer that begins like the command, and a pause behind it."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(b"/?!\r\n", 0)
    now = 5 * CHARACTER_NS + 100_000_000
    assert echo.heard(b"/", now) == b""
    assert echo.heard(b"VTC3", now + 1_000_000_000) == b"/VTC3"


def test_a_head_that_does_not_echo_is_left_alone() -> None:
    echo = EchoFilter(echoes=False, character_ns=CHARACTER_NS)
    echo.sent(b"twelve chars", 0)
    assert echo.heard(b"abc", 1) == b"abc"


@pytest.mark.parametrize("echoes", [True, False])
def test_the_tail_of_an_echo_is_no_nak(echoes: bool) -> None:
    """000B(04) ends in a BCC of 15; an adapter hands over the last character of its echo late."""
    companion = load_companion("electricity")
    client = Client(companion, character_ns=CHARACTER_NS)
    echo = EchoFilter(echoes=echoes, character_ns=CHARACTER_NS)
    client.start(Read(companion.table.named("lockoutRemaining"), 4), 0)
    sent = client.bytes_to_send(0)
    assert sent[-1] == 0x15
    echo.sent(sent, 0)
    out = len(sent) * CHARACTER_NS
    for chars, at in ((sent[:-1], out - 1), (sent[-1:], out + 1_000_000)):
        client.receive(echo.heard(chars, at), at)
    # What is repeated here was taken for refused; an unexpected echo is known by its whole length.
    assert client.bytes_to_send(out + 1_900_000_000) == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_session_over_an_echoing_head() -> None:
    """The filter takes the echo, all of it, and nothing of the answers."""
    needs.module("serialx")
    companion = load_companion("electricity")
    key = DecoderKey.from_hex(EA.MISTY1, "00112233445566778899aabbccddeeff")
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    made = datetime(2026, 1, 1, tzinfo=UTC)
    state = manufacture(companion, MeterPAN("600727000000000009"), key, attributes, made)
    server = MeterServer(companion, Meter(companion, MemoryStore(state), now_ns=0))

    import tty

    master, slave = os.openpty()
    tty.setraw(slave)

    class EchoingHead:
        """The far side of the pseudo-terminal: a meter behind a head that returns everything."""

        character_ns = 0

        def send(self, chars: bytes) -> None:
            os.write(master, chars)

        def receive(self, timeout_ns: int | None) -> bytes:
            wait = None if timeout_ns is None else max(0, timeout_ns) / 1e9
            if not select.select([master], [], [], wait)[0]:
                return b""
            heard = os.read(master, 4096)
            os.write(master, heard)
            return heard

        def set_speed(self, speed: int) -> None:
            raise AssertionError("one speed here")

        def close(self) -> None:
            pass

    driver = blocking.ServerDriver(server, blocking.LinkPort(EchoingHead))
    serving = threading.Thread(target=driver.serve)
    serving.start()

    def procedure() -> Procedure[list[ClientEvent]]:
        table = companion.table
        found = [(yield from perform(Identify()))]
        found.append((yield from perform(Read(table.named("lockoutRemaining"), 4))))
        return found

    settings = replace(companion.link, echo=True, parity=Parity.NONE, rts=None, dtr=None)
    address = SerialAddress(os.ttyname(slave))
    try:
        with blocking.ClientDriver(
            Client(companion), lambda: blocking.open_link(address, settings)
        ) as client:
            events = client.run(procedure())
    finally:
        driver.stop()
        serving.join()
        os.close(master)
        os.close(slave)
    assert isinstance(events[1], RegistersRead), events
    assert events[1].values[0].value == 0

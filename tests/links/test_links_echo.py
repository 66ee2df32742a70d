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
from vtc07.links.echo import LATENESS_NS, EchoFilter
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


@given(
    sent=st.binary(min_size=1, max_size=60),
    answer=st.binary(max_size=60),
    damaged=st.sets(st.integers(0, 59)),
    cuts=st.lists(st.integers(0, 120)),
)
def test_the_answer_is_left_whole_however_the_echo_arrives(
    sent: bytes, answer: bytes, damaged: set[int], cuts: list[int]
) -> None:
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(len(sent), 1000)
    heard = bytes(0xFF if i in damaged else char for i, char in enumerate(sent)) + answer
    edges = sorted({0, len(heard), *(cut for cut in cuts if cut < len(heard))})
    now = 1000 + len(sent) * CHARACTER_NS
    found = b"".join(echo.heard(heard[a:b], now) for a, b in itertools.pairwise(edges))
    assert found == answer


def test_echoes_that_never_came_do_not_add_up() -> None:
    """A head that was off returned nothing; once it is on again every answer is heard whole."""
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    now = 0
    for _ in range(3):  # the head is off
        echo.sent(20, now)
        now += 20 * CHARACTER_NS + 2_000_000_000
    echo.sent(20, now)
    now += 20 * CHARACTER_NS
    assert echo.heard(b"/" * 20, now) == b""
    assert echo.heard(b"answer", now + 100_000_000) == b"answer"


def test_what_does_not_come_back_is_not_taken_from_an_answer() -> None:
    echo = EchoFilter(echoes=True, character_ns=CHARACTER_NS)
    echo.sent(12, 0)
    assert echo.heard(b"xy", 2 * CHARACTER_NS) == b""
    late = 12 * CHARACTER_NS + LATENESS_NS
    assert echo.heard(b"z", late) == b""
    assert echo.heard(b"\x06", late + 1) == b"\x06"


def test_a_head_that_does_not_echo_is_left_alone() -> None:
    echo = EchoFilter(echoes=False, character_ns=CHARACTER_NS)
    echo.sent(12, 0)
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
    echo.sent(len(sent), 0)
    out = len(sent) * CHARACTER_NS
    for chars, at in ((sent[:-1], out - 1), (sent[-1:], out + 1_000_000)):
        client.receive(echo.heard(chars, at), at)
    repeated = client.bytes_to_send(out + 1_900_000_000)
    assert repeated == (b"" if echoes else sent)  # without the filter, as if it had been refused


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

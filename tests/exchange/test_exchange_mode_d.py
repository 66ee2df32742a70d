"""Mode D: a meter that sends by itself, and a listener that finds every whole telegram."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MS
from vtc07.carrier.endpoint import Perform, Procedure, ServerEndpoint, SpeedChange
from vtc07.carrier.events import Command
from vtc07.carrier.exchange.events import Block, ReadoutAsked
from vtc07.carrier.exchange.mode_d import (
    PUSH_SILENCE_NS,
    Listen,
    MeterPush,
    NothingPushed,
    Pushed,
    PushEvent,
    PushListener,
    PushSender,
    PushTorn,
    TornBy,
    build_push,
)
from vtc07.carrier.exchange.settings import Compatibility
from vtc07.carrier.exchange.telegram import Framing
from vtc07.carrier.messages import DataSet
from vtc07.links.link import ClientEndpoint
from vtc07.links.simulated import SimulatedLine

S = 1000 * MS
BLOCK = Block(((DataSet("F.F", "00"),), (DataSet("1.8.0", "000012.5", "kWh"),)))
PUSH = b"/VTC3X1\r\n\r\nF.F(00)\r\n1.8.0(000012.5*kWh)\r\n!\r\n"
P1 = build_push("VTC", "X1", BLOCK, z="5", with_crc16=True)


def heard(listener: PushListener, chars: bytes, now_ns: int = 0) -> list[PushEvent]:
    listener.receive(chars, now_ns)
    return events(listener)


def events(listener: PushListener) -> list[PushEvent]:
    told = []
    while (event := listener.next_event()) is not None:
        told.append(event)
    return told


def said(told: list[PushEvent]) -> list[bytes | TornBy]:
    return [
        event.telegram.chars if isinstance(event, Pushed) else event.by
        for event in told
        if not isinstance(event, NothingPushed)
    ]


def test_a_telegram_is_built_as_the_standard_has_it() -> None:
    assert build_push("VTC", "X1", BLOCK) == PUSH
    assert P1.endswith(b"!" + P1[-6:])
    lf = build_push("VTC", "X1", BLOCK, compat=Compatibility(lf_line_ends=True, decimal_comma=True))
    assert lf == b"/VTC3X1\n\nF.F(00)\n1.8.0(000012,5*kWh)\n!\n"
    with pytest.raises(ValueError, match="FLAG"):
        build_push("V", "X1", BLOCK)


# --- the sender -----------------------------------------------------------------------------------


def sender(**settings: object) -> PushSender:
    return PushSender("VTC", "X1", interval_ns=10 * S, **settings)  # type: ignore[arg-type]


def test_the_block_is_asked_for_at_once_and_then_every_interval() -> None:
    core = sender()
    assert (core.next_event(), core.bytes_to_send(0)) == (None, b"")
    assert core.next_timer() == 0
    core.handle_timer(5 * S)
    assert core.next_event() == ReadoutAsked(1)
    assert (core.next_event(), core.next_timer()) == (None, None)
    core.handle_timer(6 * S)  # not asked again before the answer
    assert core.next_event() is None
    assert core.next_speed_change() == SpeedChange(2400)
    assert core.next_speed_change() is None
    core.answer(1, BLOCK, 7 * S)
    core.answer(1, BLOCK, 7 * S)
    assert (core.bytes_to_send(7 * S), core.bytes_to_send(7 * S)) == (PUSH, b"")
    assert core.next_timer() == 15 * S
    core.handle_timer(15 * S - 1)
    assert core.next_event() is None
    core.handle_timer(47 * S)  # the host slept: what was missed is not sent later
    assert core.next_event() == ReadoutAsked(2)
    core.answer(1, BLOCK, 47 * S)
    assert core.bytes_to_send(47 * S) == b""
    core.answer(2, BLOCK, 47 * S)
    assert core.next_timer() == 57 * S


def test_a_telegram_does_not_begin_before_the_last_one_is_out() -> None:
    core = PushSender("VTC", "X1", interval_ns=1, speed=1200)
    core.handle_timer(0)
    core.answer(1, BLOCK, 0)
    assert core.next_timer() == len(PUSH) * 10 * S // 1200


def test_what_is_heard_means_nothing_and_a_lost_link_takes_the_telegram() -> None:
    core = sender()
    core.receive(b"/?!\r\n", 0)
    assert core.bytes_to_send(0) == b""
    core.handle_timer(0)
    core.answer(1, BLOCK, 0)
    core.connection_lost(0)
    assert core.bytes_to_send(0) == b""
    assert core.next_timer() == 10 * S
    with pytest.raises(ValueError, match="more than nothing"):
        PushSender("VTC", "X1", interval_ns=0)
    with pytest.raises(ValueError, match="identification"):
        PushSender("VTC", "x" * 17, interval_ns=1)


def test_a_meter_with_its_host_is_served() -> None:
    counted = [0]

    def readout() -> Block:
        counted[0] += 1
        return Block(((DataSet("0.1.0", str(counted[0])),),))

    meter: ServerEndpoint = MeterPush(sender(with_crc16=True), readout)
    listener = PushListener()
    meter.receive(b"anything", 0)
    for now in range(0, 35 * S, S):
        timer = meter.next_timer()
        if timer is not None and timer <= now:
            meter.handle_timer(now)
        assert meter.next_work() is None
        meter.next_speed_change()
        listener.receive(meter.bytes_to_send(now), now)
    meter.connection_lost(35 * S)
    told = events(listener)
    values = [e.telegram.block.rows[0].values[0].value for e in told if isinstance(e, Pushed)]
    assert values == ["1", "2", "3", "4"]
    assert len(told) == 4


# --- the listener ---------------------------------------------------------------------------------


def test_whole_telegrams_are_told_one_by_one() -> None:
    listener = PushListener()
    assert listener.next_speed_change() == SpeedChange(2400)
    assert listener.next_speed_change() is None
    told = heard(listener, b"\x7f\x00" + PUSH + b"\r\n" + P1)
    assert said(told) == [PUSH, P1]
    first, second = (event.telegram for event in told if isinstance(event, Pushed))
    assert (first.framing, first.check_good) == (Framing.PUSHED, None)
    assert (second.framing, second.check_good) == (Framing.PUSHED_CRC, True)
    assert listener.bytes_to_send(0) == b""
    assert listener.length == 0


def struck(chars: bytes, place: int, char: int) -> bytes:
    return chars[:place] + bytes((char,)) + chars[place + 1 :]


@pytest.mark.parametrize(
    ("chars", "by"),
    [
        (PUSH[12:], TornBy.NO_BEGINNING),
        (PUSH[:30], TornBy.CUT),  # in mid-line: the next one begins there
        (PUSH[:-3], TornBy.CUT),
        (PUSH[:6], TornBy.CUT),
        (struck(P1, 24, 0x39), TornBy.CHECK),
        (struck(P1, 24, 0xB9), TornBy.DAMAGED),
        (b"/" + b"x" * 4000, TornBy.OVERLONG),
        (b"/17/01)\r\nF(1)\r\n!\r\n", TornBy.NO_BEGINNING),
    ],
)
def test_a_torn_telegram_is_told_and_the_next_one_is_found(chars: bytes, by: TornBy) -> None:
    told = said(heard(PushListener(longest=1000), chars + PUSH + PUSH))
    if by is TornBy.CUT and b"\r\n\r\n" not in chars:
        # Nothing shows that the first line is two: the telegram is heard with a long name.
        assert told[1:] == [PUSH]
        return
    assert told == [by, PUSH, PUSH]


def test_silence_ends_a_telegram() -> None:
    listener = PushListener()
    assert heard(listener, PUSH[:30], 5 * S) == []
    assert listener.next_timer() == 5 * S + PUSH_SILENCE_NS
    listener.handle_timer(6 * S)
    assert events(listener) == []
    listener.handle_timer(5 * S + PUSH_SILENCE_NS)
    assert events(listener) == [PushTorn(TornBy.SILENCE, PUSH[:30])]
    assert listener.next_timer() is None
    assert heard(listener, PUSH[:-2], 9 * S) == []  # a meter that says no CR LF after its `!`
    listener.handle_timer(12 * S)
    assert said(events(listener)) == [PUSH[:-2]]


def test_waiting_for_a_telegram_has_an_end() -> None:
    listener = PushListener()
    listener.start(Listen(10 * S), 2 * S)
    assert listener.next_timer() == 12 * S
    listener.handle_timer(12 * S)
    assert events(listener) == [NothingPushed()]
    listener.start(Listen(), 12 * S)
    assert listener.next_timer() is None
    listener.connection_lost(13 * S)
    assert events(listener) == [NothingPushed(link_lost=True)]
    assert listener.next_speed_change() == SpeedChange(2400)
    listener.start(Listen(10 * S), 20 * S)
    listener.receive(PUSH + PUSH[:20], 21 * S)
    assert isinstance(listener.next_event(), Pushed)
    listener.connection_lost(22 * S)
    assert events(listener) == [PushTorn(TornBy.LINK, PUSH[:20])]


PIECES = st.sampled_from(
    [PUSH, P1, PUSH[:30], P1[20:], b"/", b"!", b"!\r\n", b"\r\n", b"\xff", b"/ABC5"]
)
CHARS = st.lists(PIECES | st.binary(max_size=5), max_size=8).map(b"".join)


@given(CHARS, st.lists(st.integers(0, 400), max_size=5))
def test_any_fragmentation_tells_the_same_and_memory_is_bounded(
    chars: bytes, cuts: list[int]
) -> None:
    whole, single, pieces = (PushListener(longest=90) for _ in range(3))
    expected = heard(whole, chars)
    told: list[PushEvent] = []
    for char in chars:
        told += heard(single, bytes((char,)))
        assert single.length <= 90
    assert told == expected
    places = [0, *sorted(cut for cut in cuts if cut < len(chars)), len(chars)]
    told = [e for at, cut in enumerate(places[1:]) for e in heard(pieces, chars[places[at] : cut])]
    assert told == expected
    # Whatever came: after a silence the next telegram is heard.
    whole.handle_timer(PUSH_SILENCE_NS)
    events(whole)
    assert said(heard(whole, PUSH, 9 * S))[-1:] == [PUSH]


# --- on a line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [2400, 115200])
def test_both_ends_come_to_the_speed_of_telegrams_by_themselves(speed: int) -> None:
    heard_by: list[PushEvent] = []

    def listening() -> Procedure[None]:
        for _ in range(3):
            heard_by.append((yield Perform(cast("Command", Listen(60 * S)))))

    meter = MeterPush(sender(speed=speed, with_crc16=True), lambda: BLOCK)
    listener = cast("ClientEndpoint", PushListener(speed=speed))
    SimulatedLine(listener, meter, speed=300).run(listening())
    assert [isinstance(event, Pushed) for event in heard_by] == [True] * 3


def test_a_listener_of_another_speed_hears_no_telegram() -> None:
    heard_by: list[PushEvent] = []

    def listening() -> Procedure[None]:
        heard_by.append((yield Perform(cast("Command", Listen(25 * S)))))

    meter = MeterPush(sender(), lambda: BLOCK)
    listener = cast("ClientEndpoint", PushListener(speed=9600))
    SimulatedLine(listener, meter, speed=300).run(listening())
    assert not isinstance(heard_by[0], Pushed)


# --- recordings -----------------------------------------------------------------------------------

RECORDED = [
    "01_landis_gir_zcf100", "03_enexis_t210d", "04_hager_ehz161wa", "06_iskra_mt382_1003",
    "07_iskra_mt382_1000_dsmr3", "08_kamstrup_162", "17_emh_ehz",
]  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_telegrams_are_heard_and_a_torn_one_between_them(shared: Path, name: str) -> None:
    chars = (shared / "telegrams" / f"{name}.bin").read_bytes()
    line = chars.replace(b"\n\n", b"\n")
    listener = PushListener()
    told = said(heard(listener, chars[50:] + line + chars[: len(chars) // 2] + line))
    assert told == [TornBy.NO_BEGINNING, line, TornBy.CUT, line]
    has_crc = name[:2] in ("01", "03")
    if has_crc:
        at = line.index(b"(") + 1
        assert said(heard(listener, struck(line, at, line[at] ^ 1) + line)) == [TornBy.CHECK, line]

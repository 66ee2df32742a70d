"""Readers of a port and of a hand-held unit: framing, any fragmentation, bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.messages import (
    B0,
    CommandMessage,
    OptionSelect,
    build_block,
    close,
    operand_message,
)
from vtc07.carrier.exchange.reader import HHUReader, PortReader
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import DataSet

LIMITS = MessageLimits(command=40, identification=24)
LONGEST = 60
AnyReader = PortReader | HHUReader


def port(*, commands: bool = True, option_select: bool = False) -> PortReader:
    reader = PortReader(LIMITS)
    reader.commands, reader.option_select = commands, option_select
    return reader


def hhu(*, readout: bool = False, unchecked: bool = False, longest: int = 10**6) -> HHUReader:
    reader = HHUReader(LIMITS, unchecked=unchecked, longest=longest)
    reader.readout = readout
    return reader


def frames(reader: AnyReader, chars: bytes) -> list[tuple[Frame, bytes]]:
    return [(framed.frame, framed.chars) for framed in reader.feed(chars)]


READ = CommandMessage("R1", "1.8.0(1)").to_chars()
REQUEST = b"/?!\r\n"
IDENT = b"/ABC5X1\r\n"
BLOCK = build_block([[DataSet("1.8.0", "1.5", "kWh")]])
BARE = b"1.8.0(1.5*kWh)\r\n!\r\n"

# --- a port -------------------------------------------------------------------------------------


def test_a_port_hears_every_kind_of_message() -> None:
    reader = port()
    partial = CommandMessage("W3", "F(1)", partial=True).to_chars()
    assert frames(reader, REQUEST + READ + b"\x06\x15" + partial + B0) == [
        (Frame.REQUEST, REQUEST),
        (Frame.COMMAND, READ),
        (Frame.ACK, b"\x06"),
        (Frame.NAK, b"\x15"),
        (Frame.COMMAND, partial),
        (Frame.COMMAND, B0),
    ]
    assert not reader.in_message


def test_an_ack_begins_an_option_select_only_where_one_is_expected() -> None:
    select = OptionSelect("0", "5", "1").to_chars()
    assert frames(port(option_select=True), b"\x06" + select) == [(Frame.OPTION_SELECT, select)]
    assert frames(port(), select) == [(Frame.ACK, b"\x06")]
    assert frames(port(commands=False), select + b"\x15" + READ) == []
    (overlong,) = port(option_select=True).feed(b"\x060511\r\n")
    assert overlong == Framed(Frame.OPTION_SELECT, b"", overlong=True)


def test_a_new_message_begins_anywhere_but_in_the_place_of_the_check() -> None:
    reader = port(option_select=True)
    assert frames(reader, b"/?12" + READ[:5] + b"/" + REQUEST) == [(Frame.REQUEST, REQUEST)]
    assert frames(reader, b"\x0605" + READ[:5] + READ) == [(Frame.COMMAND, READ)]
    for control in b"\x01\x02\x03\x04\x06\x15/?":
        chars = b"\x01R1\x02(1)\x03" + bytes((control,))
        assert frames(reader, chars) == [(Frame.COMMAND, chars)]
        assert not reader.in_message


def test_damage_and_excess_are_told() -> None:
    reader = port(option_select=True)
    struck = READ[:6] + b"\xb5" + READ[7:]
    (framed,) = reader.feed(struck)
    assert framed == Framed(Frame.COMMAND, READ[:6] + b"\xff" + READ[7:], damaged=True)
    (framed,) = reader.feed(close(b"\x01W1\x02(" + b"x" * 99 + b")"))
    assert framed == Framed(Frame.COMMAND, b"", overlong=True)
    longest = b"/?" + b"0" * 32 + b"!\r\n"
    assert frames(reader, longest) == [(Frame.REQUEST, longest)]
    (framed,) = reader.feed(b"/?" + b"0" * 33 + b"!\r\n")
    assert framed.overlong
    assert reader.discard() is False
    assert list(reader.feed(READ[:4])) == []
    assert (reader.in_message, reader.length) == (True, 4)
    assert reader.discard() is True
    assert list(reader.feed(READ[4:])) == []


def test_a_port_may_change_what_it_expects_between_two_messages() -> None:
    reader = port(commands=False)
    heard = []
    for framed in reader.feed(REQUEST + OptionSelect("0", "0", "1").to_chars() + READ):
        heard.append(framed.frame)
        reader.option_select = framed.frame is Frame.REQUEST
        reader.commands = framed.frame is not Frame.REQUEST
    assert heard == [Frame.REQUEST, Frame.OPTION_SELECT, Frame.COMMAND]


# --- a hand-held unit ---------------------------------------------------------------------------


def test_a_hand_held_unit_hears_every_kind_of_message() -> None:
    more = close(b"\x02F(1)", end=EOT)
    operand = operand_message("12")
    assert frames(hhu(), IDENT + operand + more + BLOCK + b"\x06\x15" + B0) == [
        (Frame.IDENTIFICATION, IDENT),
        (Frame.COMMAND, operand),
        (Frame.DATA, more),
        (Frame.DATA, BLOCK),
        (Frame.ACK, b"\x06"),
        (Frame.NAK, b"\x15"),
        (Frame.COMMAND, B0),
    ]


def test_echoes_are_told_as_such() -> None:
    select = OptionSelect("0", "5", "0").to_chars()
    assert frames(hhu(), REQUEST + IDENT) == [(Frame.ECHO, REQUEST), (Frame.IDENTIFICATION, IDENT)]
    assert frames(hhu(readout=True), select + BARE) == [(Frame.ECHO, select), (Frame.BLOCK, BARE)]
    assert frames(hhu(readout=True), select + BLOCK) == [(Frame.ECHO, select), (Frame.DATA, BLOCK)]
    assert frames(hhu(), READ + BLOCK) == [(Frame.COMMAND, READ), (Frame.DATA, BLOCK)]


def test_an_identification_ends_in_lf_whatever_is_in_it() -> None:
    for message in (b"/ABC5a/b\r\n", b"/ABC5\x02X1\r\n", b"/ABC5\x03<1>\n"):
        assert frames(hhu(), b"\x7f\x00" + message) == [(Frame.IDENTIFICATION, message)]
    assert frames(hhu(), b"/ABC" + B0) == [(Frame.COMMAND, B0)]


def test_a_readout_without_stx_only_where_one_is_expected() -> None:
    assert frames(hhu(), BARE) == []
    assert frames(hhu(readout=True), b"\r\n" + BARE) == [(Frame.BLOCK, BARE)]
    assert frames(hhu(readout=True), b"!\r\n") == [(Frame.BLOCK, b"!\r\n")]
    glued = b"1(a!b)\n2(c)!\n"
    assert frames(hhu(readout=True), glued + b"\n\n") == [(Frame.BLOCK, glued)]
    # A block that began in noise is begun anew by STX; one whose first character is damaged is so.
    assert frames(hhu(readout=True), b"x\xff" + BLOCK) == [(Frame.DATA, BLOCK)]
    (framed,) = hhu(readout=True).feed(b"\xb1" + BARE[1:])
    assert framed == Framed(Frame.BLOCK, b"\xff" + BARE[1:], damaged=True)


def test_a_readout_with_stx_and_without_a_check() -> None:
    chars = b"\x02" + BARE
    reader = hhu(readout=True, unchecked=True)
    assert frames(reader, chars + b"\x03") == [(Frame.DATA, chars)]
    assert frames(hhu(unchecked=True), chars) == []  # in programming mode data has its check
    reader = hhu(readout=True)
    assert frames(reader, chars) == []
    assert reader.rest() == Framed(Frame.DATA, chars, complete=False)
    assert reader.rest() is None
    assert frames(reader, BLOCK) == [(Frame.DATA, BLOCK)]


def test_what_a_hand_held_unit_holds_has_a_limit() -> None:
    (framed,) = hhu(readout=True, longest=LONGEST).feed(b"x" * 99 + b"!\r\n")
    assert framed == Framed(Frame.BLOCK, b"", overlong=True)
    (framed,) = hhu(longest=LONGEST).feed(b"\x02" + b"x" * 99 + b"\x03!")
    assert framed == Framed(Frame.DATA, b"", overlong=True)
    (framed,) = hhu().feed(b"/ABC5" + b"x" * 99 + b"\r\n")
    assert framed == Framed(Frame.IDENTIFICATION, b"", overlong=True)


# --- both, whatever comes -----------------------------------------------------------------------

PIECES = [
    REQUEST, READ, B0, IDENT, BLOCK, BARE, b"\x06051\r\n", b"\x06", b"\x15", b"\x01", b"\x02",
    b"\x03", b"\x04", b"/", b"/?", b"!", b"!\r\n", b"\r", b"\n", b"\xff", b"\x7f\x00", b"x" * 70,
]  # fmt: skip
CHARS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=12).map(b"".join)
READERS: Sequence[Callable[[], AnyReader]] = (
    port,
    lambda: port(commands=False),
    lambda: port(option_select=True),
    lambda: hhu(longest=LONGEST),
    lambda: hhu(readout=True, longest=LONGEST),
    lambda: hhu(readout=True, unchecked=True, longest=LONGEST),
)


@pytest.mark.parametrize("make", READERS)
@given(chars=CHARS, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_fragmentation_gives_the_same_frames_and_memory_is_bounded(
    make: Callable[[], AnyReader], chars: bytes, cuts: list[int]
) -> None:
    whole, single, pieces = make(), make(), make()
    expected = list(whole.feed(chars))
    heard: list[Framed] = []
    for char in chars:
        heard += single.feed(bytes((char,)))
        assert single.length <= LONGEST + 1
    assert heard == expected
    places = sorted({0, len(chars), *(cut for cut in cuts if cut < len(chars))})
    heard = []
    for start, end in itertools.pairwise(places):
        heard += pieces.feed(chars[start:end])
    assert heard == expected
    assert whole.length == single.length == pieces.length <= LONGEST + 1
    assert whole.in_message == single.in_message == pieces.in_message
    for framed in expected:
        assert len(framed.chars) <= LONGEST
        assert framed.damaged or b"\xff" not in framed.chars
        assert framed.complete


@pytest.mark.parametrize("make", READERS)
@given(chars=CHARS)
def test_a_message_is_heard_after_anything(make: Callable[[], AnyReader], chars: bytes) -> None:
    reader = make()
    list(reader.feed(chars))
    reader.discard()
    message = REQUEST if isinstance(reader, PortReader) else BLOCK
    (framed,) = reader.feed(message)
    assert message.startswith(framed.chars)
    assert framed.frame in (Frame.REQUEST, Frame.DATA)

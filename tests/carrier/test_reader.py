"""The incremental reader: fragmentation, the BCC's place, restarts, bounded memory."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.framing import Frame, Framed
from vtc07.carrier.messages import ErrorMessage, IDResponse, ReadCommand, WriteCommand, close
from vtc07.carrier.reader import Reader as AnyReader

ALPHABET = st.lists(
    st.sampled_from(
        [
            b"/?!\r\n",
            b"/?600727!\r\n",
            ReadCommand("0004", "04").to_chars(),
            WriteCommand("0030", "00001388").to_chars(),
            b"\x01B0\x03q",
            b"\x06",
            b"\x15",
            b"\x00",
            b"/",
            b"?",
            b"\x01",
            b"\x02",
            b"\x03",
            b"\n",
            b"\xff",
            b"A",
            IDResponse("VTC", "3", "010000010003").to_chars(),
            ErrorMessage("ER04").to_chars(),
        ]
    )
).map(b"".join)


LIMITS = MessageLimits()


def Reader(*, client: bool = False, commands: bool = True) -> AnyReader:
    return AnyReader(LIMITS, client=client, commands=commands)


def frames(reader: AnyReader, *chunks: bytes) -> list[Framed]:
    return [framed for chunk in chunks for framed in reader.feed(chunk)]


@given(ALPHABET, st.booleans(), st.booleans(), st.data())
def test_any_fragmentation_gives_the_same_messages(
    chars: bytes, client: bool, commands: bool, data: st.DataObject
) -> None:
    whole = frames(Reader(client=client, commands=commands), chars)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(chars)))))
    pieces = [chars[a:b] for a, b in zip([0, *cuts], [*cuts, len(chars)], strict=True)]
    assert frames(Reader(client=client, commands=commands), *pieces) == whole


def test_exactly_one_character_follows_etx_whatever_it_is() -> None:
    for bcc in (0x01, 0x02, 0x03, 0x06, 0x0D, 0x15, 0x2F, 0x00, 0xFF):
        found = frames(Reader(), b"\x01R1\x02A()\x03" + bytes([bcc]), b"/?!\r\n")
        assert [f.frame for f in found] == [Frame.COMMAND, Frame.REQUEST]
        assert found[0].chars[-1] == bcc


def test_a_new_beginning_cuts_off_what_was_before() -> None:
    good = ReadCommand("0004").to_chars()
    assert frames(Reader(), b"\x01R1\x0200" + good) == [Framed(Frame.COMMAND, good)]
    assert frames(Reader(), b"\x01W1\x02(12/?7!\r\n") == [Framed(Frame.REQUEST, b"/?7!\r\n")]
    assert frames(Reader(), b"/?12/?34!\r\n") == [Framed(Frame.REQUEST, b"/?34!\r\n")]
    assert frames(Reader(), b"//?!\r\n") == [Framed(Frame.REQUEST, b"/?!\r\n")]
    # A / alone begins nothing.
    command = close(b"\x01W1\x020031(a/b)")
    assert frames(Reader(), command) == [Framed(Frame.COMMAND, command)]


def test_stx_in_a_command_begins_nothing() -> None:
    command = ReadCommand("0004").to_chars()
    assert frames(Reader(client=True), command) == [Framed(Frame.COMMAND, command)]


def test_without_commands_only_an_id_request_begins_and_there_is_no_bcc_place() -> None:
    reader = Reader(commands=False)
    chars = b"\x01R1\x020004()\x03/?!\r\n"  # the / stands in a command's BCC place
    assert frames(reader, chars) == [Framed(Frame.REQUEST, b"/?!\r\n")]
    assert frames(reader, b"\x15\x06\x15") == []


def test_a_command_of_192_characters_is_whole_and_one_of_193_is_overlong() -> None:
    for extra, overlong in ((0, False), (1, True), (1000, True)):
        command = close(b"\x01W1\x020031(" + b"x" * (192 - 12 + extra) + b")")
        assert len(command) == 192 + extra
        (framed,) = frames(Reader(), command)
        assert (framed.overlong, framed.chars) == (overlong, b"" if overlong else command)


def test_damage_is_kept_to_its_message() -> None:
    found = frames(Reader(), b"\x01R1\x0200\xff4()\x03A\xffB\x01B0\x03q")
    assert [(f.damaged, f.frame) for f in found] == [
        (True, Frame.COMMAND),
        (False, Frame.COMMAND),
    ]


def test_memory_is_bounded_however_long_it_babbles() -> None:
    for reader in (Reader(), Reader(client=True), Reader(commands=False)):
        for opening in (b"\x01", b"/?", b"\x02", b"/"):
            assert frames(reader, opening + b"x" * 100_000) == []
            held = sum(sys.getsizeof(getattr(reader, s)) for s in AnyReader.__slots__)
            assert held < 4096


def test_discard_says_whether_a_message_was_cut_off() -> None:
    reader = Reader()
    assert frames(reader, b"abc/") == []
    assert not reader.discard()
    assert frames(reader, b"?!\r\n") == []  # the / before is forgotten
    assert frames(reader, b"\x01R1\x03") == []
    assert reader.in_message
    assert reader.discard()
    assert frames(reader, b"A\x15") == [Framed(Frame.NAK, b"\x15")]

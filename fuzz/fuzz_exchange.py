"""IEC 62056-21 as meters in the field speak it: readers, messages, blocks, pushed telegrams.

The first byte chooses what gets the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange import messages as messages_module
from vtc07.carrier.exchange import mode_d as mode_d_module
from vtc07.carrier.exchange import reader as reader_module
from vtc07.carrier.exchange.blocks import parse_block
from vtc07.carrier.exchange.events import Block
from vtc07.carrier.exchange.messages import (
    CommandMessage,
    OptionSelect,
    build_answer,
    build_block,
    build_data,
    build_error,
    check_character,
    close,
    error_text,
    operand_message,
    parse_command_message,
    parse_data_sets,
    parse_identification,
    parse_option_select,
)
from vtc07.carrier.exchange.mode_d import (
    NothingPushed,
    Pushed,
    PushEvent,
    PushListener,
    TornBy,
    build_push,
)
from vtc07.carrier.exchange.reader import HHUReader, PortReader
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.exchange.telegram import Framing, parse_telegrams
from vtc07.carrier.framing import Frame, Framed, Framer
from vtc07.carrier.grammar import EOT
from vtc07.carrier.messages import DataSet

LONGEST = 1536
_LIMITS = MessageLimits(command=64, identification=24)
_HELD = 400
_SILENCE_NS = 2 * 10**9
_PARSERS = 6
_SUM = CheckCharacter.SUM
_READERS: tuple[Callable[[], PortReader | HHUReader], ...] = (
    lambda: _port(commands=False, option_select=False),
    lambda: _port(commands=True, option_select=False),
    lambda: _port(commands=True, option_select=True),
    lambda: _hhu(readout=False, unchecked=False),
    lambda: _hhu(readout=True, unchecked=False),
    lambda: _hhu(readout=True, unchecked=True),
)
_CHOICES = _PARSERS + len(_READERS)


def _port(*, commands: bool, option_select: bool) -> PortReader:
    reader = PortReader(_LIMITS)
    reader.commands, reader.option_select = commands, option_select
    return reader


def _hhu(*, readout: bool, unchecked: bool) -> HHUReader:
    reader = HHUReader(_LIMITS, unchecked=unchecked, longest=_HELD)
    reader.readout = readout
    return reader


def one(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    body = data[1:]
    match data[0] % _CHOICES:
        case 0:
            try_data_sets(body)
        case 1:
            try_command(body)
        case 2:
            try_sign_on(body)
        case 3:
            try_block(body)
        case 4:
            try_telegrams(body)
        case 5:
            try_listener(body)
        case other:
            try_reader(_READERS[other - _PARSERS], body)


# --- messages -------------------------------------------------------------------------------------


def try_data_sets(body: bytes) -> None:
    """Data sets: parsed as a second reading says, and built again to the same characters."""
    text = body.decode("latin-1")
    found = parse_data_sets(text)
    assert found == _data_sets_again(text), "two readings of the grammar differ"
    if found is not None:
        message = build_data(build_answer(found))
        assert parse_data_sets(message[1:-2].decode("ascii")) == found
    told = error_text(text)
    if told is not None:
        assert build_error(told) == close(f"\x02({told})".encode("ascii"))
        assert found is not None
        assert found == (DataSet("", told),)


def _data_sets_again(text: str) -> tuple[DataSet, ...] | None:
    """Read data sets part by part; line ends may stand behind each."""
    found: list[DataSet] = []
    while text:
        address, opened, rest = text.partition("(")
        inside, closed, text = rest.partition(")")
        text = text.lstrip("\r\n")
        value, starred, unit = inside.partition("*")
        printable = all(" " <= char <= "~" for char in address + inside)
        if not (opened and closed and printable) or set(address) & set(")!") or "(" in inside:
            return None
        found.append(DataSet(address, value, unit if starred else None))
    return tuple(found) or None


def try_command(body: bytes) -> None:
    """A command: good only with its check, and built again to the same characters."""
    for kind in CheckCharacter:
        for end in (3, EOT):
            message = close(b"\x01" + body, kind, end=end)
            command = parse_command_message(message, kind)
            head, stx, data = body.partition(b"\x02")
            sound = len(head) == 2 and all(0x20 <= char <= 0x7E for char in head)
            sound = sound and all(0x20 <= char <= 0x7E or char in b"\r\n" for char in data)
            assert (command is not None) == sound, "two readings of the grammar differ"
            if command is not None:
                assert command.to_chars(kind) == message
                assert command.has_data == bool(stx)
            wrong = message[:-1] + bytes((message[-1] ^ 1,))
            assert parse_command_message(wrong, kind) is None
    parse_command_message(body)


def try_sign_on(body: bytes) -> None:
    """Identification and option select: nothing is invented, and nothing left out."""
    identity = parse_identification(body)
    if identity is not None:
        said = f"/{identity.flag}{identity.baud_identification}{identity.identification}"
        assert body.rstrip(b"\r\n") == said.encode("ascii")
        assert re.fullmatch("[A-Za-z]{3}", identity.flag)
        for place, escape in enumerate(identity.escapes):
            assert identity.identification[2 * place : 2 * place + 2] == f"\\{escape}"
    select = parse_option_select(body)
    if select is not None:
        assert select.to_chars() == body


# --- blocks and telegrams -------------------------------------------------------------------------


def try_block(body: bytes) -> None:
    """A block: nothing is an error, and nothing of the text is lost."""
    block = parse_block(body)
    start = body.find(b"\x02") + 1
    text = re.split(rb"[\x03\x04]", body[start:])[0].decode("latin-1")
    text = re.sub("[\x80-\xff]", "\ufffd", text)
    seen = block.after + "".join(left.text for left in block.leftovers)
    for row in block.rows:
        assert row.all_values
        seen += row.address + "".join(
            str(part) for value in row.all_values for part in value.joined or (value,)
        )
        profile = row.profile
        if profile is not None:
            assert all(len(entry) == len(profile.channels) for entry in profile.entries)
    for char in set(text) - set("\r\n ()*&!"):
        assert seen.count(char) == text.count(char), f"{char!r} is lost"
    assert len(parse_block(body, Compatibility(decimal_comma=True)).rows) == len(block.rows)


def try_telegrams(body: bytes) -> None:
    """Recorded characters: each telegram is a part of them, in order, and its check is right."""
    for compat in (Compatibility(), Compatibility(check=_SUM)):
        for telegram in parse_telegrams(body, compat):
            chars = telegram.chars
            assert (telegram.check_good is None) == (
                telegram.framing not in (Framing.CHECKED, Framing.PUSHED_CRC)
            )
            if telegram.framing is Framing.CHECKED:
                # A damaged identification names nobody, but stands before the block all the same.
                line = re.search(rb"[\r\n]", chars) if chars.startswith(b"/") else None
                start = chars.index(b"\x02", line.end() if line else 0)
                covered = chars[start + 1 : -1]
                good = check_character(covered, compat.check) == chars[-1] & 0x7F
                assert telegram.check_good == good
            if telegram.identity is not None:
                assert chars.startswith(b"/" + telegram.identity.flag.encode("ascii"))


def try_listener(body: bytes) -> None:
    """A listener: any fragmentation tells the same, and the next whole telegram is heard."""
    whole, single = PushListener(longest=_HELD), PushListener(longest=_HELD)
    whole.receive(body, 0)
    for char in body:
        single.receive(bytes((char,)), 0)
        assert single.length <= _HELD, "more is held than the limit"
    told = list(_events(whole))
    assert told == list(_events(single)), "fragments change what is heard"
    for event in told:
        if isinstance(event, Pushed):
            assert event.telegram.identity is not None
            assert event.telegram.check_good is not False
            assert 0xFF not in event.telegram.chars
    whole.handle_timer(_SILENCE_NS)
    list(_events(whole))
    for push in _PUSHES:
        whole.receive(push, _SILENCE_NS)
    heard = list(_events(whole))
    good = [event.telegram.chars for event in heard if isinstance(event, Pushed)]
    assert good == list(_PUSHES), "a whole telegram is not heard"
    assert all(getattr(event, "by", None) is TornBy.NO_BEGINNING for event in heard[: -len(good)])


def _events(listener: PushListener) -> Iterator[PushEvent]:
    while (event := listener.next_event()) is not None:
        assert not isinstance(event, NothingPushed)
        yield event


# --- readers --------------------------------------------------------------------------------------


def try_reader(make: Callable[[], PortReader | HHUReader], body: bytes) -> None:
    """Read at once and one by one: the same messages, each of its form, in bounded memory."""
    whole, single = make(), make()
    found = list(whole.feed(body))
    again: list[Framed] = []
    heard = bytearray()
    at = 0
    for char in body:
        heard.append(char if char < 0x80 else 0xFF)
        for framed in single.feed(bytes((char,))):
            again.append(framed)
            _check_frame(framed, heard, at)
            at = len(heard)
        assert single.length <= _HELD + 1, "more is held than the limit"
    assert found == again, "fragments change what is read"
    assert (whole.in_message, whole.length) == (single.in_message, single.length)
    whole.discard()
    if isinstance(whole, PortReader):
        message, frame = b"/?12!\r\n", Frame.REQUEST
    else:
        message, frame = close(b"\x02A(1)"), Frame.DATA
    assert list(whole.feed(message)) == [Framed(frame, message)]


def _check_frame(framed: Framed, heard: bytearray, at: int) -> None:
    chars = framed.chars
    assert framed.complete
    if framed.overlong:
        assert not chars
        return
    assert heard.endswith(chars), "a message is not what was heard"
    assert len(heard) - len(chars) >= at, "two messages share a character"
    assert framed.damaged == (0xFF in chars)
    match framed.frame:
        case Frame.ACK | Frame.NAK:
            assert chars == (b"\x06" if framed.frame is Frame.ACK else b"\x15")
        case Frame.COMMAND:
            assert chars[0] == 1
            assert chars[-2] in (3, EOT)
            assert not set(chars[1:-2]) & {1, 3, EOT}
            assert len(chars) <= _LIMITS.command
        case Frame.DATA:
            assert chars[0] == 2
            assert chars[-2] in (3, EOT) or chars.rstrip(b"\r\n").endswith(b"!")
            assert not set(chars[1:-2]) & {1, 2, 3, EOT}
        case Frame.BLOCK:
            assert chars.rstrip(b"\r\n").endswith(b"!")
            assert not set(chars) & {1, 2}
        case Frame.REQUEST:
            assert chars.startswith(b"/?")
            assert chars.index(b"\n") == len(chars) - 1 <= 37
        case Frame.IDENTIFICATION:
            assert chars.startswith(b"/")
            assert chars[1:2] != b"?"
            assert chars.index(b"\n") == len(chars) - 1
        case Frame.OPTION_SELECT:
            assert chars[0] == 6
            assert chars.index(b"\n") == len(chars) - 1 <= 6
        case Frame.ECHO:
            assert chars.startswith((b"/?", b"\x06"))
            assert chars.endswith(b"\n")


# --- seeds, words, defects ------------------------------------------------------------------------

_SETS = (
    DataSet("F.F", "00"),
    DataSet("0.9.1", "10:29:08"),
    DataSet("1.8.0*12", "001236.1958", "kWh"),
    DataSet("1-0:41.7.0*255", "+00026", "W"),
    DataSet("9.4", "088", "C&082*C"),
    DataSet("C.1.1", "        "),
    DataSet("1.6.1", "0.39912", "kW"),
    DataSet("", "2210130900"),
    DataSet("0-0:96.13.0", ""),
    DataSet("0-0:96.14.0", "0002"),
)
_PROFILE = (
    "P.01(1221101000000)(08)(15)(2)(1-0:1.5.0)(kW)(1-0:2.5.0)(kW)\r\n"
    "(0.30499)(0.00000)\r\n(0.31774)(0.00000)\r\n"
)
_GAS = "0-1:24.3.0(130110100000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.160)\r\n"
_IDENTS = (
    "/VTC5\\2X1\r\n", "/ABk5\\MX382-1003\r\n", "/ABC 685-1-QR\r\n", "/ABC5\\@0050010067967\r\n",
    "/ABC5<1>X/1\r\n", "/ABC4X.M27\n\n", "/ABC5\x02X-1000\r\n", "/ABCFX\r\n",
)  # fmt: skip
_COMMANDS = (
    CommandMessage("P1", "(00000000)"),
    CommandMessage("P2", "(1A2B3C)"),
    CommandMessage("R1", "1.8.0(1)"),
    CommandMessage("R2", "F001"),
    CommandMessage("R5", "P.01(2211010000;2211020000)"),
    CommandMessage("R6", "P.01(;)"),
    CommandMessage("W1", "0.9.2(221113)"),
    CommandMessage("W2", "C003(221101092239)"),
    CommandMessage("W3", "FFFF(012345)", partial=True),
    CommandMessage("W3", "(F01234)"),
    CommandMessage("W5", "0.9.2(221113)(00000000)"),
    CommandMessage("E2", "0100()"),
    CommandMessage("B0", has_data=False),
    CommandMessage("B1", has_data=False),
)
_SWITCHES = (
    Compatibility(),
    Compatibility(check=_SUM),
    Compatibility(no_readout_bcc=True),
    Compatibility(decimal_comma=True, crlf_before_etx=True),
    Compatibility(lf_line_ends=True, address_not_echoed=True),
)
_ROWS = tuple((data_set,) for data_set in _SETS)
_PUSHES = (
    build_push("VTC", "X1", Block(_ROWS[:3])),
    build_push("VTC", "X1", Block(_ROWS[:3]), z="5", with_crc16=True),
)


def seeds() -> dict[str, bytes]:
    """Return messages in the shapes that meters send, each where it belongs."""
    found: dict[str, bytes] = {}

    def add(name: str, choice: int, chars: bytes) -> None:
        found[f"{name}-{len(found)}"] = bytes((choice,)) + chars

    heard = [ident.encode("ascii") for ident in _IDENTS]
    asked = [b"/?!\r\n", b"/?035 0000101!\r\n", OptionSelect("0", "5", "1").to_chars(), b"\x15"]
    for kind in CheckCharacter:
        asked += [command.to_chars(kind) for command in _COMMANDS]
        heard += [operand_message("1234567", kind), build_error("ER04", kind)]
    for compat in _SWITCHES:
        for count in range(len(_ROWS) + 1):
            heard.append(build_block(_ROWS[:count], compat))
            add("sets", 0, "".join(build_answer(_SETS[: count + 1], compat)).encode("ascii"))
        heard.append(build_data(build_answer(_SETS, compat), compat))
        heard.append(build_data(build_answer(_SETS[:3], compat), compat, end=EOT))
    heard += [close(text.encode("ascii")) for text in ("\x02" + _PROFILE, "\x02" + _GAS)]
    for chars in asked:
        for choice in range(_PARSERS, _PARSERS + 3):
            add("asked", choice, b"\x06" + chars)
        if chars[0] == 1:
            add("command", 1, chars[1:-2])
    for ident in _IDENTS:
        add("identification", 2, ident.encode("ascii"))
    add("option", 2, OptionSelect("2", "5", "2").to_chars())
    for place, chars in enumerate(heard):
        add("heard", _PARSERS + 3 + place % 3, b"\x7f\x00" + chars)
        add("block", 3, chars)
        said = _IDENTS[place % len(_IDENTS)].encode("ascii")
        add("telegram", 4, b"/?!\r\n" + said + chars)
        add("session", _PARSERS + 3 + place % 3, said + b"\x06050\r\n" + chars)
    for text in (_PROFILE, _GAS, "6.8()9.2(&&)9.1(0&1&-&CV)!", "A(1)\n\n(2)\n\n!"):
        add("profile", 3, text.encode("ascii"))
        add("sets", 0, text.encode("ascii"))
    for choice in range(_PARSERS, _CHOICES):
        for start in (b"/?", b"\x01W1\x02", b"\x02", b"A(", b"\x06"):
            add("overlong", choice, start + b"/" * (_HELD + 99) + b"\x03x!\r\n")
    for push in _PUSHES:
        for chars in (push, push[20:] + push, push[:40] + push, push[:20] + b"\xff" + push[21:]):
            add("push", 5, chars)
            add("pushed", 4, chars)
    return found


def words() -> tuple[bytes, ...]:
    """Return pieces of messages."""
    return (
        b"/?!\r\n", b"/VTC5X\r\n", b"\r\n\r\n", b"\x06050\r\n", b"\x01R1\x02", b"\x01P0\x02(",
        b"\x01B0\x03q", b"\x02F.F(00)", b")\x03", b")\x04", b"!\r\n", b"!1A2B\r\n", b"(", b")",
        b"*kWh)", b"&", b"*12", b"\n\n", b"(08)(15)(2)", b"7,4", b"\x02!\r\n\x03%",
    )  # fmt: skip


def _reader_forgets_the_check() -> None:
    def broken(self: reader_module._ExchangeReader, char: int) -> bool:
        ends(self, char)
        return char in (3, EOT)

    ends = reader_module._ExchangeReader._ends
    reader_module._ExchangeReader._ends = broken  # type: ignore[method-assign]


def _reader_never_full() -> None:
    def broken(self: Framer, char: int) -> None:
        self._buffer.append(char if char < 0x80 else 0xFF)
        self._damaged |= char > 0x7F

    Framer._append = broken  # type: ignore[method-assign]


def _any_check_is_good() -> None:
    messages_module.check_is_good = lambda message, kind=None: True  # noqa: ARG005


def _a_unit_is_a_value() -> None:
    vars(messages_module)["_DATA_SET"] = re.compile(r"([ \"-'*-~]*)\(([ -'*-~]*)()?\)[\r\n]*")


def _torn_is_whole() -> None:
    def broken(self: PushListener) -> None:
        finish(self)
        for place, event in enumerate(self._events):
            if isinstance(event, mode_d_module.PushTorn):
                (telegram,) = parse_telegrams(event.chars)[:1] or (None,)
                if telegram is not None:
                    self._events[place] = Pushed(telegram)

    finish = PushListener._finish
    mode_d_module.PushListener._finish = broken  # type: ignore[method-assign]


PLANTS: dict[str, Callable[[], None]] = {
    "the check ends before it begins": _reader_forgets_the_check,
    "a reader stores without limit": _reader_never_full,
    "any check is good": _any_check_is_good,
    "a unit is part of the value": _a_unit_is_a_value,
    "a torn telegram is whole": _torn_is_whole,
}

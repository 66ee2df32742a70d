"""Characters of the line: the reader of both sides, and the whole cores of server and client.

The first byte chooses among them and among companions; the rest is a script (`fuzz_script`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from fuzz_script import CHARACTER_NS, Op, scripted, steps
from fuzz_sessions import sessions
from trial_client import TOKEN, ClientTrial
from trial_server import ServerTrial
from vtc07.carrier import server as server_module
from vtc07.carrier import states
from vtc07.carrier.companion import Companion, MessageLimits
from vtc07.carrier.companion_file import load_companion, parse_companion
from vtc07.carrier.framing import Frame, Framed, Framer
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    BREAK_MESSAGE,
    NAK_MESSAGE,
    ErrorMessage,
    ReadCommand,
    WriteCommand,
)
from vtc07.carrier.reader import Reader
from vtc07.carrier.server import Server

LONGEST = 1536
_SMALL = """
extends = "electricity"
[identity]
flag = "VTc"
[limits]
data_message = 160
command = 64
errors = 2
repeats = 1
"""
_PIECE = 4  # exchanges of a session in one seed
_CONNECT = b"/?!\r\n" + bytes((Op.TIMER,))


@cache
def companions() -> tuple[Companion, ...]:
    """Return the companions under test: a shipped one, and one with small limits."""
    return load_companion("electricity"), parse_companion(_SMALL, "small.toml")


def one(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    companion = companions()[data[0] >> 2 & 1]
    match data[0] & 3:
        case 0:
            try_reader(data[1:], companion.limits, client=False)
        case 1:
            try_reader(data[1:], companion.limits, client=True)
        case 2:
            ServerTrial(companion, CHARACTER_NS if data[0] & 8 else 0).run(data[1:])
        case _:
            ClientTrial(companion, CHARACTER_NS if data[0] & 8 else 0).run(data[1:])


# --- the reader ---------------------------------------------------------------------------------


def try_reader(script: bytes, limits: MessageLimits, *, client: bool) -> None:
    """Read in fragments and one by one: the same messages, each of its form, in bounded memory."""
    whole = Reader(limits, client=client)
    single = Reader(limits, client=client)
    most = max(limits.command, limits.data_message if client else 37) + 1
    heard = bytearray()
    at = 0
    for step in steps(script):
        if isinstance(step, int):
            if step == Op.LOST:
                assert whole.discard() == single.discard()
                at = len(heard)
            continue
        found = list(whole.feed(step))
        again: list[Framed] = []
        for char in step:
            heard.append(char if char < 0x80 else 0xFF)
            assert whole.length <= most
            assert single.length <= most
            for framed in single.feed(bytes((char,))):
                again.append(framed)
                at = _check_frame(framed, heard, at, limits, client=client)
        assert found == again, "fragments change what is read"
        assert whole.in_message == single.in_message
        assert whole.length == single.length
    # Whatever was before: a sound message after it is heard, and nothing else.
    last = b"/VTC3!\r\n" if client else b"/?!\r\n"
    frame = Frame.IDENTIFICATION if client else Frame.REQUEST
    if client:
        whole.discard()
    else:
        list(whole.feed(b"\x00"))  # it may be a BCC
    assert list(whole.feed(last)) == [Framed(frame, last)]


def _check_frame(
    framed: Framed, heard: bytearray, at: int, limits: MessageLimits, *, client: bool
) -> int:
    """Check one message that ended with the last character heard; return where the next begins."""
    chars = framed.chars
    if framed.overlong:
        assert not chars
        return len(heard)
    assert heard.endswith(chars), "a message is not what was heard"
    assert len(heard) - len(chars) >= at, "two messages share a character"
    assert framed.damaged == (0xFF in chars)
    match framed.frame:
        case Frame.ACK:
            assert chars == ACK_MESSAGE
        case Frame.NAK:
            assert chars == NAK_MESSAGE
        case Frame.COMMAND | Frame.DATA:
            soh = framed.frame is Frame.COMMAND
            assert chars[0] == (1 if soh else 2)
            assert chars.index(3) == len(chars) - 2 or chars[1:-1].count(3) == 1
            assert 1 not in chars[1:-1]
            assert len(chars) <= (limits.command if soh else limits.data_message)
            assert client or (soh and b"/?" not in chars[:-1])
        case Frame.REQUEST:
            assert not client
            assert chars.startswith(b"/?")
            assert chars.index(b"\n") == len(chars) - 1 <= 37
        case Frame.IDENTIFICATION:
            assert client
            assert chars.startswith(b"/")
            assert chars.index(b"\n") == len(chars) - 1
            assert len(chars) <= limits.identification + 7
    return len(heard)


# --- seeds, words, defects ----------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return the project's own sessions in pieces, seen from either side, and what goes wrong."""
    found: dict[str, bytes] = {}
    for name, messages in sessions().items():
        for at in range(0, len(messages), 2 * _PIECE):
            piece = messages[at : at + 2 * _PIECE]
            heard = b"".join(
                scripted(m.chars) + bytes((Op.TIMER,)) for m in piece if m.sender == "client"
            )
            answers = b"".join(
                bytes((Op.COMMAND + _command_like(m.chars), 0x83))
                if m.sender == "client"
                else scripted(m.chars) + bytes((Op.CUT,))
                for m in piece
            )
            variant = at // (2 * _PIECE) % 3 * 4
            found[f"{name}-{at}-reader-server"] = bytes((variant,)) + heard
            found[f"{name}-{at}-reader-client"] = bytes((1 | variant,)) + answers
            found[f"{name}-{at}-server"] = bytes((2 | variant,)) + _CONNECT + heard
            found[f"{name}-{at}-client"] = bytes((3 | variant,)) + answers
    entry = scripted(WriteCommand("000F", TOKEN).to_chars()) + bytes((Op.TIMER,))
    wrong = entry.replace(bytes((Op.BCC,)), b"\x00")
    return found | {
        "entry": b"\x02" + _CONNECT + entry + entry.replace(b"0", b"\xff", 1) + b"\x15\x83" * 4,
        "slow": b"\x02\x8a" + _CONNECT + b"\x84\x8a" + entry + bytes((Op.REFUSE,)) + entry,
        "errors": b"\x02" + _CONNECT + b"\x01R1\x02\x03\x00\x89" * 3 + _CONNECT + b"\x87",
        "overlong": b"\x02" + _CONNECT + b"\x01W1\x02" + b"A" * 300 + b"\x03\x00\x89",
        "overlong-reader": b"\x00\x01W1\x02" + b"A" * 300 + b"\x03\x00/?!\r\n",
        "wrong-bcc": b"\x02" + _CONNECT + wrong,
        "acks": b"\x03" + bytes((Op.COMMAND, 6, Op.COMMAND + 1, 6, Op.TIMER, Op.LOST)),
        "noise": b"\x03" + bytes((Op.COMMAND + 4,)) + b"\x02(ER0\xff)\x03\x00\x89" * 5,
        "nak-to-entry": b"\x03" + bytes((Op.COMMAND, 0x15, Op.TIMER, Op.TIMER)),
    }


def _command_like(chars: bytes) -> int:
    """Return the place among `commands` of what comes near to a message."""
    near = (
        (b"\x01W1\x02000F", 0),
        (b"\x01R1\x020004(04)", 1),
        (b"/?", 2),
        (b"\x01R1\x020004", 4),
        (b"\x01R1\x020010", 5),
        (b"\x01W1\x020030", 7),
        (b"\x01W1\x020031", 8),
        (b"\x01B0", 9),
    )
    return next((place for start, place in near if chars.startswith(start)), 6)


def words() -> tuple[bytes, ...]:
    """Return whole messages and their pieces."""
    messages = (
        b"/?!\r\n",
        b"/?600727111111111153!\r\n",
        b"/VTC3010000010003\r\n",
        b"/VTc3010000010003\r\n",  # a fast meter
        scripted(ReadCommand("0004", "04").to_chars()),
        scripted(ReadCommand("0010", "0B").to_chars()),
        scripted(WriteCommand("000F", TOKEN).to_chars()),
        scripted(WriteCommand("0030", "000003E8").to_chars()),
        scripted(BREAK_MESSAGE),
        scripted(ErrorMessage("ER05").to_chars()),
        scripted(b"\x020004(00)0005(00000000)0006()0007(00)\x03\x03"),
    )
    pieces = (
        b"\x01R1\x02",
        b"\x01W1\x02",
        b"\x02(",
        b")\x03\x80",
        b"\x81",
        b"\x89",
        b"\x0a",
        b"/?",
    )
    return messages + pieces


def _reader_drops_a_character() -> None:
    feed = Framer.feed

    def broken(self: Framer, chars: bytes) -> Iterator[Framed]:
        return feed(self, chars[:-1] if len(chars) > 3 else chars)

    Framer.feed = broken  # type: ignore[method-assign]


def _reader_never_full() -> None:
    def broken(self: Framer, char: int) -> None:
        self._buffer.append(char if char < 0x80 else 0xFF)
        self._damaged |= char > 0x7F

    Framer._append = broken  # type: ignore[method-assign]


def _server_trusts_any_bcc() -> None:
    server_module.bcc_is_good = lambda message: True  # type: ignore[attr-defined]  # noqa: ARG005


def _server_repeats_for_ever() -> None:
    def broken(self: Server, chars: bytes, now_ns: int) -> None:
        send(self, ACK_MESSAGE if chars == NAK_MESSAGE else chars, now_ns)

    send = Server._send
    server_module.Server._send = broken  # type: ignore[method-assign]


def _client_repeats_entries() -> None:
    row = dict(states.CLIENT[states.ClientState.ENTRY])
    row[states.ClientInput.NAK] = states.ClientTransition(
        states.ClientState.ENTRY, states.ClientAction.REPEAT
    )
    states.CLIENT[states.ClientState.ENTRY] = row  # type: ignore[index]


PLANTS: dict[str, Callable[[], None]] = {
    "reader drops a character": _reader_drops_a_character,
    "reader stores without limit": _reader_never_full,
    "server trusts any BCC": _server_trusts_any_bcc,
    "server says ACK for NAK": _server_repeats_for_ever,
    "client repeats a token entry": _client_repeats_entries,
}

"""IEC 62056-21 in traces: sign-on, speeds, programming mode, blocks, readouts, every mode."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import perform
from vtc07.carrier.events import Break, Identify
from vtc07.carrier.exchange.messages import close
from vtc07.carrier.exchange.settings import CheckCharacter
from vtc07.carrier.framing import Frame
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
)
from vtc07.trace.file import TraceError, TraceHeader, TraceWriter, read_entries, read_trace
from vtc07.trace.message import Sender, TraceEntry, TraceMessage, TraceSpeed
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate, annotate_speed

MODE_C = load_companion("electricity-mode-c")
S = 1_000_000_000

OWN = " tableID 5, FOIN 4, protocolVersion 1, serverStatus 3 (load switch open, credit exhausted)"
TWO = "\\2 HDLC (mode E), \\@ a maker's or reserved"
MAKERS = "which the standard leaves to the maker"
READOUT = b"1.8.0(12345*Wh)\r\nF.F(0000)\r\n1.8.0*01(11.2)(10.1)\r\n(9.7)\r\n!\r\n"


def recorded(*turns: tuple[Sender, bytes]) -> list[TraceMessage]:
    """Record a conversation, a second between two messages."""
    found: list[TraceMessage] = []
    recorder = Recorder(found.append, start_ns=0)
    for at, (sender, chars) in enumerate(turns):
        recorder.observe(sender, chars, at * S)
    recorder.finish()
    return found


def frames(messages: list[TraceMessage]) -> list[tuple[Sender, Frame | None]]:
    return [(message.sender, message.frame) for message in messages]


def in_words(sender: Sender, chars: bytes) -> str:
    (message,) = recorded((sender, chars))
    return str(annotate(message, MODE_C))


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fragments", [1, 2, 1000])
def test_a_whole_mode_c_session_is_taken_apart(fragments: int) -> None:
    session: list[tuple[Sender, bytes, Frame]] = [
        ("client", b"/?!\r\n", Frame.REQUEST),
        ("server", b"/VTM5050004010003\r\n", Frame.IDENTIFICATION),
        ("client", b"\x06051\r\n", Frame.OPTION_SELECT),
        ("server", close(b"\x01P0\x02(00000009)"), Frame.COMMAND),
        ("client", close(b"\x01R3\x021.8.0(2)"), Frame.COMMAND),
        ("server", close(b"\x021.8.0(12.345*kWh)", end=4), Frame.DATA),
        ("client", b"\x06", Frame.ACK),
        ("server", close(b"\x021.7.0(500*W)"), Frame.DATA),
        ("client", close(b"\x01W1\x020030(5)"), Frame.COMMAND),
        ("server", b"\x06", Frame.ACK),
        ("client", b"\x01B0\x03q", Frame.COMMAND),
    ]
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    for at, (sender, chars, _) in enumerate(session):
        size = -(-len(chars) // fragments)
        for begin in range(0, len(chars), size):
            recorder.observe(sender, chars[begin : begin + size], at * S + begin)
    assert [(m.sender, m.chars, m.frame) for m in found] == session  # each at its last character


def test_a_readout_has_a_row_for_each_data_set_and_a_nak_repeats_it() -> None:
    block = close(b"\x02" + READOUT)
    found = recorded(
        ("client", b"/?!\r\n"),
        ("server", b"/VTM5050004010003\r\n"),
        ("client", b"\x06050\r\n"),
        ("server", block),
        ("client", b"\x15"),
        ("server", block),
    )
    assert [m.frame for m in found[3:]] == [Frame.DATA, Frame.NAK, Frame.DATA]
    assert annotate(found[3], MODE_C).lines() == [
        "← readout, 5 data sets, BCC 27",
        "  totalConsumption 12345 Wh",
        "  serverStatus 0 (none)",
        "  1.8.0*01 11.2",
        "    10.1",
        "    9.7",
    ]
    plain = annotate(found[3], None).lines(arrow=False)
    assert plain[:3] == ["readout, 5 data sets, BCC 27", "  1.8.0 12345 Wh", "  F.F 0000"]


@pytest.mark.parametrize("stx", [b"", b"\x02"])
@pytest.mark.parametrize("z", [b" ", b"A", b"5"])
def test_a_readout_without_a_check(stx: bytes, z: bytes) -> None:
    option: list[tuple[Sender, bytes]] = [("client", b"\x06050\r\n")] if z == b"5" else []
    found = recorded(
        ("client", b"/?!\r\n"),
        ("server", b"/VTM" + z + b"0500\r\n"),
        *option,
        ("server", stx + READOUT),
        ("client", b"/?!\r\n"),
    )
    assert found[-2].frame is Frame.BLOCK
    assert found[-2].chars == stx + READOUT
    assert annotate(found[-2], None).lines()[:2] == ["← readout, 5 data sets", "  1.8.0 12345 Wh"]


def test_a_push_of_mode_d_has_its_empty_line() -> None:
    found = recorded(("server", b"/VTM3push\r\n"), ("server", b"\r\n" + READOUT))
    assert frames(found) == [("server", Frame.IDENTIFICATION), ("server", Frame.BLOCK)]
    assert found[1].chars == b"\r\n" + READOUT
    assert len(annotate(found[1], MODE_C).rows) == 5


def test_an_empty_readout() -> None:
    (message,) = recorded(("server", close(b"\x02!\r\n")))
    assert annotate(message, None).lines() == ["← readout, no data sets, BCC 25"]


def test_a_programming_command_after_the_readout_of_mode_a_is_acknowledged() -> None:
    found = recorded(
        ("server", b"/KAM MC\r\n"),
        ("server", READOUT),
        ("client", close(b"\x01W1\x020030(5)")),
        ("server", b"\x06"),
    )
    assert [m.frame for m in found[1:]] == [Frame.BLOCK, Frame.COMMAND, Frame.ACK]


@pytest.mark.parametrize("pause", [0, 2 * S])
def test_a_lone_ack_after_an_identification_is_an_ack(pause: int) -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    recorder.observe("server", b"/VTM5x\r\n", 0)
    recorder.observe("client", b"\x06", S)
    recorder.observe("client", b"/?!\r\n", S + pause)
    assert b"".join(m.chars for m in found) == b"/VTM5x\r\n\x06/?!\r\n"
    assert found[-1].frame is Frame.REQUEST
    assert found[1].frame is (Frame.ACK if pause else None)


def test_an_answer_whose_check_is_an_exclamation_mark_is_no_readout() -> None:
    chars = close(b"\x021.8.0(3*Wh)")
    other = next(c for c in (close(b"\x021.8.0(%d*Wh)" % n) for n in range(9999)) if c[-1] == 0x21)
    for answer in (chars, other):
        (message,) = recorded(("server", answer))
        assert str(annotate(message, None)).startswith("← Data 1.8.0 ")


def test_pushes_with_crc16_that_follow_each_other_at_once() -> None:
    push = b"/KFM5x\r\n\r\n1-0:1.8.1(000001.5*kWh)\r\n!0A4F\r\n"
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    recorder.observe("server", push * 3, 0)
    assert frames(found) == [("server", Frame.IDENTIFICATION), ("server", Frame.BLOCK)] * 3
    assert annotate(found[1], None).lines() == [
        "← readout, 1 data set", "  1-0:1.8.1 000001.5 kWh",
    ]  # fmt: skip


def test_recorded_readouts_have_rows(shared: Path) -> None:
    files = sorted((shared / "telegrams").glob("*.bin"))
    assert files
    for file in files:
        if "p01" in file.name:
            continue  # an answer in programming mode without its check
        chars = bytes(char & 0x7F for char in file.read_bytes())
        found: list[TraceMessage] = []
        recorder = Recorder(found.append)
        recorder.observe("server", chars, 0)
        recorder.finish()
        assert [m.frame for m in found[-2:]] == [Frame.IDENTIFICATION, Frame.BLOCK], file.name
        assert b"".join(m.chars for m in found) == chars
        assert len(annotate(found[-1], None).rows) >= 4, file.name


def test_recorded_sessions_are_whole_messages(shared: Path) -> None:
    files = sorted((shared / "telegrams").glob("*.session.json"))
    assert files
    for file in files:
        turns: list[tuple[Sender, bytes]] = [
            ("client" if turn["from"] == "HHU" else "server", bytes.fromhex(turn["hex"]))
            for turn in json.loads(file.read_text())
        ]
        found = recorded(*turns)
        assert [m.sender for m in found] == [sender for sender, _ in turns], file.name
        assert None not in {m.frame for m in found}, file.name
        for message, (_, chars) in zip(found, turns, strict=True):
            assert message.masked == chars.startswith((b"\x01P1", b"\x01P2")), file.name


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "text", "said"),
    [
        ("5", "050004010003", f"{OWN}, mode C, 9600 Bd"),
        ("5", "\\2050004010003", f"{OWN}, mode C, 9600 Bd, \\2 HDLC (mode E)"),
        ("5", "\\2\\@x", f" identification \\2\\@x, mode C, 9600 Bd, {TWO}"),
        ("5", "\\MT382", " identification \\MT382, mode C, 9600 Bd"),
        ("B", "x", " identification x, mode B, 1200 Bd"),
        (" ", "MC", " identification MC, mode A, 300 Bd"),
    ],
)  # fmt: skip
def test_identifications_in_words(z: str, text: str, said: str) -> None:
    chars = f"/VTM{z}{text}\r\n".encode()
    assert in_words("server", chars) == f"← IDResponse VTM{said}"


@pytest.mark.parametrize(
    ("chars", "said"),
    [
        (b"\x06050\r\n", "option select data readout at 9600 Bd"),
        (b"\x06001\r\n", "option select programming mode at 300 Bd"),
        (b"\x06252\r\n", "option select binary (HDLC) at 9600 Bd, HDLC"),
        (b"\x061X6\r\n", f"option select mode 6, {MAKERS}, speed X, {MAKERS}, secondary protocol"),
        (b"\x0605\r\n", "malformed option select \\x0605\\r\\n"),
    ],
)  # fmt: skip
def test_option_selects_in_words(chars: bytes, said: str) -> None:
    *_, message = recorded(("server", b"/VTM5x\r\n"), ("client", chars))
    assert message.frame is Frame.OPTION_SELECT
    assert str(annotate(message, MODE_C)) == f"→ {said}"


@pytest.mark.parametrize(
    ("sender", "body", "said"),
    [
        ("server", b"\x01P0\x02(00000009)", "← programming mode, operand 00000009"),
        ("server", b"\x01P0\x02()", "← programming mode, no operand"),
        ("server", b"\x01B0", "← BreakCommand"),
        ("client", b"\x01B0", "→ BreakCommand"),
        ("client", b"\x01B1", "→ BreakCommand after a fast wake-up"),
        ("client", b"\x01R1\x021.8.0(1)", "→ ReadCommand 1.8.0 totalConsumption"),
        ("client", b"\x01R1\x020004()", "→ ReadCommand 0004 tokenStatus"),
        ("client", b"\x01R3\x021.8.0(93)",
         "→ ReadCommand R3 1.8.0 totalConsumption, 147 registers, in partial blocks"),
        ("client", b"\x01R5\x02P.01(03:04)",
         "→ ReadCommand R5 P.01 not in the RegisterTable, P.01(03:04)"),
        ("client", b"\x01R2\x02F001", "→ ReadCommand R2, formatted F001"),
        ("client", b"\x01W1\x020030(5000)", "→ WriteCommand 0030 lowCreditThreshold 5000 Wh"),
        ("client", b"\x01W3\x020031(flat)", "→ WriteCommand W3 0031 installationReference flat"),
        ("client", b"\x01E2\x020000()", "→ execute command 0000()"),
        ("client", b"\x01Q7\x02x(1)", "→ undefined command Q7 x(1)"),
        ("server", b"\x02(ER04)", "← error ER04: access denied"),
        ("server", b"\x021.8.0(12345*Wh)\r\n", "← Data totalConsumption 12345 Wh"),
    ],
)  # fmt: skip
def test_commands_and_answers_in_words(sender: Sender, body: bytes, said: str) -> None:
    chars = close(body)
    assert in_words(sender, chars) == f"{said}, BCC {chars[-1]:02X}"


def test_partial_blocks_in_words() -> None:
    write = close(b"\x01W3\x020031(fl", end=4)
    assert (
        in_words("client", write) == f"→ WriteCommand W3 0031(fl, more follows, BCC {write[-1]:02X}"
    )
    block = close(b"\x021.8.0(1000*Wh)", end=4)
    assert in_words("server", block).startswith("← Data totalConsumption 1000 Wh, more follows")


def test_a_sum_is_judged_as_the_companion_says() -> None:
    chars = close(b"\x021.8.0(1)", CheckCharacter.SUM)
    (message,) = recorded(("server", chars))
    assert annotate(message, None).bcc_good is False
    assert "BCC wrong" in str(annotate(message, MODE_C))


# --- speeds ---------------------------------------------------------------------------------------


def test_changes_of_speed_stand_between_the_messages_and_are_read_again() -> None:
    file = io.StringIO()
    writer = TraceWriter(file, TraceHeader(companion="electricity-mode-c"))
    recorder = Recorder(writer.write, on_speed=writer.write_speed)
    recorder.observe("server", b"/VTM5x\r\n", 10 * S)
    recorder.observe("client", b"\x06051\r\n", 11 * S)
    recorder.speed("client", 9600, 11 * S + 1)
    recorder.speed("server", 9600, 11 * S + 2)
    recorder.observe("server", close(b"\x01P0\x02()"), 12 * S)
    _, entries = read_entries(file.getvalue().splitlines())
    assert entries[2:4] == [TraceSpeed(S + 1, "client", 9600), TraceSpeed(S + 2, "server", 9600)]
    assert [type(entry) for entry in entries].count(TraceMessage) == 3
    _, messages = read_trace(file.getvalue().splitlines())  # who wants messages gets messages
    assert [m.frame for m in messages] == [
        Frame.IDENTIFICATION, Frame.OPTION_SELECT, Frame.COMMAND,
    ]  # fmt: skip


def test_a_change_of_speed_in_words() -> None:
    change = annotate_speed(TraceSpeed(5, "server", 9600, "why"))
    assert str(change) == "← speed: the meter goes on at 9600 Bd"
    assert str(annotate_speed(TraceSpeed(5, "client", 300))) == "→ speed: the HHU goes on at 300 Bd"
    assert (change.time_ns, change.note, change.bcc_good, change.sound) == (5, "why", None, True)


def test_a_message_that_a_change_of_speed_cuts_off_is_not_continued_behind_it() -> None:
    entries: list[TraceEntry] = []
    recorder = Recorder(entries.append, on_speed=entries.append)
    recorder.observe("client", b"\x01R1\x02", 0)
    recorder.speed("client", 300, 1)
    recorder.observe("client", b"/?!\r\n", 2)
    assert [getattr(entry, "chars", None) for entry in entries] == [
        b"\x01R1\x02", None, b"/?!\r\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        '{"t": 1, "from": "client", "hex": "", "speed": "fast"}',
        '{"t": 1, "from": "me", "hex": "", "speed": 300}',
        '{"from": "client", "hex": "", "speed": 300}',
    ],
)
def test_what_is_no_change_of_speed_is_refused(line: str) -> None:
    with pytest.raises(TraceError, match="line 1: this is no change of speed"):
        read_entries([line])


def test_a_simulated_line_tells_its_changes_of_speed() -> None:
    entries: list[TraceEntry] = []
    recorder = Recorder(entries.append, on_speed=entries.append, start_ns=0)
    pan = MeterPAN("600727111111111153")
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    state = manufacture(MODE_C, pan, DecoderKey(EA.MISTY1, bytes(16)), attributes, TID(5_000_000))
    character_ns = MODE_C.link.character_ns
    meter = Meter(MODE_C, MemoryStore(state), now_ns=0)
    line = SimulatedLine(
        ModeCClient(MODE_C, character_ns=character_ns),
        MeterServer(MODE_C, meter, character_ns=character_ns),
        speed=300,
        observers=[recorder.character],
        on_speed=recorder.speed,
    )
    line.run(perform(Identify()))
    line.run(perform(Break()))
    line.idle(S)
    recorder.finish()
    option = next(
        at
        for at, entry in enumerate(entries)
        if isinstance(entry, TraceMessage) and entry.frame is Frame.OPTION_SELECT
    )
    changes = entries[option + 1 : option + 3]
    assert {(e.sender, e.speed) for e in changes if isinstance(e, TraceSpeed)} == {
        ("client", 9600), ("server", 9600),
    }  # fmt: skip
    assert entries[option].time_ns <= changes[0].time_ns <= changes[1].time_ns
    assert changes[1].time_ns < entries[option].time_ns + character_ns
    assert {(e.sender, e.speed) for e in entries[-2:] if isinstance(e, TraceSpeed)} == {
        ("client", 300), ("server", 300),
    }  # fmt: skip

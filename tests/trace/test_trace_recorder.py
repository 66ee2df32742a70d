from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.client import Client
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure, perform, wait
from vtc07.carrier.events import Break, EnterToken, Identify, ReadSnapshot
from vtc07.carrier.framing import Frame
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    BREAK_MESSAGE,
    NAK_MESSAGE,
    DataMessage,
    DataSet,
    ErrorMessage,
    IDRequest,
    IDResponse,
    ReadCommand,
    WriteCommand,
)
from vtc07.links.simulated import DROPPED, SimulatedLine
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
    Service,
    TransferCredit,
    encode,
)
from vtc07.trace.file import TraceError, TraceHeader, TraceWriter, read_trace
from vtc07.trace.masking import masked_message
from vtc07.trace.message import Damage, Sender, TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate

MS = 1_000_000
S = 1_000_000_000

CLIENT_MESSAGES = [
    (IDRequest("12345").to_chars(), Frame.REQUEST),
    (IDRequest().to_chars(), Frame.REQUEST),
    (ReadCommand("0004", "04").to_chars(), Frame.COMMAND),
    (ReadCommand("0160", "10").to_chars(), Frame.COMMAND),
    (WriteCommand("0030", "00001388").to_chars(), Frame.COMMAND),
    (BREAK_MESSAGE, Frame.COMMAND),
    (NAK_MESSAGE, Frame.NAK),
]
SERVER_MESSAGES = [
    (IDResponse("VTC", "3", "0100000100/3").to_chars(), Frame.IDENTIFICATION),
    (DataMessage((DataSet("0004", "10"), DataSet("0005", "00000000"))).to_chars(), Frame.DATA),
    (ErrorMessage("ER07").to_chars(), Frame.DATA),
    (ACK_MESSAGE, Frame.ACK),
    (NAK_MESSAGE, Frame.NAK),
]


def recorded(recorder_input: list[tuple[Sender, bytes, int]]) -> list[TraceMessage]:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append, start_ns=0)
    for sender, chars, time_ns in recorder_input:
        recorder.observe(sender, chars, time_ns)
    recorder.finish()
    return found


turns: st.SearchStrategy[list[tuple[Sender, tuple[bytes, Frame]]]] = st.lists(
    st.one_of(
        st.tuples(st.just("client"), st.sampled_from(CLIENT_MESSAGES)),
        st.tuples(st.just("server"), st.sampled_from(SERVER_MESSAGES)),
    ),
    max_size=8,
)


@given(turns, st.data())
def test_messages_of_both_directions_are_found_however_they_are_torn(
    conversation: list[tuple[Sender, tuple[bytes, Frame]]], data: st.DataObject
) -> None:
    given_pieces: list[tuple[Sender, bytes, int]] = []
    expected = []
    now = 0
    for sender, (chars, frame) in conversation:
        now += data.draw(st.integers(1, 3 * S))
        cut = data.draw(st.integers(0, len(chars) - 1))
        first = now
        if cut:
            given_pieces.append((sender, chars[:cut], now))
            now += data.draw(st.integers(0, 1499 * MS))
        given_pieces.append((sender, chars[cut:], now))
        expected.append(TraceMessage(now, first, sender, chars, frame))
    assert recorded(given_pieces) == expected


def test_noise_and_messages_cut_off_are_kept_beside_whole_ones() -> None:
    good = ReadCommand("0004").to_chars()
    found = recorded(
        [
            ("client", b"\x00\x7f" + good[:5] + good, 1 * S),
            ("client", good[:4], 2 * S),
            ("server", b"\x15", 2 * S + 300 * MS),
            ("client", b"xyz", 3 * S),
            ("client", b"!", 3 * S + 1600 * MS),
        ]
    )
    assert [(message.sender, message.chars, message.frame) for message in found] == [
        ("client", b"\x00\x7f" + good[:5], None),
        ("client", good, Frame.COMMAND),
        ("client", good[:4], None),
        ("server", b"\x15", Frame.NAK),
        ("client", b"xyz", None),
        ("client", b"!", None),
    ]


def test_nothing_grows_without_end_on_a_line_that_babbles() -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    recorder.observe("client", b"x" * 100_000, 0)
    recorder.finish()
    assert sum(len(message.chars) for message in found) == 100_000
    assert max(len(message.chars) for message in found) < 5_000


def test_damage_is_told_by_place_and_kind() -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    for place, char in enumerate(b"/?!\r\n"):
        arrived = {1: DROPPED, 2: 0xFF, 3: 0x1D}.get(place, char)
        recorder.character("client", char, arrived, 4 * place)
    (message,) = found
    assert message.damage == (Damage(1, None), Damage(2, 0xFF), Damage(3, 0x1D))
    assert [damage.what for damage in message.damage] == [
        "lost",
        "unreadable",
        "received as \\x1d",
    ]
    assert not message.lost
    assert (message.began_ns, message.time_ns) == (0, 16)


def test_an_unreadable_character_of_a_real_link_is_damage() -> None:
    (message,) = recorded([("server", b"/VTC3\xff1\r\n", 5)])
    assert message.frame is Frame.IDENTIFICATION
    assert message.damage == (Damage(5, 0xFF),)


# --- files --------------------------------------------------------------------------------------

messages = st.builds(
    lambda time, length, sender, chars, damaged: TraceMessage(
        time + length,
        time,
        sender,
        chars[0],
        chars[1],
        tuple(Damage(at, arrived) for at, arrived in sorted(damaged.items()) if at < len(chars[0])),
    ),
    st.integers(0, 10**15),
    st.integers(0, 10**10),
    st.sampled_from(["client", "server"]),
    st.sampled_from([(b"\x15", Frame.NAK), (b"junk\x7f\\", None), (b"\xff\xff", None)]),
    st.dictionaries(st.integers(0, 5), st.none() | st.integers(0, 0x7F) | st.just(0xFF)),
)


@given(st.lists(messages, max_size=5))
def test_a_written_trace_is_read_back(written: list[TraceMessage]) -> None:
    file = io.StringIO()
    header = TraceHeader("electricity", "tcp://127.0.0.1:4059", "2030-01-01T00:00:00+00:00")
    writer = TraceWriter(file, header)
    for message in written:
        writer.write(message)
    assert read_trace(io.StringIO(file.getvalue())) == (header, written)


def test_the_lines_are_as_documented() -> None:
    file = io.StringIO()
    writer = TraceWriter(file, TraceHeader(companion="water"))
    damage = (Damage(0, None), Damage(1, 0x42))
    writer.write(TraceMessage(1_500_000_000, 0, "client", b"A\r\\", None, damage, "why"))
    writer.write(TraceMessage(2_000_000_000, 2_000_000_000, "server", b"\x06", Frame.ACK,
                              (Damage(0, None),)))  # fmt: skip
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {"trace": "vtc07", "version": 1, "companion": "water"},
        {
            "t": 1.5,
            "from": "client",
            "hex": "410d5c",
            "text": "A\\r\\\\",
            "note": "why",
            "began": 0.0,
            "damage": [{"at": 0, "arrived": None}, {"at": 1, "arrived": "42"}],
        },
        {
            "t": 2.0,
            "from": "server",
            "hex": "06",
            "text": "\\x06",
            "note": "",
            "lost": True,
        },
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("nonsense", "line 2: this is not JSON"),
        ("[1]", "line 2: a line of a trace is a JSON object"),
        ('{"t": 1}', "line 2: a message has a key hex"),
        ('{"t": 1, "from": "me", "hex": "06"}', "line 2: this is no message"),
        ('{"t": "x", "from": "client", "hex": "06"}', "line 2: this is no message"),
        ('{"t": 1, "from": "client", "hex": "6"}', "line 2: this is no message"),
        ('{"t": 1, "from": "client", "hex": 6}', "line 2: this is no message"),
        ('{"t": Infinity, "from": "client", "hex": "06"}', "line 2: this is no message"),
        (
            '{"t": 1, "from": "client", "hex": "06", "damage": [{"at": 1, "arrived": null}]}',
            "line 2: this is no message",
        ),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(line: str, sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        read_trace(['{"trace": "vtc07", "version": 1}', line])


@pytest.mark.parametrize("blank", ["", " ", "\\t \\n"])
def test_a_line_without_characters_is_left_alone(blank: str) -> None:
    lines = [f'{{"t": 1, "from": "client", "hex": "{blank}"}}'] * 2
    assert read_trace(lines) == (TraceHeader(), [])


def test_a_trace_of_a_later_version_is_refused() -> None:
    with pytest.raises(TraceError, match="version 2"):
        read_trace(['{"trace": "vtc07", "version": 2}'])


@given(st.lists(st.text(max_size=60)))
def test_no_lines_break_the_reader(lines: list[str]) -> None:
    with contextlib.suppress(TraceError):
        read_trace(lines)


def test_the_shared_transcripts_are_traces(shared: Path) -> None:
    files = sorted((shared / "vectors/transcripts").glob("*.jsonl"))
    assert files
    companion = load_companion("electricity")
    for path in files:
        lines = path.read_text().splitlines()
        expected = [line for line in map(json.loads, lines[1:]) if line["hex"]]
        header, found = read_trace(lines)
        assert header.companion == "electricity"
        assert [message.chars.hex() for message in found] == [line["hex"] for line in expected]
        assert [message.lost for message in found] == [line.get("lost", False) for line in expected]
        assert all(message.frame is not None for message in found)
        # Fed as characters again, the same messages come out.
        again = recorded([(m.sender, m.chars, m.time_ns) for m in found])
        assert [(m.sender, m.chars, m.frame) for m in again] == [
            (m.sender, masked_message(m).chars, m.frame) for m in found
        ]
        for message, line in zip(found, expected, strict=True):
            wrong_bcc = "wrong BCC" in line["note"]
            assert (annotate(message, companion).bcc_good is False) == wrong_bcc, line


# --- end to end ---------------------------------------------------------------------------------


def token_session(token: str) -> Procedure[None]:
    yield from perform(Identify())
    yield from perform(EnterToken(token))
    yield from wait(2 * S)
    yield from perform(ReadSnapshot())
    yield from perform(Break())


def test_a_whole_session_on_a_simulated_line() -> None:
    companion = load_companion("electricity")
    key = DecoderKey(EA.MISTY1, bytes(range(16)))
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    state = manufacture(companion, MeterPAN("600727111111111153"), key, attributes, TID(5_000_000))
    token = encode(TransferCredit(Service.ELECTRICITY, 5, 6_000_000, 100), key).digits
    character_ns = companion.link.character_ns
    meter = Meter(companion, MemoryStore(state), now_ns=0)
    found: list[TraceMessage] = []
    recorder = Recorder(found.append, start_ns=0)
    line = SimulatedLine(
        Client(companion, character_ns=character_ns),
        MeterServer(companion, meter, character_ns=character_ns),
        observers=[recorder.character],
    )
    line.run(token_session(token))
    line.idle(S)
    recorder.finish()
    grouped = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    texts = [str(annotate(message, companion)) for message in found]
    assert texts[0] == "→ IDRequest to any meter"
    assert texts[1].startswith("← IDResponse VTC tableID 1, FOIN 0, protocolVersion 1, ")
    assert texts[2].startswith(f"→ WriteCommand 000F tokenEntry {grouped}, BCC ")
    assert texts[3] == "← ACK"
    assert texts[4].startswith("→ ReadCommand 0004 tokenStatus, 4 registers, BCC ")
    assert texts[5].startswith(
        f"← Data tokenStatus 1 (Accept), tokenSequence 1, lastToken {grouped}, "
        "lastTokenStatus 1 (Accept), BCC "
    )
    assert texts[6] == "→ BreakCommand, BCC 71"
    assert len(texts) == 7
    assert found[0].began_ns == 4_166_667
    assert found[0].time_ns == 20_833_334

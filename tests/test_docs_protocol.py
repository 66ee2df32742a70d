"""docs/protocol.md is true: its tables, example frames, exchanges and delivery are the code's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure
from vtc07.carrier.messages import bcc_is_good, parse_data
from vtc07.carrier.registers import DataType, Encoding, Register
from vtc07.carrier.states import CLIENT, SERVER
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered
from vtc07.hhu.session import Session
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    RND,
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
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "protocol.md"
PAN = "600727111111111153"
KEY = DecoderKey(EA.MISTY1, bytes(range(0x30, 0x40)))
SPEED = 2400
CHARACTER_NS = -(-10 * 10**9 // SPEED)
MS = 1_000_000
CODES = {"SOH": 1, "STX": 2, "ETX": 3, "ACK": 6, "LF": 10, "CR": 13, "NAK": 21}
SECTIONS = [
    "1 Purpose",
    "2 Reference model",
    "3 Characters and links",
    "4 Messages, values, reads, errors",
    "5 The server",
    "6 Token entry, tokenStatus, lockout",
    "7 Timing",
    "8 Mode C",
    "9 Companion file, RegisterTable, Registers",
    "10 Delivering exactly once",
    "11 The meter",
]


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def companion() -> Companion:
    return load_companion("electricity")


def rows_below(text: str, head: str) -> list[list[str]]:
    """Return the rows of the table whose header line begins so; each table stands once."""
    assert text.count(f"\n{head}") == 1
    lines = text[text.index(f"\n{head}") + 1 :].split("\n")
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows


def chars_of(shown: str) -> bytes:
    """Read the document's notation: names of control characters, and a BCC by its code."""
    found = bytearray()
    for name, code, char in re.findall(r"\[([A-Z]{2,3})\]|\[([0-9A-F]{2})\]|(.)", shown):
        found.append(CODES[name] if name else int(code, 16) if code else ord(char))
    return bytes(found)


def new_meter(companion: Companion) -> Meter:
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    state = manufacture(companion, MeterPAN(PAN), KEY, attributes, TID(5_000_000))
    return Meter(companion, MemoryStore(state), now_ns=0)


def test_the_sections_are_those_that_the_code_refers_to(text: str) -> None:
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("machine", [SERVER, CLIENT], ids=["server", "client"])
def test_transitions(text: str, machine: Mapping[Enum, Mapping[Any, Any]]) -> None:
    states = list(machine)
    heads = " | ".join(state.value for state in states)
    rows = rows_below(text, f"| Input | {heads} |")
    expected = []
    for heard in machine[states[0]]:
        cells = [heard.value]
        for state in states:
            goes, action = machine[state][heard]
            cells.append(action.value if goes is state else f"{action.value} → {goes.value}")
        expected.append(cells)
    assert rows == expected


def test_registers(text: str, companion: Companion) -> None:
    documented: list[tuple[str, str, str, str, str, str]] = []
    for ids, names, data_type, unit, access, meaning in rows_below(text, "| ID | Register |"):
        first, _, last = ids.partition(" to ")
        if not last:
            documented.append((first, names, data_type, unit, access, meaning))
            continue
        name = names.split(".")[0]
        addresses = range(int(first, 16), int(last, 16) + 1)
        assert names == f"{name}.1 to {name}.{len(addresses)}"
        documented += [
            (f"{address:04X}", f"{name}.{number}", data_type, unit, access, meaning)
            for number, address in enumerate(addresses, 1)
        ]
    assert documented == [
        (
            register.address,
            register.name,
            str(register.data_type),
            register.unit or "",
            ("r" if register.read_level == 0 else "") + ("w" if register.write_level == 0 else ""),
            register.meaning,
        )
        for register in companion.table
    ]


def test_token_status_and_errors(text: str, companion: Companion) -> None:
    statuses = companion.token_entry.status
    rows = rows_below(text, "| Value | Name | The token |")
    assert {name: int(number) for number, name, _ in rows} == {
        status.value: number for status, number in statuses.numbers.items()
    }
    texts = [row[1] for row in rows_below(text, "| Order | Text | Meaning |")]
    assert sorted(texts) == sorted(companion.errors.values())


def test_check_characters(text: str) -> None:
    frames = re.findall(r"\[(?:SOH|STX)\][^`\n]*?\[ETX\]\[[0-9A-F]{2}\]", text)
    assert len(frames) > 50
    for frame in frames:
        assert bcc_is_good(chars_of(frame)), frame


def test_the_worked_check_character(text: str) -> None:
    lines = dict(
        re.findall(r"^(character|code|xor so far) +(\S.*)$", text, re.MULTILINE),
    )
    codes = [int(code, 16) for code in lines["code"].split()]
    sums = [int(code, 16) for code in lines["xor so far"].split()]
    shown = [CODES.get(name) or ord(name) for name in lines["character"].split()]
    assert shown == codes
    assert sums == [a ^ b for a, b in zip([0, *sums], codes, strict=False)]
    assert bcc_is_good(bytes([1, *codes, sums[-1]]))


def test_values(text: str) -> None:
    shown = {
        row[0].strip("`"): row[2] for row in rows_below(text, "| Encoding | Form | Examples |")
    }

    def encoded(kind: str, encoding: Encoding, value: int | str, scaler: int = 0) -> str:
        register = Register("0000", "x", DataType.parse(kind), encoding, "", scaler=scaler)
        return register.encode(value)

    found = 0
    for kind, number, scaler, result in re.findall(
        r"([su]\d+) (-?\d+)(?:, scaler (-?\d+))?: `(.*?)`", f"{shown['hex']}; {shown['decimal']}"
    ):
        encoding = Encoding.DECIMAL if scaler else Encoding.HEX
        assert encoded(kind, encoding, int(number), int(scaler or 0)) == result
        found += 1
    assert found == 4
    token = shown["token"].strip("`")
    assert encoded("token", Encoding.TOKEN_HEX, token) == shown["token-hex"].strip("`")


def test_exchanges(text: str, companion: Companion) -> None:
    server = MeterServer(companion, new_meter(companion))
    now_ns = 0
    for sent, answered, _ in rows_below(text, "| Client | Server | Why |"):
        now_ns += 30 * MS
        server.receive(chars_of(sent.strip("`")), now_ns)
        while (job := server.next_work()) is not None:
            job()
            server.work_done(None, now_ns)
        now_ns += 200 * MS
        answer = server.bytes_to_send(now_ns)
        expected = b"" if answered == "silence" else chars_of(answered.strip("`"))
        assert answer == expected, sent
        if answer.startswith(b"\x02"):
            assert parse_data(answer) is not None


def test_the_delivery(text: str, companion: Companion) -> None:
    token = encode(TransferCredit(Service.ELECTRICITY, RND(11), TID(6_543_210), 150), KEY).digits
    meter = new_meter(companion)
    messages: list[TraceMessage] = []
    recorder = Recorder(messages.append)
    line = SimulatedLine(
        Client(companion, character_ns=CHARACTER_NS),
        MeterServer(companion, meter, character_ns=CHARACTER_NS),
        speed=SPEED,
        observers=[recorder.character],
    )
    session = Session(companion, address=PAN)

    def delivery() -> Procedure[bool]:
        report = yield from send(
            session,
            MemoryJournal(),
            [TokenToSend(token, has_tid=True)],
            wall_clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
        )
        yield from session.sign_off()
        return isinstance(report.outcomes[0], Delivered)

    assert line.run(delivery())
    recorder.finish()
    rows = rows_below(text, "| First | Last | Sender | Characters | Meaning |")
    assert [
        (first, last, sender, chars_of(shown.strip("`")), meaning)
        for first, last, sender, shown, meaning in rows
    ] == [
        (
            f"{message.began_ns / 1e9:.3f}",
            f"{message.time_ns / 1e9:.3f}",
            message.sender,
            message.chars,
            str(annotate(message, companion))[2:],
        )
        for message in messages
    ]
    assert f"`{meter.state.token_log[0].text(companion.token_entry.status)}`" in text

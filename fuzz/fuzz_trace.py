"""Traces: any lines are a trace or a TraceError; any characters are recorded, written and read.

No password comes through, whatever stands around it.

The first byte says whether the rest is the text of a file or a script (`fuzz_script`) of what
passes on the line.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from fuzz_script import CHARACTER_NS, PAUSES, Op, scripted, steps
from fuzz_sessions import sessions
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.framing import Frame
from vtc07.carrier.messages import bcc, close
from vtc07.trace import file as trace_file
from vtc07.trace import masking, rendering
from vtc07.trace import recorder as recorder_module
from vtc07.trace.file import TraceError, TraceHeader, TraceWriter, read_entries
from vtc07.trace.masking import MASK, masked_message
from vtc07.trace.message import TraceEntry, TraceMessage, TraceSpeed
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate, annotate_speed

LONGEST = 4096
_HEADER = TraceHeader("electricity", "serial:/dev/ttyUSB0", "2026-03-01T12:30:00+00:00")


_SPEEDS = (300, 2400, 9600, 115200)
_PASSWORD = re.compile(rb"\x01P[1-9]\x02\((?!\*{8}\)[\x03\x04])")


@cache
def _companions() -> tuple[Companion | None, ...]:
    return load_companion("electricity"), load_companion("electricity-mode-c"), None


def one(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    if data[0] & 1:
        try_line(data[1:])
    else:
        try_file(data[1:LONGEST].decode("utf-8", "replace"))


# --- files ----------------------------------------------------------------------------------------


def try_file(text: str) -> None:
    """Read a text; what can be read can be explained, written and read again."""
    lines = text.split("\n")
    try:
        header, entries = read_entries(lines)
    except TraceError as error:
        said = str(error)
        assert said.startswith("line "), "an error without its line"
        assert 1 <= int(said.split(":", maxsplit=1)[0].removeprefix("line ")) <= len(lines)
        return
    assert len(entries) <= len(lines)
    for entry in entries:
        assert isinstance(entry, TraceSpeed) or entry.chars, "a message without characters"
        _check_explained(entry)
    again = _written(header, entries)
    assert again[0] == header
    for before, after in zip(entries, again[1], strict=True):
        assert abs(after.time_ns - before.time_ns) <= abs(before.time_ns) >> 50
        if isinstance(before, TraceSpeed) or isinstance(after, TraceSpeed):
            assert replace(after, time_ns=0) == replace(before, time_ns=0)
            continue
        assert after.chars == before.chars
        assert after.sender == before.sender
        assert after.frame is before.frame
        assert after.note == before.note
        assert after.lost == before.lost
        assert after.masked == before.masked
        assert before.lost or after.damage == before.damage


def _written(
    header: TraceHeader, entries: list[TraceEntry]
) -> tuple[TraceHeader, list[TraceEntry]]:
    file = io.StringIO()
    writer = TraceWriter(file, header)
    for entry in entries:
        if isinstance(entry, TraceSpeed):
            writer.write_speed(entry)
        else:
            writer.write(entry)
    lines = file.getvalue().splitlines()
    assert all(line.isascii() for line in lines)
    assert [json.loads(line) for line in lines]
    return read_entries(lines)


def _check_explained(entry: TraceEntry) -> None:
    """Explain a message: always some words, no control characters, the BCC judged as it is."""
    if isinstance(entry, TraceSpeed):
        assert str(entry.speed) in str(annotate_speed(entry))
        return
    for companion in _companions()[1:]:
        for line in annotate(entry, companion).lines():
            assert line.isprintable(), "control characters reach the terminal"
    explained = annotate(entry, _companions()[0])
    shown = str(explained)
    assert shown
    assert shown.isprintable(), "control characters reach the terminal"
    message = masked_message(entry)
    chars = message.chars
    if message.frame in (Frame.COMMAND, Frame.DATA) and len(chars) >= 3:
        assert explained.bcc_good == (bcc(chars[1:-1]) == chars[-1])
        assert ("BCC wrong" in shown) == (not explained.bcc_good and chars[-1] < 0x80)
        assert not _PASSWORD.match(chars), "a password is shown"
    assert explained.sound == (
        message.frame is not None and not message.damage and explained.bcc_good is not False
    )


# --- the line -------------------------------------------------------------------------------------


def try_line(script: bytes) -> None:
    """Record what passes: each character in exactly one message of its sender, in order."""
    entries: list[TraceEntry] = []
    recorder = Recorder(entries.append, on_speed=entries.append)
    sent: dict[str, bytearray] = {"client": bytearray(), "server": bytearray()}
    sender: Any = "client"
    now = 0
    hit = 0
    for step in steps(script):
        if isinstance(step, bytes):
            for char in step:
                now += CHARACTER_NS
                arrived = (char, char ^ 1, 0xFF, -1)[hit]
                hit = 0
                recorder.character(sender, char, arrived, now)
                sent[sender].append(char)
        elif step in PAUSES:
            now += PAUSES[step]
        elif step == Op.CUT:
            sender = "server" if sender == "client" else "client"
        elif step in (Op.SLOW, Op.FULL):
            recorder.speed(sender, _SPEEDS[now % 4], now)
        elif step >= Op.COMMAND:
            hit = step & 3
        else:
            now += 10 * MS
    recorder.finish()
    messages = [entry for entry in entries if isinstance(entry, TraceMessage)]
    for name, chars in sent.items():
        own = [m for m in messages if m.sender == name]
        if not any(m.masked for m in own):
            assert b"".join(m.chars for m in own) == chars, "a character is lost or doubled"
    for message in messages:
        assert 0 <= message.began_ns <= message.time_ns <= now
        assert [d.at for d in message.damage] == sorted({d.at for d in message.damage})
        assert all(0 <= d.at < len(message.chars) for d in message.damage)
        assert message.masked == (MASK in message.chars) or MASK in b"".join(
            map(bytes, sent.values())
        )
        assert not _PASSWORD.match(message.chars), "a password is recorded"
        _check_explained(message)
    header, again = _written(_HEADER, entries)
    assert header == _HEADER
    for before, after in zip(entries, again, strict=True):
        if isinstance(before, TraceSpeed) or isinstance(after, TraceSpeed):
            assert after == before
            continue
        assert (after.chars, after.sender, after.damage) == (
            before.chars,
            before.sender,
            before.damage,
        )
        assert (after.time_ns, after.began_ns) == (before.time_ns, before.began_ns)
        assert after.masked == before.masked
        assert after.frame is before.frame or before.frame is None, (before, after)


# --- seeds, words, defects ------------------------------------------------------------------------

#: A session of IEC 62056-21 mode C, HHU and meter in turn.
MODE_C = (
    b"/?12!\r\n",
    b"/VTM5\\2\\@0500040001\r\n",
    b"\x06050\r\n",
    close(b"\x021.8.0(1.5*kWh)\r\n1.8.0*01(1)(2)\r\n(3)\r\n!\r\n"),
    b"\x15",
    b"1.8.0(1.5*kWh)\r\n!\r\n",
    b"\x06051\r\n",
    close(b"\x01P0\x02(1234)"),
    close(b"\x01P1\x02(secret)"),
    b"\x06",
    close(b"\x01R5\x021.8.0(2)"),
    close(b"\x021.8.0(1.5*kWh)\r\n"),
    close(b"\x01W5\x020.9.2(0171021)(secret)"),
    close(b"\x02(ER04)"),
    close(b"\x01P2\x02(secret)")[:-4],
    close(b"\x01E2\x020000()"),
    b"\x01B1\x03p",
)


def seeds() -> dict[str, bytes]:
    """Return traces of our own sessions, as files and as what passes, and odd lines."""
    found: dict[str, bytes] = {}
    for name, messages in sessions().items():
        for at in range(0, len(messages), 3):
            piece = messages[at : at + 3]
            file = io.StringIO()
            writer = TraceWriter(file, _HEADER)
            script = bytearray(b"\x01")
            for message in piece:
                writer.write(message)
                script += scripted(message.chars) + bytes((Op.CUT,))
            found[f"{name}-{at}-file"] = b"\x00" + file.getvalue().encode()
            found[f"{name}-{at}-line"] = bytes(script)
    lines = (
        '{"trace": "vtc07", "version": 2}',
        '{"t": 1, "from": "client", "hex": "06"}',
        '{"t": 1e400, "from": "client", "hex": "06"}',
        '{"t": 1, "from": "server", "hex": "zz"}',
        '{"t": 1, "from": "server", "hex": ""}\n{"a": 1}',
        '{"t": 1, "from": "server", "hex": "06", "lost": true}',
        '{"t": 1, "from": "client", "hex": "0100", "damage": [{"at": 1, "arrived": "ff"}]}',
        '{"t": 1, "from": "client", "hex": "0100", "damage": [{"at": 7, "arrived": null}]}',
        '{"t": 1, "from": "client", "hex": " "}',
        "[" * 200,
    )
    for place, line in enumerate(lines):
        found[f"line-{place}"] = b"\x00" + line.encode()
    for place in range(len(MODE_C)):
        cut = bytes((Op.CUT,))
        found[f"mode-c-{place}"] = b"\x01" + cut.join(map(scripted, MODE_C[place:]))
    found["speed"] = b"\x01" + bytes((Op.SLOW, Op.CUT, Op.FULL)) + b"/?!\r\n"
    found["speed-file"] = b'\x00{"t": 1, "from": "client", "hex": "", "speed": 9600, "note": ""}'
    found["lone"] = b"\x01A\x86B"
    found["hits"] = b"\x01\x91/?\x92!\r\x93\n\x81\x15\x84\x15\x86\x06" + b"A" * 900
    return found


def words() -> tuple[bytes, ...]:
    """Return keys and values of a line, and pieces of messages."""
    keys = ("trace", "version", "t", "began", "from", "hex", "text", "note", "damage", "at", "lost")
    return (
        *(f'"{key}": '.encode() for key in keys),
        b'"client"',
        b'"server"',
        b'"arrived": null',
        b"NaN",
        b"-Infinity",
        b"1e308",
        b"true",
        b'"\\ud800"',
        b'"masked": true',
        b'"speed": 9600',
        b"/?!\r\n",
        b"\x01R1\x02",
        b"\x01P1\x02(",
        b"\x06051\r\n",
        b"!\r\n\x03",
        b"\x81",
        b"\x84",
    )


def _recorder_loses_characters() -> None:
    def broken(self: recorder_module._Side) -> TraceMessage | None:
        self.framer.discard()
        found = self.take(len(self.pending), None) if self.pending else None
        return found if found is None or len(found.chars) > 1 else None

    recorder_module._Side.rest = broken  # type: ignore[method-assign]


def _control_characters_are_shown() -> None:
    rendering.printable = lambda chars: chars.decode("latin-1")  # type: ignore[attr-defined]


def _errors_have_no_line() -> None:
    def broken(line: dict[str, Any], number: int) -> TraceMessage:
        return message_of(line, number) if "damage" not in line else message_of(line, 10**6)

    message_of = trace_file._message
    trace_file._message = broken


def _passwords_are_recorded() -> None:
    masking._shown = lambda message, **_: len(message.chars)


PLANTS: dict[str, Callable[[], None]] = {
    "the recorder loses characters": _recorder_loses_characters,
    "control characters are shown": _control_characters_are_shown,
    "errors name another line": _errors_have_no_line,
    "passwords are recorded": _passwords_are_recorded,
}

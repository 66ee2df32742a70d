"""Traces: any lines are a trace or a TraceError; any characters are recorded, written and read.

The first byte says whether the rest is the text of a file or a script (`fuzz_script`) of what
passes on the line.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from fuzz_script import CHARACTER_NS, PAUSES, Op, scripted, steps
from fuzz_sessions import sessions
from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.messages import bcc
from vtc07.carrier.reader import Frame
from vtc07.trace import file as trace_file
from vtc07.trace import recorder as recorder_module
from vtc07.trace import rendering
from vtc07.trace.file import TraceError, TraceHeader, TraceWriter, read_trace
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate

LONGEST = 4096
_HEADER = TraceHeader("electricity", "serial:/dev/ttyUSB0", "2026-03-01T12:30:00+00:00")


@cache
def _companion() -> Companion:
    return load_companion("electricity")


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
        header, messages = read_trace(lines)
    except TraceError as error:
        said = str(error)
        assert said.startswith("line "), "an error without its line"
        assert 1 <= int(said.split(":", maxsplit=1)[0].removeprefix("line ")) <= len(lines)
        return
    assert len(messages) <= len(lines)
    for message in messages:
        assert message.chars, "a message without characters"
        _check_explained(message)
    again = _written(header, messages)
    assert again[0] == header
    for before, after in zip(messages, again[1], strict=True):
        assert after.chars == before.chars
        assert after.sender == before.sender
        assert after.frame is before.frame
        assert after.note == before.note
        assert after.lost == before.lost
        assert before.lost or after.damage == before.damage
        assert abs(after.time_ns - before.time_ns) <= abs(before.time_ns) >> 50


def _written(
    header: TraceHeader, messages: list[TraceMessage]
) -> tuple[TraceHeader, list[TraceMessage]]:
    file = io.StringIO()
    writer = TraceWriter(file, header)
    for message in messages:
        writer.write(message)
    lines = file.getvalue().splitlines()
    assert all(line.isascii() for line in lines)
    assert [json.loads(line) for line in lines]
    return read_trace(lines)


def _check_explained(message: TraceMessage) -> None:
    """Explain a message: always some words, no control characters, the BCC judged as it is."""
    explained = annotate(message, _companion())
    shown = str(explained)
    assert shown
    assert shown.isprintable(), "control characters reach the terminal"
    chars = message.chars
    if message.frame in (Frame.COMMAND, Frame.DATA) and len(chars) >= 3:
        assert explained.bcc_good == (bcc(chars[1:-1]) == chars[-1])
        assert ("BCC wrong" in shown) == (not explained.bcc_good and chars[-1] < 0x80)
    assert explained.sound == (
        message.frame is not None and not message.damage and explained.bcc_good is not False
    )


# --- the line -------------------------------------------------------------------------------------


def try_line(script: bytes) -> None:
    """Record what passes: each character in exactly one message of its sender, in order."""
    messages: list[TraceMessage] = []
    recorder = Recorder(messages.append)
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
        elif step >= Op.COMMAND:
            hit = step & 3
        else:
            now += 10 * MS
    recorder.finish()
    for name, chars in sent.items():
        found = b"".join(m.chars for m in messages if m.sender == name)
        assert found == chars, "a character is lost or doubled"
    for message in messages:
        assert 0 <= message.began_ns <= message.time_ns <= now
        assert [d.at for d in message.damage] == sorted({d.at for d in message.damage})
        assert all(0 <= d.at < len(message.chars) for d in message.damage)
        _check_explained(message)
    header, again = _written(_HEADER, messages)
    assert header == _HEADER
    for before, after in zip(messages, again, strict=True):
        assert (after.chars, after.sender, after.damage) == (
            before.chars,
            before.sender,
            before.damage,
        )
        assert (after.time_ns, after.began_ns) == (before.time_ns, before.began_ns)
        assert after.frame is before.frame or before.frame is None


# --- seeds, words, defects ------------------------------------------------------------------------


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
        b"/?!\r\n",
        b"\x01R1\x02",
        b"\x81",
        b"\x84",
    )


def _recorder_loses_characters() -> None:
    def broken(self: recorder_module._Side) -> TraceMessage | None:
        self.reader.discard()
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


PLANTS: dict[str, Callable[[], None]] = {
    "the recorder loses characters": _recorder_loses_characters,
    "control characters are shown": _control_characters_are_shown,
    "errors name another line": _errors_have_no_line,
}

"""Traces as JSON Lines: a header, then one message or change of speed a line.

A line has ``t`` (s since the start, at the message's last character), ``from``, ``hex`` (7-bit
characters, ff for an unreadable one), ``text`` (the same, printable), ``note``; where it is so,
``began`` (s, at the first character), ``damage`` (a list of ``at`` and ``arrived``: two hexadecimal
digits, or null for nothing), ``lost`` (true: nothing of it arrived) and ``masked`` (true: asterisks
stand for a password). A change of speed has ``t``, ``from``, an empty ``hex``, ``speed`` (Bd) and
``note``. Other keys are left alone, and so are other lines that hold no characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from vtc07.trace.framing import frame_of
from vtc07.trace.message import Damage, Sender, TraceEntry, TraceMessage, TraceSpeed, printable

VERSION = 1
_NS = 1_000_000_000


class TraceError(ValueError):
    """A file is no trace. The message names the line and says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """The first line of a trace.

    ``companion``: a companion's name, or empty. ``address``: of the meter's port, or empty.
    ``started``: ISO 8601 with the offset from UTC, or empty where nobody asked the clock.
    """

    companion: str = ""
    address: str = ""
    started: str = ""


class TraceWriter:
    """Writes a trace, each message at once: a trace that is cut off is good up to there."""

    def __init__(self, file: TextIO, header: TraceHeader) -> None:
        self._file = file
        fields = {
            "companion": header.companion,
            "address": header.address,
            "started": header.started,
        }
        self._line({"trace": "vtc07", "version": VERSION} | {k: v for k, v in fields.items() if v})

    def write(self, message: TraceMessage) -> None:
        """Write a message: a sink of `Recorder`."""
        line: dict[str, Any] = {
            "t": message.time_ns / _NS,
            "from": message.sender,
            "hex": message.chars.hex(),
            "text": printable(message.chars),
            "note": message.note,
        }
        if message.began_ns != message.time_ns:
            line["began"] = message.began_ns / _NS
        if message.lost:
            line["lost"] = True
        elif message.damage:
            line["damage"] = [
                {
                    "at": damage.at,
                    "arrived": None if damage.arrived is None else f"{damage.arrived:02x}",
                }
                for damage in message.damage
            ]
        if message.masked:
            line["masked"] = True
        self._line(line)

    def write_speed(self, change: TraceSpeed) -> None:
        """Write a change of speed: a sink of `Recorder` too."""
        self._line(
            {
                "t": change.time_ns / _NS,
                "from": change.sender,
                "hex": "",
                "speed": change.speed,
                "note": change.note,
            }
        )

    def _line(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._file.flush()


def read_trace(lines: Iterable[str]) -> tuple[TraceHeader, list[TraceMessage]]:
    """Read the messages of a trace; TraceError where it is none.

    A first line that is a message makes a trace without header.
    """
    header, entries = read_entries(lines)
    return header, [entry for entry in entries if isinstance(entry, TraceMessage)]


def read_entries(lines: Iterable[str]) -> tuple[TraceHeader, list[TraceEntry]]:
    """Read a trace, changes of speed too; else as `read_trace`."""
    header = TraceHeader()
    entries: list[TraceEntry] = []
    for number, line in _objects(lines):
        if "hex" in line:
            if str(line["hex"]).strip():  # blanks may stand between the digits
                entries.append(_message(line, number))
            elif "speed" in line:
                entries.append(_speed(line, number))
        elif number == 1:
            header = _header(line)
        else:
            raise TraceError(f"line {number}: a message has a key hex with its characters")
    return header, entries


def _objects(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError as error:
            raise TraceError(f"line {number}: this is not JSON ({error})") from error
        except RecursionError as error:
            raise TraceError(f"line {number}: this is nested too deeply") from error
        if not isinstance(line, dict):
            raise TraceError(f"line {number}: a line of a trace is a JSON object")
        yield number, line


def _header(line: dict[str, Any]) -> TraceHeader:
    version = line.get("version", VERSION)
    if version != VERSION:
        raise TraceError(
            f"line 1: this trace has version {version}, this program reads {VERSION}; "
            "use a newer program"
        )
    return TraceHeader(*(str(line.get(key, "")) for key in ("companion", "address", "started")))


def _message(line: dict[str, Any], number: int) -> TraceMessage:
    try:
        chars = bytes.fromhex(line["hex"])
        sender: Sender = _sender(line["from"])
        time_ns = _ns(line["t"])
        began_ns = _ns(line.get("began", line["t"]))
        if line.get("lost"):
            damage = tuple(Damage(at, None) for at in range(len(chars)))
        else:
            damage = tuple(_damage(each, len(chars)) for each in line.get("damage", ()))
        note = str(line.get("note", ""))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TraceError(f"line {number}: this is no message of a trace ({error!r})") from error
    frame, masked = frame_of(sender, chars), bool(line.get("masked"))
    return TraceMessage(time_ns, began_ns, sender, chars, frame, damage, note, masked)


def _speed(line: dict[str, Any], number: int) -> TraceSpeed:
    try:
        time_ns, sender = _ns(line["t"]), _sender(line["from"])
        return TraceSpeed(time_ns, sender, int(line["speed"]), str(line.get("note", "")))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TraceError(f"line {number}: this is no change of speed ({error!r})") from error


def _sender(text: object) -> Sender:
    if text == "client":
        return "client"
    if text == "server":
        return "server"
    raise ValueError(f"from is client or server, not {text!r}")


def _ns(seconds: Any) -> int:
    return round(float(seconds) * _NS)


def _damage(line: dict[str, Any], length: int) -> Damage:
    at, arrived = int(line["at"]), line["arrived"]
    if not 0 <= at < length:
        raise ValueError(f"there is no character {at}")
    return Damage(at, None if arrived is None else int(arrived, 16) & 0xFF)

"""What a recorded session's entries say: commands, their outcomes and messages as JSON can hold.

No member tells a token. What would, a message whole or a value, stands among an entry's secrets
under the same name.

- ASKED: ``command``, ``at`` and what the command is about; the first one of a session has
  ``address``, every other one ``session``, the number of that first one; ``companion``, its name,
  as soon as it is known.
- MESSAGE: ``from``, ``at``, ``began`` where that is earlier, ``hex``, ``said`` (lines that explain
  it), ``frame`` where it is one, ``sound`` (whole and undamaged), ``damage``; of a change of speed
  ``speed`` in place of ``hex``. Secrets: ``hex``, ``said``.
- ANSWERED: ``asked`` (the number of its ASKED), ``answer``, ``at`` and what was answered.

``at`` and ``began`` are ns since the session's first command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtc07.carrier.companion import Companion
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    CommandRefused,
    EnterToken,
    Identified,
    Identify,
    Read,
    ReadSnapshot,
    RegistersRead,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.history.token_masking import (
    message_without_tokens,
    text_without_tokens,
    value_without_tokens,
)
from vtc07.trace.message import TraceMessage, TraceSpeed
from vtc07.trace.rendering import annotate, annotate_speed


@dataclass(frozen=True, slots=True)
class Kept:
    """Members and secrets of an entry."""

    members: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


def of_command(command: Command) -> Kept:
    """Return what a command is, without the token that it may carry."""
    name = type(command).__name__
    match command:
        case Identify(address=address, wake_up=wake_up):
            return Kept({"command": name, "meter": address, "wake_up": wake_up.value}, {})
        case Read(start, count):
            return Kept({"command": name, "register": start.name, "count": count}, {})
        case Write(register, value):
            kept = of_value(register, value)
            return Kept({"command": name, "register": register.name, **kept.members}, kept.secrets)
        case ReadSnapshot() | EnterToken() | Break():
            return Kept({"command": name}, {})


def of_value(register: Register, value: Value) -> Kept:
    """Return a register's value as ``value``; whole among the secrets where a token is in it."""
    shown = value_without_tokens(register, value)
    return Kept({"value": shown}, {} if shown == value else {"value": str(value)})


def of_event(event: ClientEvent) -> Mapping[str, Any]:
    """Return what a command came to; values of registers without tokens, and not the empty ones.

    Whatever has a token in it stands whole in the message that brought it.
    """
    members: dict[str, Any] = {"answer": type(event).__name__}
    match event:
        case Identified(identity, level):
            members["flag"] = identity.flag
            members["identification"] = identity.identification
            members["level"] = level
        case RegistersRead(values):
            members["values"] = {
                v.register.name: value_without_tokens(v.register, v.value)
                for v in values
                if v.value != ""  # an empty entry of a log, mostly
            }
        case Written(register):
            members["register"] = register.name
        case TokenEntryAnswered(entry, error, error_text):
            members["entry"] = entry.value
            members |= _error(None if error is None else error.value, error_text)
        case CommandRefused(_, error, error_text):
            members |= _error(None if error is None else error.value, error_text)
        case CommandFailed(_, failure, attempts):
            members["failure"] = failure.value
            members["attempts"] = attempts
        case SignedOff():
            pass
    return members


def _error(named: str | None, text: str) -> dict[str, Any]:
    return {"error": named, "error_text": text_without_tokens(text)} if named or text else {}


def of_message(message: TraceMessage, companion: Companion | None, began_ns: int) -> Kept:
    """Return a message that passed; ``began_ns``: when the session's first command was given."""
    masked = message_without_tokens(message, companion)
    explained = annotate(masked, companion)
    members: dict[str, Any] = {
        "from": message.sender,
        "at": message.time_ns - began_ns,
        "hex": masked.chars.hex(),
        "said": explained.lines(arrow=False),
        "sound": explained.sound,
    }
    if message.began_ns != message.time_ns:
        members["began"] = message.began_ns - began_ns
    if message.frame is not None:
        members["frame"] = message.frame.value
    if message.damage:
        members["damage"] = [[d.at, d.arrived] for d in message.damage]
    if masked is message:
        return Kept(members, {})
    said = "\n".join(annotate(message, companion).lines(arrow=False))
    return Kept(members, {"hex": message.chars.hex(), "said": said})


def of_speed(change: TraceSpeed, began_ns: int) -> Mapping[str, Any]:
    """Return a change of the line's speed."""
    return {
        "from": change.sender,
        "at": change.time_ns - began_ns,
        "speed": change.speed,
        "said": annotate_speed(change).lines(arrow=False),
        "sound": True,
    }

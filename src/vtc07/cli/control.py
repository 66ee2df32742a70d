"""What `vtc07 meter set` asks of a meter that is being served: requests and answers as JSON lines.

A request is one line ``{"vtc07": 1, "secret": …, "do": …, …}``, an answer one line
``{"vtc07": 1, "done": {…}}`` or ``{"vtc07": 1, "refused": sentence}``. No line ever holds a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from vtc07.cli.failure import Failure

T = TypeVar("T")

#: The longest request and the longest answer, in bytes.
LONGEST_LINE: Final = 65_536
#: The longest text in a line, in characters, each of which takes 12 bytes at the most.
LONGEST_TEXT: Final = 4096
_VERSION: Final = 1
#: The longest loss of power that ends by itself.
LONGEST_LOSS_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Show:
    """Tell the meter's state."""


@dataclass(frozen=True, slots=True)
class SetLoad:
    """Hang another load on the meter; single phases follow it again."""

    words: str
    acceleration: int


@dataclass(frozen=True, slots=True)
class SetPhase:
    """Have phase ``number`` (from 1) take so many W, 0 for off, None for what the load asks for."""

    number: int
    watts: int | None


@dataclass(frozen=True, slots=True)
class Tamper:
    """Set tamper flags."""

    flags: int


@dataclass(frozen=True, slots=True)
class Power:
    """Let power return, or take it away without warning.

    ``back_ms``: when it returns by itself; None: it stays away.
    """

    on: bool
    back_ms: int | None = None


Request = Show | SetLoad | SetPhase | Tamper | Power

_WORDS: Final = {Show: "show", SetLoad: "load", SetPhase: "phase", Tamper: "tamper", Power: "power"}


class NotUnderstood(Exception):
    """A line that is no request, or no answer."""


def request_line(secret: str, request: Request) -> bytes:
    """Return the line of a request."""
    fields = {name: getattr(request, name) for name in request.__dataclass_fields__}
    return _line({"secret": secret, "do": _WORDS[type(request)], **fields})


def read_request(line: bytes) -> tuple[str, Request]:
    """Return the secret and the request of a line. NotUnderstood: anything else."""
    document = _document(line)
    secret = _of(document, "secret", str)
    match _of(document, "do", str):
        case "show":
            return secret, Show()
        case "load":
            words = _of(document, "words", str)
            if len(words) > LONGEST_TEXT:
                raise NotUnderstood
            return secret, SetLoad(words, _number(document, "acceleration", 1, 10**9))
        case "phase":
            watts = document.get("watts")
            return secret, SetPhase(
                _number(document, "number", 1, 9),
                None if watts is None else _number(document, "watts", 0, 10**9 - 1),
            )
        case "tamper":
            return secret, Tamper(_number(document, "flags", 1, 0xFFFF))
        case "power":
            back_ms = document.get("back_ms")
            return secret, Power(
                _of(document, "on", bool),
                None if back_ms is None else _number(document, "back_ms", 1, LONGEST_LOSS_MS),
            )
    raise NotUnderstood


def done_line(state: Mapping[str, Any]) -> bytes:
    """Return the answer to a request that was carried out: the state afterwards."""
    return _line({"done": dict(state)})


def refused_line(sentence: str) -> bytes:
    """Return the answer to a request that was not."""
    return _line({"refused": sentence[:LONGEST_TEXT]})


def read_answer(line: bytes) -> dict[str, Any]:
    """Return the state in an answer. Failure: the request was refused. NotUnderstood: no answer."""
    document = _document(line)
    if "refused" in document:
        raise Failure(_of(document, "refused", str))
    state: dict[str, Any] = _of(document, "done", dict)
    return state


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps({"vtc07": _VERSION, **document}).encode("ascii") + b"\n"


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotUnderstood from None
    if not isinstance(document, dict) or document.get("vtc07") != _VERSION:
        raise NotUnderstood
    return document


def _of(document: Mapping[str, Any], name: str, kind: Callable[..., T]) -> T:
    value = document.get(name)
    if type(value) is not kind:
        raise NotUnderstood
    return cast("T", value)


def _number(document: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value: int = _of(document, name, int)
    if not least <= value <= most:
        raise NotUnderstood
    return value

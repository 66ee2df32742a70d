"""What a hostile client says at a port of mode C: at any speed, with a sign-on or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.exchange.messages import ACK, NAK, break_message, close
from vtc07.carrier.exchange.settings import MODE_C_SPEEDS, START_SPEED
from vtc07.carrier.grammar import EOT, ETX
from vtc07.carrier.messages import IDRequest
from vtc07.simulation.powered import OTHER_PAN, PASSWORD
from vtc07.simulation.unit import Utterance, hostile_words

_SPEEDS: Final = tuple(MODE_C_SPEEDS.items())[:6]
_LONGEST: Final = 40 * S  # a readout at 300 Bd
_ALL_SPEEDS: Final = tuple(Utterance(break_message(), S // 5, None, s) for _, s in _SPEEDS)
#: How it comes by the line: as it is, after B0 at every speed, or when the session has ended.
_BEFORE: Final = ((), _ALL_SPEEDS, (Utterance(b"", 160 * S),))


def hostile_sign_on_words(
    random: Random, companion: Companion, tokens: Sequence[str]
) -> list[Utterance]:
    """Return what a hostile client says that knows mode C, and now and then the direct mode."""
    said = list(random.choice(_BEFORE))
    for _ in range(random.randrange(1, 5)):
        said += random.choice(_SESSIONS)(random, companion, tokens)
    return said


def _pause(random: Random) -> int:
    return random.choice((0, S // 10, S // 2, S // 2, S, 2 * S))


def _at_any_speed(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    """Say what a hostile client of direct mode says, at one of the speeds."""
    _, speed = random.choice(_SPEEDS)
    said = hostile_words(random, companion, tokens)
    return [Utterance(each.chars, each.pause_ns, each.token, speed) for each in said]


def _break(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    return [Utterance(break_message(), _pause(random), None, random.choice(_SPEEDS)[1])]


def _request(random: Random) -> list[Utterance]:
    # Somebody else's address comes from one who has been let in, too.
    address = random.choice(("", "", "", "", "0", OTHER_PAN))
    return [Utterance(IDRequest(address).to_chars(), 3 * S // 2, None, START_SPEED)]


_NO_OPTIONS: Final = (
    b"", b"", NAK, ACK, ACK + b"05", ACK + b"059\r\n", ACK + b"???\r\n", b"/?!\r\n", b"/?x",
    b"/?\xff!\r\n", b"\x01B1\x03p", break_message(), b"\x01R1", close(b"\x01R1\x020004(4)"),
)  # fmt: skip


def _no_option(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    """Ask for the identification, and then for nothing, or for what makes no sense."""
    said = _request(random)
    follows = random.choice(_NO_OPTIONS)
    if follows:
        said.append(Utterance(follows, _pause(random)))
    return [*said, Utterance(b"", random.choice((S, 3 * S, _LONGEST)))]


def _readout(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    z, speed = random.choice(_SPEEDS)
    said = [*_request(random), Utterance(ACK + f"0{z}0\r\n".encode(), 0)]
    said.append(Utterance(b"", random.choice((S, _LONGEST)), None, speed))
    return said + [
        Utterance(random.choice(_BEHIND_READOUT), random.choice((S, _LONGEST)))
        for _number in range(random.randrange(0, 3))
    ]


_BEHIND_READOUT: Final = (
    NAK, NAK, ACK, b"\x01", b"\x01R1\x02", b"/?x", b"\x01B1\x03p", close(b"\x01R1\x020004(4)"),
)  # fmt: skip


def _session(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    """Sign on into programming mode, and misbehave there."""
    z, speed = random.choice(_SPEEDS)
    said = [*_request(random), Utterance(ACK + f"0{z}1\r\n".encode(), 0)]
    said.append(Utterance(b"", S, None, speed))
    for _ in range(random.randrange(0, 7)):
        said += random.choice(_IN_SESSION)(random, companion, tokens)
    if random.random() < 0.5:
        said.append(Utterance(break_message(), _pause(random)))
    return said


def _command(code: str, data: str, *, end: int = ETX) -> bytes:
    return close(f"\x01{code}\x02{data}".encode(), end=end)


def _password(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    password = random.choice((PASSWORD, "00000000", "", "x" * 32, "wrong"))
    return [Utterance(_command(random.choice(("P1", "P1", "P2")), f"({password})"), S)]


def _any_command(random: Random, companion: Companion, _: Sequence[str]) -> list[Utterance]:
    code = random.choice(("R1", "R2", "R3", "R4", "R5", "R6", "W1", "W2", "W5", "E2", "Q1"))
    register = random.choice(tuple(companion.table))
    entry = companion.token_entry.register
    if code[0] == "W" and register == entry:
        code = "R1"  # tokens are entered where they are counted
    address = random.choice((register.address, register.address, register.alias or "1.2.3", ""))
    value = random.choice(("", "1", "9", "0A", f"{random.randrange(1 << 32)}", "FFFF", "x" * 40))
    end = EOT if random.random() < 0.1 else ETX
    return [Utterance(_command(code, f"{address}({value})", end=end), random.choice((S, 2 * S)))]


def _entry(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    token = f"{random.randrange(1 << 66):020d}"
    if tokens and random.random() < 0.3:
        token = random.choice(tokens)
    entry = companion.token_entry.register
    address = random.choice((entry.address, entry.alias or entry.address))
    data = f"{address}({entry.encode(token)})"
    code = random.choice(("W1", "W1", "W5"))
    return [Utterance(_command(code, data), _pause(random), token)]


def _many(random: Random, companion: Companion, _: Sequence[str]) -> list[Utterance]:
    """Read in blocks, with ACK, NAK and others between them."""
    register = random.choice(tuple(companion.table))
    data = f"{register.address}({random.choice(('8', '20', '64', 'FF'))})"
    said = [Utterance(_command(random.choice(("R3", "R6")), data), 10 * S)]
    for _number in range(random.randrange(0, 6)):
        more = random.choice((ACK, ACK, ACK, ACK, NAK, b"\x01", _command("R1", "0004(4)") + b"?"))
        said.append(Utterance(more, 10 * S))
    return said


def _in_blocks(random: Random, companion: Companion, tokens: Sequence[str]) -> list[Utterance]:
    """Write a token in blocks, whole or not."""
    token = random.choice(tokens) if tokens else "1" * 20
    entry = companion.token_entry.register
    value = entry.encode(token)
    cut = random.randrange(1, len(value))
    first = _command("W3", f"{entry.address}({value[:cut]})", end=EOT)
    more = _command("W3", f"({value[cut:]})", end=EOT)
    said = [Utterance(first, S, token)]
    between = (NAK, ACK, first, first[:-1] + b"?", more)
    for _number in range(random.randrange(0, 3)):
        said += [Utterance(random.choice(between), S, token)]
    last = random.choice((f"({value[cut:]})", f"({value[cut:]})", f"{entry.address}({value})", "x"))
    if random.random() < 0.8:
        said.append(Utterance(_command("W3", last), _pause(random), token))
    return said


def _left(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    """Leave the session in the middle of something, in one manner or another."""
    begun = random.choice((b"", b"\x01R1\x02", b"/?1", b"/?\xff!\r\n", b"/?9!\r\n", b"\x01B1\x03p"))
    said = Utterance(begun, random.choice((S // 2, 2 * S, 130 * S)))
    return [said, Utterance(break_message(), S)] if random.random() < 0.5 else [said]


def _stray(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    stray = random.choice((NAK, NAK, ACK, b"\x01R1", b"/?!\r\n", b"\xff"))
    return [Utterance(stray, random.choice((S, 2 * S)))] * random.randrange(1, 6)


def _damaged(random: Random, _: Companion, __: Sequence[str]) -> list[Utterance]:
    said = Utterance(_command("R1", "0004(4)")[:-1] + b"?", S)
    return [said] * random.randrange(1, 5)


_IN_SESSION: Final[tuple[Callable[..., list[Utterance]], ...]] = (
    _password, _any_command, _any_command, _entry, _many, _in_blocks, _stray,
    _damaged, _left,
)  # fmt: skip
_SESSIONS: Final[tuple[Callable[..., list[Utterance]], ...]] = (
    _at_any_speed, _break, _no_option, _readout, _session, _session, _session, _session,
)  # fmt: skip

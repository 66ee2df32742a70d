"""No password in a trace: not in its characters, its words, its check, its length or its damage."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.exchange.messages import close
from vtc07.carrier.framing import Frame
from vtc07.links.simulated import DROPPED
from vtc07.trace.file import TraceHeader, TraceWriter, read_trace
from vtc07.trace.masking import MASK
from vtc07.trace.message import Sender, TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import annotate

S = 1_000_000_000
SIGN_ON: list[tuple[Sender, bytes]] = [
    ("client", b"/?!\r\n"),
    ("server", b"/VTM5x\r\n"),
    ("client", b"\x06051\r\n"),
    ("server", close(b"\x01P0\x02(00000009)")),
]
passwords = st.text("JKQUXZjqxz%&+", min_size=4, max_size=32)


def trace_of(turns: list[tuple[Sender, bytes]]) -> tuple[list[TraceMessage], str]:
    """Record, and return the messages and all that a file and people are told of them."""
    file = io.StringIO()
    found: list[TraceMessage] = []
    writer = TraceWriter(file, TraceHeader())

    def sink(message: TraceMessage) -> None:
        found.append(message)
        writer.write(message)

    recorder = Recorder(sink)
    for at, (sender, chars) in enumerate(turns):
        recorder.observe(sender, chars, 2 * at * S)
    recorder.finish()
    companions = (load_companion("electricity"), load_companion("electricity-mode-c"), None)
    told = [line for m in found for each in companions for line in annotate(m, each).lines()]
    kept = b"|".join(m.chars for m in found).decode("latin-1")
    return found, "\n".join([file.getvalue(), kept, *told, repr(found)])


@pytest.mark.parametrize("code", ["P1", "P2"])
@given(password=passwords)
def test_a_password_leaves_the_same_trace_whatever_it_is(code: str, password: str) -> None:
    def turns(secret: str) -> list[tuple[Sender, bytes]]:
        message = close(f"\x01{code}\x02({secret})".encode())
        return [*SIGN_ON, ("client", message), ("server", b"\x06")]

    found, told = trace_of(turns(password))
    assert found[-2].masked
    assert found[-2].frame is Frame.COMMAND
    assert found[-2].chars == close(f"\x01{code}\x02(********)".encode())
    assert password not in told
    assert told == trace_of(turns("another"))[1]


def test_in_words() -> None:
    found, _ = trace_of([*SIGN_ON, ("client", close(b"\x01P1\x02(secret)"))])
    assert str(annotate(found[-1], None)) == "→ password, not shown"
    found, _ = trace_of([*SIGN_ON, ("client", close(b"\x01P2\x02(secret)"))])
    assert str(annotate(found[-1], None)) == "→ result of the secure algorithm, not shown"
    found, _ = trace_of([*SIGN_ON, ("client", b"\x01P1\x02(secret)\x03\x00")])
    assert str(annotate(found[-1], None)).endswith("may stand in them: not shown, BCC wrong")
    assert annotate(found[-1], None).bcc_good is False


def test_the_password_in_a_national_write_of_two_values() -> None:
    write = close(b"\x01W5\x020.9.2(0171021)(secret)")
    found, told = trace_of([*SIGN_ON, ("client", write)])
    assert found[-1].chars == close(b"\x01W5\x020.9.2(0171021)(********)")
    assert "secret" not in told


@given(password=passwords, at=st.integers(0, 60), char=st.sampled_from([0xFF, 0x2A, 0x15, 0x03]))
def test_nor_does_one_damaged_character_of_a_national_write(
    password: str, at: int, char: int
) -> None:
    chars = bytearray(close(f"\x01W5\x020.9.2(0171021)({password})".encode()))
    chars[at % len(chars)] = char
    _, told = trace_of([*SIGN_ON, ("client", bytes(chars))])
    assert password not in told


@given(
    password=passwords,
    at=st.integers(0, 40),
    char=st.sampled_from([0xFF, 0x41, 0x7F, 0x15]),
    signed_on=st.booleans(),
)
def test_one_damaged_character_gives_no_password_away(
    password: str, at: int, char: int, *, signed_on: bool
) -> None:
    chars = bytearray(close(f"\x01P1\x02({password})".encode()))
    chars[at % len(chars)] = char
    turns: list[tuple[Sender, bytes]] = [*(SIGN_ON if signed_on else []), ("client", bytes(chars))]
    _, told = trace_of(turns)
    assert password not in told


@given(password=passwords, cut=st.integers(1, 40))
def test_a_password_that_is_cut_in_two_is_not_shown(password: str, cut: int) -> None:
    chars = close(f"\x01P1\x02({password})".encode())
    cut %= len(chars)
    turns: list[tuple[Sender, bytes]] = [*SIGN_ON, ("client", chars[:cut]), ("client", chars[cut:])]
    found, told = trace_of(turns)
    assert password not in told
    for message in found[4:]:
        shown = message.chars.replace(MASK, b"").decode("latin-1")
        assert not any(password[at : at + 3] in shown for at in range(len(password) - 2))


@pytest.mark.parametrize("arrived", [0xFF, DROPPED, 0x41])
def test_damage_on_the_line_gives_no_password_away(arrived: int) -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    for place, char in enumerate(close(b"\x01P1\x02(secret)")):
        recorder.character("client", char, arrived if place == 7 else char, place)
    (message,) = found
    assert len(message.damage) == 1
    assert message.damage[0].at == 0
    assert message.began_ns == message.time_ns
    assert str(annotate(message, None)) == "→ password, not shown, damaged on the line"


def test_a_lost_password_is_told_as_lost() -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    for place, char in enumerate(close(b"\x01P1\x02(secret)")):
        recorder.character("client", char, DROPPED, place)
    assert found[0].lost
    assert str(annotate(found[0], None)) == "→ password, not shown, lost on the line"


def test_an_echo_that_no_link_took_out_gives_no_password_away() -> None:
    turns: list[tuple[Sender, bytes]] = [*SIGN_ON, ("server", close(b"\x01P1\x02(secret)"))]
    assert "secret" not in trace_of(turns)[1]


@pytest.mark.parametrize("signed_on", [True, False])
@given(
    password=passwords,
    at=st.integers(0, 40),
    char=st.sampled_from([0xFF, 0x41, 0x30, 0x01, 0x02, 0x03, 0x04, 0x06, 0x15, 0x2F, 0x0A, None]),
)
def test_a_damaged_echo_gives_no_password_away(
    password: str, at: int, char: int | None, *, signed_on: bool
) -> None:
    said = close(f"\x01P1\x02({password})".encode())
    echo = bytearray(said)
    at %= len(echo)
    echo[at : at + 1] = b"" if char is None else bytes((char,))
    before = SIGN_ON if signed_on else []
    found, _ = trace_of([*before, ("client", said), ("server", bytes(echo))])
    for message in found[len(before) :]:
        shown = message.chars.replace(MASK, b"").decode("latin-1")
        assert not any(password[at : at + 3] in shown for at in range(len(password) - 2))


@pytest.mark.parametrize("answer", [b"\x06", b"\x15", b"\x01B0\x03q", close(b"\x02(ER04)")])
def test_what_a_meter_answers_to_a_password_is_shown(answer: bytes) -> None:
    said = close(b"\x01P1\x02(secret)")
    found, _ = trace_of([*SIGN_ON, ("client", said), ("server", answer)])
    assert found[-1].chars == answer
    assert not found[-1].masked


def test_a_password_torn_before_its_parenthesis_is_not_shown() -> None:
    for cut in (2, 3, 4):
        chars = close(b"\x01P1\x02(secret)")
        _, told = trace_of([("client", chars[:cut]), ("client", chars[cut:])])
        assert "secret" not in told


def test_somebody_elses_trace_is_explained_without_its_password() -> None:
    chars = close(b"\x01P1\x02(secret)")
    line = f'{{"t": 1, "from": "client", "hex": "{chars.hex()}"}}'
    _, (message,) = read_trace([line])
    assert message.chars == chars  # the file is what it is
    assert "secret" not in str(annotate(message, load_companion("electricity-mode-c")))


@pytest.mark.parametrize(
    "chars",
    [
        close(b"\x01W1\x02000F(56493153725450313471)"),
        close(b"\x01W1\x020030(5)", end=4),
        close(b"\x01W3\x02a long piece of a value that goes on)"),
        close(b"\x01R2\x02F001"),
        close(b"\x01R1\x020004(04)")[:-1] + b"\x00",
        close(b"\x01R1\x020004(04)")[:7],
        b"\x01R1\x0200N0()\x03\x28",
        b"\x15",
        b"\x00" * 60,
    ],
)
def test_what_can_hold_no_password_is_kept_as_it_is(chars: bytes) -> None:
    found, _ = trace_of([*SIGN_ON, ("client", chars)])
    assert not found[-1].masked
    assert found[-1].chars == chars


def test_after_the_session_noise_is_shown_again() -> None:
    noise: tuple[Sender, bytes] = ("client", b"noise")
    found, _ = trace_of([*SIGN_ON, noise, ("client", b"\x01B0\x03q"), noise])
    assert [m.chars for m in found[-3:]] == [MASK, b"\x01B0\x03q", b"noise"]

"""Masking: whatever the line did to a message, no digits of a token are left in what is shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.exchange.messages import check_is_good, close
from vtc07.carrier.framing import Frame
from vtc07.carrier.registers import DataType, Encoding, Kind, Register
from vtc07.hhu.history.token_masking import (
    MASK,
    message_without_tokens,
    note_without_tokens,
    text_without_tokens,
    value_without_tokens,
)
from vtc07.trace.framing import frame_of
from vtc07.trace.message import Damage, Sender, TraceMessage
from vtc07.trace.rendering import annotate

#: Of digits that no other value of these messages has.
TOKEN = "53946384935773839465"
PAN = "600727111111111153"
ENTRY = close(f"\x01W1\x02000F({TOKEN})".encode())
SNAPSHOT = close(f"\x020004(01)0005(00000001)0006({TOKEN})0007(01)".encode())
LOG = close(f"\x020020(1,{TOKEN},1202021,0.0,22000,1)0021(2,{TOKEN},120,0.0,1,2)".encode())
NAMES = close(f"\x020010({PAN})0020(000000000000159A*Wh)".encode())


def message(sender: Sender, chars: bytes, damage: tuple[Damage, ...] = ()) -> TraceMessage:
    return TraceMessage(0, 0, sender, chars, frame_of(sender, chars), damage)


def digits_left(chars: bytes) -> int:
    """How many digits of the token stand together somewhere."""
    text = chars.decode("latin-1")
    lengths = [n for n in range(1, 21) for at in range(21 - n) if TOKEN[at : at + n] in text]
    return max(lengths, default=0)


@pytest.mark.parametrize(
    ("sender", "chars", "shown"),
    [
        ("client", ENTRY, b"000F(####################)"),
        ("server", SNAPSHOT, b"0006(####################)0007(01)"),
        ("server", LOG, b"0020(1,####################,1202021,0.0,22000,1)0021(2,####"),
    ],
)
def test_a_sound_message_keeps_everything_but_the_token(
    electricity: Companion, sender: Sender, chars: bytes, shown: bytes
) -> None:
    masked = message_without_tokens(message(sender, chars), electricity)
    assert shown in masked.chars
    assert len(masked.chars) == len(chars)
    assert check_is_good(masked.chars)
    assert digits_left(masked.chars) < 2
    assert TOKEN[:4] not in str(annotate(masked, electricity))
    assert "BCC wrong" not in str(annotate(masked, electricity))


def test_without_a_companion_the_shape_tells(electricity: Companion) -> None:
    for sender, chars in (("client", ENTRY), ("server", SNAPSHOT), ("server", LOG)):
        masked = message_without_tokens(message(sender, chars), None)  # type: ignore[arg-type]
        assert digits_left(masked.chars) < 2
    told = message("server", NAMES)
    assert message_without_tokens(told, None) is told
    assert message_without_tokens(told, electricity) is told


def test_what_has_no_token_is_left_as_it_is(electricity: Companion) -> None:
    for sender, chars in (
        ("client", f"/?{PAN}!\r\n".encode()),
        ("server", b"/VTC3010000010003\r\n"),
        ("client", close(b"\x01R1\x020010()")),
        ("server", close(b"\x02(ER05)")),
        ("server", b"\x06"),
        ("client", b"\x15"),
    ):
        sent = message(sender, chars)  # type: ignore[arg-type]
        assert sent.frame is not None
        assert message_without_tokens(sent, electricity) is sent


def test_a_wrong_check_stays_wrong(electricity: Companion) -> None:
    wrong = ENTRY[:-1] + bytes((ENTRY[-1] ^ 1,))
    masked = message_without_tokens(message("client", wrong), electricity)
    assert masked.frame is Frame.COMMAND
    assert not check_is_good(masked.chars)
    assert digits_left(masked.chars) < 2


def test_a_damaged_message_shows_nothing_of_its_values(electricity: Companion) -> None:
    hit = message("client", ENTRY, (Damage(3, 0xFF),))
    masked = message_without_tokens(hit, electricity)
    assert masked.chars.startswith(b"\x01W1\x02#")
    assert not re.search(rb"[0-9]", masked.chars[4:-1])


@given(
    st.sampled_from([("client", ENTRY), ("server", SNAPSHOT), ("server", LOG)]),
    st.sampled_from(["cut", "behead", "drop", "replace", "double", "unreadable"]),
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=1, max_value=0x7F),
)
def test_no_piece_of_a_token_is_left_whatever_the_line_did(
    sent: tuple[Sender, bytes], how: str, place: int, change: int
) -> None:
    sender, chars = sent
    at = place % len(chars)
    match how:
        case "cut":
            chars = chars[:at]
        case "behead":
            chars = chars[at:]
        case "drop":
            chars = chars[:at] + chars[at + 1 :]
        case "double":
            chars = chars[:at] + chars[at : at + 1] + chars[at:]
        case "replace":
            chars = chars[:at] + bytes((chars[at] ^ change,)) + chars[at + 1 :]
        case "unreadable":
            chars = chars[:at] + b"\xff" + chars[at + 1 :]
    if not chars:
        return
    found = TraceMessage(0, 0, sender, chars, frame_of(sender, chars))
    for companion in (load_companion("electricity"), None):
        masked = message_without_tokens(found, companion)
        assert digits_left(masked.chars) < 2
        assert digits_left(str(annotate(masked, companion)).encode()) < 3  # of the BCC


def test_a_token_in_hexadecimal_is_masked_too(electricity: Companion) -> None:
    token = Register(
        "000F", "tokenEntry", DataType(Kind.TOKEN, 20), Encoding.TOKEN_HEX, "", write_level=0
    )
    told = token.encode(TOKEN)
    assert re.fullmatch(r"[0-9A-F]{16,17}", told)
    chars = close(f"\x01W1\x02000F({told})".encode())
    for companion in (electricity, None):
        masked = message_without_tokens(message("client", chars), companion)
        assert told.encode() not in masked.chars
        assert b"###############" in masked.chars


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"sent {TOKEN} today",
        "1234 5678 9012 3456 7890",
        "1234-5678-9012-3456-7890",
        "1234.5678.9012.3456.7890",
    ],
)
def test_the_shape_of_a_token_in_text(text: str) -> None:
    masked = text_without_tokens(text)
    assert not re.search(r"[0-9]", masked)
    assert len(masked) == len(text)


@given(
    st.integers(0, 2**66 - 1),
    st.text(alphabet="ab ,.:", max_size=3),
    st.sampled_from((" ", ".", "-", "  ", " - ", "/", "_", ", ", "\u2013", "\u00a0")),
    st.sampled_from((4, 5, 10)),
)
def test_a_token_in_a_note_is_masked_however_it_is_written(
    number: int, around: str, between: str, group: int
) -> None:
    token = f"{number:020d}"
    grouped = between.join(token[at : at + group] for at in range(0, 20, group))
    for shape in (token, grouped):
        shown = note_without_tokens(f"{around}{shape}{around}")
        assert not any(char.isdigit() for char in shown)


def test_what_a_note_says_beside_tokens_is_left() -> None:
    for text in (
        "call 0791 234 567 at 12:30, 2026-03-01",
        f"meter {PAN}",
        "flats 1, 2, 3, 4 and 5",
    ):
        assert note_without_tokens(text) == text


def test_other_numbers_are_no_tokens(electricity: Companion) -> None:
    for text in (PAN, "01234567890", "flat 7", "2026-11-23T00:14:08", "0102030405"):
        assert text_without_tokens(text) == text
    table = electricity.table
    assert value_without_tokens(table.named("lastToken"), TOKEN) == MASK * 20
    assert value_without_tokens(table.named("lastToken"), "") == ""
    assert value_without_tokens(table.named("meterPAN"), PAN) == PAN
    assert value_without_tokens(table.named("creditBalance"), 7) == 7

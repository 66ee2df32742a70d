from __future__ import annotations

import functools
import operator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.framing import Frame
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    DataMessage,
    DataSet,
    ErrorMessage,
    IDRequest,
    IDResponse,
    ReadCommand,
    WriteCommand,
    close,
)
from vtc07.carrier.registers import DataType, Encoding, Register
from vtc07.trace.message import Damage, Sender, TraceMessage
from vtc07.trace.recorder import Recorder
from vtc07.trace.rendering import Piece, Role, annotate
from vtc07.trace.values import meaning_text, number_text

COMPANION = load_companion("electricity")


def as_message(sender: Sender, chars: bytes) -> TraceMessage:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    recorder.observe(sender, chars, 0)
    recorder.finish()
    (message,) = found
    return message


def data(*sets: tuple[str, str] | tuple[str, str, str]) -> bytes:
    return DataMessage(tuple(DataSet(*each) for each in sets)).to_chars()


@pytest.mark.parametrize(
    ("sender", "chars", "text"),
    [
        ("client", IDRequest("600727").to_chars(), "→ IDRequest 600727"),
        ("server", IDResponse("ABc", "5", "XY\\2").to_chars(),
         "← IDResponse ABc identification XY\\2"),
        ("client", ReadCommand("0004", "04").to_chars(),
         "→ ReadCommand 0004 tokenStatus, 4 registers, BCC 63"),
        ("client", ReadCommand("0004").to_chars(), "→ ReadCommand 0004 tokenStatus, BCC {}"),
        ("client", ReadCommand("0004", "0G").to_chars(),
         "→ ReadCommand 0004 tokenStatus, count 0G, BCC {}"),
        ("client", ReadCommand("0FFF").to_chars(),
         "→ ReadCommand 0FFF not in the RegisterTable, BCC {}"),
        ("client", WriteCommand("0030", "00001388").to_chars(),
         "→ WriteCommand 0030 lowCreditThreshold 5000 Wh, BCC {}"),
        ("client", WriteCommand("000F", "12345").to_chars(),
         "→ WriteCommand 000F tokenEntry 12345, BCC {}"),
        ("client", b"\x01B0\x03q", "→ BreakCommand, BCC 71"),
        ("client", close(b"\x01P1\x02(0)"), "→ password, not shown"),
        ("client", close(b"\x01X1\x02(0)"),
         "→ undefined command X1 \\x01X1\\x02(********)\\x03i"),
        ("client", close(b"\x01\x1bc"), "→ undefined command \\x1bc \\x01\\x1bc\\x03{, BCC {}"),
        ("client", close(b"\x01R1"), "→ malformed command \\x01R1\\x03`, BCC {}"),
        ("server", data(("0004", "10"), ("0005", "00000000"), ("0006", "")),
         "← Data tokenStatus 16 (not ready), tokenSequence 0, lastToken (empty), BCC {}"),
        ("server", data(("0020", "FFFFFFFFFFFFFF9C", "Wh")),
         "← Data creditBalance -100 Wh, BCC {}"),
        ("server", data(("0003", "0081")),
         "← Data serverStatus 129 (load switch open, default key), BCC {}"),
        ("server", data(("0027", "01")), "← Data loadSwitch 1 (closed), BCC {}"),
        ("server", data(("0008", "0D"), ("0009", "00")),
         "← Data authenticationResult 13 (CRCError), validationResult 0 (not reached), BCC {}"),
        ("server", data(("0031", "flat 7, left")),
         '← Data installationReference "flat 7, left", BCC {}'),
        ("server", data(("1.8.0", "007.3", "kWh")), "← Data 1.8.0 007.3 kWh, BCC {}"),
        ("server", data(("0004", "XX")), "← Data tokenStatus XX, BCC {}"),
        ("server", ErrorMessage("ER07").to_chars(),
         "← error ER07: a token is being executed, BCC 12"),
        ("server", ErrorMessage("E9").to_chars(), "← error E9, BCC {}"),
        ("server", close(b"\x020004"), "← malformed Data \\x020004\\x03\\x07, BCC {}"),
        ("server", ACK_MESSAGE, "← ACK"),
        ("client", b"\x15", "→ NAK"),
        ("client", b"\x00xy", "→ characters \\x00xy"),
    ],
)  # fmt: skip
def test_messages_in_words(sender: Sender, chars: bytes, text: str) -> None:
    annotation = annotate(as_message(sender, chars), COMPANION)
    check = functools.reduce(operator.xor, chars[1:-1], 0)
    assert str(annotation) == text.replace("{}", f"{check:02X}")
    assert annotation.sound == (annotation.pieces[1].text != "characters")


def test_a_wrong_bcc_is_told_with_the_right_one() -> None:
    annotation = annotate(as_message("server", b"\x020004(10)\x03\x05"), COMPANION)
    assert annotation.bcc_good is False
    assert not annotation.sound
    assert str(annotation) == "← Data \\x020004(10)\\x03\\x05, BCC wrong: 05 for 07"
    assert annotation.pieces[-1].role is Role.ERROR


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ((Damage(0, None),), "lost on the line"),
        ((Damage(0, 0x16),), "character 1 of 1 received as \\x16"),
    ],
)
def test_damage_to_a_single_character_in_words(damage: tuple[Damage, ...], words: str) -> None:
    message = replace(as_message("server", ACK_MESSAGE), damage=damage)
    annotation = annotate(message, COMPANION)
    assert str(annotation) == f"← ACK, {words}"
    assert not annotation.sound


def test_damage_to_several_characters_in_words() -> None:
    message = as_message("client", b"/?!\r\n")
    lost = replace(message, damage=(Damage(3, None), Damage(4, None)))
    assert str(annotate(lost, COMPANION)).endswith(", 2 of 5 characters lost")
    mixed = replace(message, damage=(Damage(3, None), Damage(4, 0xFF)))
    assert str(annotate(mixed, COMPANION)).endswith(", 2 of 5 characters damaged")


def test_an_unreadable_character_is_shown_and_counted() -> None:
    annotation = annotate(as_message("server", b"\x020004(\xff0)\x03\x07"), COMPANION)
    assert "\\xff" in str(annotation)
    assert str(annotation).endswith("character 7 of 11 unreadable")
    assert not annotation.sound


def test_pieces_carry_their_roles() -> None:
    pieces = annotate(as_message("server", data(("000B", "003C", "s"))), COMPANION).pieces
    assert pieces[:7] == (
        Piece("← ", Role.ARROW),
        Piece("Data", Role.MESSAGE),
        Piece(" "),
        Piece("lockoutRemaining", Role.NAME),
        Piece(" "),
        Piece("60", Role.VALUE),
        Piece(" s", Role.UNIT),
    )
    assert pieces[-1].role is Role.CHECK


@pytest.mark.parametrize(
    ("scaler", "value", "text"),
    [(0, 5, "5"), (-3, 12345, "12.345"), (-3, -5, "-0.005"), (2, 7, "700"), (3, 0, "0")],
)
def test_numbers_are_shown_in_the_registers_unit(scaler: int, value: int, text: str) -> None:
    register = Register("1.8.0", "x", DataType.parse("s32"), Encoding.HEX, "", "kWh", scaler)
    assert number_text(register, value) == text


def test_bits_beyond_those_named_are_shown_by_number() -> None:
    register = COMPANION.table.named("serverStatus")
    assert meaning_text(register, 0x8001, COMPANION) == "load switch open, bit 15"
    assert meaning_text(register, 0, COMPANION) == "none"


def any_companion() -> st.SearchStrategy[Companion]:
    return st.sampled_from(["electricity", "water", "gas", "time"]).map(load_companion)


@given(
    st.binary(max_size=300),
    st.sampled_from(["client", "server"]),
    st.sampled_from([*Frame, None]),
    any_companion(),
)
def test_nothing_breaks_the_rendering(
    chars: bytes, sender: Sender, frame: Frame | None, companion: Companion
) -> None:
    annotation = annotate(TraceMessage(0, 0, sender, chars, frame), companion)
    assert str(annotation)[0] in "→←"
    assert str(annotation).isprintable()


@given(st.lists(st.tuples(st.sampled_from(["client", "server"]), st.binary(max_size=40))))
def test_nothing_is_lost_between_the_line_and_the_pieces(
    heard: list[tuple[Sender, bytes]],
) -> None:
    found: list[TraceMessage] = []
    recorder = Recorder(found.append)
    for at, (sender, chars) in enumerate(heard):
        recorder.observe(sender, chars, at)
    recorder.finish()
    for sender in ("client", "server"):
        sent = b"".join(chars for who, chars in heard if who == sender)
        of_sender = [m for m in found if m.sender == sender]
        if not any(m.masked for m in of_sender):
            assert b"".join(m.chars for m in of_sender) == sent
    for message in found:
        annotate(message, COMPANION)

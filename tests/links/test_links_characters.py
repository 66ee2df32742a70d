from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import Parity
from vtc07.links.characters import CharacterCoder

seven_bit = st.binary(max_size=200).map(lambda data: bytes(code & 0x7F for code in data))


def even(code: int) -> int:
    """Even parity by counting, as annex E of IEC 62056-21 says."""
    ones = sum(code >> bit & 1 for bit in range(7))
    return code | 0x80 if ones % 2 else code


def test_software_parity_of_the_standards_example() -> None:
    coder = CharacterCoder(Parity.SOFTWARE)
    assert coder.encode(b"\x06252\r\n") == bytes.fromhex("06B235B28D0A")
    assert coder.decode(bytes.fromhex("06B235B28D0A")) == b"\x06252\r\n"


@given(seven_bit)
def test_every_mode_brings_characters_back(chars: bytes) -> None:
    for parity in Parity:
        coder = CharacterCoder(parity)
        assert coder.decode(coder.encode(chars)) == chars
    assert CharacterCoder(Parity.SOFTWARE).encode(chars) == bytes(map(even, chars))
    assert CharacterCoder(Parity.NONE).encode(chars) == chars


@given(seven_bit.filter(bool), st.data())
def test_any_single_flipped_bit_is_a_damaged_character(chars: bytes, data: st.DataObject) -> None:
    coder = CharacterCoder(Parity.SOFTWARE)
    at = data.draw(st.integers(0, len(chars) - 1))
    sent = bytearray(coder.encode(chars))
    sent[at] ^= 1 << data.draw(st.integers(0, 7))
    assert coder.decode(bytes(sent)) == chars[:at] + b"\xff" + chars[at + 1 :]


@given(st.binary())
def test_without_parity_bit_7_is_ignored(data: bytes) -> None:
    assert CharacterCoder(Parity.NONE).decode(data) == bytes(code & 0x7F for code in data)


@st.composite
def line_with_marks(draw: st.DrawFn) -> tuple[bytes, list[int | None]]:
    """What termios delivers under PARMRK, and byte by byte what was on the line (None: damaged)."""
    events = draw(st.lists(st.tuples(st.integers(0, 255), st.booleans()), max_size=40))
    data, line = bytearray(), list[int | None]()
    for code, damaged in events:
        if damaged:
            data += bytes((0xFF, 0x00, code))
            line.append(None)
        else:
            data += b"\xff\xff" if code == 0xFF else bytes((code,))
            line.append(code)
    return bytes(data), line


@given(line_with_marks(), st.lists(st.integers(0, 130), max_size=6), st.sampled_from(Parity))
def test_marks_of_termios_become_damaged_characters_however_they_are_torn(
    marked: tuple[bytes, list[int | None]], cuts: list[int], parity: Parity
) -> None:
    data, line = marked
    plain = CharacterCoder(parity)
    expected = b"".join(b"\xff" if code is None else plain.decode(bytes((code,))) for code in line)
    coder = CharacterCoder(parity, marked=True)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert b"".join(map(coder.decode, pieces)) == expected
    assert len(expected) == len(line)


@pytest.mark.parametrize("tail", [b"A", b"\x01R1"])
def test_a_lone_ff_that_is_no_mark_is_one_damaged_character(tail: bytes) -> None:
    assert CharacterCoder(Parity.UART, marked=True).decode(b"\xff" + tail) == b"\xff" + tail

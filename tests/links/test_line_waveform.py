"""The levels of a line, and a UART that reads them at another speed than they were sent at."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import Parity
from vtc07.links.waveform import (
    EIGHT_BITS,
    EIGHT_BITS_WITH_PARITY,
    EVEN_PARITY,
    NO_PARITY,
    Read,
    Receiver,
    Wave,
    character_wave,
    during,
    format_of,
    inverted,
    straight,
    union,
)

S = 1_000_000_000
SPEEDS = [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]
DAMAGED = 0xFF


def burst(wires: bytes, speed: int, start: int = 0, pause: int = 0) -> tuple[Wave, int]:
    """Return the wave of characters one behind the other, and its end."""
    waves = []
    for wire in wires:
        waves.append(character_wave(wire, start, speed))
        start += -(-10 * S // speed) + pause
    return union(*waves), start


def heard(wave: Wave, until: int, speed: int) -> list[tuple[int, bool]]:
    return [(read.wire, read.framed) for read in Receiver(speed, 0).hear(wave, until)]


def test_a_character_is_a_start_bit_the_bits_from_the_lowest_up_and_a_stop_bit() -> None:
    # '/' is 2F, with even parity AF: 0 1111 0101 1, a bit a second.
    assert character_wave(0xAF, 7 * S, 1) == [
        (7 * S, 8 * S),
        (12 * S, 13 * S),
        (14 * S, 15 * S),
    ]
    assert character_wave(0xAF, 0, 1, stop=False)[-1] == (9 * S, 10 * S)
    assert character_wave(0x00, 0, 1) == [(0, 9 * S)]
    assert character_wave(0xFF, 0, 1) == [(0, S)]


@given(
    wires=st.binary(max_size=20),
    speed=st.sampled_from(SPEEDS),
    start=st.integers(0, 10**12),
    pause=st.integers(0, 10**8),
)
def test_at_one_speed_every_character_is_read_as_it_was_sent(
    wires: bytes, speed: int, start: int, pause: int
) -> None:
    wave, end = burst(wires, speed, start, pause)
    reads = list(Receiver(speed, 0).hear(wave, end))
    assert [(read.wire, read.framed) for read in reads] == [(wire, True) for wire in wires]
    step = -(-10 * S // speed) + pause
    for number, read in enumerate(reads):
        assert abs(read.end_ns - (start + number * step + -(-10 * S // speed))) <= 1


@given(
    wires=st.binary(min_size=1, max_size=20),
    sender=st.integers(1000, 20_000),
    off=st.integers(-40, 40),
)
def test_clocks_that_are_4_percent_apart_still_understand_each_other(
    wires: bytes, sender: int, off: int
) -> None:
    wave, end = burst(wires, sender)
    assert heard(wave, 2 * end, sender + sender * off // 1000) == [(wire, True) for wire in wires]


@given(
    wires=st.binary(min_size=1, max_size=12),
    sender=st.sampled_from(SPEEDS),
    receiver=st.sampled_from(SPEEDS),
    pause=st.integers(0, 10**7),
)
def test_another_speed_reads_what_sampling_bit_by_bit_gives(
    wires: bytes, sender: int, receiver: int, pause: int
) -> None:
    wave, end = burst(wires, sender, pause=pause)
    until = end + 20 * S // receiver

    def mark(at: Fraction) -> bool:
        return not any(start <= at < stop for start, stop in wave)

    # The same by the rules of a UART in exact fractions, from scratch.
    falls = [Fraction(start) for start, _ in wave]
    expected: list[tuple[int, bool]] = []
    at = Fraction(0)
    while True:
        edges = [edge for edge in falls if edge >= at]
        if not edges:
            break
        samples = [edges[0] + Fraction((2 * bit + 1) * S, 2 * receiver) for bit in range(10)]
        levels = [mark(Fraction(int(sample))) for sample in samples]
        if levels[0]:
            at = samples[0]
            continue
        expected.append((sum(level << bit for bit, level in enumerate(levels[1:9])), levels[9]))
        at = samples[9]  # and a falling edge is one only where the line was at MARK before
    assert heard(wave, until, receiver) == expected


@given(wires=st.binary(min_size=1, max_size=6))
def test_300_bd_heard_at_9600_is_a_damaged_character_for_each_time_the_line_is_at_space(
    wires: bytes,
) -> None:
    wave, end = burst(wires, 300, pause=S)
    reads = heard(wave, end, 9600)
    assert reads == [(0, False)] * len(wave)
    assert {EVEN_PARITY.misframed[wire] for wire, _ in reads} == {DAMAGED}


def test_a_sign_on_at_300_bd_is_never_a_sign_on_at_another_speed() -> None:
    request = b"/?!\r\n".translate(EVEN_PARITY.to_wire)
    wave, end = burst(request, 300)
    for speed in SPEEDS[1:]:
        chars = bytes(
            EVEN_PARITY.from_wire[wire] if framed else DAMAGED
            for wire, framed in heard(wave, end + S, speed)
        )
        assert DAMAGED in chars
        assert b"/" not in chars


@given(
    wires=st.binary(max_size=8),
    sender=st.sampled_from(SPEEDS),
    receiver=st.sampled_from(SPEEDS),
    cuts=st.lists(st.floats(0, 1), max_size=8),
)
def test_a_wave_heard_in_pieces_reads_as_the_whole(
    wires: bytes, sender: int, receiver: int, cuts: list[float]
) -> None:
    wave, end = burst(wires, sender)
    end += 20 * S // receiver
    whole = list(Receiver(receiver, 0).hear(wave, end))
    one = Receiver(receiver, 0)
    found: list[Read] = []
    for until in sorted([*(int(cut * end) for cut in cuts), end]):
        # What ended before the receiver's position is not shown again.
        found += one.hear([w for w in wave if w[1] >= one.position_ns and w[0] < until], until)
    assert found == whole


def test_a_break_is_one_damaged_character_and_the_line_must_be_at_mark_before_the_next() -> None:
    wave = union([(0, 35 * S)], character_wave(0x41, 37 * S, 1))
    assert heard(wave, 60 * S, 1) == [(0, False), (0x41, True)]
    # Whoever begins to listen in the middle of a character waits for MARK too.
    late = Receiver(1, 20 * S)
    assert [read.wire for read in late.hear(wave, 60 * S)] == [0x41]


def test_a_pulse_shorter_than_half_a_bit_begins_no_character() -> None:
    assert heard([(0, 4 * S // 10)], 60 * S, 1) == []
    assert heard([(0, 6 * S // 10)], 60 * S, 1) == [(0xFF, True)]
    # As an end with even parity takes it: DEL, the 7F that heads put before an answer.
    assert EVEN_PARITY.from_wire[0xFF] == 0x7F


@given(st.data())
def test_a_shared_line_is_at_space_wherever_one_of_them_is(data: st.DataObject) -> None:
    waves = [
        burst(data.draw(st.binary(max_size=3)), speed, data.draw(st.integers(0, 10**8)))[0]
        for speed in (300, 1200, 9600)
    ]
    both = union(*waves)
    assert all(end < start for (_, end), (start, _) in pairwise(both))
    for at in data.draw(st.lists(st.integers(0, 3 * 10**8), max_size=30)):
        at_space = any(start <= at < end for wave in waves for start, end in wave)
        assert any(start <= at < end for start, end in both) == at_space


@given(
    wires=st.binary(max_size=3),
    pulses=st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 10**7)), max_size=5),
    ats=st.lists(st.integers(0, 2 * 10**8), max_size=30),
)
def test_a_pulse_turns_the_level_round_and_a_window_leaves_the_rest_out(
    wires: bytes, pulses: list[tuple[int, int]], ats: list[int]
) -> None:
    wave, _ = burst(wires, 1200)
    where = union([(start, start + length) for start, length in pulses])

    def at_space(found: Wave, at: int) -> bool:
        return any(start <= at < end for start, end in found)

    for at in ats:
        struck = at_space(wave, at) != at_space(where, at)
        assert at_space(inverted(wave, where), at) == struck
        assert at_space(during(wave, where), at) == (at_space(wave, at) and at_space(where, at))


# --- formats ------------------------------------------------------------------------------------


def test_7e1_and_parity_by_software_are_the_same_on_the_line() -> None:
    assert format_of(Parity.UART) is format_of(Parity.SOFTWARE) is EVEN_PARITY
    assert format_of(Parity.NONE) is NO_PARITY
    # IEC 62056-21 annex E.
    assert b"\x06252\r\n".translate(EVEN_PARITY.to_wire) == bytes.fromhex("06B235B28D0A")


@pytest.mark.parametrize("char", range(128))
def test_an_end_without_parity_understands_one_with_it_but_not_the_other_way_round(
    char: int,
) -> None:
    assert straight(EVEN_PARITY, EVEN_PARITY)[char] == char
    assert straight(EVEN_PARITY, NO_PARITY)[char] == char
    assert straight(NO_PARITY, NO_PARITY)[char] == char
    even = char.bit_count() % 2 == 0
    assert straight(NO_PARITY, EVEN_PARITY)[char] == (char if even else DAMAGED)


def test_a_character_that_was_damaged_before_stays_so_with_7_bits_only() -> None:
    for sender in (EVEN_PARITY, NO_PARITY):
        for receiver in (EVEN_PARITY, NO_PARITY):
            assert set(straight(sender, receiver)[128:]) == {DAMAGED}
    assert straight(EIGHT_BITS, EIGHT_BITS) == bytes(range(256))


@given(st.integers(0, 255))
def test_8_bits_that_were_misread_are_handed_over_with_a_wrong_parity_where_programs_look(
    wire: int,
) -> None:
    assert EIGHT_BITS.misframed[wire] == wire
    handed = EIGHT_BITS_WITH_PARITY.misframed[wire]
    assert handed & 0x7F == wire & 0x7F
    assert EVEN_PARITY.from_wire[handed] == DAMAGED

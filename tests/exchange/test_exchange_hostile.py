"""Whatever a meter sends, the work of reading it grows with its length and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from vtc07.carrier.exchange.blocks import parse_block
from vtc07.carrier.exchange.telegram import parse_telegrams
from vtc07.trace.framing import frame_of

SHORT, LONGER = 2_000, 8


def work(read: Callable[[bytes], object], chars: bytes) -> float:
    """The least processor time of several readings, in s."""
    times = []
    for _ in range(5):
        began = time.process_time()
        read(chars)
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize(
    ("read", "begin", "piece"),
    [
        (parse_block, b"1.8.0(1)\n", b"()\n"),
        (parse_block, b"P.01(1)(2)(3)(0)(5)(6)\n", b"(1)\n"),
        (parse_telegrams, b"", b"/abcX"),
        (parse_telegrams, b"", b"/?"),
        (parse_telegrams, b"", b"\x06"),
        (parse_telegrams, b"/abc5x\r\n", b"/abcX"),
        (lambda chars: frame_of("server", chars), b"\r", b"\r"),
    ],
    ids=["lines", "profile", "identifications", "requests", "ACKs", "slashes", "line ends"],
)
def test_work_grows_as_the_length(
    read: Callable[[bytes], object], begin: bytes, piece: bytes
) -> None:
    short, long = (work(read, begin + piece * number) for number in (SHORT, SHORT * LONGER))
    # By the square of the length it would be 64 times as much; a ms more is nobody's harm.
    assert long < 3 * LONGER * short + 0.001


def test_the_lines_of_a_row_are_all_there() -> None:
    block = parse_block(b"1.8.0(1)\n(2)(3)\n(4)\n2.8.0(5)\n(6)\n!\n")
    first, second = block.rows
    assert [[value.value for value in line] for line in first.further] == [["2", "3"], ["4"]]
    assert [[value.value for value in line] for line in second.further] == [["6"]]

"""What is shown is laid out without a screen, too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import needs

needs.module("textual")

from textual.content import Content  # noqa: E402 - where it is missing, the tests are skipped

from vtc07.terminal.frame import in_lines  # noqa: E402 - likewise


@given(st.lists(st.text("abcdef ", min_size=1, max_size=30)), st.integers(30, 100))
def test_keys_are_laid_out_whole_and_in_order(words: list[str], room: int) -> None:
    lines = [str(line) for line in in_lines([Content(word) for word in words], room)]
    assert all(len(line) <= room for line in lines)
    assert "   ".join(line for line in lines if line or not words) == "   ".join(words)


def test_a_line_is_used_to_its_end() -> None:
    pieces = [Content("abc")] * 4
    assert [str(line) for line in in_lines(pieces, 15)] == ["abc   abc   abc", "abc"]
    assert [str(line) for line in in_lines(pieces, 14)] == ["abc   abc", "abc   abc"]
    assert in_lines([], 20) == [Content("")]

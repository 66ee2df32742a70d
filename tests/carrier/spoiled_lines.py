"""A companion's text, spoiled: lines dropped, doubled, and values exchanged for others."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

_NUMBERS = ("-1", "0", "99999999999999999999", "1.5", "nan", "07:32:00")
_OTHERS = ("true", "[]", "{}", '""', "[[1]]", '"("', "{a = 1}", '"0000"', '["a", 1]')
_VALUES = st.sampled_from((*_NUMBERS, *_OTHERS))


def spoiled(data: st.DataObject, whole: Sequence[str]) -> list[str]:
    """Return the lines with one to four things wrong."""
    lines = list(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        value = data.draw(_VALUES)
        match data.draw(st.sampled_from(["drop", "double", "value", "value", "value"])):
            case "drop":
                del lines[place]
            case "double":
                lines.insert(place, lines[place])
            case _:
                lines[place] = f"{lines[place].partition('=')[0]}= {value}"
    return lines

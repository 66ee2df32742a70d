"""Heads and loops that return what is sent into them (IEC 62056-21: two-wire current loop)."""

from __future__ import annotations

from typing import Final

#: How late the last character of an echo may be, in ns: adapters hand over what they have in
#: pieces, but an answer does not begin before a reaction time of 200 ms.
LATENESS_NS: Final = 150_000_000


class EchoFilter:
    """Takes the echo of what one end sends out of what it hears.

    Characters are counted, not compared: an echo that was damaged on its way is an echo all the
    same. What has not come back when it must have is not waited for, so that a head that returns
    nothing costs no character of an answer.
    """

    def __init__(self, *, echoes: bool, character_ns: int) -> None:
        self._echoes = echoes
        self._character_ns = character_ns
        self._left = 0
        self._until_ns = 0

    def sent(self, count: int, now_ns: int) -> None:
        """Take notice of characters that go out from now on."""
        if self._echoes:
            self._give_up(now_ns)
            self._until_ns = max(self._until_ns, now_ns) + count * self._character_ns
            self._left += count

    def heard(self, chars: bytes, now_ns: int) -> bytes:
        """Return what is left of heard characters without the echo."""
        self._give_up(now_ns)
        echo = min(self._left, len(chars))
        self._left -= echo
        return chars[echo:]

    def _give_up(self, now_ns: int) -> None:
        """Wait no longer for an echo that must have come: a head that was off returned nothing."""
        if self._left and now_ns > self._until_ns + LATENESS_NS:
            self._left = 0

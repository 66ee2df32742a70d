"""Heads and loops that return what is sent into them (IEC 62056-21: two-wire current loop)."""

from __future__ import annotations

from typing import Final

from vtc07.carrier.grammar import DAMAGED

#: How late the last character of an echo may be, in ns: adapters hand over what they have in
#: pieces, but an answer does not begin before a reaction time of 200 ms.
LATENESS_NS: Final = 150_000_000
#: No answer begins so soon after the last character sent, in ns: the shortest pause of the
#: standard is that before the acknowledgement of a fast wake-up (IEC 62056-21 annex B.2).
NO_ANSWER_NS: Final = 10_000_000
#: A sender may be faster than its speed by one part in so many.
_FASTER: Final = 50
#: An echo with nothing missing and of so many characters at least is one wherever it appears: no
#: answer is the command that it answers.
_SURE: Final = 4
#: So many characters of an echo in a row show that the head echoes.
_BEGUN: Final = 2
#: Where characters were lost, doubled or garbled: how far the echo is looked for in what is due and
#: in what was heard, and how many characters must agree from there on.
_LOST, _STRANGE, _AGREE = 3, 2, 3


class EchoFilter:
    """Takes the echo of what one end sends out of what it hears, and no character of an answer.

    What comes before an answer can have begun is echo, in whatever state: so much is certain by
    the clock, where the path is ``paced``. What comes later is compared with what is due, since a
    head may hand over late what it had: damaged, lost and doubled characters are allowed for as
    long as the rest agrees. The first character that cannot be echo ends the echo.

    ``echoes``: what the settings say. Where they say no, and all that was sent comes back, the
    head echoes all the same from then on. Where they say yes, and nothing comes back, nothing is
    taken from an answer. Times are ns; ``character_ns``: 0 where the path has no speed.
    """

    def __init__(
        self,
        *,
        echoes: bool,
        character_ns: int,
        paced: bool = True,
        lateness_ns: int = LATENESS_NS,
    ) -> None:
        #: Duration of a character; to be changed with the speed, for what is sent from then on.
        self.character_ns = character_ns
        self._echoes = echoes
        self._paced = paced
        self._lateness_ns = lateness_ns
        self._due = bytearray()  # sent, and not come back
        self._held = bytearray()  # as it was sent, but too little of it to be sure
        self._begun = False  # enough came back of what is being sent
        self._strange = 0  # characters that came early in place of, or between, what is due
        self._begin_ns = self._end_ns = -1  # of what is being sent
        self._certain_ns = -1  # up to here nothing can be an answer

    @property
    def echoes(self) -> bool:
        """True where the head is known to echo: by the settings, or by what it did."""
        return self._echoes

    def sent(self, chars: bytes, now_ns: int) -> None:
        """Take notice of characters that go out from now on."""
        if not chars:
            return
        if now_ns > self._end_ns + (self._lateness_ns if self._due else 0):
            self._due.clear()
            self._held.clear()  # whoever sends anew does not wait for it any more
            self._begun = False
            self._strange = 0
            self._begin_ns = self._end_ns = now_ns
        self._end_ns = max(self._end_ns, now_ns) + len(chars) * self.character_ns
        least = (self._end_ns - self._begin_ns) * (_FASTER - 1) // _FASTER
        self._certain_ns = self._begin_ns + least + NO_ANSWER_NS
        self._due += chars

    def heard(self, chars: bytes, now_ns: int) -> bytes:
        """Return what is left of heard characters without the echo."""
        if not chars:
            return b""
        if now_ns > self._end_ns + self._lateness_ns:
            self._due.clear()  # a head that was off returned nothing
        elif self._echoes and self._paced and now_ns <= self._certain_ns:
            self._take_all(chars)
            return b""
        self._came_back(self._strange)  # each stood for one that will not come any more
        at = 0
        while self._due and at < len(chars):
            taken = self._take(chars, at) if self._echoes else self._learn(chars[at])
            if not taken:
                self._due.clear()
            at += taken
        if self._due:
            return b""
        left = bytes(self._held) + chars[at:]  # what is held was no echo after all
        self._held.clear()
        return left

    def _take_all(self, chars: bytes) -> None:
        """Take what comes before any answer can, and find out what is still due of the echo."""
        for char in chars:
            place = self._place(char)
            if place is None:
                self._strange += 1
            else:
                self._begun = True
                self._came_back(place + 1)

    def _take(self, chars: bytes, at: int) -> int:
        """Return how many of the characters heard are echo for sure or very likely; 0: none."""
        char = chars[at]
        if char in (self._due[0], DAMAGED):
            if not self._begun:
                self._held.append(char)
            self._came_back(1)
            if self._begun or len(self._held) >= _BEGUN or not self._due:
                self._begun = True
                self._held.clear()
            return 1
        for strange in range(_STRANGE + 1):
            for lost in range(_LOST + 1):
                if self._agrees(chars, at + strange, lost, strange):
                    self._begun = True
                    self._held.clear()
                    self._came_back(lost + 1)
                    return strange + 1
        return 0

    def _learn(self, char: int) -> int:
        """Return 1 where a character is what was sent; the head echoes where all of it is."""
        if char != self._due[0]:
            return 0
        del self._due[0]
        self._held.append(char)
        if not self._due and len(self._held) >= _SURE:
            self._echoes = self._begun = True
            self._held.clear()
        return 1

    def _place(self, char: int) -> int | None:
        """Return where in what is due a character stands, as near as can be to where it should."""
        places = range(min(len(self._due), self._strange + _LOST + 1))
        for place in sorted(places, key=lambda each: abs(each - self._strange)):
            if self._due[place] == char:
                return place
        return None

    def _agrees(self, chars: bytes, at: int, lost: int, strange: int) -> bool:
        """Say whether the echo goes on, after so many lost and so many strange characters."""
        if not self._begun and abs(lost - strange) > 1:
            return False
        ours, theirs = self._due[lost : lost + _AGREE], chars[at : at + _AGREE]
        both = min(len(ours), len(theirs))
        if not both or ours[:both] != theirs[:both]:
            return False
        return both == _AGREE or (self._begun and (strange == 0 or both == len(ours) > 1))

    def _came_back(self, count: int) -> None:
        del self._due[:count]
        self._strange = 0

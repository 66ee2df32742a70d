"""Taking out the echo of one's own characters on a path that nobody said has one.

A link that is known to echo removes it itself (`vtc07.links.echo`). Here it is known by what it
says: the characters just sent, from the first one on, before anything else.
"""

from __future__ import annotations

from vtc07.carrier.grammar import DAMAGED


class EchoWatch:
    """Watches for the echo of the latest message."""

    __slots__ = ("_held", "_sent")

    def __init__(self) -> None:
        self._sent = b""
        self._held = bytearray()  # what has looked like it up to now, as it came

    def sent(self, chars: bytes) -> None:
        """Expect the echo of these characters now."""
        self._sent = chars
        self._held.clear()

    def forget(self) -> None:
        """Expect no echo any more."""
        self.sent(b"")

    def without(self, chars: bytes) -> bytes:
        """Return what is no echo. What looked like one up to now and is none comes with it.

        A damaged character behind a good one counts as echo: a head garbles its own light.
        """
        for place, char in enumerate(chars):
            at = len(self._held)
            if at >= len(self._sent):
                return chars[place:]
            if char != self._sent[at] and not (char == DAMAGED and at):
                held = bytes(self._held)
                self.forget()
                return held + chars[place:]
            self._held.append(char)
        return b""

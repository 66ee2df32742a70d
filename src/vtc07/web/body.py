"""The body of a request: no more of it is taken than belongs there, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.types import Message, Receive

from vtc07.hhu.texts import Said, said

#: The longest body of a form, and of an uploaded route, in bytes.
LONGEST_FORM: Final = 64 * 1024
LONGEST_UPLOAD: Final = 64 * 1024 * 1024
#: A form is there after so long, an upload after so long, in s.
_FORM_S: Final = 20.0
_UPLOAD_S: Final = 600.0
#: So much of what is too long is taken all the same and thrown away, for so long, in s, and as long
#: as it comes without pauses: a browser that still sends would not read why it was refused.
_DRAINED: Final = 4 * 1024 * 1024
_DRAINED_S: Final = 2.0
_PAUSE_S: Final = 0.5


class BodyRefused(Exception):
    """A body is too long, or does not come: ``said`` tells, ``status`` is HTTP's."""

    def __init__(self, why: Said, status: int) -> None:
        self.said = why
        self.status = status
        super().__init__(str(why))


def too_large() -> BodyRefused:
    """Return what is said of a body that is too long."""
    return BodyRefused(said("What was sent is too large; nothing was changed."), 413)


def too_slow() -> BodyRefused:
    """Return what is said of a body that does not come."""
    return BodyRefused(said("What was sent did not arrive; nothing was changed. Try again."), 408)


class Body:
    """The body of a request, as the application receives it.

    ``length``: that was announced. ``patience_s``: how long it may take; None: as is usual.
    """

    def __init__(
        self, receive: Receive, path: str, length: int | None, *, patience_s: float | None = None
    ) -> None:
        is_upload = path == "/routes"
        usual_s = _UPLOAD_S if is_upload else _FORM_S
        self._receive = receive
        self._limit = LONGEST_UPLOAD if is_upload else LONGEST_FORM
        self._until = time.monotonic() + (usual_s if patience_s is None else patience_s)
        self._length = length
        self._taken = 0
        self._is_whole = False

    async def receive(self) -> Message:
        """Return the next piece; BodyRefused for one too many, or one that does not come."""
        if self._is_whole:
            return await self._receive()  # that somebody hangs up, sooner or later
        try:
            async with asyncio.timeout(self._until - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise too_slow() from None
        self._note(message)
        if self._taken > self._limit:
            await self._discard()
            raise too_large()
        return message

    async def require_fit(self) -> None:
        """BodyRefused for a body that was announced as too long, whether or not it is wanted."""
        if self._length is not None and self._length > self._limit:
            await self._discard()
            raise too_large()

    def _note(self, message: Message) -> None:
        self._taken += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._is_whole = True

    async def _discard(self) -> None:
        most, until = self._taken + _DRAINED, time.monotonic() + _DRAINED_S
        try:
            while not self._is_whole and self._taken <= most and time.monotonic() < until:
                async with asyncio.timeout(_PAUSE_S):
                    self._note(await self._receive())
        except TimeoutError:
            pass

"""Sentences of the carrier for people, gathered for the catalogues: the carrier knows no texts."""

from __future__ import annotations

from typing import Final

from vtc07.hhu.texts import mark

#: The values of `vtc07.carrier.events.Failure`.
FAILURES: Final = (
    mark("no answer"),
    mark("only damaged answers"),
    mark("the meter found every attempt damaged"),
    mark("the link is lost"),
    mark("the meter ended the session"),
    mark("programming mode refused"),
    mark("the password was refused"),
)

#: The values of `vtc07.carrier.status.ErrorCode`.
ERRORS: Final = (
    mark("undefined command"),
    mark("malformed data set"),
    mark("no such register"),
    mark("access denied"),
    mark("value refused"),
    mark("token lockout"),
    mark("a token is being executed"),
    mark("the meter could not store"),
)

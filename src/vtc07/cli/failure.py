"""What ends a command before its time: exit codes, and which error is whose.

The project's errors are known here by name, so that reporting one never imports a package that
the command did not need.
"""

from __future__ import annotations

import enum
import errno
import re
from typing import Final


class ExitCode(enum.IntEnum):
    """The exit codes of every command (docs/cli.md)."""

    DONE = 0
    REFUSED = 1
    """The meter refused."""
    USAGE = 2
    """Something given is wrong; nothing was changed."""
    NO_LINK = 3
    """The meter could not be reached."""
    UNRESOLVED = 4
    """A token may have been accepted or not; it weighs more than the others."""
    INTERRUPTED = 130
    """Ctrl-C, as shells report it, with nothing left open."""


class Failure(Exception):
    """A command cannot go on: a sentence for people that says what to change."""

    def __init__(self, sentence: str, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


#: The project's own errors by qualified name; a class not listed counts as its nearest base.
EXIT_CODES: Final[dict[str, ExitCode]] = {
    "vtc07.cli.failure.Failure": ExitCode.USAGE,
    "vtc07.tokens.errors.TokenError": ExitCode.USAGE,
    "vtc07.carrier.companion_file.CompanionError": ExitCode.USAGE,
    "vtc07.carrier.registers.ValueRefused": ExitCode.USAGE,
    "vtc07.links.address.AddressError": ExitCode.USAGE,
    "vtc07.links.link.LinkUnavailable": ExitCode.NO_LINK,
    "vtc07.links.link.LinkLost": ExitCode.NO_LINK,
    "vtc07.hhu.plan.CannotRead": ExitCode.USAGE,
    "vtc07.hhu.journal.deliveries.JournalError": ExitCode.USAGE,
    "vtc07.hhu.route.facts.RouteError": ExitCode.USAGE,
    "vtc07.hhu.selection.SelectionError": ExitCode.USAGE,
    "vtc07.hhu.session.NoLink": ExitCode.NO_LINK,
    "vtc07.hhu.session.SignOnRefused": ExitCode.REFUSED,
    "vtc07.hhu.session.AnotherMeter": ExitCode.REFUSED,
    "vtc07.meter.loads_profile.ProfileError": ExitCode.USAGE,
    "vtc07.meter.manufacture.ManufactureRefused": ExitCode.USAGE,
    "vtc07.meter.rules.CompanionUnfit": ExitCode.USAGE,
    "vtc07.meter.store_errors.StoreError": ExitCode.USAGE,
    "vtc07.meter.store_key.StoreKeyError": ExitCode.USAGE,
}

#: A word of so many hexadecimal digits that it may be key material, mistyped keys included.
_KEY_SHAPED = re.compile(
    r"(?<![\w/.-])(?<!SHA-256 is )(?:0[xX])?[0-9A-Fa-f](?:[ :-]?[0-9A-Fa-f]){14,}(?![\w/])(?!\.\w)"
)
_MAY_BE_SHOWN = (18, 20)  # decimal digits of a MeterPAN, of a token


def judge(error: BaseException) -> tuple[str, ExitCode] | None:
    """Return the sentence and exit code of an error, or None for one that is a defect of ours."""
    if isinstance(error, Failure):
        return without_keys(str(error)), error.exit_code
    for kind in type(error).__mro__:
        code = EXIT_CODES.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return without_keys(str(error)), code
    if isinstance(error, OSError) and error.filename is not None and error.errno != errno.EPIPE:
        sentence = f"{error.filename} cannot be used: {error.strerror}; check name and rights"
        return without_keys(sentence), ExitCode.USAGE
    return None


def without_keys(sentence: str) -> str:
    """Return a sentence without anything that has the shape of a key.

    A key does not belong on a command line; one that was typed there all the same must not be
    repeated in a message, which may stand in a log.
    """
    return _KEY_SHAPED.sub(_masked, sentence)


def _masked(match: re.Match[str]) -> str:
    digits = re.sub("[ :-]", "", match[0])
    if digits.isdecimal() and len(digits) in _MAY_BE_SHOWN:
        return match[0]
    return "(hexadecimal digits, not shown)"

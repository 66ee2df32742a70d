"""``vtc07 hhu`` without a command: starts the terminal application."""

from __future__ import annotations

import os
import sys
from typing import Final

from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, now, opened
from vtc07.cli.language import texts_for
from vtc07.cli.output import Output

#: With these Textual writes every key into a log or to another program: passwords, tokens.
_LOGGING: Final = ("TEXTUAL", "TEXTUAL_DEBUG", "TEXTUAL_LOG")


def run(output: Output, *, address: str | None, language: str | None, journal: str | None) -> None:
    """Be a hand-held unit until the user quits.

    Failure where there is no terminal, or the library for it is missing; JournalError where the
    journal cannot be used: nothing is sent without it.
    """
    texts = texts_for(language, os.environ)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure(
            "the hand-held unit needs a terminal; in scripts use its parts: vtc07 send, vtc07 "
            "read, vtc07 route run, vtc07 hhu resume"
        )
    for name in _LOGGING:
        os.environ.pop(name, None)
    try:
        from vtc07.terminal.app import HandHeldUnit  # noqa: PLC0415 - an optional part
        from vtc07.terminal.setting import Setting  # noqa: PLC0415 - likewise
    except ImportError as error:
        if not (error.name or "").startswith("textual"):
            raise
        raise Failure(
            'the hand-held unit needs an optional part: pip install "vtc07[terminal]"'
        ) from None
    options = JournalOptions(journal)
    with opened(options, output) as kept:
        unit = HandHeldUnit(Setting(texts, kept, now, JournalOptions(None).path.parent, address))
        unit.run(mouse=False)  # so that selecting and pasting stay the terminal's own
        if unit.defect is not None:
            raise unit.defect

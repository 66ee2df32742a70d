"""Telling of a defect of ours: where it happened, and nothing of what was being worked on."""

from __future__ import annotations

import sys
import traceback
from typing import Final

from vtc07.cli.failure import judge
from vtc07.hhu.texts import Said

#: An error that was raised while another one was dealt with: so many of them are told.
_MOST: Final = 5


def sentence_of(error: BaseException) -> Said | str | None:
    """Return the sentence of an error that has one for people; None: it is a defect of ours."""
    sentence = getattr(error, "said", None)
    if isinstance(sentence, Said):
        return sentence
    judged = judge(error)
    return None if judged is None else judged[0]


def report(error: BaseException) -> None:
    """Write to stderr where an error happened, and of which kind it is.

    Its words are left out, as are those of the errors that led to it: they may quote what a person
    typed, a token or a password among it.
    """
    lines: list[str] = ["a defect of this program; please report it with these lines:\n"]
    each: BaseException | None = error
    for _ in range(_MOST):
        if each is None:
            break
        lines.append("Traceback (most recent call last):\n")
        lines += traceback.format_tb(each.__traceback__)
        lines.append(f"{type(each).__module__}.{type(each).__qualname__}\n")
        each = each.__cause__ or each.__context__
    sys.stderr.write("".join(lines))
    sys.stderr.flush()

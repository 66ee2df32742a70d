"""Secrets from files, the environment or a hidden prompt, never from arguments, never shown."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import click

from vtc07.cli.failure import Failure
from vtc07.cli.output import Output

_LONGEST_FILE = 4096
_KEY_ITSELF = re.compile(r"(?:0[xX])?(?:[0-9A-Fa-f][ :-]?){15,}")


def looks_like_a_key(text: str) -> bool:
    """Say whether a text given as a file's name looks like key material instead."""
    return bool(_KEY_ITSELF.fullmatch(text)) and not Path(text).exists()


def from_file(path: str, what: str, output: Output) -> str:
    """Return the text of a secret's file; ``-`` is stdin. Failure where it cannot be read.

    A file that others may read is used all the same, with a warning: the user may have reasons.
    """
    data = _content(path, what, "with its hexadecimal digits", output)
    if len(data) > _LONGEST_FILE:
        raise Failure(f"{path} is no key file: it is longer than {_LONGEST_FILE} bytes")
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise Failure(
            f"{path} is no key file: it holds more than hexadecimal digits and white space"
        ) from None


def password_from_file(path: str, output: Output) -> str:
    """Return the password in a file, its only line; ``-`` is stdin. Failure where it is none.

    Spaces are part of a password; the end of its line is not.
    """
    data = _content(path, "the password", "with the password in its only line", output)
    try:
        text = data[: _LONGEST_FILE + 1].decode("ascii")
    except UnicodeDecodeError:
        text = "\n"
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or len(data) > _LONGEST_FILE or not line.isprintable():
        raise Failure(
            f"{path} is no password file: one line of letters, digits and signs of ASCII is wanted"
        )
    return line


def _content(path: str, what: str, holding: str, output: Output) -> bytes:
    if looks_like_a_key(path):
        raise Failure(
            f"{what} is read from a file, so give the file's name, not the key itself: what "
            "stands in a command line stays in the shell's history"
        )
    if path == "-":
        data = sys.stdin.buffer.read(_LONGEST_FILE + 1)
    else:
        file = Path(path)
        try:
            with file.open("rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                data = stream.read(_LONGEST_FILE + 1)
        except OSError as error:
            raise Failure(
                f"{what} cannot be read from {path}: {error.strerror}; give the name of a file "
                f"{holding}"
            ) from error
        if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
            output.warning(
                f"{path} can be read by others than its owner (mode {stat.S_IMODE(mode):04o}); "
                f"take that away with: chmod 600 {path}"
            )
    return data


def from_environment(variable: str) -> str | None:
    """Return a secret out of the environment; None where the variable is not set or empty."""
    return os.environ.get(variable, "").strip() or None


def is_asked_at_a_terminal() -> bool:
    """Say whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def from_prompt(what: str) -> str:
    """Ask for a secret without showing it."""
    answer = click.prompt(f"{what} (hexadecimal, not shown)", hide_input=True, err=True)
    return str(answer).strip()


def password_from_prompt() -> str:
    """Ask for a meter's password without showing it; spaces are part of it, empty is none."""
    asked = "the meter's password (not shown; Enter alone: none)"
    return str(click.prompt(asked, default="", show_default=False, hide_input=True, err=True))

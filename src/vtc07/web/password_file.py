"""Making the file of a password: asked for twice, without showing it, and kept as a hash."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

import click

from vtc07.cli.failure import Failure
from vtc07.cli.output import Output
from vtc07.cli.secret import is_asked_at_a_terminal
from vtc07.web.password import PasswordHash, require_fit

_OWNER_ONLY: Final = 0o600
_LONGEST_FILE: Final = 4096


def set_password(name: str, output: Output) -> None:
    """Ask for a password twice, and write its hash to a file for its owner alone.

    Failure where nobody can be asked, for a password that is too short, and where something else
    than a password's file is there already.
    """
    file = Path(name)
    _require_replaceable(file)
    if not is_asked_at_a_terminal():
        raise Failure("a password is asked for at a terminal, and there is none here")
    password = str(
        click.prompt(
            "The password of the web application (not shown)",
            hide_input=True,
            confirmation_prompt="The same once more",
            err=True,
        )
    )
    require_fit(password)
    _write(file, PasswordHash.of(password).line + "\n")
    output.note(f"{file} holds the password's hash; give it with --password-file {file}")


def _require_replaceable(file: Path) -> None:
    """Failure where the name belongs to something that is no file of a password."""
    try:
        with file.open("rb") as stream:
            PasswordHash.parse(stream.read(_LONGEST_FILE).decode("ascii"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Failure(f"{file} cannot be used: {error.strerror}; name another file") from None
    except ValueError:
        raise Failure(
            f"{file} is there already and holds no password's hash; nothing is overwritten, so "
            "name another file"
        ) from None


def _write(file: Path, text: str) -> None:
    """Put the file there whole, or leave what is there."""
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            with open(descriptor, "w", encoding="ascii") as stream:  # noqa: PTH123 - with its rights
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(file)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Failure(
            f"{file} cannot be written: {error.strerror}; choose another folder"
        ) from None

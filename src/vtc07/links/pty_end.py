"""One end of a line that is a pseudo-terminal, for a program of any kind. POSIX systems only.

A pseudo-terminal has no UART: it takes bytes as fast as they come and keeps the speed that a
program sets without doing anything about it. So what a program does shows here as bytes, and as
the speed that is read again and again; and what it hears is what is written to the other side.
"""

from __future__ import annotations

import os
import select
import termios
import tty
from pathlib import Path
from typing import Final

from vtc07.carrier.endpoint import SpeedChange
from vtc07.links.foreign_end import ForeignEnd

_CHUNK: Final = 4096

#: The speeds that termios knows, in Bd, by its own numbers for them; B0 means to hang up.
_SPEEDS: Final = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdecimal() and name != "B0"
}
_CODES: Final = {speed: code for code, speed in _SPEEDS.items()}
_INPUT_SPEED, _OUTPUT_SPEED = 4, 5


class PtyEnd(ForeignEnd):
    """A pseudo-terminal at the end of a `SimulatedLine`, and the link at ``path`` that leads to it.

    It begins raw and at ``speed`` Bd. ``follow``: whether the end takes the speed that a program
    sets. Characters are of 8 bits. OSError (FileExistsError) where ``path`` cannot be made, which
    is never replaced.

    While no program has it open, what arrives is lost, as at a serial port. What a program leaves
    behind, unread characters and a port that is locked for itself, does not outlive it.
    """

    def __init__(self, path: Path, speed: int, *, follow: bool) -> None:
        super().__init__(str(path))
        self.path = path
        self.present = False
        self._spoken = False  # since the program opened its end
        self._speed = speed
        self._follow = follow
        self._master, self.device = _new_pseudo_terminal(_CODES.get(speed))
        try:
            path.symlink_to(self.device)
        except OSError:
            os.close(self._master)
            raise
        self._poll = _poll(self._master)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable where a program says something."""
        return self._master

    def close(self) -> None:
        """Take the link away, if it is still this one, and close the pseudo-terminal."""
        if self._leads_here():
            self.path.unlink()
        os.close(self._master)

    def look(self) -> bool:
        """See what the program did; True where it said something.

        Where characters and a new speed are found together, the first that a program says since
        it opened its end comes behind the speed, and all that it says later comes before. For a
        program sets its speed and then speaks; and in mid-session it speaks, waits until that has
        gone out, which a pseudo-terminal says at once, and then sets another speed.
        """
        happened = self._poll.poll(0)
        flags = happened[0][1] if happened else 0
        was_present, self.present = self.present, not flags & select.POLLHUP
        chars = self._read() if flags & select.POLLIN else b""
        found: list[bytes | SpeedChange] = [chars] if chars else []
        speed = _SPEEDS.get(termios.tcgetattr(self._master)[_OUTPUT_SPEED], self._speed)
        if self._follow and speed != self._speed:
            self._speed = speed
            found.insert(1 if self._spoken else 0, SpeedChange(speed))
        self.seen += found
        self._spoken = self.present and (self._spoken or bool(chars))
        if was_present and not self.present:
            self._clean_up()
        return bool(chars)

    def _read(self) -> bytes:
        try:
            return os.read(self._master, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:  # EIO: the program has just closed its end
            return b""

    def _clean_up(self) -> None:
        """Do what a serial port does when the last program closes it."""
        try:
            device = os.open(self.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # the program locked it for itself, and nothing but a new one undoes that
            self._replace()
            return
        termios.tcflush(device, termios.TCIFLUSH)
        os.close(device)

    def _replace(self) -> None:
        here = self._leads_here()
        os.close(self._master)
        self._master, self.device = _new_pseudo_terminal(_CODES.get(self._speed))
        self._poll = _poll(self._master)
        if here:
            self.path.unlink()
            self.path.symlink_to(self.device)

    def _leads_here(self) -> bool:
        try:
            return str(self.path.readlink()) == self.device
        except OSError:
            return False

    # --- an endpoint's face -----------------------------------------------------------------------

    def receive(self, chars: bytes, now_ns: int) -> None:  # noqa: ARG002 - an endpoint's face
        """Hand characters to the program; those that it leaves no room for are lost."""
        if not self.present:
            return
        try:
            os.write(self._master, chars)
        except OSError:  # EAGAIN: it reads nothing; EIO: it has just closed its end
            return


def _new_pseudo_terminal(speed: int | None) -> tuple[int, str]:
    """Return the near side of a new one that is raw, and the name of the far side."""
    master, slave = os.openpty()
    tty.setraw(slave)
    if speed is not None:
        attributes = termios.tcgetattr(slave)
        attributes[_INPUT_SPEED] = attributes[_OUTPUT_SPEED] = speed
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
    device = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    return master, device


def _poll(descriptor: int) -> select.poll:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll

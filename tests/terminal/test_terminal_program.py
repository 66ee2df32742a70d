"""``vtc07 hhu`` as people start it: in a terminal of its own, by its name."""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest
from cable import Cable
from cli_bench import PROGRAM, credit, done, here, new_meter, registers, vtc07
from terminal_bench import bench

import needs
from vtc07.cli.failure import Failure
from vtc07.terminal import program

assert here

if sys.platform == "win32":
    needs.lacking("a pseudo-terminal is wanted")

needs.module("textual")

import fcntl  # noqa: E402 - not on every system
import pty  # noqa: E402 - likewise
import struct  # noqa: E402
import termios  # noqa: E402 - likewise

GUARD_S = 60
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|[PX^_][^\x1b]*\x1b\\)")


class Terminal:
    """A program in a pseudo-terminal of 80 columns and 24 lines."""

    def __init__(self, *arguments: str, program: tuple[str, ...] = PROGRAM) -> None:
        self._end, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=side,
            stdout=side,
            stderr=side,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(side)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(GUARD_S)
        os.close(self._end)

    def vanish(self) -> None:
        """Take the terminal away; nobody is told, for the program does not own it."""
        os.close(self._end)
        self._end = os.open(os.devnull, os.O_RDWR)

    def press(self, text: str) -> None:
        """Send keys."""
        os.write(self._end, text.encode())

    def sees(self, words: str) -> None:
        """Read until words were shown."""
        while words not in _CONTROL.sub("", self.shown):
            assert self._read(), self.shown[-2000:]

    def ends(self) -> int:
        """Read until the program has ended, and return its exit code."""
        while self._read():
            pass
        return self.process.wait(GUARD_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], GUARD_S)
        assert ready, self.shown[-2000:]
        try:
            data = os.read(self._end, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += self._decoder.decode(data)
        return bool(data)


def test_it_is_started_used_and_quit_in_a_terminal(here: Path) -> None:
    new_meter("k.meter")
    with Terminal("hhu", "--address", "sim:k.meter", "--language", "en") as terminal:
        terminal.sees("What is wrong?")
        terminal.press("2")
        terminal.sees("At a glance")
        terminal.press("\x11")  # Ctrl+Q
        assert terminal.ends() == 0
    assert "\x1b[?1000h" not in terminal.shown  # the mouse stays the terminal's own
    assert "Traceback" not in terminal.shown
    assert (here / "state" / "vtc07" / "deliveries.journal").exists()


def test_a_defect_of_ours_ends_it_and_shows_nobodys_values(here: Path) -> None:
    new_meter("k.meter")
    (here / "broken.py").write_text(
        "from vtc07.terminal.deliver_screen import DeliverScreen\n"
        "whole = DeliverScreen._judge\n"
        "def judge(self, text):\n"
        "    token = text\n"
        "    if text: raise ZeroDivisionError('a defect')\n"
        "    whole(self, text)\n"
        "DeliverScreen._judge = judge\n"
        "from vtc07.cli.main import main\n"
        "main()\n"
    )
    program = (sys.executable, str(here / "broken.py"))
    with Terminal("hhu", "--address", "sim:k.meter", program=program) as terminal:
        terminal.sees("What is wrong?")
        terminal.press("1")
        terminal.sees("Type the 20 digits")
        before = len(terminal.shown)
        terminal.press("7")
        assert terminal.ends() == 1
    said = _CONTROL.sub("", terminal.shown[before:])
    assert "ZeroDivisionError: a defect" in said
    assert "locals" not in said
    assert "token = '7'" not in said


def test_keys_are_in_no_log_of_the_library(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_LOG", str(here / "textual.log"))
    monkeypatch.setenv("TEXTUAL", "devtools,debug")
    new_meter("k.meter")
    with Terminal("hhu", "--address", "sim:k.meter") as terminal:
        terminal.sees("What is wrong?")
        terminal.press("1")
        terminal.sees("Type the 20 digits")
        terminal.press(credit("5.0", "--test-key"))
        terminal.sees("Class 0: credit.")
        terminal.press("\x11")
        assert terminal.ends() == 0
    assert not (here / "textual.log").exists()


def test_hung_up_in_the_middle_of_a_delivery_it_is_resumed(here: Path) -> None:
    token = credit("25.0", "--test-key")
    with bench(here) as meter:
        with Cable(meter.address, token.encode(), whole=True, hangs=True) as cable:
            address = f"{cable.address} --companion fast.toml"
            with Terminal("hhu", "--address", address) as terminal:
                terminal.sees("What is wrong?")
                terminal.press("1")
                terminal.sees("Type the 20 digits")
                terminal.press(token)
                terminal.sees("Class 0: credit.")
                terminal.press("\r")
                assert cable.failed.wait(GUARD_S)
                terminal.process.send_signal(signal.SIGHUP)
                terminal.process.wait(GUARD_S)
        resumed = vtc07("hhu", "resume", meter.address, "--companion", "fast.toml")
        assert resumed.code == 0, resumed.err
        assert "delivered: Accept" in resumed.out
        read = done("read", meter.address, "totalCreditAccepted", "--json").json
        assert registers(read)["totalCreditAccepted"] == 25_000


def test_a_terminal_that_is_gone_in_silence_ends_it(here: Path) -> None:
    with Terminal("hhu") as terminal:
        terminal.sees("Connect")
        terminal.vanish()
        assert terminal.process.wait(GUARD_S) == -signal.SIGHUP
    assert vtc07("hhu", "list").code == 0  # the journal is free again
    done("send", f"sim:{new_meter()}", credit("4.0", "--test-key"))


def test_without_a_terminal_it_says_what_to_do(here: Path) -> None:
    run = subprocess.run(
        [*PROGRAM, "hhu"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "needs a terminal" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_language_that_is_not_there_is_said(here: Path) -> None:
    result = vtc07("hhu", "--language", "xx")
    assert result.code == 2
    assert "there are no texts in language 'xx'" in result.err


def test_a_journal_that_is_in_use_is_said_before_anything_is_shown(here: Path) -> None:
    new_meter("k.meter")
    with Terminal("hhu", "--address", "sim:k.meter") as first:
        first.sees("What is wrong?")
        with Terminal("hhu") as second:
            second.sees("another program is using the journal")
            assert second.ends() == 2
        first.press("\x11")
        assert first.ends() == 0


def test_where_the_library_is_missing_it_says_how_to_get_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    for name in [name for name in sys.modules if name.startswith("vtc07.terminal.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(Failure, match=r'pip install "vtc07\[terminal\]"'):
        program.run(None, address=None, language="en", journal=None)  # type: ignore[arg-type]

"""A line between two pseudo-terminals, with programs of a few lines at its ends.

The line's clock is turned by hand here; only the pseudo-terminals are real.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)
import termios

from vtc07.links.noise import Noise
from vtc07.links.pty_line import LineOptions, PtyLine

MS = 1_000_000
S = 1_000_000_000


class HandClock:
    """A clock that goes on where a test says so."""

    def __init__(self) -> None:
        self.time = 5 * S

    def now_ns(self) -> int:
        return self.time

    def sleep_until(self, instant_ns: int) -> None:
        self.time = max(self.time, instant_ns)


class Bench:
    """A line, its clock, and programs that have its ends open."""

    def __init__(self, line: PtyLine, clock: HandClock, folder: Path) -> None:
        self.line = line
        self.clock = clock
        self.folder = folder
        self._open: list[int] = []

    def open(self, end: str, *, speed: int | None = None) -> int:
        """Open an end as a program does, and let the line notice it."""
        program = os.open(self.folder / end, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._open.append(program)
        if speed is not None:
            set_speed(program, speed)
        self.go(0)
        return program

    def close(self, program: int) -> None:
        self._open.remove(program)
        os.close(program)
        self.go(0)

    def go(self, duration_ns: int, *, step_ns: int | None = None) -> None:
        """Let time pass, in steps, and turn the line after each."""
        end = self.clock.time + duration_ns
        while True:
            self.line.turn()
            if self.clock.time >= end:
                return
            self.clock.time = min(end, self.clock.time + (step_ns or duration_ns))

    def close_all(self) -> None:
        for program in self._open:
            os.close(program)


def set_speed(program: int, speed: int) -> None:
    settings = termios.tcgetattr(program)
    settings[4] = settings[5] = getattr(termios, f"B{speed}")
    termios.tcsetattr(program, termios.TCSANOW, settings)


def read(program: int) -> bytes:
    found = b""
    while True:
        try:
            found += os.read(program, 4096)
        except BlockingIOError:
            return found


@contextmanager
def bench(folder: Path, options: LineOptions) -> Iterator[Bench]:
    clock = HandClock()
    with PtyLine((folder / "a", folder / "b"), options, clock=clock) as line:
        found = Bench(line, clock, folder)
        try:
            yield found
        finally:
            found.close_all()


def test_characters_come_out_when_their_last_bit_would(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        a, b = it.open("a"), it.open("b")
        os.write(a, b"/?\x8d")  # 8 bits, whatever they mean
        it.go(33_333_333)
        assert read(b) == b""
        it.go(1)
        assert read(b) == b"/"
        it.go(33_333_333)
        assert read(b) == b"?"
        os.write(b, b"back")
        it.go(33_333_333)
        assert read(b) == b"\x8d"
        it.go(S)
        assert (read(a), read(b)) == (b"back", b"")


def test_a_line_that_was_looked_at_late_has_lost_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=9600)) as it:
        a, b = it.open("a"), it.open("b")
        text = bytes(range(256)) * 8
        os.write(a, text)
        it.go(S)  # half of it has ended
        early = read(b)
        assert early == text[: 9600 // 10]
        it.go(60 * S)
        assert early + read(b) == text


def test_each_end_goes_on_at_the_speed_of_its_program(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        a, b = it.open("a"), it.open("b", speed=9600)
        os.write(a, b"/?!\r\n")
        it.go(S)
        assert it.line.line.speed("server") == 9600
        garbled = read(b)
        assert len(garbled) > 5
        assert not set(garbled) & set(b"/?!\r\n")
        set_speed(a, 9600)
        it.go(20 * MS)
        os.write(a, b"/?!\r\n")
        it.go(S)
        assert read(b) == b"/?!\r\n"


def test_a_new_speed_waits_until_what_was_said_before_has_gone_out(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        a, b = it.open("a"), it.open("b")
        os.write(a, b"/?!\r\n")
        it.go(S)
        assert read(b) == b"/?!\r\n"
        os.write(a, b"\x06050\r\n")
        set_speed(a, 9600)  # at once: to this program, all of it has gone out
        it.go(199 * MS)
        assert it.line.line.speed("client") == 300
        it.go(2 * MS)
        assert it.line.line.speed("client") == 9600
        assert read(b) == b"\x06050\r\n"


def test_a_program_that_has_just_opened_its_end_set_the_speed_before_it_spoke(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        b = it.open("b", speed=9600)
        a = os.open(tmp_path / "a", os.O_RDWR | os.O_NOCTTY)
        it.go(0)  # the line has seen that it is open
        set_speed(a, 9600)
        os.write(a, b"/?!\r\n")
        it.go(S)
        assert read(b) == b"/?!\r\n"
        os.close(a)


def test_speeds_may_be_fixed(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300, follow_speeds=False)) as it:
        a, b = it.open("a", speed=19200), it.open("b", speed=9600)
        os.write(a, b"x")
        it.go(33_333_333)
        assert read(b) == b""
        it.go(1)
        assert read(b) == b"x"


def test_what_arrives_while_no_program_is_there_is_lost(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=9600)) as it:
        a = it.open("a")
        os.write(a, b"nobody hears this")
        it.go(S)
        b = it.open("b")
        os.write(a, b"left unread")
        it.go(S)
        it.close(b)
        os.write(a, b"nor this")
        it.go(S)
        b = it.open("b")
        os.write(a, b"now")
        it.go(S)
        assert read(b) == b"now"


def test_what_a_program_said_last_goes_out_though_it_is_gone(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        b = it.open("b")
        with (tmp_path / "a").open("wb", buffering=0) as program:
            program.write(b"echo into it")
        it.go(S)
        assert read(b) == b"echo into it"


_LOCKS = """
import fcntl, os, sys, termios
from pathlib import Path
from vtc07.links.pty_line import LineOptions, PtyLine
if os.getuid() == 0:
    os.setuid(65534)  # root may open what others locked
with PtyLine((Path("a"), Path("b")), LineOptions(speed=9600)) as line:
    for turn in range(3):
        program = os.open("a", os.O_RDWR | os.O_NOCTTY)
        line.turn()
        fcntl.ioctl(program, termios.TIOCEXCL)
        os.close(program)
        line.turn()
"""


def test_a_port_that_a_program_locked_for_itself_is_free_when_that_is_gone(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    run = subprocess.run(
        [sys.executable, "-c", _LOCKS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_reads_nothing_loses_what_comes_and_holds_up_nobody(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=115200, follow_speeds=False)) as it:
        a, b = it.open("a"), it.open("b")
        said = 0
        for _ in range(12):
            said += os.write(a, bytes(4000))
            it.go(S, step_ns=S // 4)
        assert 0 < len(read(b)) < said
        os.write(a, b"and then")
        it.go(S)
        assert read(b) == b"and then"


def test_a_program_that_says_much_has_to_wait(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions(speed=300)) as it:
        a = it.open("a")
        said = 0
        for _ in range(1000):
            try:
                said += os.write(a, bytes(1000))
            except BlockingIOError:
                break
            it.go(0)
        assert 4096 < said < 100_000
        assert it.line.line.queued("client") < 2 * 4096


def test_the_line_is_cut_and_plugged_so_long_after_the_first_character(tmp_path: Path) -> None:
    told: list[str] = []
    clock = HandClock()
    options = LineOptions(speed=9600, cut_after_ns=2 * S, plug_after_ns=3 * S)
    paths = (tmp_path / "a", tmp_path / "b")
    with PtyLine(paths, options, clock=clock, told=told.append) as line:
        it = Bench(line, clock, tmp_path)
        a, b = it.open("a"), it.open("b")
        it.go(100 * S)  # nobody has said anything: nothing is cut
        heard = []
        for instant in range(7):
            os.write(a, str(instant).encode())
            it.go(S - 1)
            it.go(1)
            heard.append(read(b))
        it.close_all()
    assert heard == [b"0", b"1", b"", b"", b"", b"5", b"6"]
    assert told == ["the line is cut", "the line is plugged again"]


def test_echo_collisions_and_noise_are_the_simulated_line_s(tmp_path: Path) -> None:
    options = LineOptions(speed=9600, echo_a=True, echo_b=True, collisions=True)
    with bench(tmp_path, options) as it:
        a, b = it.open("a"), it.open("b")
        os.write(a, b"request")
        it.go(S)
        assert (read(a), read(b)) == (b"request", b"request")
        os.write(a, b"\x0f")
        os.write(b, b"\x3c")
        it.go(S)
        assert (read(a), read(b)) == (b"\x0c", b"\x0c")  # SPACE wins
    with bench(tmp_path, LineOptions(speed=9600, noise=Noise(0.001, 1))) as it:
        b = it.open("b")
        it.go(S)
        assert read(b)


@pytest.mark.parametrize("software", [False, True])
def test_a_damaged_character_has_a_wrong_parity_where_programs_look_at_that(
    tmp_path: Path, software: bool
) -> None:
    with bench(tmp_path, LineOptions(speed=300, software_parity=software)) as it:
        a, b = it.open("a"), it.open("b", speed=9600)
        os.write(a, b"\xaf")
        it.go(S)
        # A break for each time that the line is at SPACE: 8 bits of 0, and no stop bit.
        assert read(b) == (b"\x80" if software else b"\x00") * 3


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", ["a", "b"])
def test_a_path_that_exists_is_not_replaced(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("dear to somebody")
    with pytest.raises(FileExistsError) as caught:
        PtyLine((tmp_path / "a", tmp_path / "b"), LineOptions())
    assert caught.value.filename2 == str(tmp_path / taken)
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "dear to somebody"


def test_at_the_end_only_a_line_s_own_links_are_taken_away(tmp_path: Path) -> None:
    with bench(tmp_path, LineOptions()):
        (tmp_path / "b").unlink()
        (tmp_path / "b").write_text("somebody else's")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_line_leaves_nothing_open(tmp_path: Path) -> None:
    before = len([*Path("/dev/fd").iterdir()])
    with bench(tmp_path, LineOptions()) as it:
        it.open("a")
    it.line.close()
    assert len([*Path("/dev/fd").iterdir()]) == before

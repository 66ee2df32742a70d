"""``vtc07 line`` with programs of its own at both ends, in real time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_bench import (
    PROGRAM,
    Result,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    start,
    vtc07,
)

import needs
from vtc07.links.fault import UNPLUGGED
from vtc07.links.link import Sender

__all__ = ["here"]

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

needs.module("serialx")

S = 1_000_000_000

#: Electricity meters that answer and give up fast, on ports of 9600 Bd.
_QUICK = """
extends = "electricity"
[identity]
flag = "VTc"
[link]
preset = "{preset}"
[link.{preset}]
speed = 9600
parity = "{parity}"
[timing]
longest_reaction_ms = 400
inter_character_ms = 300
repeat_ms = 500
reconnect_pause_ms = 200
[token_entry]
poll_ms = 200
[meter]
execution_ms = 5
"""


def quick(here: Path, *, parity: str = "uart", preset: str = "optical") -> str:
    """Write a companion; on a pseudo-terminal uart becomes no parity."""
    name = f"{preset}-{parity}.toml"
    (here / name).write_text(_QUICK.format(parity=parity, preset=preset))
    return name


@contextmanager
def line(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a line between ./head and ./port."""
    process = start("line", "head", "port", *options)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, process.communicate()[1]
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate()


@contextmanager
def meter_at_the_port(store: str = "m.meter") -> Iterator[None]:
    """Serve a meter at ./port."""
    process = start("meter", "serve", store, "--listen", str(Path("port").absolute()))
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "is listening on" in said, process.communicate()[1]
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def at_the_head(command: str, *arguments: str, companion: str) -> Result:
    """Run a command with the meter behind the line, as a process of its own."""
    words = [command, str(Path("head").absolute()), *arguments, "--companion", companion, "--json"]
    process = start(*words)
    out, err = process.communicate()
    return Result(process.returncode, out, err)


def balance(store: str = "m.meter") -> int:
    """Return what the meter has, by its store."""
    shown = done("meter", "show", store, "--json").json
    value: int = next(r["value"] for r in shown["registers"] if r["name"] == "creditBalance")
    return value


# --- deliveries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("optical", []),
        ("current-loop", ["--echo", "both", "--collisions"]),
    ],
)
def test_a_token_goes_over_the_line(here: Path, preset: str, options: list[str]) -> None:
    companion = quick(here, preset=preset)
    new_meter("m.meter", "--companion", companion)
    with line("--speed", "9600", *options), meter_at_the_port():
        sent = at_the_head("send", credit("2.5", "--test-key"), companion=companion)
        assert sent.code == 0, sent.err
    assert balance() == 2500


def test_auto_finds_a_meter_of_mode_c_whatever_speed_is_asked_for(here: Path) -> None:
    """With mode C --speed is the highest to change to: the sign-on is at 300 Bd all the same."""
    new_meter("m.meter", "--companion", "electricity-mode-c")
    with line("--speed", "300"), meter_at_the_port():
        found = at_the_head("identify", "--speed", "4800", companion="auto")
    assert found.code == 0, found.err
    assert found.json["companion"] == "electricity-mode-c"


def test_noise_is_noticed_and_the_result_is_true(here: Path) -> None:
    companion = quick(here, parity="software")
    new_meter("m.meter", "--companion", companion)
    noise = ["--noise", "0.0005", "--seed", "7", "--parity", "software"]
    with line("--speed", "9600", *noise), meter_at_the_port():
        sent = at_the_head("send", credit("2.5", "--test-key"), companion=companion)
    assert_true(sent, balance())


def test_a_cut_by_the_clock_whenever_it_comes_leaves_a_true_result(here: Path) -> None:
    companion = quick(here)
    new_meter("m.meter", "--companion", companion)
    cut = ["--cut-after", "0.3", "--plug-after", "0.4"]
    with line("--speed", "9600", *cut) as running, meter_at_the_port():
        sent = at_the_head("send", credit("2.5", "--test-key"), companion=companion)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate()
    assert told.splitlines() == ["the line is cut", "the line is plugged again"]
    assert_true(sent, balance())


def assert_true(sent: Result, has: int) -> None:
    """Assert that what `send` says became of 2.5 kWh is what the meter has."""
    assert sent.out, sent.err
    outcome = sent.json["tokens"][0]["outcome"]
    # A good token is never refused.
    assert outcome in ("Delivered", "NotTaken", "NoLink", "NotSent", "Unresolved"), sent.out
    if outcome != "Unresolved":
        assert has == (2500 if outcome == "Delivered" else 0), sent.out


# The line in this process, so that it can be cut at a character.


@pytest.mark.parametrize(("sender", "place"), [("client", 15), ("server", 1), ("server", 12)])
def test_a_cut_in_the_middle_of_a_delivery(here: Path, sender: Sender, place: int) -> None:
    from vtc07.links.pty_line import LineOptions, PtyLine

    companion = quick(here)
    new_meter("m.meter", "--companion", companion)
    paths = (Path("head"), Path("port"))
    entered = bytearray()

    with PtyLine(paths, LineOptions(speed=9600)) as running:

        def cut(who: Sender, char: int, _place: int, now_ns: int) -> int:
            """Cut in the write of the token, or in what the meter says after it."""
            entered.append(char if who == "client" else 0)
            found = entered.find(b"\x01W1")
            passed = entered[found:] if found >= 0 else b""
            since = len(passed) if sender == "client" else passed.count(0)
            if found >= 0 and who == sender and since == place and not cut_at:
                cut_at.append(now_ns)
                running.line.schedule(now_ns + S // 2, running.line.plug)
                return UNPLUGGED
            return char

        cut_at: list[int] = []
        running.line.fault = cut
        meter = start("meter", "serve", "m.meter", "--listen", str(paths[1].absolute()))
        token = credit("2.5", "--test-key")
        words = ["send", str(paths[0].absolute()), token, "--companion", companion, "--json"]
        try:
            os.set_blocking(meter.stdout.fileno(), False)  # type: ignore[union-attr]
            while not meter.stdout.readline():  # type: ignore[union-attr]
                assert meter.poll() is None
                running.turn()
            client = start(*words)
            while client.poll() is None:
                running.turn()
            out, err = client.communicate()
        finally:
            meter.send_signal(signal.SIGINT)
            meter.communicate()
    assert len(cut_at) == 1
    assert client.returncode == 0, err
    assert json.loads(out)["tokens"][0]["outcome"] == "Delivered"
    assert balance() == 2500


# --- speeds ---------------------------------------------------------------------------------------


def test_ends_of_different_speeds_do_not_understand_each_other(here: Path) -> None:
    companion = quick(here)
    new_meter("m.meter", "--companion", companion)
    with line("--show") as running, meter_at_the_port():
        asked = at_the_head("identify", "--speed", "2400", "--attempts", "1", companion=companion)
        assert asked.code == 3
        assert at_the_head("identify", companion=companion).code == 0
        running.send_signal(signal.SIGINT)
        _, shown = running.communicate()
    assert r"A /?!\r\n" in shown
    assert "arrives as " in shown
    assert "B /VTc3" in shown
    assert re.search(r"^ +\d+\.\d{3} s A ", shown, re.MULTILINE)


def test_a_session_of_mode_c_changes_its_speed_at_both_ends(here: Path) -> None:
    new_meter("m.meter", "--companion", "electricity-mode-c")
    with line("--show") as running, meter_at_the_port():
        read = at_the_head("read", "creditBalance", companion="electricity-mode-c")
        assert read.code == 0, read.err
        running.send_signal(signal.SIGINT)
        _, shown = running.communicate()
    assert "arrives as" not in shown
    said = [line[12:] for line in shown.splitlines()]
    assert said[0] == r"A /?!\r\n"
    began = [float(line[:9]) for line in shown.splitlines()]
    # 19 characters at 300 Bd, and t_r; the command and its answer take far less at 9600.
    assert said[2] == r"A \x06051\r\n"
    assert began[2] - began[1] > 19 * 10 / 300 + 0.2
    assert began[4] - began[3] < 0.5


def test_a_fixed_speed_is_the_line_s_whatever_programs_set(here: Path) -> None:
    companion = quick(here)
    new_meter("m.meter", "--companion", companion)
    with line("--speed", "19200", "--fixed-speed"), meter_at_the_port():
        assert at_the_head("identify", "--speed", "2400", companion=companion).code == 0


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order_and_the_links_are_gone(here: Path, number: int) -> None:
    with line() as running:
        assert Path("head").is_char_device()
        assert Path("port").is_char_device()
        running.send_signal(number)
        out, err = running.communicate()
        assert (running.returncode, out, err) == (0, "", "")
    assert not os.path.lexists("head")
    assert not os.path.lexists("port")


def test_the_first_line_says_that_the_line_is_there(here: Path) -> None:
    process = start("line", "head", "port", "--speed", "2400")
    assert process.stdout is not None
    assert process.stdout.readline() == "a line of 2400 Bd between head and port\n"
    process.terminate()
    process.communicate()
    process = start("line", "head", "port", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"a": "head", "b": "port", "speed": 300}
    process.terminate()
    process.communicate()


def test_a_path_that_exists_is_not_replaced(here: Path) -> None:
    Path("port").write_text("dear to somebody")
    refused = vtc07("line", "head", "port")
    assert refused.code == 2
    assert one_sentence(refused.err).startswith("port exists already and is not replaced")
    assert Path("port").read_text() == "dear to somebody"
    assert not os.path.lexists("head")


def test_a_link_that_a_killed_line_left_is_named(here: Path) -> None:
    Path("head").symlink_to("/dev/pts/no-such")
    sentence = one_sentence(vtc07("line", "head", "port").err)
    assert sentence.startswith("head is a link that leads nowhere any more")
    assert Path("head").is_symlink()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["head", "head"], "two paths"),
        (["no-folder/head", "port"], "no-folder/head cannot be made"),
        (["head", "port", "--plug-after", "1"], "--plug-after needs --cut-after"),
        (["head", "port", "--noise", "0.7"], "at most 0.5"),
        (["head", "port", "--noise", "nan"], "share of bits"),
        (["head", "port", "--cut-after", "nan"], "--cut-after"),
        (["head", "port", "--cut-after", "inf"], "--cut-after"),
        (["head", "port", "--speed", "0"], "--speed"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(here: Path, words: list[str], said: str) -> None:
    refused = vtc07("line", *words)
    assert refused.code == 2
    assert said in one_sentence(refused.err)
    assert not os.path.lexists("head")


_NOT_HERE = """
import sys
sys.modules["termios"] = None  # as on Windows
from vtc07.cli.main import main
main()
"""


def test_where_there_are_no_pseudo_terminals_it_says_so(here: Path) -> None:
    run = subprocess.run(
        [PROGRAM[0], "-c", _NOT_HERE, "line", "head", "port"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3
    assert one_sentence(run.stderr) == "pseudo-terminals are not on this system"

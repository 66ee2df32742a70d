"""Ports as people meet them: listed, missing, pseudo-terminals, and systems without them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_bench import FAST, Result, done, here, new_meter, one_sentence, registers, served, vtc07
from foreign_rfc2217 import foreign_server

import needs
from vtc07.links import ports
from vtc07.links.ports import SerialPort

__all__ = ["here"]

pytestmark = pytest.mark.usefixtures("here")
HEAD = SerialPort(
    "/dev/ttyUSB0", "/dev/serial/by-id/usb-head", "FT232R USB UART", "FTDI", "A1", "0403:6001"
)


@pytest.fixture
def fast(here: Path) -> str:
    (here / "fast.toml").write_text(FAST)
    return new_meter("m.meter", "--companion", "fast.toml")


def test_ports_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.module("serialx")
    monkeypatch.setattr("vtc07.cli.ports.serial_ports", lambda: (HEAD, SerialPort("/dev/ttyS0")))
    lines = done("ports").out.splitlines()
    assert lines[1].split() == [
        "/dev/ttyUSB0", "FTDI", "FT232R", "USB", "UART", "0403:6001", "A1",
        "/dev/serial/by-id/usb-head",
    ]  # fmt: skip
    assert lines[2] == "/dev/ttyS0"
    listed = done("ports", "--json").json["ports"]
    assert [port["device"] for port in listed] == ["/dev/ttyUSB0", "/dev/ttyS0"]
    assert listed[0]["description"] == "FTDI FT232R USB UART"
    assert listed[0]["stable"] == "/dev/serial/by-id/usb-head"


def test_where_there_are_none_it_is_said_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.module("serialx")
    monkeypatch.setattr("vtc07.cli.ports.serial_ports", lambda: ())
    assert "check that the adapter is plugged in" in done("ports").err
    none = done("ports", "--json")
    assert none.json == {"ports": []}


def test_without_the_optional_part_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    for command in (("ports",), ("identify", "/dev/ttyUSB0")):
        result = vtc07(*command)
        assert result.code == 3
        assert 'pip install "vtc07[serial]"' in one_sentence(result.err)


def test_a_missing_port_is_one_sentence_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs.module("serialx")
    monkeypatch.setattr("vtc07.links.serial.serial_ports", lambda: (HEAD,))
    result = vtc07("identify", "/dev/ttyUSB7")
    assert result.code == 3
    sentence = one_sentence(result.err)
    assert sentence.startswith("cannot open /dev/ttyUSB7: there is no such port")
    assert sentence.endswith("ports that exist: /dev/ttyUSB0 (FTDI FT232R USB UART)")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_meter_is_served_and_read_at_a_pseudo_terminal(fast: str, here: Path) -> None:
    with served(fast, "--listen", "pty:meter") as meter:
        assert meter.address == "pty:meter"
        assert (here / "meter").is_symlink()
        for _ in range(2):
            read = done("read", "pty:meter", "creditBalance", "--companion", "fast.toml", "--json")
            assert registers(read.json) == {"creditBalance": 0}
        taken = vtc07("meter", "serve", new_meter("other.meter"), "--listen", "pty:meter")
        assert taken.code == 3
        assert "something is there already" in one_sentence(taken.err)
        assert meter.stop()[0] == 0
    assert not os.path.lexists(here / "meter")
    gone = vtc07("read", "pty:meter", "creditBalance", "--companion", "fast.toml")
    assert gone.code == 3
    assert "start what serves it there first" in one_sentence(gone.err)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_meter_is_read_at_a_serial_port_in_the_network(fast: str, here: Path) -> None:
    """The meter at a pseudo-terminal; its port in the hands of a foreign server."""
    with (
        served(fast, "--listen", "pty:meter"),
        foreign_server(str(here / "meter")) as foreign,
    ):
        arguments = ("creditBalance", "--companion", "fast.toml", "--speed", "115200", "--json")
        read = done("read", str(foreign.address), *arguments)
    assert registers(read.json) == {"creditBalance": 0}


@pytest.mark.skipif(sys.platform == "win32", reason="the foreign server needs a pseudo-terminal")
def test_what_a_head_needs_is_said_by_options(fast: str, here: Path) -> None:
    with (
        served(fast, "--listen", "pty:meter", "--parity", "software"),
        foreign_server(str(here / "meter")) as foreign,
    ):
        way = ("--companion", "fast.toml", "--speed", "115200", "--parity", "software")
        levels = ("--rts", "off", "--dtr", "on", "--echo", "off")
        done("read", str(foreign.address), "creditBalance", *way, *levels)
    told = foreign.port.told
    assert ("format", "115200 8N") in told
    assert ("rts", False) in told
    assert ("dtr", True) in told
    assert ("format", "115200 7E") not in told


@pytest.mark.skipif(sys.platform == "win32", reason="the foreign server needs a pseudo-terminal")
@pytest.mark.parametrize("level", ["on", "off"])
def test_a_readout_through_a_head_that_is_powered(here: Path, level: str) -> None:
    store = new_meter("c.meter", "--companion", "electricity-mode-c")
    with (
        served(store, "--listen", "pty:meter", "--parity", "software"),
        foreign_server(str(here / "meter")) as foreign,
    ):
        options = [] if level == "on" else ["--rts", "off", "--dtr", "off"]
        done("readout", str(foreign.address), "--parity", "software", *options)
    assert {("rts", level == "on"), ("dtr", level == "on")} <= set(foreign.port.told)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_7e1_on_a_pseudo_terminal_is_refused_in_one_sentence(fast: str) -> None:
    for command in (("identify", "pty:meter"), ("meter", "serve", fast, "--listen", "pty:meter")):
        result = vtc07(*command, "--parity", "uart")
        assert result.code == 3
        assert "choose parity software or none" in one_sentence(result.err)


def test_what_a_head_needs_is_nothing_for_a_simulation(fast: str) -> None:
    result = vtc07("read", f"sim:{fast}", "--echo", "on")
    assert result.code == 2
    assert "about a real port" in one_sentence(result.err)


# --- a system without pseudo-terminals and termios ----------------------------------------------

WITHOUT = """
import sys
for name in ("termios", "pty", "tty", "fcntl"):
    sys.modules[name] = None
"""


def without_termios(*arguments: str) -> Result:
    """Run the program as on a system that has none of this."""
    program = f"{WITHOUT}from vtc07.cli.main import main\nmain()"
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    return Result(run.returncode, run.stdout, run.stderr)


def test_everything_imports_without_termios() -> None:
    # Not without fcntl: a journal of deliveries is not kept where a file cannot be locked.
    program = f"""{WITHOUT.replace(', "fcntl"', "")}
import importlib, pkgutil, vtc07
for module in pkgutil.walk_packages(vtc07.__path__, "vtc07."):
    if module.name not in {{"vtc07.links.pty_end", "vtc07.links.pty_line"}}:  # of POSIX alone
        importlib.import_module(module.name)
print("all")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("all\n", "")


def test_the_program_runs_without_termios(fast: str) -> None:
    assert without_termios("--help").code == 0
    assert without_termios("meter", "serve", "--help").code == 0
    with served(fast) as meter:
        arguments = ("creditBalance", "--companion", "fast.toml", "--json")
        read = without_termios("read", meter.address, *arguments)
        assert read.code == 0, read.err
        assert registers(read.json) == {"creditBalance": 0}


def test_a_meter_is_served_over_tcp_without_termios(fast: str) -> None:
    program = f"{WITHOUT}from vtc07.cli.main import main\nmain()"
    with served(fast, program=(sys.executable, "-c", program)) as meter:
        arguments = ("creditBalance", "--companion", "fast.toml", "--json")
        assert registers(done("read", meter.address, *arguments).json) == {"creditBalance": 0}


@pytest.mark.skipif(sys.platform == "win32", reason="the foreign server needs a pseudo-terminal")
def test_a_serial_port_in_the_network_works_without_termios(fast: str, here: Path) -> None:
    with (
        served(fast, "--listen", "pty:meter"),
        foreign_server(str(here / "meter")) as foreign,
    ):
        arguments = ("creditBalance", "--companion", "fast.toml", "--speed", "115200", "--json")
        read = without_termios("read", str(foreign.address), *arguments)
    assert read.code == 0, read.err
    assert registers(read.json) == {"creditBalance": 0}


@pytest.mark.parametrize(
    "command",
    [
        ("identify", "pty:meter"),
        ("meter", "serve", "m.meter", "--listen", "pty:meter"),
        ("line", "one", "two"),
    ],
)
def test_what_a_system_does_not_have_is_said_not_to_be_there(
    fast: str, command: tuple[str, ...]
) -> None:
    result = without_termios(*command)
    assert result.code == 3, result.err
    assert "not on this system" in one_sentence(result.err)


def test_serial_ports_that_a_system_does_not_have_are_said_not_to_be_there() -> None:
    needs.module("serialx")
    for command in (("ports",), ("identify", "/dev/ttyUSB0")):
        result = without_termios(*command)
        assert result.code == 3, result.err
        assert "serial ports are not on this system" in one_sentence(result.err)


def test_a_list_of_ports_that_fails_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    assert ports.serial_ports() == ()


# --- mode C: speeds that change -----------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_session_of_mode_c_changes_the_speed_of_a_port_in_the_network(here: Path) -> None:
    """Signed on at 300 Bd, gone on at what the meter offers, for both programs."""
    store = new_meter("c.meter", "--companion", "electricity-mode-c")
    with (
        served(store, "--listen", "pty:meter"),
        foreign_server(str(here / "meter")) as foreign,
    ):
        arguments = ("creditBalance", "--companion", "electricity-mode-c", "--json")
        read = done("read", str(foreign.address), *arguments, "--trace", "trace.jsonl")
        told = list(foreign.port.told)
    assert registers(read.json) == {"creditBalance": 0}
    signed_on = told.index(("sent", b"/"))
    changes = [
        (at, what)
        for at, (kind, what) in enumerate(told)
        if kind == "format" and at > signed_on and what != "300 7E"
    ]
    assert changes[0][1] == "9600 7E"
    before = [what for _, what in told[signed_on : changes[0][0]] if isinstance(what, bytes)]
    assert b"".join(before) == b"/?!\r\n\x06051\r\n"  # request and option select, nothing else
    assert [what for kind, what in told[signed_on : changes[0][0]] if kind != "sent"] == []

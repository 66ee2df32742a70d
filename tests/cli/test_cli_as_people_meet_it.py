"""What people do at a meter's port without having read anything: terminals, folders, sleep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_bench import PROGRAM, here, new_meter, one_sentence, secret_file, served, vtc07

import needs
from vtc07.links.ports import SerialPort

__all__ = ["here"]

pytestmark = pytest.mark.usefixtures("here")
LONG = "0123456789ABCDEF" * 9


def shown_on_a_terminal(columns: int, *arguments: str) -> list[str]:
    """Run the program with a terminal of so many columns as stdout; what it shows, by lines."""
    master, slave = os.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "vt100"}
    try:
        run = subprocess.run(
            [*PROGRAM, *arguments],
            check=False,
            stdout=slave,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert run.returncode == 0, run.stderr
        os.write(slave, b"\x04")  # what was shown waits in the terminal; this ends it
        shown = b""
        while not shown.endswith(b"\x04"):
            shown += os.read(master, 65536)
    finally:
        os.close(slave)
        os.close(master)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown[:-1].decode()).splitlines()  # bold is no column


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("columns", [60, 40])
def test_a_narrow_terminal_cuts_no_value(here: Path, columns: int) -> None:
    (here / "recorded").write_text(
        f"/ABC5meter\r\n\r\n1.8.0(000123.4*kWh)\r\n96.1.0({LONG})\r\n!\r\n"
    )
    shown = shown_on_a_terminal(columns, "readout", "--from", "recorded")
    assert all(len(line) <= columns for line in shown)
    heads = next(number for number, line in enumerate(shown) if "value" in line)
    begin, end = shown[heads].index("value"), shown[heads].index("unit")
    values = "".join(line[begin:end].strip() for line in shown[heads + 1 :])
    assert values == f"000123.4{LONG}"


def test_a_folder_is_no_port(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    needs.module("serialx")
    if sys.platform == "win32":
        pytest.skip("there a path is no serial port")
    monkeypatch.setattr("vtc07.links.serial.serial_ports", lambda: (SerialPort("/dev/ttyS0"),))
    for command in ("identify", "readout"):
        result = vtc07(command, str(here))
        assert result.code == 3
        assert one_sentence(result.err) == (
            f"cannot open {here}: this is a folder and no serial port; check the name; ports that "
            "exist: /dev/ttyS0"
        )
    result = vtc07("identify", f"pty:{here}")
    assert result.code == 3
    assert "this is a folder" in one_sentence(result.err)
    assert "check the path" in one_sentence(result.err)


def test_a_password_that_no_meter_takes_is_said_with_its_file(here: Path) -> None:
    secret_file(here / "pw", "open(sesame)")
    made = vtc07(
        "meter", "new", "m.meter", "--companion", "electricity-mode-c", "--password-file", "pw"
    )
    assert made.code == 2
    assert one_sentence(made.err).startswith("pw: A password has 1 to 32 characters")
    assert "sesame" not in made.everything


def test_a_meter_that_sleeps_is_thought_of() -> None:
    """Silence says no more than that; what was not tried yet is named."""
    store = new_meter("m.meter")
    with served(store, "--wake-up", "fast") as meter:
        silent = vtc07("identify", meter.address, "--companion", "electricity", "--attempts", "1")
    assert silent.code == 3
    assert "--wake-up" in one_sentence(silent.err)


def test_serving_at_no_port_names_every_form_of_address() -> None:
    result = vtc07("meter", "serve", new_meter(), "--listen", "sim:other.meter")
    assert result.code == 2
    for form in ("tcp://HOST:PORT", "serial port", "rfc2217://HOST:PORT", "pty:PATH"):
        assert form in one_sentence(result.err)

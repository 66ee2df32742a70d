"""Running the program: in this process for most, as a process of its own where that matters."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vtc07.cli.main import main

#: A vending key of the tests' own, for DKGA04, and one for DKGA02.
VENDING_KEY = "5A17C0DE" * 5
OTHER_VENDING_KEY = "0B5E55ED" * 5
SHORT_VENDING_KEY = "13579BDF02468ACE"
DECODER_KEY = "1122334455667788"
PAN = "600727111111111153"
PROGRAM = (sys.executable, "-c", "from vtc07.cli.main import main; main()")

#: A meter that answers fast, for tests in real time.
FAST = """
extends = "electricity"
[identity]
flag = "VTc"
[timing]
fast_reaction_ms = 1
reconnect_pause_ms = 1
[token_entry]
poll_ms = 200
[meter]
execution_ms = 5
"""


@dataclass(frozen=True)
class Result:
    """What a run of the program came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The JSON error: the last line on stderr."""
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])
        return found

    @property
    def everything(self) -> str:
        """Both streams."""
        return self.out + self.err


def vtc07(*arguments: str, typed: str | None = None) -> Result:
    """Run the program in this process; an error that it does not report fails the test."""
    run = CliRunner().invoke(main, list(arguments), input=typed)
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    return Result(run.exit_code, run.stdout, run.stderr)


def done(*arguments: str, typed: str | None = None) -> Result:
    """Run the program and require exit code 0."""
    result = vtc07(*arguments, typed=typed)
    assert result.code == 0, result.err
    return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in, with nothing of the user's environment."""
    for name in [name for name in os.environ if name.startswith("VTC07_")]:
        monkeypatch.delenv(name)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def secret_file(path: Path, text: str) -> str:
    """Write a key file for its owner only and return its name."""
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)


def credit(amount: str, *options: str, at: str = "2026-03-01T12:00") -> str:
    """Return the 20 digits of a credit token."""
    arguments = ("token", "issue", "credit", amount, "--at", at, "--rnd", "7", *options, "--json")
    digits: str = done(*arguments).json["token"]
    return digits


def new_meter(name: str = "m.meter", *options: str) -> str:
    """Make a meter and return its store's name."""
    done("meter", "new", name, *options)
    return name


def registers(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the registers' values of a JSON document by name."""
    return {register["name"]: register["value"] for register in document["registers"]}


# --- processes ----------------------------------------------------------------------------------


class Served:
    """A meter that is served by a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; returns exit code and what it said on stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate()
        return self.process.returncode, err


@contextmanager
def served(store: str, *options: str, program: tuple[str, ...] = PROGRAM) -> Iterator[Served]:
    """Serve a meter at a free port of this machine, as soon as it says where."""
    process = subprocess.Popen(
        [*program, "meter", "serve", store, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "listening on " in line, process.communicate()[1]
        yield Served(process, line.split()[-1])
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the program as a process."""
    return subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class Proxy:
    """A line between client and meter that can be cut at a message.

    ``at``: characters of the client. Once they have gone by, `cut` is called, and nothing passes
    any more; a new connection is not taken either. ``deliver``: whether the message with these
    characters still reaches the meter whole.
    """

    def __init__(self, meter: str, at: bytes, cut: Callable[[], None], *, deliver: bool) -> None:
        host, _, port = meter.removeprefix("tcp://").rpartition(":")
        self._meter = (host, int(port))
        self._at = at
        self._cut = cut
        self._deliver = deliver
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the line has been cut and both ends are closed."""
        self._thread.join()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        meter = socket.create_connection(self._meter)
        back = threading.Thread(target=self._pass_back, args=(meter, client), daemon=True)
        back.start()
        seen = b""
        while chars := client.recv(4096):
            seen += chars
            cut = self._at in seen
            if not cut or self._deliver:
                meter.sendall(chars)
            # A message ends with ETX and its check character.
            if cut and b"\x03" in seen[seen.index(self._at) :][:-1]:
                break
        self._listener.close()
        self._cut()
        for end in (meter, client):
            end.shutdown(socket.SHUT_RDWR)
        back.join()
        meter.close()
        client.close()

    @staticmethod
    def _pass_back(meter: socket.socket, client: socket.socket) -> None:
        try:
            while chars := meter.recv(4096):
                client.sendall(chars)
        except OSError:
            return


def one_sentence(text: str) -> str:
    """Return the error of a run for people; fail where it is not one line, or a traceback."""
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0].removeprefix("error: ")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

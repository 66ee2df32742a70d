"""Other people's software against a served meter: where it is, how it is run, a pty in between."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import needs

DRIVERS = Path(__file__).parent / "drivers"
#: Where `make foreign` installs what is not in Python.
NPM_PACKAGE = Path(__file__).parents[2] / ".foreign" / "node_modules" / "smartmeter-obis"


def pypi_client(**plan: Any) -> dict[str, Any]:
    """Run the driver of the PyPI package iec62056-21 and return what its steps came to."""
    needs.module("iec62056_21")
    command = [sys.executable, str(DRIVERS / "pypi_client.py")]
    return _ran(command, json.dumps(plan))


def npm_client(**options: Any) -> dict[str, Any]:
    """Run the driver of the npm package smartmeter-obis and return what it read."""
    needs.program("node")
    if not NPM_PACKAGE.is_dir():
        needs.lacking("the npm package smartmeter-obis is not installed: run make foreign")
    command = ["node", str(DRIVERS / "npm_client.js"), str(NPM_PACKAGE), json.dumps(options)]
    return _ran(command, "")


def _ran(command: list[str], typed: str) -> dict[str, Any]:
    ended = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@contextmanager
def pty_to(address: str) -> Iterator[str]:
    """Give a pseudo-terminal that leads to a TCP address, for software that knows serial ports."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with socket.create_connection((host, int(port))) as meter:
        woken, wake = socket.socketpair()
        passing = threading.Thread(target=_pass, args=(ours, meter, woken))
        passing.start()
        try:
            yield os.ttyname(theirs)
        finally:
            wake.close()
            passing.join()
            woken.close()
            os.close(ours)
            os.close(theirs)


def _pass(terminal: int, meter: socket.socket, woken: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        for source in (terminal, meter, woken):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    return
                if key.fileobj is terminal:
                    meter.sendall(os.read(terminal, 4096))
                elif chars := meter.recv(4096):
                    os.write(terminal, chars)
                else:
                    return

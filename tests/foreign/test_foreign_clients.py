"""Other people's clients, unchanged, against a served meter of mode C (docs/peers.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_bench import (
    Served,
    credit,
    done,
    here,
    new_meter,
    registers,
    secret_file,
    served,
)
from foreign_bench import npm_client, pty_to, pypi_client

from vtc07.carrier.framing import Frame
from vtc07.trace.file import read_entries
from vtc07.trace.message import TraceMessage

__all__ = ["here"]

PAN = "600727000000000009"
PASSWORD = "Kx5 pass"
#: Answers at once where the client can do with it.
FAST = """
extends = "electricity-mode-c"
[identity]
flag = "VTm"
[meter]
execution_ms = 5
"""
#: The PyPI client opens its serial port anew to change the speed, which takes it 0.75 s, and drops
#: what comes meanwhile.
SLOW = """
extends = "electricity-mode-c"
[timing]
reaction_ms = 1300
[token_entry]
poll_ms = 1300
[meter]
execution_ms = 5
"""


def meter_of(folder: Path, companion: str) -> str:
    """Make a meter with a password."""
    (folder / "own.toml").write_text(companion)
    secret_file(folder / "password", PASSWORD)
    return new_meter("m.meter", "--companion", "own.toml", "--password-file", "password")


def traced(meter: Served, path: Path) -> list[TraceMessage]:
    """Stop a meter and return what it traced: whole messages only, and no password."""
    code, _ = meter.stop()
    assert code == 0
    text = path.read_text()
    assert PASSWORD not in text
    assert PASSWORD.encode().hex() not in text
    _, entries = read_entries(text.splitlines())
    return [entry for entry in entries if isinstance(entry, TraceMessage)]


def check_readout(readout: dict[str, Any]) -> None:
    """Compare a readout with what the meter's owner knows."""
    assert readout["0.0.0"] == [PAN, None]
    assert readout["1.8.0"] == ["0", "Wh"]
    assert readout["F.F"] == ["0003", None]  # no credit, switch open
    assert len(readout) == 19


@pytest.mark.parametrize("link", ["tcp", "pty"])
def test_the_pypi_client_does_all_that_it_can(here: Path, link: str) -> None:
    store = meter_of(here, FAST if link == "tcp" else SLOW)
    token = credit("4.0", "--test-key")
    listen = "tcp://127.0.0.1:0" if link == "tcp" else f"pty:{here / 'port'}"
    with served(store, "--listen", listen, "--trace", "served.jsonl") as meter:
        if link == "tcp":
            host, _, port = meter.address.removeprefix("tcp://").rpartition(":")
            where: dict[str, Any] = {"tcp": [host, int(port)], "refused": ["0020", "1000"]}
        else:
            where = {"serial": meter.address.removeprefix("pty:")}
        found = pypi_client(
            **where,
            password=PASSWORD,
            token=token,
            read="0.2.0",
            write=["0030", "500"],
        )
        messages = traced(meter, here / "served.jsonl")
    assert found["manufacturer"] == ("VTm" if link == "tcp" else "VTM")
    assert found["identification"] == "50004010003"  # its own fault: the first character is missing
    assert found["baud"] == 9600
    check_readout(found["readout"])
    assert found["challenge"] == ["P", 0, ""]
    assert found["password"] == {"raised": "TypeError", "answer": "ACK"}
    assert found["read"] == found["readout"]["0.2.0"][0]
    assert found["read"].startswith("vtc07")
    assert (found["write"], found["written"]) == ("ACK", "500")
    assert found["no_such_register"] == "ER03"
    if link == "tcp":
        assert (found["before_password"], found["refused"]) == ("ER04", "ER04")
    assert (found["token"], found["token_status"], found["last_token"]) == ("ACK", "1", token)
    assert found["after_break"] == found["manufacturer"]
    values = registers(done("meter", "show", store, "--json").json)
    assert values["totalCreditAccepted"] == 4000
    assert values["tokenSequence"] == 1
    assert values["lowCreditThreshold"] == 500
    assert None not in {message.frame for message in messages}
    assert not any(message.damage for message in messages)
    assert sum(message.frame is Frame.OPTION_SELECT for message in messages) == 2
    assert sum(message.masked for message in messages) == 1


def npm_over_tcp(meter: Served, **options: Any) -> dict[str, Any]:
    with pty_to(meter.address) as port:
        return npm_client(transportSerialPort=port, **options)


def npm_over_pty(meter: Served, **options: Any) -> dict[str, Any]:
    return npm_client(transportSerialPort=meter.address.removeprefix("pty:"), **options)


@pytest.mark.parametrize("reaction", ["20 ms", "200 ms"])
@pytest.mark.parametrize(("link", "client"), [("tcp", npm_over_tcp), ("pty", npm_over_pty)])
def test_the_npm_client_reads_the_meter_out(
    here: Path, link: str, client: Callable[..., dict[str, Any]], reaction: str
) -> None:
    store = meter_of(here, FAST if reaction == "20 ms" else FAST.replace("VTm", "VTM"))
    listen = "tcp://127.0.0.1:0" if link == "tcp" else f"pty:{here / 'port'}"
    with served(store, "--listen", listen, "--trace", "served.jsonl") as meter:
        found = client(meter, protocolD0DeviceAddress=PAN, protocolD0WakeupCharacters=40)
        messages = traced(meter, here / "served.jsonl")
    assert found["manufacturer"] == ("VTm" if reaction == "20 ms" else "VTM")
    assert found["identification"] == "050004010003"
    assert (found["mode"], found["baud"]) == ("C", 9600)
    measured = found["measurements"]
    assert len(measured) == 19
    assert measured["1-0:0.0.0"]["value"] == PAN
    assert measured["1-0:1.8.0"]["value"] == "0 Wh"
    assert "Sum active power" in measured["1-0:1.8.0"]["name"]
    assert [(message.sender, message.frame) for message in messages] == [
        ("client", None),
        ("client", Frame.REQUEST),
        ("server", Frame.IDENTIFICATION),
        ("client", Frame.OPTION_SELECT),
        ("server", Frame.DATA),
    ]
    assert messages[0].chars == bytes(40)
    assert messages[1].chars == f"/?{PAN}!\r\n".encode()


def test_the_npm_client_gets_no_answer_from_a_meter_with_another_address(here: Path) -> None:
    with served(meter_of(here, FAST)) as meter:
        found = npm_over_tcp(
            meter, protocolD0DeviceAddress="12345", transportSerialMessageTimeout=1000
        )
    assert found == {"error": "No or too long answer from Serial Device after last request."}

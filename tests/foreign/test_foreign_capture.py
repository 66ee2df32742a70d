"""One token's whole delivery over TCP: what tcpdump captures is what both traces say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from capture import Capture, Conversation, captured
from cli_bench import FAST, credit, done, here, new_meter, registers, secret_file, served

from vtc07.carrier.exchange.messages import close
from vtc07.trace.file import read_entries
from vtc07.trace.message import TraceEntry, TraceMessage, TraceSpeed

__all__ = ["here"]


def entries_of(path: Path) -> list[TraceEntry]:
    """Return a trace's lines; nothing of it was damaged, and time goes on in it."""
    header, entries = read_entries(path.read_text().splitlines())
    assert header.address.startswith("tcp://")
    assert not any(entry.damage for entry in entries if isinstance(entry, TraceMessage))
    assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(entries))
    return entries


def traced(entries: list[TraceEntry]) -> Conversation:
    """Return what a trace says was sent, in its order."""
    found = Conversation()
    for entry in entries:
        if isinstance(entry, TraceMessage):
            found.add(entry.sender, entry.chars)
    return found


def speeds(entries: list[TraceEntry]) -> list[tuple[str, int]]:
    return [(entry.sender, entry.speed) for entry in entries if isinstance(entry, TraceSpeed)]


@contextmanager
def served_and_captured(store: str) -> Iterator[tuple[str, Capture]]:
    """Serve a meter with a trace and capture its port: its address, and the capture."""
    with served(store, "--trace", "server.jsonl") as meter:
        with captured(int(meter.address.rpartition(":")[2])) as capture:
            yield meter.address, capture
        assert meter.stop()[0] == 0


@pytest.mark.parametrize("companion", ["electricity", "electricity-mode-c"])
def test_a_token_delivery_on_the_wire_is_byte_for_byte_what_both_ends_traced(
    here: Path, companion: str
) -> None:
    (here / "fast.toml").write_text(FAST.replace('"electricity"', f'"{companion}"'))
    store = new_meter("m.meter", "--companion", "fast.toml")
    token = credit("4.0", "--test-key")
    with served_and_captured(store) as (address, capture):
        options = ("--companion", "fast.toml", "--trace", "client.jsonl", "--json")
        sent = done("send", address, token, *options).json
        wire = capture.conversation()
    assert sent["tokens"][0]["status"] == "Accept"
    assert registers(done("meter", "show", store, "--json").json)["totalCreditAccepted"] == 4000
    assert token.encode() in wire.of("client")
    assert wire.of("client").startswith(b"/?")
    assert wire.of("client").endswith(b"\x01B0\x03q")
    for name in ("client.jsonl", "server.jsonl"):
        entries = entries_of(here / name)
        trace = traced(entries)
        for sender in ("client", "server"):
            assert trace.of(sender) == wire.of(sender), (name, sender)
        assert trace.turns == wire.turns, name
        assert bool(speeds(entries)) == (companion == "electricity-mode-c")


def test_a_password_is_on_the_wire_and_in_no_trace(here: Path) -> None:
    (here / "fast.toml").write_text(FAST.replace('"electricity"', '"electricity-mode-c"'))
    password = secret_file(here / "password", "Kx5 pass")
    own = ("--companion", "fast.toml", "--password-file", password)
    store = new_meter("m.meter", *own)
    with served_and_captured(store) as (address, capture):
        done("write", address, "lowCreditThreshold=77", *own, "--trace", "client.jsonl")
        wire = capture.conversation()
    said = close(b"\x01P1\x02(Kx5 pass)")
    assert wire.of("client").count(said) == 1
    shown = wire.of("client").replace(said, close(b"\x01P1\x02(********)"))
    for name in ("client.jsonl", "server.jsonl"):
        entries = entries_of(here / name)
        trace = traced(entries)
        assert trace.of("client") == shown
        assert trace.of("server") == wire.of("server")
        assert {speed for _, speed in speeds(entries)} == {300, 9600}
        assert "Kx5" not in (here / name).read_text()
    values = registers(done("meter", "show", store, "--json").json)
    assert values["lowCreditThreshold"] == 77

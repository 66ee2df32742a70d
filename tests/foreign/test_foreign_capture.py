"""One token's whole delivery over TCP: what tcpdump captures is what both traces say."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from capture import Conversation, captured
from cli_bench import FAST, credit, done, here, new_meter, registers, served

from vtc07.trace.file import read_trace

__all__ = ["here"]


def traced(path: Path) -> Conversation:
    """Return what a trace says was sent, in its order."""
    header, messages = read_trace(path.read_text().splitlines())
    assert header.address.startswith("tcp://")
    assert not any(message.damage for message in messages)
    assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(messages))
    found = Conversation()
    for message in messages:
        found.add(message.sender, message.chars)
    return found


@pytest.mark.parametrize("companion", ["electricity"])
def test_a_token_delivery_on_the_wire_is_byte_for_byte_what_both_ends_traced(
    here: Path, companion: str
) -> None:
    (here / "fast.toml").write_text(FAST.replace('"electricity"', f'"{companion}"'))
    store = new_meter("m.meter", "--companion", "fast.toml")
    token = credit("4.0", "--test-key")
    with served(store, "--trace", "server.jsonl") as meter:
        with captured(int(meter.address.rpartition(":")[2])) as capture:
            options = ("--companion", "fast.toml", "--trace", "client.jsonl", "--json")
            sent = done("send", meter.address, token, *options).json
            wire = capture.conversation()
        meter.stop()
    assert sent["tokens"][0]["status"] == "Accept"
    assert registers(done("meter", "show", store, "--json").json)["totalCreditAccepted"] == 4000
    assert token.encode() in wire.of("client")
    assert wire.of("client").startswith(b"/?")
    assert wire.of("client").endswith(b"\x01B0\x03q")
    for name in ("client.jsonl", "server.jsonl"):
        trace = traced(here / name)
        for sender in ("client", "server"):
            assert trace.of(sender) == wire.of(sender), (name, sender)
        assert trace.turns == wire.turns, name

"""A meter whose store is damaged: served out of order, refused by every other command."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from cli_bench import (
    FAST,
    Proxy,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    registers,
    served,
    start,
    vtc07,
)

__all__ = ["here"]

TEST = ("--test-key",)


@pytest.fixture
def fast(here: Path) -> str:
    """A meter that answers fast, for real time."""
    (here / "fast.toml").write_text(FAST)
    return new_meter("m.meter", "--companion", "fast.toml")


def _damage(store: Path, *names: str) -> bytes:
    connection = sqlite3.connect(store)
    for name in names:
        connection.execute("UPDATE record SET value = value || ' ' WHERE name = ?", (name,))
    connection.commit()
    connection.close()
    return store.read_bytes()


def test_a_meter_with_a_damaged_store_is_served_out_of_order(fast: str, here: Path) -> None:
    token = credit("4.0", *TEST)
    content = _damage(here / fast, "account")
    with served(fast, "--load", "100", "--trace", "served.jsonl") as meter:
        identity = done("identify", meter.address, "--json").json
        assert identity["companion"] == "electricity"
        assert registers(identity)["serverStatus"] == 0x41
        values = registers(done("read", meter.address, "meterPAN", "--json").json)
        assert values == {"meterPAN": "600727000000000009"}
        everything = vtc07("read", meter.address)
        assert everything.code == 1
        assert "could not store" in one_sentence(everything.err)
        sent = vtc07("send", meter.address, token, "--json", "--companion", "fast.toml")
        assert sent.code == 1
        (told,) = sent.json["tokens"]
        assert "out of order, for its store is faulty; nothing was sent" in json.dumps(told)
        refused = vtc07("write", meter.address, "lowCreditThreshold=77")
        assert refused.code == 1
        assert "ER08" in refused.everything
        code, err = meter.stop()
    assert code == 2
    first, last = err.splitlines()
    assert f"The store {fast} is damaged" in first
    assert "out of order" in last
    assert (here / fast).read_bytes() == content
    assert not (here / f"{fast}-journal").exists()
    for command in (("meter", "show", fast), ("meter", "enter", fast, token),
                    ("read", f"sim:{fast}")):  # fmt: skip
        result = vtc07(*command)
        assert result.code == 2
        assert "is damaged" in one_sentence(result.err)
    assert (here / fast).read_bytes() == content


def test_an_earlier_delivery_stays_open_where_the_meter_is_out_of_order(
    fast: str, here: Path
) -> None:
    token = credit("4.0", *TEST)
    with served(fast) as meter:
        cut = Proxy(meter.address, b"W1", meter.process.kill, deliver=True)
        sent = vtc07("send", cut.address, token, "--json", "--companion", "fast.toml")
        assert sent.code == 4
        cut.join()
    content = _damage(here / fast, "account")
    with served(fast) as meter:
        again = vtc07("send", meter.address, token, "--json", "--companion", "fast.toml")
        assert again.code == 4
        assert "its store is faulty" in again.out
    assert (here / fast).read_bytes() == content


def test_a_meter_that_has_forgotten_its_name_is_not_sent_a_token(fast: str, here: Path) -> None:
    _damage(here / fast, "account", "nameplate")
    process = start("meter", "serve", fast, "--json")
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert (document["meter_pan"], document["out_of_order"]) == (None, True)
    sent = vtc07("send", document["listening"], credit("4.0", *TEST), "--companion", "fast.toml")
    assert sent.code == 1
    assert "nothing was sent" in sent.everything
    process.terminate()
    process.communicate()
    assert process.returncode == 2


def test_a_store_that_tells_nothing_is_not_served(fast: str, here: Path) -> None:
    content = _damage(here / fast, "account", "0")
    result = vtc07("meter", "serve", fast)
    assert result.code == 2
    assert "is damaged" in one_sentence(result.err)
    assert (here / fast).read_bytes() == content

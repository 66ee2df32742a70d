"""A meter whose store is damaged: what it still says, and that it does nothing."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest
from bench_meter import PAN, MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY, edit, lived

from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import ServerEndpoint
from vtc07.carrier.messages import ErrorMessage, IDRequest, ReadCommand, WriteCommand
from vtc07.meter import (
    CompanionSource,
    CompanionUnfit,
    OutOfOrderServer,
    Remains,
    SQLiteStore,
    StoreCorrupt,
    StoreKey,
    find_remains,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "meter.vtc07"
    with SQLiteStore.create(path, new_meter(), ELECTRICITY, KEY) as store:
        lived(store)
    return path


def test_what_it_was_made_as_is_left(path: Path) -> None:
    edit(path, "UPDATE record SET value = 'x' WHERE name = 'account'")
    with pytest.raises(StoreCorrupt):
        SQLiteStore.open(path, KEY)
    content = path.read_bytes()
    assert find_remains(path, KEY) == Remains(ELECTRICITY, new_meter().nameplate)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET value = replace(value, '1', '3') WHERE name = 'nameplate'",
        "DELETE FROM record WHERE name = 'nameplate'",
        "UPDATE record SET value = x'ff' WHERE name = 'nameplate'",
        "UPDATE record SET authenticator = 5 WHERE name = 'nameplate'",
    ],
)
def test_a_nameplate_that_was_changed_is_none(path: Path, change: str) -> None:
    edit(path, change)
    assert find_remains(path, KEY) == Remains(ELECTRICITY, None)


def test_without_its_companion_nothing_is_left(path: Path) -> None:
    edit(path, "UPDATE record SET value = value || ' ' WHERE kind = 'companion'")
    assert find_remains(path, KEY) is None
    assert find_remains(path, StoreKey(bytes(32))) is None
    path.write_bytes(b"something else")
    assert find_remains(path, KEY) is None
    path.unlink()
    assert find_remains(path, KEY) is None


def test_half_a_companion_is_none(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "electricity"\n[lockout]\nfailures = 3\n')
    source = CompanionSource.of(own)
    another = tmp_path / "another"
    SQLiteStore.create(another, new_meter(source.companion()), source, KEY).close()
    edit(another, "UPDATE record SET value = 'x' WHERE name = 'account'")
    assert find_remains(another, KEY) == Remains(source, new_meter().nameplate)
    edit(another, "DELETE FROM record WHERE kind = 'companion' AND name = '1'")
    assert find_remains(another, KEY) is None


def test_pages_that_cannot_be_read(path: Path) -> None:
    """Each page in turn is torn away: what is said stays true, or nothing is said."""
    with SQLiteStore.open(path, KEY) as store:
        bench = MeterBench(store=store)
        for number in range(100, 160):  # so that many pages hold nothing but logs
            bench.enter(credit(number, 1))
    content = path.read_bytes()
    connection = sqlite3.connect(path)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    found = []
    for at in range(0, len(content), size):
        for torn in (bytes(size), b"\xff" * size):
            damaged = content[:at] + torn + content[at + size :]
            path.write_bytes(damaged)
            remains = find_remains(path, KEY)
            assert remains is None or remains.companion_source == ELECTRICITY
            assert remains is None or remains.nameplate in (None, new_meter().nameplate)
            found.append(remains)
            assert path.read_bytes() == damaged
    assert Remains(ELECTRICITY, new_meter().nameplate) in found
    assert None in found


_times = itertools.count(S, S)


def _ask(server: OutOfOrderServer, chars: bytes) -> bytes:
    """Send a message, a second after the one before, and return the answer to it."""
    now_ns = next(_times)
    server.receive(chars, now_ns)
    timer = server.next_timer()
    if timer is None or timer > now_ns + S:
        return b""
    server.handle_timer(timer)
    assert server.next_work() is None
    return server.bytes_to_send(timer)


def test_it_answers_what_it_was_made_as_and_refuses_the_rest() -> None:
    companion = load_companion("electricity")
    endpoint = OutOfOrderServer(companion, new_meter().nameplate)
    face: ServerEndpoint = endpoint
    assert face.next_timer() is None
    for address in ("", PAN.digits, PAN.drn.digits):
        assert b"0041" in _ask(endpoint, IDRequest(address).to_chars())
        endpoint.connection_lost(0)
    assert _ask(endpoint, IDRequest("123").to_chars()) == b""
    _ask(endpoint, IDRequest("").to_chars())
    refused = ErrorMessage("ER08").to_chars()
    answers = {
        register.name: _ask(endpoint, ReadCommand(register.address, "").to_chars())
        for register in companion.table
        if register.read_level is not None
    }
    told = {name for name, answer in answers.items() if answer != refused}
    assert told == {
        "tableID", "FOIN", "protocolVersion", "serverStatus", "TCT", "softwareVersion", "meterPAN",
        "DRN", "MfrCode",
    }  # fmt: skip
    assert PAN.digits.encode() in answers["meterPAN"]
    snapshot = companion.table.named("tokenStatus")
    assert _ask(endpoint, ReadCommand(snapshot.address, "04").to_chars()) == refused

    entry = companion.token_entry.register.address
    threshold = companion.table.named("lowCreditThreshold")
    for command, error in (
        (WriteCommand(entry, "12345678901234567890"), "ER08"),
        (WriteCommand(entry, "not a token"), "ER05"),
        (WriteCommand(threshold.address, threshold.encode(5)), "ER08"),
        (WriteCommand("7777", "1"), "ER03"),
    ):
        assert _ask(endpoint, command.to_chars()) == ErrorMessage(error).to_chars()
    face.handle_timer(next(_times) + 200 * S)
    assert not endpoint.connected  # nobody asked any more
    with pytest.raises(ValueError, match="no commit"):
        endpoint.work_done(None, 0)


def test_a_meter_that_has_forgotten_its_name_answers_to_the_empty_address() -> None:
    server = OutOfOrderServer(load_companion("electricity"), None)
    assert _ask(server, IDRequest(PAN.digits).to_chars()) == b""
    assert b"0041" in _ask(server, IDRequest("").to_chars())
    pan = load_companion("electricity").table.named("meterPAN").address
    assert _ask(server, ReadCommand(pan, "").to_chars()) == ErrorMessage("ER08").to_chars()


def test_an_identification_that_needs_the_store(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'extends = "electricity"\n[identity]\nidentification = ["tableID", "tokenStatus"]\n'
    )
    with pytest.raises(CompanionUnfit, match="tokenStatus"):
        OutOfOrderServer(load_companion(own), new_meter().nameplate)

"""``vtc07 hhu resume``: lists what is open, finds out what became of it, closes it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_bench import (
    credit,
    done,
    here,
    new_meter,
    registers,
    vtc07,
)

from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.resolution import Snapshot

__all__ = ["here"]

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NOTHING_YET = Snapshot(0, 0, "", 0)
OTHER_PAN = "600727222222222225"
JOURNAL = "unit.journal"
KEPT = ("--journal", JOURNAL)


@pytest.fixture
def meter(here: Path) -> str:
    assert here == Path.cwd()
    return new_meter()


@pytest.fixture
def pan(meter: str) -> str:
    found: str = registers(done("read", f"sim:{meter}", "meterPAN", "--json").json)["meterPAN"]
    return found


@contextmanager
def _crashed() -> Iterator[FileJournal]:
    """The journal of a unit, as a crash leaves it."""
    with FileJournal(Path(JOURNAL)) as journal:
        yield journal


def _open(pan: str, token: str) -> int:
    with _crashed() as journal:
        number = journal.open_delivery(pan, token, NOTHING_YET, AT).number
        journal.announce_write(number, 1, AT)
    return number


def test_without_address_it_lists_what_is_open(meter: str, pan: str) -> None:
    del meter
    assert done("hhu", "resume").out == "nothing is open\n"  # there is no journal at all
    token = credit("1.0", "--test-key")
    _open(pan, token)
    with _crashed() as journal:
        members = {"register": "lowCreditThreshold", "value": 500}
        journal.record(NewEntry(EntryKind.SETTING, AT, members, pan))
    listed = vtc07("hhu", "resume", *KEPT)
    assert listed.code == 4
    assert pan in listed.out
    assert "connect to that meter and resume" in listed.out
    assert "lowCreditThreshold" in listed.out
    assert "error: a delivery is open" in listed.err
    found = vtc07("hhu", "resume", *KEPT, "--json")
    assert found.code == found.json["exit_code"] == 4
    (delivery,) = found.json["deliveries"]
    assert (delivery["delivery"], delivery["token"], delivery["entries"]) == (1, token, 1)
    (setting,) = found.json["settings"]
    assert (setting["register"], setting["value"]) == ("lowCreditThreshold", 500)


def test_the_meter_says_what_became_of_a_token(meter: str, pan: str) -> None:
    taken, lost = credit("1.0", "--test-key"), credit("2.0", "--test-key", at="2026-03-01T12:01")
    done("send", f"sim:{meter}", taken, "--journal", "another.journal")
    _open(pan, taken)
    _open(pan, lost)
    _open(OTHER_PAN, lost)
    resumed = done("hhu", "resume", f"sim:{meter}", *KEPT)
    assert "delivered: Accept" in resumed.out
    assert "not taken: the meter has executed no entry of it" in resumed.out
    assert "Open at other meters" in resumed.out
    assert OTHER_PAN in resumed.out
    again = done("hhu", "resume", f"sim:{meter}", *KEPT, "--json").json
    assert again["deliveries"] == []
    assert again["left"] == {"deliveries": [], "settings": []}
    assert [d["meter_pan"] for d in again["elsewhere"]["deliveries"]] == [OTHER_PAN]
    # Nothing was entered, and what was not taken is sent as ever.
    read = done("read", f"sim:{meter}", "tokenSequence", "--json").json
    assert registers(read) == {"tokenSequence": 1}
    done("send", f"sim:{meter}", taken, lost, "--resume", *KEPT)
    read = done("read", f"sim:{meter}", "tokenSequence", "--json").json
    assert registers(read) == {"tokenSequence": 2}


def test_a_register_whose_writing_was_interrupted(meter: str, pan: str) -> None:
    done("write", f"sim:{meter}", "lowCreditThreshold=500", "--journal", "another.journal")
    with _crashed() as journal:
        for name, value in (("lowCreditThreshold", 500), ("installationReference", "flat 7")):
            members = {"register": name, "value": value}
            journal.record(NewEntry(EntryKind.SETTING, AT, members, pan))
    found = done("hhu", "resume", f"sim:{meter}", *KEPT, "--json").json
    assert [(s["register"], s["result"]) for s in found["settings"]] == [
        ("lowCreditThreshold", "as wanted"),
        ("installationReference", "another"),
    ]
    assert done("hhu", "resume", *KEPT).out == "nothing is open\n"


def test_another_meter_than_was_meant_is_told(meter: str, pan: str) -> None:
    _open(OTHER_PAN, credit("1.0", "--test-key"))
    resumed = vtc07("hhu", "resume", f"sim:{meter}", "--meter-address", OTHER_PAN, *KEPT)
    assert resumed.code == 3  # the one that is there does not answer to that name
    nothing = done("hhu", "resume", f"sim:{meter}", *KEPT)
    assert f"nothing was open at meter {pan}" in nothing.out


@pytest.mark.usefixtures("here")
def test_no_link_is_exit_code_3_and_changes_nothing() -> None:
    _open(OTHER_PAN, credit("1.0", "--test-key"))
    resumed = vtc07("hhu", "resume", "tcp://127.0.0.1:9", "--companion", "electricity", *KEPT)
    assert resumed.code == 3
    assert vtc07("hhu", "resume", *KEPT).code == 4


@pytest.mark.usefixtures("here")
def test_a_delivery_is_closed_by_hand() -> None:
    _open(OTHER_PAN, credit("1.0", "--test-key"))
    closed = done("hhu", "resume", "--close", "1", "--note", "the meter burnt", *KEPT)
    assert "stays unknown" in closed.out
    assert done("hhu", "resume", *KEPT).out == "nothing is open\n"
    again = vtc07("hhu", "resume", "--close", "1", "--note", "once more", *KEPT)
    assert again.code == 2
    assert "no delivery 1 is open" in again.err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--close", "1"), "--close wants --note"),
        (("--note", "why"), "--note goes with --close"),
        (("tcp://127.0.0.1:9", "--close", "1", "--note", "why"), "--close goes without ADDRESS"),
        (("--close", "0", "--note", "why"), "'--close'"),
    ],
)
def test_what_does_not_go_together(arguments: tuple[str, ...], said: str) -> None:
    refused = vtc07("hhu", "resume", *arguments)
    assert refused.code == 2
    assert said in refused.err


@pytest.mark.usefixtures("here")
def test_a_journal_that_is_named_must_be_there() -> None:
    missing = vtc07("hhu", "resume", *KEPT)
    assert missing.code == 2
    assert JOURNAL in missing.err

"""vtc07 hhu list, verify, backup and export, of journals that real deliveries wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_bench import credit, done, here, new_meter, one_sentence, vtc07
from journal_bench import AT, OLD, PAN, SECOND, TOKEN, fill, note

from vtc07.hhu.journal.file import FileJournal

__all__ = ["here"]

TEST = ("--test-key",)
NOBODY = "600727000000001908"


@pytest.fixture
def journal(here: Path) -> Path:
    with FileJournal(here / "j") as journal:
        fill(journal)
    return here / "j"


def test_what_was_delivered_is_listed_verified_copied_and_exported(here: Path) -> None:
    meter = new_meter()
    token = credit("1.0", *TEST)
    for command in ("verify", "export"):
        assert vtc07("hhu", command).code == 2
    first = vtc07("hhu", "list")
    assert first.code == 0
    assert "it begins when something is sent" in first.err
    assert done("hhu", "list", "--json").json == []
    done("send", f"sim:{meter}", token)
    listed = done("hhu", "list").out
    assert "delivered: Accept" in listed
    assert token in listed.replace(" ", "")
    assert token not in done("hhu", "list", "--mask").out.replace(" ", "")
    verified = done("hhu", "verify", "--json").json
    assert verified["verified"] is True
    assert verified["deliveries"] == 1
    done("hhu", "backup", "copy")
    done("hhu", "export", "--mask", "export.jsonl")
    assert token not in (here / "export.jsonl").read_text()
    for other in ("copy", "export.jsonl"):
        found = done("hhu", "verify", other, "--expect", verified["digest"], "--json").json
        assert (found["verified"], found["digest"]) == (True, verified["digest"])


def test_deliveries_are_listed_as_asked(journal: Path) -> None:
    table = done("hhu", "list", "--journal", "j").out.splitlines()
    assert len(table) == 4
    assert table[0].split() == ["delivery", "opened", "meter", "token", "entries", "result"]
    assert table[3].split() == [
        *(
            "3",
            *f"{note(20).time.astimezone():%Y-%m-%d %H:%M:%S}".split(),
            PAN,
            *(SECOND[at : at + 4] for at in range(0, 20, 4)),
        ),
        *("1", "open"),
    ]
    document = done("hhu", "list", "--journal", "j", "--json").json
    assert [each["delivery"] for each in document] == [1, 2, 3]
    assert document[0]["token"] == TOKEN
    assert document[0]["result"]["outcome"] == "Delivered"
    assert document[1]["result"]["status"] == "CRCError"
    assert (document[2]["result"], document[2]["closed"]) == (None, None)
    for options, numbers in (
        (("--open",), [3]),
        (("--meter", PAN), [1, 3]),
        (("--last", "2"), [2, 3]),
        (("--all",), [1, 2, 3]),
        (("--all", "--meter", PAN, "--open"), [3]),
        (("--meter", NOBODY), []),
    ):
        found = done("hhu", "list", "--journal", "j", "--mask", "--json", *options).json
        assert [each["delivery"] for each in found] == numbers
        assert all(each["token"] is None for each in found)
    assert len(done("hhu", "list", "--journal", "j", "--all").out.splitlines()) == 3
    assert "no such delivery" in done("hhu", "list", "--journal", "j", "--meter", NOBODY).out


def test_a_journal_that_is_named_and_not_there_is_said(here: Path) -> None:
    for command in (("list",), ("verify",), ("export",), ("backup", "b")):
        result = vtc07("hhu", *command, "--journal", "j")
        assert result.code == 2
        assert "the journal j is not there" in one_sentence(result.err)
    assert "there is no file x" in one_sentence(vtc07("hhu", "verify", "x").err)
    assert list(here.glob("[jb]*")) == []


def test_a_changed_journal_is_not_verified(journal: Path) -> None:
    with FileJournal(journal) as opened:
        digest = opened.entry(12).digest.hex()
    text = done("hhu", "export", "--journal", "j").out
    (journal.parent / "e").write_text(text.replace("a note", "a nota", 1))
    result = vtc07("hhu", "verify", "e")
    assert result.code == 2
    assert "warning: entry 5: the entry or its digest was changed" in result.err
    assert "e is not as it was written: 1 thing found" in result.err
    assert ["verified", "no"] in [line.split() for line in result.out.splitlines()]
    result = vtc07("hhu", "verify", "e", "--json")
    assert result.json["findings"] == [{"entry": 5, "text": "the entry or its digest was changed"}]
    (journal.parent / "e").write_text(text)
    assert (
        done("hhu", "verify", "e", "--journal", "j", "--expect", digest[:20], "--json").json[
            "expected_at"
        ]
        == 12
    )
    for wrong, said in (("0" * 64, "no entry has the digest"), ("12", "hexadecimal digits")):
        result = vtc07("hhu", "verify", "--journal", "j", "--expect", wrong)
        assert result.code == 2
        assert said in result.err


def test_an_export_goes_to_stdout_or_to_a_new_file(journal: Path) -> None:
    lines = [json.loads(line) for line in done("hhu", "export", "--journal", "j").out.splitlines()]
    assert lines[0]["export"] == "vtc07 journal"
    assert [line["number"] for line in lines[1:-1]] == list(range(1, 13))
    assert lines[-1]["entries"] == 12
    assert lines[2]["secrets"]["token"]["text"] == TOKEN
    told = done("hhu", "export", "--journal", "j", "--delivery", "2", "e", "--json")
    assert told.json == {
        "file": "e", "entries": 3, "whole": False, "masked": False, "verifiable": True,
    }  # fmt: skip
    assert "it holds tokens" in told.err
    assert "is there already" in one_sentence(vtc07("hhu", "export", "--journal", "j", "e").err)
    day = AT.astimezone().date().isoformat()  # by the clock of this machine, as in reports
    for begin, end, entries in (
        ("2026-03-01T12:40Z", "2026-03-01T14:42+02:00", 2),
        (day, day, 12),
        (AT.astimezone().replace(tzinfo=None).isoformat(), "2026-12-31", 12),
        ("2026-03-03", "2026-03-04", 0),
    ):
        done("hhu", "export", "--journal", "j", "--from", begin, "--to", end, "--mask", "day")
        assert done("hhu", "verify", "day", "--journal", "j", "--json").json["entries"] == entries
        (journal.parent / "day").unlink()
    for options, said in (
        (("--delivery", "9"), "no delivery 9"),
        (("--json",), "without FILE, stdout is the export"),
        (("--from", "monday"), "is no time"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "exchange them"),
        (("nowhere/e",), "cannot be written"),
    ):
        result = vtc07("hhu", "export", "--journal", "j", *options)
        assert result.code == 2
        assert said in result.err


def test_a_copy_goes_where_there_is_nothing_yet(journal: Path) -> None:
    (journal.parent / "stick").mkdir()
    made = done("hhu", "backup", "stick", "--journal", "j", "--json").json
    assert made["file"] == str(Path("stick") / "j-12")
    assert (made["verified"], made["last_entry"]) == (True, 12)
    again = vtc07("hhu", "backup", "stick", "--journal", "j")
    assert "is there already" in one_sentence(again.err)
    assert "verified" in done("hhu", "backup", "c", "--journal", "j").out


def test_a_journal_of_version_1_is_read_but_not_copied(here: Path) -> None:
    (here / "j").write_bytes(OLD)
    assert len(done("hhu", "list", "--journal", "j", "--json").json) == 3
    assert "version 1" in done("hhu", "verify", "--journal", "j").err
    told = done("hhu", "export", "--journal", "j", "e", "--json")
    assert told.json["verifiable"] is False
    assert "version 1" in told.err
    assert "copy it as it is" in one_sentence(vtc07("hhu", "backup", "b", "--journal", "j").err)
    assert (here / "j").read_bytes() == OLD


def test_everything_is_done_while_the_journal_is_in_use(journal: Path) -> None:
    with FileJournal(journal) as opened:
        for command in (("list",), ("verify",), ("export", "e"), ("backup", "b")):
            done("hhu", *command, "--journal", "j")
            opened.announce_write(3, opened.delivery(3).writes + 1, AT)
    assert done("hhu", "verify", "b", "--journal", "j", "--json").json["entries"] == 15

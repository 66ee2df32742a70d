"""Journals that nobody of us wrote: nothing in them commands a terminal, or ends in a traceback."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from cli_bench import done, here, new_meter, one_sentence, vtc07
from journal_bench import AT, DONE, PAN, S0, TOKEN

from vtc07.hhu.journal.entries import EntryKind, NewEntry
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.resuming import close_by_hand

assert here

EVIL = "\x1b]0;owned\x07\x9b2J{x}<script>"


def new_entry(kind: EntryKind, delivery: int | None = 1, **members: Any) -> NewEntry:
    return NewEntry(kind, AT, members, PAN, delivery)


def changed(kind: str, name: str, value: object) -> None:
    """Write a member of the entries of a kind anew, as another program could."""
    journal = sqlite3.connect("j")
    triggers = journal.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    for trigger, _ in (found := triggers.fetchall()):
        journal.execute(f"DROP TRIGGER {trigger}")
    rows = journal.execute("SELECT number, members FROM entry WHERE kind = ?", (kind,)).fetchall()
    assert rows
    for number, members in rows:
        text = json.dumps({**json.loads(members), name: value})
        journal.execute("UPDATE entry SET members = ? WHERE number = ?", (text, number))
    for _, sql in found:
        journal.execute(sql)
    journal.commit()
    journal.close()


@pytest.mark.parametrize("command", [("show",), ("list",), ("list", "--all"), ("resume",)])
def test_a_terminal_is_commanded_by_no_journal(here: Path, command: tuple[str, ...]) -> None:
    with FileJournal(Path("j")) as journal:
        journal.open_delivery(PAN + EVIL, TOKEN, S0, AT)
        journal.record(
            new_entry(EntryKind.ASKED, command=EVIL, address=EVIL, companion=EVIL, at=0),
            new_entry(EntryKind.MESSAGE, said=[EVIL], hex=EVIL, at=0, session=2),
            new_entry(EntryKind.ANSWERED, answer="NotSent", error=EVIL, at=0, session=2),
            new_entry(EntryKind.SETTING, None, register=EVIL, address=EVIL, value=EVIL),
        )
    run = vtc07("hhu", *command, "--journal", "j")
    assert "]0;owned" in run.out
    assert all(char.isprintable() for char in run.everything.replace("\n", ""))


@pytest.mark.parametrize(
    ("kind", "name", "value", "command"),
    [
        ("message", "at", [], "show"),
        ("message", "at", 10**400, "show"),
        ("message", "began", "9" * 5000, "show"),
        ("message", "said", 7, "show"),
        ("message", "session", 10**30, "show"),
        ("answered", "attempts", None, "show"),
        ("write", "write", {}, "show"),
        ("result", "text", 7, "list"),
        ("result", "reason", {}, "list"),
        ("result", "sequence", [], "list"),
        ("message", "hex", float("nan"), "export"),
    ],
)
def test_what_is_no_entry_of_ours_is_said(
    here: Path, kind: str, name: str, value: object, command: str
) -> None:
    with FileJournal(Path("j")) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        journal.announce_write(1, 1, AT)
        journal.record(
            new_entry(EntryKind.ASKED, command="Read", address="sim:x", at=0),
            new_entry(EntryKind.MESSAGE, said=["x"], hex="00", at=1, began=0, session=3),
            new_entry(EntryKind.ANSWERED, answer="CommandFailed", at=2, session=3, attempts=1),
        )
        journal.close_delivery(1, DONE, AT)
    assert vtc07("hhu", command, "--journal", "j").code == 0
    changed(kind, name, value)
    run = vtc07("hhu", command, "--journal", "j")
    assert run.code == 2
    assert "is not what was written" in one_sentence(run.err)


def test_a_failure_with_braces_in_it_is_shown_as_it_stands(here: Path) -> None:
    with FileJournal(Path("j")) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        failure = "{x:>99999999} {0}"
        answer = new_entry(EntryKind.ANSWERED, answer="CommandFailed", failure=failure, attempts=1)
        journal.record(answer)
    assert "{x:>99999999} {0}" in vtc07("hhu", "show", "--journal", "j").out


def test_an_export_of_an_infinite_version_is_none(here: Path) -> None:
    header = '{"export":"vtc07 journal","masked":true,"selection":null,"version":Infinity}'
    (here / "e.jsonl").write_text(header + "\n")
    run = vtc07("hhu", "verify", "e.jsonl")
    assert run.code == 2
    assert "neither a journal nor an export" in one_sentence(run.err)


@pytest.mark.parametrize("command", [("show",), ("list", "--json"), ("export",)])
def test_a_token_in_why_a_delivery_was_closed_is_masked(
    here: Path, command: tuple[str, ...]
) -> None:
    grouped = " ".join(TOKEN[at : at + 4] for at in range(0, 20, 4))
    with FileJournal(Path("j")) as journal:
        journal.open_delivery(PAN, TOKEN, S0, AT)
        close_by_hand(journal, 1, f"not {TOKEN} nor {grouped}, it burnt", time=AT)
    run = vtc07("hhu", *command, "--mask", "--journal", "j")
    assert run.code == 0
    assert "it burnt" in " ".join(run.out.replace("│", "").split())
    assert TOKEN not in run.out
    assert TOKEN[8:12] not in run.out


WRITES = f"lowCreditThreshold={TOKEN};installationReference={TOKEN}"


@pytest.fixture
def route_run(here: Path) -> None:
    """A route that writes a token into a text, and into a register that cannot hold it."""
    new_meter("k.meter")
    (here / "r.csv").write_text(f"meter,write,read\n600727000000000009,{WRITES},KRN\n")
    assert vtc07("route", "run", "r.csv", "sim:k.meter", "--journal", "j").code == 1


def test_a_token_that_a_route_writes_somewhere_is_masked(route_run: None) -> None:
    assert TOKEN in done("hhu", "export", "--journal", "j").out
    assert TOKEN not in done("hhu", "export", "--mask", "--journal", "j").out
    assert "verified    yes" in done("hhu", "verify", "j").out
    report = done("route", "report", "r.csv", "--journal", "j", "--json").json
    told = {task["subject"]: task["result"] for task in report["stops"][0]["tasks"]}
    assert told == {
        f"lowCreditThreshold={TOKEN}": "refused",
        f"installationReference={TOKEN}": "done",
        "KRN": "done",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", 7),
        ("kind", []),
        ("result", None),
        ("result", "x"),
        ("said", "x"),
        ("said", {"template": "x", "values": [1]}),
        ("values", 7),
        ("values", "x"),
        ("place", {}),
    ],
)
def test_a_visit_that_is_none_of_ours_is_said(route_run: None, name: str, value: object) -> None:
    changed("task", name, value)
    run = vtc07("route", "report", "r.csv", "--journal", "j")
    assert run.code == 2
    assert "is not what was written" in one_sentence(run.err)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_token_in_a_text_of_the_meter_is_masked_in_a_diagnosis(
    here: Path, *, as_json: bool
) -> None:
    new_meter("k.meter")
    done("write", "sim:k.meter", f"installationReference={TOKEN}")
    options = ("--json",) if as_json else ()
    told = "".join(done("diagnose", "sim:k.meter", *options).out.split())
    assert TOKEN in told
    told = "".join(done("diagnose", "sim:k.meter", "--mask", *options).out.split())
    assert "installationReference" in told
    assert TOKEN not in told
    kept = done("hhu", "export", "--mask").out
    assert '"kind":"diagnosed"' in kept
    assert TOKEN not in kept

"""vtc07 hhu show, and the journal of identify, read, write and send."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from cli_bench import (
    FAST,
    Proxy,
    contents,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    served,
    vtc07,
)

from vtc07.cli.journalling import JournalOptions
from vtc07.hhu.journal.entries import Entry, EntryKind
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.reading import open_for_reading

__all__ = ["here"]

TEST = ("--test-key",)


@pytest.fixture
def meter(here: Path) -> str:
    return new_meter()


def grouped(token: str) -> str:
    return " ".join(token[at : at + 4] for at in range(0, 20, 4))


def entries(path: Path = Path("j")) -> list[Entry]:
    with open_for_reading(path) as journal:
        return list(journal.entries())


# --- the sequence ---------------------------------------------------------------------------------


def test_the_newest_delivery_or_the_one_that_is_named(meter: str) -> None:
    first, second = credit("1.0", *TEST), credit("2.0", *TEST, at="2026-04-01")
    done("send", f"sim:{meter}", first)
    done("send", f"sim:{meter}", second)
    newest = done("hhu", "show").out
    assert f"WriteCommand 000F tokenEntry {grouped(second)}" in newest
    assert "delivered: Accept" in newest
    assert all(len(line) <= 80 for line in newest.splitlines())
    older = done("hhu", "show", "1").out
    assert grouped(first) in older
    assert grouped(second) not in older


def test_as_json(meter: str) -> None:
    token = credit("1.0", *TEST)
    done("send", f"sim:{meter}", token)
    shown = done("hhu", "show", "--json").json
    assert (shown["delivery"], shown["token"], shown["entries"]) == (1, token, 1)
    assert shown["result"] == "delivered: Accept"
    (session,) = shown["sessions"]
    assert (session["address"], session["companion"]) == (f"sim:{meter}", "electricity")
    assert session["simulated"] is True
    steps = session["steps"]
    assert [s["kind"] for s in steps if s["kind"] != "message"] == ["opened", "announced", "result"]
    assert bytes.fromhex(steps[0]["hex"]) == b"/?!\r\n"
    assert steps[0]["text"] == "IDRequest to any meter"
    assert [s["at_ns"] for s in steps] == sorted(s["at_ns"] for s in steps)
    entered = next(s for s in steps if s["kind"] == "message" and "tokenEntry" in s["text"])
    assert token.encode().hex() in entered["hex"]


def test_masked_nothing_shows_a_token(meter: str, here: Path) -> None:
    token = credit("1.0", *TEST)
    done("send", f"sim:{meter}", token)
    masked = done("hhu", "show", "--mask", "--json")
    assert masked.json["token"] is None
    everything = masked.everything + done("hhu", "show", "--mask").everything
    done("hhu", "show", "--mask", "--svg", "a.svg")
    done("hhu", "show", "--mask", "--html", "a.html")
    everything += (here / "a.svg").read_text() + (here / "a.html").read_text()
    for piece in (token, grouped(token), grouped(token)[:9], token.encode().hex()):
        assert piece not in everything


def test_drawings_are_new_files_for_their_owner(meter: str, here: Path) -> None:
    done("send", f"sim:{meter}", credit("1.0", *TEST))
    result = done("hhu", "show", "--svg", "a.svg", "--html", "a.html")
    assert result.out == ""
    assert "a.svg" in result.err
    for name in ("a.svg", "a.html"):
        if os.name == "posix":
            assert stat.S_IMODE((here / name).stat().st_mode) == 0o600
    assert (here / "a.svg").read_text().startswith("<svg")
    assert (here / "a.html").read_text().startswith("<!doctype html>")
    again = vtc07("hhu", "show", "--svg", "a.svg")
    assert again.code == 2
    assert "exists already" in one_sentence(again.err)


def test_a_file_is_drawn_in_the_language_that_is_wanted(meter: str, here: Path) -> None:
    done("send", f"sim:{meter}", credit("1.0", *TEST))
    done("hhu", "show", "--html", "a.html", "--language", "fr")
    assert '<html lang="fr">' in (here / "a.html").read_text()
    unknown = vtc07("hhu", "show", "--html", "b.html", "--language", "xx")
    assert unknown.code == 2
    assert "language 'xx'" in one_sentence(unknown.err)
    assert not (here / "b.html").exists()


def test_without_a_journal_or_a_delivery_it_is_one_sentence(meter: str, here: Path) -> None:
    missing = vtc07("hhu", "show")
    assert missing.code == 2
    assert "deliveries.journal" in one_sentence(missing.err)
    done("read", f"sim:{meter}", "KRN")
    none = vtc07("hhu", "show")
    assert none.code == 2
    assert "no delivery yet" in one_sentence(none.err)
    other = vtc07("hhu", "show", "4")
    assert other.code == 2
    assert "no delivery 4" in one_sentence(other.err)
    assert vtc07("hhu", "show", "0").code == 2


def test_a_cable_that_was_pulled_and_the_run_that_found_out(here: Path) -> None:
    (here / "fast.toml").write_text(FAST)
    token = credit("4.0", *TEST)
    fast = ("--companion", "fast.toml")
    with served(new_meter("m.meter", *fast)) as running:
        proxy = Proxy(running.address, b"W1", lambda: None, deliver=True)
        cut = vtc07("send", proxy.address, token, *fast)
        proxy.join()
        assert cut.code == 4
        shown = done("hhu", "show", "--json").json
        assert shown["result"] is None
        texts = [step["text"] for step in shown["sessions"][0]["steps"]]
        assert "whether the entry arrived is unknown" in texts
        assert texts.count("the link could not be opened again") == 3
        resolved = vtc07("send", running.address, token, *fast, "--resume")
        assert resolved.code == 0
    drawn = done("hhu", "show").out
    assert drawn.count("IDRequest to any meter") == 2
    assert "result: delivered: Accept" in drawn
    assert proxy.address in drawn
    assert running.address in drawn
    with open_for_reading(JournalOptions(None).path) as journal:
        about = [e for e in journal.entries(delivery=1) if e.kind is EntryKind.ASKED]
    assert len({e.members["session"] for e in about}) == 2


def test_it_is_shown_while_another_program_writes(meter: str) -> None:
    done("send", f"sim:{meter}", credit("1.0", *TEST), "--journal", "j")
    with FileJournal(Path("j")):
        assert "delivered: Accept" in done("hhu", "show", "--journal", "j").out


# --- what commands write down ---------------------------------------------------------------------


def test_reading_and_identifying_stand_in_the_journal(meter: str, here: Path) -> None:
    done("identify", f"sim:{meter}", "--journal", "j")
    known = len(entries())
    done("read", f"sim:{meter}", "KRN", "--journal", "j")
    found = entries()[known:]
    answers = [e.members for e in found if e.kind is EntryKind.ANSWERED]
    assert any(members.get("values", {}).get("KRN") == 1 for members in answers)
    assert found[0].members["address"] == f"sim:{meter}"


def test_a_meter_that_is_asked_for_its_companion_is_recorded_from_the_first_message(
    here: Path,
) -> None:
    with served(new_meter("m.meter")) as running:
        done("read", running.address, "KRN", "--journal", "j")
    found = entries()
    said = [e.members["said"][0] for e in found if e.kind is EntryKind.MESSAGE]
    assert [line for line in said if line.startswith("ID")][:4] == [
        "IDRequest to any meter", said[1], "IDRequest to any meter", said[3],
    ]  # fmt: skip
    assert said[1].startswith("IDResponse VTC")


def test_no_journal_writes_nothing(meter: str, here: Path) -> None:
    before = set(contents(here))
    done("read", f"sim:{meter}", "KRN", "--no-journal")
    done("identify", f"sim:{meter}", "--no-journal")
    assert set(contents(here)) == before


def test_a_reading_goes_on_without_a_journal_and_says_so(meter: str, here: Path) -> None:
    token = credit("1.0", *TEST)
    with FileJournal(Path("j")):
        for command in (("read", "KRN"), ("identify",)):
            name, *rest = command
            result = done(name, f"sim:{meter}", *rest, "--journal", "j", "--json")
            assert result.json["meter_pan"] == "600727000000000009"
            note = json.loads(result.err.splitlines()[0])["note"]
            assert "not written into the journal" in note
            assert "another program" in note
        for refused in (("send", token), ("write", "lowCreditThreshold=1")):
            name, *rest = refused
            result = vtc07(name, f"sim:{meter}", *rest, "--journal", "j")
            assert result.code == 2
            assert "another program" in one_sentence(result.err)
    (here / "broken").write_text("no journal\n")
    result = done("read", f"sim:{meter}", "KRN", "--journal", "broken")
    assert "note: this is not written into the journal" in result.err
    assert (here / "broken").read_text() == "no journal\n"
    assert entries() == []


def test_a_folder_that_is_not_there_is_a_mistyped_name(meter: str) -> None:
    for command in (("read", "KRN"), ("identify",), ("write", "0030=1"), ("hhu", "show")):
        words = [command[0], *([f"sim:{meter}"] if command[0] != "hhu" else []), *command[1:]]
        result = vtc07(*words, "--journal", "nowhere/j")
        assert result.code == 2
        assert "there is no folder" in one_sentence(result.err)


def test_what_is_written_to_a_meter_stands_in_the_journal(meter: str) -> None:
    done("write", f"sim:{meter}", "lowCreditThreshold=500", "--journal", "j")
    found = {e.kind: e for e in entries()}
    assert found[EntryKind.SETTING].members["value"] == 500
    result = found[EntryKind.SET].members
    assert (result["written"], result["read_back"]) == (True, 500)
    assert result["setting"] == found[EntryKind.SETTING].number


def test_a_password_never_gets_into_the_journal(here: Path) -> None:
    store = new_meter("m.meter", "--companion", "electricity-mode-c")
    secret = "hunter2x"
    (here / "password").write_text(secret + "\n")
    (here / "password").chmod(0o600)
    vtc07(
        "write", f"sim:{store}", "lowCreditThreshold=1", "--journal", "j",
        "--password-file", "password",
    )  # fmt: skip
    with open_for_reading(Path("j")) as journal:
        told = "".join(
            json.dumps(dict(e.members)) + json.dumps(dict(e.secrets)) for e in journal.entries()
        )
    assert "password" in told
    assert secret not in told
    assert secret.encode().hex() not in told


def test_an_export_of_a_whole_day_tells_no_token_and_still_verifies(here: Path) -> None:
    """Deliveries done, refused and cut off, readings of the token log, a register: masked."""
    (here / "fast.toml").write_text(FAST)
    fast = ("--companion", "fast.toml")
    tokens = [credit(f"{n}.0", *TEST, at=f"2026-0{n}-01") for n in (1, 2, 3)]
    with served(new_meter("m.meter", *fast)) as running:
        done("send", running.address, tokens[0], *fast)
        assert vtc07("send", running.address, tokens[0], *fast).code == 1  # used before
        proxy = Proxy(running.address, b"W1", lambda: None, deliver=False)
        assert vtc07("send", proxy.address, tokens[1], *fast).code == 4
        proxy.join()
        done("send", running.address, tokens[2], *fast)
        done("read", running.address, "--all", *fast)
        done("write", running.address, f"installationReference={tokens[1]}", *fast)
    done("hhu", "export", "--mask", "masked.jsonl")
    done("hhu", "verify", "masked.jsonl")
    done("hhu", "verify")
    masked = (here / "masked.jsonl").read_text()
    assert masked.count("WriteCommand 000F tokenEntry ####################") >= 4
    for token in tokens:
        for piece in (token, grouped(token), token.encode().hex(), grouped(token)[:14]):
            assert piece not in masked
    done("hhu", "export", "whole.jsonl")
    assert grouped(tokens[1]) in (here / "whole.jsonl").read_text()

"""vtc07 diagnose: what people and programs are told, and that nothing is changed by it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from cli_bench import FAST, done, here, new_meter, secret_file, served, vtc07

from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.file import FileJournal
from vtc07.tokens import TokenData

__all__ = ["here"]
TEST = ("--test-key",)
AT = "2026-03-01T12:30"


@pytest.fixture
def meter(here: Path) -> str:
    return new_meter()


def _credit(amount: str = "15", at: str = AT) -> str:
    token: str = done("token", "issue", "credit", amount, *TEST, "--at", at, "--json").json["token"]
    return token


def _codes(*arguments: str) -> set[str]:
    return {finding["code"] for finding in done(*arguments, "--json").json["findings"]}


def test_for_people(meter: str) -> None:
    token = _credit()
    done("send", f"sim:{meter}", token)
    vtc07("send", f"sim:{meter}", token)
    shown = done("diagnose", f"sim:{meter}").out
    grouped = TokenData.from_digits(token).grouped
    assert f"token {grouped}" in shown
    assert "problem (certain) used: this very token was accepted before" in shown
    assert "-> nothing is to be done: its amount is on the meter" in shown
    assert "nothing-wrong" in shown
    assert "15.000 kWh" in shown
    assert shown.count("UsedError") == 3  # tokenStatus, lastTokenStatus, the table


def test_masked(meter: str) -> None:
    token = _credit()
    done("send", f"sim:{meter}", token)
    for arguments in ((), (token,), (token, "--json"), ("--json",)):
        run = done("diagnose", f"sim:{meter}", *arguments, "--mask")
        everything = run.everything.replace(" ", "")
        assert token not in everything
        assert f"****{token[-4:]}" in everything


def test_for_programs(meter: str) -> None:
    token = _credit()
    done("send", f"sim:{meter}", token)
    document = done("diagnose", f"sim:{meter}", token, "--krn", "2", "--json").json
    assert document["meter_pan"] == "600727000000000009"
    assert (document["token"], document["token_was_given"]) == (token, True)
    assert document["result"] == "Accept"
    (accepted, differs, known, good) = document["findings"]
    assert accepted["code"] == "accepted"
    assert differs["code"] == "receipt-differs"
    assert known["code"] == "in-journal"
    assert good == {
        "about": "meter",
        "code": "nothing-wrong",
        "weight": "good",
        "certainty": "certain",
        "what": "nothing was found that is wrong with the meter",
        "advice": None,
    }
    (told,) = document["tokens"]
    assert (told["sequence"], told["kind"], told["value"]) == (1, "0.0", 15_000)
    names = [register["name"] for register in document["registers"]]
    assert {"SGC", "KRN", "KT", "TI", "KEN", "baseDate", "creditBalance", "tamperStatus"} <= {
        *names
    }


def test_the_receipt_is_compared(meter: str) -> None:
    arguments = ("--sgc", "654321", "--ti", "2", "--krn", "2", "--kt", "1")
    found = _codes("diagnose", f"sim:{meter}", "1" * 20, *arguments, "--base-date", "93")
    assert found >= {
        "wrong-sgc", "wrong-ti", "new-key-revision", "wrong-key-type", "wrong-base-date",
    }  # fmt: skip
    young = new_meter("young.meter", "--manufactured", "2026-02-01")
    issued = ("--issued-at", "2026-01-31T23:59", "--issued-for", "00000000000")
    assert "too-old" in _codes("diagnose", f"sim:{young}", "1" * 20, *issued)
    other = ("--issued-for", "600727111111111153")
    assert "other-meter" in _codes("diagnose", f"sim:{meter}", *other)


@pytest.mark.parametrize("typed", [("1234", "5678"), ("hello",), ("9" * 20,), ("1" * 21,)])
def test_what_is_no_token_is_said_to_be_none(meter: str, typed: tuple[str, ...]) -> None:
    assert "not-a-token" in _codes("diagnose", f"sim:{meter}", *typed)


def test_a_token_in_groups(meter: str) -> None:
    token = _credit()
    groups = [token[at : at + 4] for at in range(0, 20, 4)]
    assert done("diagnose", f"sim:{meter}", *groups, "--json").json["token"] == token
    assert done("diagnose", f"sim:{meter}", " ".join(groups), "--json").json["token"] == token


def test_a_key_change_set(meter: str) -> None:
    issued = done("token", "keychange", *TEST, "--to-krn", "2", "--json").json["tokens"]
    tokens = [token["token"] for token in issued]
    done("send", f"sim:{meter}", tokens[0], tokens[2])
    state = done("diagnose", f"sim:{meter}", *tokens, "--json").json["key_change"]
    assert state["stage"] == "pending"
    assert state["held"] == [True, False, True, False]
    assert state["results"] == ["1stKCT", None, "3rdKCT", None]
    assert state["next_token"] == 2
    assert 0 <= state["forgotten_in_s_at_least"] <= state["forgotten_in_s_at_most"] <= 600
    shown = done("diagnose", f"sim:{meter}", *tokens).out
    assert shown.startswith("the meter holds 2 tokens of 4 (1, 3); enter token 2 next")
    assert "key-change-pending" in shown
    wrong = vtc07("diagnose", f"sim:{meter}", tokens[0], tokens[0])
    assert wrong.code == 2
    assert "each of them once" in wrong.err


def test_it_stands_in_the_journal_without_the_token(meter: str, here: Path) -> None:
    token = _credit()
    journal = here / "own.journal"
    done("diagnose", f"sim:{meter}", token, "--journal", str(journal))
    with FileJournal(journal) as kept:
        (entry,) = kept.entries(kinds=[EntryKind.DIAGNOSED])
        assert entry.meter_pan == "600727000000000009"
        codes = {finding["code"] for finding in entry.members["findings"]}
        assert codes == {"not-seen", "switch-open", "no-credit"}
        assert dict(entry.secrets) == {"token": token}
        assert token not in str(entry.members)


def test_a_journal_in_use_is_read_all_the_same(meter: str, here: Path) -> None:
    token = _credit()
    journal = here / "own.journal"
    done("send", f"sim:{meter}", token, "--journal", str(journal))
    with FileJournal(journal):
        run = done("diagnose", f"sim:{meter}", token, "--journal", str(journal), "--json")
    assert "not written into the journal" in run.err
    assert "in-journal" in {finding["code"] for finding in run.json["findings"]}
    none = _codes("diagnose", f"sim:{meter}", token, "--no-journal")
    assert "in-journal" not in none


def test_nothing_is_changed(here: Path) -> None:
    """A meter at a port, diagnosed with a token that it would take: it does not get it."""
    (here / "fast.toml").write_text(FAST)
    store = new_meter("m.meter", "--companion", "fast.toml")
    token = _credit()
    with served(store) as meter:
        assert "not-seen" in _codes("diagnose", meter.address, token, "--companion", "fast.toml")
        wrong = vtc07("diagnose", meter.address, "--companion", "water")
        assert wrong.code == 2
        assert "FLAG letters" in wrong.err
    told = done("read", f"sim:{store}", "tokenSequence", "creditBalance", "--json").json
    assert [register["value"] for register in told["registers"]] == [0, 0]
    assert vtc07("diagnose", meter.address, "--attempts", "1").code == 3


def test_a_meter_whose_store_is_damaged(here: Path) -> None:
    (here / "fast.toml").write_text(FAST)
    store = new_meter("m.meter", "--companion", "fast.toml")
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute("UPDATE record SET value = value || ' ' WHERE name = 'account'")
        database.commit()
    with served(store) as meter:
        run = done("diagnose", meter.address, "1" * 20, "--json", "--companion", "fast.toml")
    assert "out-of-order" in {finding["code"] for finding in run.json["findings"]}
    names = {register["name"] for register in run.json["registers"]}
    assert names == {"meterPAN", "DRN", "MfrCode", "softwareVersion", "serverStatus"}


def test_a_wrong_key(here: Path) -> None:
    """Two tokens of a vending key that is not the meter's: nothing was ever read."""
    key = secret_file(here / "own.hex", "5A17C0DE" * 5)
    meter = new_meter()
    issue = ("token", "issue", "credit", "5", "--vending-key-file", key)
    meant = ("--pan", "600727000000000009", "--sgc", "201457", "--ti", "1", "--krn", "1")
    for minute in ("00", "05"):
        at = f"2026-03-01T12:{minute}"
        token = done(*issue, *meant, "--at", at, "--json").json["token"]
        assert vtc07("send", f"sim:{meter}", token).code == 1
    assert _codes("diagnose", f"sim:{meter}") >= {"no-token-under-key", "wrong-token-or-key"}

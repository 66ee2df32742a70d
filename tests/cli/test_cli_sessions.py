"""identify, read, write and send: in one process, over TCP, and where the line fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from cli_bench import (
    FAST,
    OTHER_VENDING_KEY,
    PAN,
    VENDING_KEY,
    Proxy,
    contents,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    registers,
    secret_file,
    served,
    start,
    vtc07,
)

from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.journal.file import FileJournal

__all__ = ["here"]


@pytest.fixture
def meter(here: Path) -> str:
    return new_meter()


@pytest.fixture
def fast(here: Path) -> str:
    """A meter that answers fast, for real time."""
    (here / "fast.toml").write_text(FAST)
    return new_meter("m.meter", "--companion", "fast.toml")


TEST = ("--test-key",)


# --- one process ----------------------------------------------------------------------------------


def test_identify(meter: str) -> None:
    document = done("identify", f"sim:{meter}", "--json").json
    assert document["meter_pan"] == "600727000000000009"
    assert document["companion"] == "electricity"
    assert registers(document) == {
        "tableID": 1, "FOIN": 0, "protocolVersion": 1, "serverStatus": 3,
    }  # fmt: skip
    shown = done("identify", f"sim:{meter}").out
    assert "load switch open, credit exhausted" in shown


def test_the_overview_speaks_to_people(meter: str) -> None:
    done("send", f"sim:{meter}", credit("12.3", *TEST))
    rows = {
        line.split()[1]: line.split()[2:] for line in done("read", f"sim:{meter}").out.splitlines()
    }
    assert rows["creditBalance"][:2] == ["12.300", "kWh"]
    assert rows["loadSwitch"][0] == "closed"
    assert rows["disconnectReason"][0] == "none"
    assert rows["KT"][0] == "DUTK"
    assert rows["lastTokenStatus"][0] == "Accept"
    assert rows["maximumPowerLimit"][:2] == ["no", "limit"]


def test_registers_by_name_number_range_and_series(meter: str) -> None:
    first, second = credit("1.0", *TEST), credit("2.0", *TEST, at="2026-04-01")
    done("send", f"sim:{meter}", first, second)

    def names(*words: str) -> list[str]:
        found = done("read", f"sim:{meter}", *words, "--json").json["registers"]
        return [register["name"] for register in found]

    assert names("KRN", "creditbalance", "001a", "20") == ["KRN", "creditBalance", "baseDate"]
    assert names("0010-0012") == ["meterPAN", "DRN", "MfrCode"]
    assert names("000C-0010") == ["softwareVersion", "meterPAN"]
    assert names("tokenLog.2", "tokenLog.1") == ["tokenLog.2", "tokenLog.1"]
    assert names("tokenLog") == [f"tokenLog.{n}" for n in range(1, 51)]
    everything = names("--all")
    assert len(everything) == len(set(everything)) == 240  # of 241, tokenEntry is only written
    shown = done("read", f"sim:{meter}", "tokenLog")
    assert len(shown.out.splitlines()) == 3  # the head and two entries
    assert "48 empty entries" in shown.err
    assert second in shown.out.replace(" ", "")


def test_write_reads_back(meter: str) -> None:
    document = done(
        "write", f"sim:{meter}", "lowCreditThreshold=500", "installationReference=flat 7", "--json"
    ).json
    assert [register["read_back"] for register in document["registers"]] == [500, "flat 7"]
    assert document["not_tried"] == []
    values = registers(done("read", f"sim:{meter}", "0030-0032", "--json").json)
    assert values == {
        "lowCreditThreshold": 500, "installationReference": "flat 7", "lowCreditAlarmEnabled": 0,
    }  # fmt: skip
    unread = done("write", f"sim:{meter}", "0030=7", "--no-verify", "--json").json
    assert unread["registers"][0]["read_back"] is None
    assert unread["registers"][0]["written"] is True


def test_a_value_that_the_meter_refuses_is_exit_code_1(meter: str) -> None:
    result = vtc07(
        "write", f"sim:{meter}", "lowCreditAlarmEnabled=2", "lowCreditThreshold=9", "--json"
    )
    assert result.code == 1
    assert result.json["registers"][0]["error"] == "value refused"
    assert result.json["not_tried"] == ["lowCreditThreshold"]
    assert result.error["exit_code"] == 1
    assert registers(done("read", f"sim:{meter}", "0030", "--json").json) == {
        "lowCreditThreshold": 0
    }


def test_a_register_that_only_tokens_change_is_the_meters_to_refuse(meter: str) -> None:
    result = vtc07("write", f"sim:{meter}", "lowCreditThreshold=9", "creditBalance=1000", "--json")
    assert result.code == 1
    assert [register["name"] for register in result.json["registers"]] == ["creditBalance"]
    assert result.json["registers"][0]["error"] == "access denied"
    assert result.json["not_tried"] == ["lowCreditThreshold"]
    assert "writable are lowCreditThreshold, installationReference" in result.error["error"]
    values = registers(done("read", f"sim:{meter}", "0030", "0020", "--json").json)
    assert values == {"lowCreditThreshold": 0, "creditBalance": 0}


def test_send_stops_at_the_first_token_not_accepted(meter: str) -> None:
    first, third = credit("1.0", *TEST), credit("3.0", *TEST, at="2026-04-01")
    result = vtc07("send", f"sim:{meter}", first, first, third, "--json")
    assert result.code == 1
    outcomes = [(token["outcome"], token["status"]) for token in result.json["tokens"]]
    assert outcomes == [("Delivered", "Accept"), ("Refused", "UsedError"), ("NotSent", None)]
    assert result.json["exit_code"] == 1
    assert "token 2 of 3: refused: used before" in result.error["error"]
    people = vtc07("send", f"sim:{meter}", first)
    assert people.code == 1
    assert "refused: used before" in one_sentence(people.err)


def test_another_meter_gets_nothing(meter: str, here: Path) -> None:
    before = registers(done("meter", "show", meter, "--json").json)
    token = credit("1.0", *TEST)
    result = vtc07("send", f"sim:{meter}", token, "--meter-address", PAN)
    assert result.code == 3  # nobody of this address answers
    assert "nothing was sent" in one_sentence(result.err)
    after = registers(done("meter", "show", meter, "--json").json)
    assert after["tokenSequence"] == before["tokenSequence"] == 0
    done("send", f"sim:{meter}", token, "--meter-address", "600727000000000009")


def test_the_journal_is_in_the_state_directory_or_where_it_is_asked_for(
    meter: str, here: Path
) -> None:
    token = credit("1.0", *TEST)
    done("send", f"sim:{meter}", token)
    assert any(name.startswith("state") for name in contents(here)) or os.name != "posix"
    done("send", f"sim:{meter}", credit("2.0", *TEST, at="2026-04-01"), "--journal", "j")
    with FileJournal(here / "j") as journal:
        kinds = [entry.kind for entry in journal.entries(delivery=1)]
    assert kinds[:3] == [EntryKind.OPENED, EntryKind.WRITE, EntryKind.ASKED]
    assert kinds[-1] is EntryKind.RESULT


def test_a_trace_is_recorded_for_its_owner(meter: str, here: Path) -> None:
    token = credit("1.0", *TEST)
    done("send", f"sim:{meter}", token, "--trace", "t.jsonl")
    lines = [json.loads(line) for line in (here / "t.jsonl").read_text().splitlines()]
    assert lines[0]["trace"] == "vtc07"
    assert any(token in line.get("text", "") for line in lines)
    if os.name == "posix":
        assert stat.S_IMODE((here / "t.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("ea", "results"),
    [
        ("07", ["1stKCT", "2ndKCT", "Accept"]),
        ("11", ["1stKCT", "2ndKCT", "3rdKCT", "Accept"]),
    ],
)
def test_the_public_flow_of_a_key_change(here: Path, ea: str, results: list[str]) -> None:
    """A meter, credit, a new key by its set, credit under the new key, and none under the old."""
    secret_file(here / "old.hex", VENDING_KEY)
    secret_file(here / "new.hex", OTHER_VENDING_KEY)
    own = ("--vending-key-file", "old.hex", "--pan", PAN, "--sgc", "111222", "--ea", ea)
    new_meter("m.meter", *own)
    done("send", "sim:m.meter", credit("10.0", *own))
    change = done(
        "token", "keychange", "--vending-key-file", "old.hex", "--pan", PAN,
        "--from-sgc", "111222", "--to-vending-key-file", "new.hex", "--to-sgc", "333444",
        "--to-krn", "2", "--to-ti", "05", "--ea", ea, "--json",
    ).json  # fmt: skip
    sections = [token["token"] for token in change["tokens"]]
    sent = done("send", "sim:m.meter", *sections, "--json").json
    statuses = [token["status"] for token in sent["tokens"]]
    assert statuses == [token["result"] for token in change["tokens"]]
    assert statuses == results
    under_old = vtc07("send", "sim:m.meter", credit("5.0", *own, at="2026-04-01"))
    assert under_old.code == 1
    assert "CRCError" in one_sentence(under_old.err)
    new = (
        "--vending-key-file", "new.hex", "--pan", PAN, "--sgc", "333444", "--krn", "2",
        "--ti", "05", "--ea", ea,
    )  # fmt: skip
    done("send", "sim:m.meter", credit("5.0", *new, at="2026-04-01"))
    values = registers(done("read", "sim:m.meter", "--json").json)
    assert values["creditBalance"] == 15_000
    assert (values["SGC"], values["KRN"], values["TI"]) == ("333444", 2, "05")


@pytest.mark.parametrize("service", ["electricity", "water", "gas", "time"])
def test_every_service(here: Path, service: str) -> None:
    meter = new_meter("m.meter", "--companion", service)
    done("send", f"sim:{meter}", credit("1.5", *TEST, "--service", service))
    unit = {"electricity": 1500, "water": 1500, "gas": 1500, "time": 90}[service]
    shown = done("read", f"sim:{meter}", "totalCreditAccepted", "--json").json
    assert shown["companion"] == service
    assert registers(shown) == {"totalCreditAccepted": unit}


# --- over TCP -------------------------------------------------------------------------------------


def test_everything_over_tcp(fast: str) -> None:
    token = credit("4.0", *TEST)
    with served(fast, "--load", "100") as meter:
        identity = done("identify", meter.address, "--json").json
        assert identity["companion"] == "electricity"  # found out by asking
        sent = done("send", meter.address, token, "--json", "--companion", "fast.toml").json
        assert sent["tokens"][0]["status"] == "Accept"
        done("write", meter.address, "lowCreditThreshold=77")
        values = registers(done("read", meter.address, "--json", "--attempts", "2").json)
        assert (values["activePower"], values["loadSwitch"]) == (100, 1)
        assert values["totalCreditAccepted"] == 4000
        code, err = meter.stop()
    assert code == 0
    assert "virtual carrier: Accept" in err
    assert "switched off" in err
    shown = done("meter", "show", fast, "--json").json
    assert shown["powered"] is False
    assert registers(shown)["lowCreditThreshold"] == 77
    assert registers(shown)["powerFailCount"] == 0


@pytest.mark.parametrize("service", ["water", "gas", "time"])
def test_the_companion_is_found_by_asking(here: Path, service: str) -> None:
    with served(new_meter("m.meter", "--companion", service)) as meter:
        assert done("identify", meter.address, "--json").json["companion"] == service


def test_after_asking_for_the_companion_the_reaction_time_is_kept(meter: str, here: Path) -> None:
    with served(meter) as running:
        done("identify", running.address, "--trace", "t.jsonl")
    lines = [json.loads(line) for line in (here / "t.jsonl").read_text().splitlines()][1:]
    assert [line["from"] for line in lines[:3]] == ["client", "server", "client"]
    assert lines[2]["t"] - lines[1]["t"] >= 0.2


def test_a_meter_that_no_companion_knows(here: Path) -> None:
    (here / "own.toml").write_text('extends = "electricity"\n[identity]\nflag = "XYZ"\n')
    with served(new_meter("m.meter", "--companion", "own.toml")) as meter:
        result = vtc07("read", meter.address)
        assert result.code == 2
        assert "XYZ" in one_sentence(result.err)
        assert "--companion" in result.err
        done("read", meter.address, "KRN", "--companion", "own.toml")


def test_serving_ends_in_good_order_on_ctrl_c_and_killing_is_noticed(fast: str) -> None:
    with served(fast) as meter:
        code, _ = meter.stop(signal.SIGINT)
        assert code == 0
    with served(fast) as meter:
        done("read", meter.address, "KRN")
        meter.stop(signal.SIGKILL)
    shown = done("meter", "show", fast, "--json")
    assert shown.json["powered"] is True
    assert "power failed" in done("meter", "show", fast).err
    values = registers(done("read", f"sim:{fast}", "powerFailCount", "--json").json)
    assert values == {"powerFailCount": 1}


def test_where_it_listens_as_json_and_traced(fast: str, here: Path) -> None:
    process = start("meter", "serve", fast, "--json", "--trace", "served.jsonl")
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert document["meter_pan"] == "600727000000000009"
    done("read", document["listening"], "KRN", "--companion", "fast.toml")
    process.terminate()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    lines = [json.loads(line) for line in (here / "served.jsonl").read_text().splitlines()]
    assert {line.get("from") for line in lines[1:]} == {"client", "server"}


def test_a_port_that_is_taken(fast: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = vtc07("meter", "serve", fast, "--listen", f"tcp://127.0.0.1:{port}")
    assert result.code == 3
    assert "choose another port" in one_sentence(result.err)


# --- where the line fails -------------------------------------------------------------------------


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("companion", ["auto", "electricity"])
@pytest.mark.parametrize("command", ["identify", "read", "write", "send"])
def test_no_link_is_exit_code_3(here: Path, command: str, companion: str) -> None:
    address = f"tcp://127.0.0.1:{_closed_port()}"
    rest = {"write": ["lowCreditThreshold=1"], "send": ["00000002200248007208"]}.get(command, [])
    for json_flag in ([], ["--json"]):
        result = vtc07(command, address, *rest, "--companion", companion, *json_flag)
        assert result.code == 3
        assert "nothing listens there" in result.err
    assert result.error["exit_code"] == 3
    missing = vtc07(command, "/dev/vtc07-not-there", *rest, "--companion", companion)
    assert missing.code == 3
    assert "/dev/vtc07-not-there" in one_sentence(missing.err)


def test_a_cut_after_the_token_is_exit_code_4_and_resolved_by_the_next_send(fast: str) -> None:
    first, second = credit("4.0", *TEST), credit("2.0", *TEST, at="2026-04-01")
    options = ("--companion", "fast.toml", "--json")
    with served(fast) as meter:
        proxy = Proxy(meter.address, b"W1", lambda: None, deliver=True)
        result = vtc07("send", proxy.address, first, *options)
        proxy.join()
        assert result.code == 4
        assert result.json["tokens"][0]["outcome"] == "Unresolved"
        assert result.error["exit_code"] == 4
        assert "resolve" in result.error["error"]
        again = vtc07("send", meter.address, second, *options)
        assert again.code == 0
        (earlier,) = again.json["earlier"]
        assert (earlier["token"], earlier["status"]) == (first, "Accept")
        values = registers(done("read", meter.address, *options).json)
    assert values["totalCreditAccepted"] == 6000
    assert values["tokenSequence"] == 2


def test_ctrl_c_with_a_token_on_its_way_is_exit_code_4(fast: str, here: Path) -> None:
    token = credit("4.0", *TEST)
    options = ("--companion", "fast.toml", "--journal", "j")
    with served(fast) as meter:
        proxy = Proxy(
            meter.address, b"W1", lambda: sending.send_signal(signal.SIGINT), deliver=False
        )
        sending = start("send", proxy.address, token, *options)
        out, err = sending.communicate()
        proxy.join()
        assert sending.returncode == 4, err
        sentence = one_sentence(err)
        assert "delivery 1 is open" in sentence
        assert "--resume" in sentence
        assert out == ""
        sent = done("send", meter.address, token, *options, "--json").json
        assert sent["tokens"][0]["outcome"] == "Delivered"
        assert sent["earlier"][0]["outcome"] == "NotTaken"
        values = registers(done("read", meter.address, "--json").json)
    assert values["totalCreditAccepted"] == 4000


def test_ctrl_c_before_a_token_was_entered_is_130(fast: str, here: Path) -> None:
    token = credit("4.0", *TEST)
    with served(fast) as meter:
        proxy = Proxy(
            meter.address, b"R1\x020010", lambda: sending.send_signal(signal.SIGINT), deliver=False
        )
        sending = start("send", proxy.address, token, "--companion", "fast.toml", "--json")
        out, err = sending.communicate()
        proxy.join()
    assert (sending.returncode, out) == (130, ""), err
    error = json.loads(err)
    assert error["exit_code"] == 130
    assert "nothing is open" in error["error"]


@pytest.mark.parametrize("wrong", [False, True])
def test_ctrl_c_while_a_result_is_written_down_does_not_hide_it(
    meter: str, monkeypatch: pytest.MonkeyPatch, *, wrong: bool
) -> None:
    """A signal that comes during the commit is noticed when that has ended."""
    first, second = credit("4.0", *TEST, at="2026-03-01"), credit("5.0", *TEST, at="2026-03-02")
    first = f"{int(first) ^ 1:020d}" if wrong else first
    close = FileJournal.close_delivery

    def interrupted(self: FileJournal, *arguments: object) -> None:
        close(self, *arguments)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FileJournal, "close_delivery", interrupted)
    sent = vtc07("send", f"sim:{meter}", first, second, "--journal", "j")
    assert sent.code == 130
    outcome = "refused: CRCError" if wrong else "delivered: Accept"
    sentence = one_sentence(sent.err)
    assert f"token 1: {outcome}" in sentence
    assert "nothing is open, 1 of 2 tokens were not sent" in sentence


def test_resume_goes_on_behind_what_was_delivered(here: Path) -> None:
    meter = new_meter("m.meter")
    first, second = credit("4.0", *TEST, at="2026-03-01"), credit("5.0", *TEST, at="2026-03-02")
    done("send", f"sim:{meter}", first, "--journal", "j")
    again = vtc07("send", f"sim:{meter}", first, second, "--journal", "j")
    assert again.code == 1
    assert "--resume" in one_sentence(again.err)
    assert "taken it already" in again.err  # what UsedError means
    resumed = done("send", f"sim:{meter}", first, second, "--journal", "j", "--resume", "--json")
    assert [token["status"] for token in resumed.json["tokens"]] == ["Accept", "Accept"]
    shown = registers(done("read", f"sim:{meter}", "--json").json)
    assert shown["totalCreditAccepted"] == 9000
    assert shown["tokenSequence"] == 3  # the refused one among them; nothing was entered again

"""vtc07 route run: meters that are there or not, lines that are cut, days that go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_bench import (
    FAST,
    PAN,
    PROGRAM,
    Proxy,
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

__all__ = ["here"]

OWN_PAN = "600727000000000009"
TEST = ("--test-key",)
OPTIONS = ("--companion", "fast.toml")


def write_route(name: str, *stops: dict[str, Any]) -> str:
    Path(name).write_text(json.dumps({"stops": list(stops)}))
    return name


@pytest.fixture
def meter(here: Path) -> str:
    return f"sim:{new_meter()}"


@pytest.fixture
def fast(here: Path) -> str:
    """A meter that answers fast, for real time."""
    (here / "fast.toml").write_text(FAST)
    return new_meter("m.meter", "--companion", "fast.toml")


def stop(deliver: Sequence[str] = (), **members: Any) -> dict[str, Any]:
    return {"meter": OWN_PAN, "deliver": list(deliver), "read": ["creditBalance"], **members}


def wrong_token() -> str:
    """A token that no key of ours made."""
    return f"{(int(credit('8.0', *TEST)) + 1) % 2**66:020d}"


def results(document: dict[str, Any]) -> list[str]:
    return [task["result"] for stop in document["stops"] for task in stop["tasks"]]


def test_a_day_at_one_meter(meter: str) -> None:
    tokens = [credit("4.0", *TEST), credit("2.0", *TEST, at="2026-04-01")]
    told = {"place": "Kitchen", "notes": "key under the mat"}
    route = write_route("monday.json", stop(tokens, **told, write=["lowCreditThreshold=700"]))
    first = done("route", "run", route, meter)
    assert "place: Kitchen" in first.out
    assert "notes: key under the mat" in first.out
    assert "read: 6.000 kWh" in first.out
    assert "written and read back: 0.700 kWh" in first.out
    assert "1 of 1 stop of the route is finished" in first.out
    assert not any(token in first.everything for token in tokens)

    again = done("route", "run", route, meter, "--json").json
    assert again["finding"] == "already_done"
    assert "entry" in again["text"]
    assert again["tried"] == []
    assert results(again) == ["done"] * 4
    assert all(visit["ended"] for visit in again["stops"][0]["visits"])

    once_more = done("route", "run", route, meter, "--again", "--json").json
    assert [task["kind"] for task in once_more["tried"]] == ["write", "read"]
    values = registers(done("read", meter, "--json").json)
    assert values["totalCreditAccepted"] == 6000


def test_a_meter_that_is_not_on_the_route(meter: str) -> None:
    route = write_route("monday.json", {"meter": PAN, "read": ["creditBalance"]})
    result = vtc07("route", "run", route, meter)
    assert result.code == 1
    assert "not on the route" in one_sentence(result.err)
    assert OWN_PAN in result.out
    document = vtc07("route", "run", route, meter, "--json")
    assert (document.code, document.json["finding"]) == (1, "not_on_route")
    assert document.json["stops_finished"] == 0


def test_a_refused_token_is_exit_code_1_and_the_rest_is_done(meter: str) -> None:
    good = credit("4.0", *TEST)
    route = write_route("monday.json", stop([wrong_token(), good]))
    result = vtc07("route", "run", route, meter, "--json")
    assert result.code == 1
    assert results(result.json) == ["refused", "to do", "done"]
    why = "a digit is wrong, or the token is for another meter or another key"
    assert [task["explanation"] for task in result.json["stops"][0]["tasks"]] == [why, None, None]
    again = vtc07("route", "run", route, meter)
    assert again.code == 1
    assert "nothing is left to be tried" in one_sentence(again.err)
    assert f"refused: CRCError: {why}" in again.out


def test_empty_entries_of_a_log_are_counted_and_not_shown(meter: str) -> None:
    route = write_route("monday.json", stop([credit("4.0", *TEST)], read=["tokenLog"]))
    shown = done("route", "run", route, meter).out
    assert "50 values read, 49 of them empty" in shown
    assert "tokenLog.1 " in shown
    assert "tokenLog.2" not in shown


def test_no_link_is_exit_code_3_and_nothing_is_visited(here: Path) -> None:
    route = write_route("monday.json", stop())
    result = vtc07("route", "run", route, "tcp://127.0.0.1:1")
    assert result.code == 3
    one_sentence(result.err)


def test_a_route_that_is_wrong(meter: str, here: Path) -> None:
    assert vtc07("route", "run", "nowhere.json", meter).code == 2
    (here / "broken.json").write_text("{")
    result = vtc07("route", "run", "broken.json", meter)
    assert result.code == 2
    one_sentence(result.err)
    faulty = write_route("faulty.json", stop(["123"]), {"meter": PAN, "read": ["SGC"]})
    result = vtc07("route", "run", faulty, meter)
    assert result.code == 2
    assert "1 of 2 stops have errors" in result.err
    one_sentence(result.err)


def test_one_meter_after_another(here: Path) -> None:
    new_meter("a.meter")
    new_meter("b.meter", "--pan", PAN, *TEST)
    route = write_route(
        "monday.json", stop([credit("4.0", *TEST)]), {"meter": PAN, "read": ["creditBalance"]}
    )
    run = ("route", "run", route, "sim:a.meter", "--next")
    result = done(*run, typed="\n\nq\n")
    counts = [line for line in result.out.splitlines() if "stops of the route" in line]
    assert counts == [
        "0 of 2 stops of the route are finished",
        "1 of 2 stops of the route are finished",
        "1 of 2 stops of the route are finished",
    ]
    assert "everything is done at this meter" in result.out
    other = done("route", "run", route, "sim:b.meter", "--next", typed="\n")
    assert "2 of 2 stops of the route are finished" in other.out
    for option in (("--json",), ("--trace", "t"), ("--password-file", "-")):
        refused = vtc07(*run, *option)
        assert refused.code == 2
        assert "--next" in refused.err


def test_what_one_meter_lacks_is_said_at_the_end_and_the_others_go_on(here: Path) -> None:
    new_meter("a.meter")
    route = write_route("monday.json", stop([wrong_token()]))
    result = vtc07("route", "run", route, "sim:a.meter", "--next", typed="\n\nq\n")
    assert result.code == 1
    assert f"not everything is done at: {OWN_PAN}" in result.err
    gone = vtc07("route", "run", route, "sim:none.meter", "--next", typed="\n\nq\n")
    assert gone.code == 0
    assert gone.err.count("error: ") == 2


def test_a_corrected_route_goes_on_and_a_new_round_begins_anew(meter: str) -> None:
    route = write_route("monday.json", stop([credit("4.0", *TEST)]))
    done("route", "run", route, meter)
    missing = vtc07("route", "run", write_route("tuesday.json", stop()), meter, "--corrected")
    assert missing.code == 2
    assert "no earlier work on a route tuesday" in one_sentence(missing.err)

    write_route("monday.json", stop([credit("4.0", *TEST)], place="corrected"))
    gone_on = done("route", "run", route, meter, "--corrected", "--json").json
    assert gone_on["finding"] == "already_done"
    write_route("monday.json", stop([credit("4.0", *TEST)], place="another week"))
    warned = done("route", "run", route, meter)
    assert "another file was worked on as route monday" in warned.err
    anew = done("route", "run", route, meter, "--anew", "--json").json
    assert [task["kind"] for task in anew["tried"]] == ["read"]
    assert vtc07("route", "run", route, meter, "--anew", "--corrected").code == 2


def test_a_cut_with_a_token_on_its_way_is_exit_code_4_and_the_next_run_goes_on(fast: str) -> None:
    tokens = [credit("4.0", *TEST), credit("2.0", *TEST, at="2026-04-01")]
    route = write_route("monday.json", stop(tokens))
    with served(fast) as meter:
        proxy = Proxy(meter.address, b"W1", lambda: None, deliver=True)
        result = vtc07("route", "run", route, proxy.address, *OPTIONS, "--json")
        proxy.join()
        assert result.code == 4
        assert results(result.json) == ["open", "to do", "to do"]
        assert "go on" in result.error["error"]
        again = done("route", "run", route, meter.address, *OPTIONS, "--json").json
        (earlier,) = again["earlier"]
        assert (earlier["token"], earlier["status"]) == (tokens[0], "Accept")
        assert results(again) == ["done"] * 3
        values = registers(done("read", meter.address, *OPTIONS, "--json").json)
    assert values["totalCreditAccepted"] == 6000
    assert values["tokenSequence"] == 2


@pytest.mark.parametrize("gone", [False, True])
def test_a_route_that_is_changed_during_a_visit_hides_nothing_of_it(
    fast: str, *, gone: bool
) -> None:
    """Somebody saves the file anew, or pulls out the stick that it is on."""
    route = write_route("monday.json", stop([credit("4.0", *TEST)]))

    def change() -> None:
        if gone:
            Path(route).unlink()
        else:
            write_route(route, stop([]))

    with served(fast) as meter:
        proxy = Proxy(meter.address, b"W1", change, deliver=True)
        result = vtc07("route", "run", route, proxy.address, *OPTIONS, "--json")
        proxy.join()
    assert result.code == 4
    assert results(result.json) == ["open", "to do"]
    assert result.json["stops_finished"] is None
    assert "not counted" in result.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 4), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_that_is_ended_with_a_token_on_its_way(fast: str, number: int, code: int) -> None:
    tokens = [credit("4.0", *TEST), credit("2.0", *TEST, at="2026-04-01")]
    route = write_route("monday.json", stop(tokens))
    with served(fast) as meter:
        proxy = Proxy(meter.address, b"W1", lambda: running.send_signal(number), deliver=True)
        running = start("route", "run", route, proxy.address, *OPTIONS)
        _, err = running.communicate()
        proxy.join()
        assert running.returncode == code, err
        if number == signal.SIGINT:
            assert "delivery 1 is open" in one_sentence(err)
        again = done("route", "run", route, meter.address, *OPTIONS, "--json").json
        assert results(again) == ["done"] * 3
        values = registers(done("read", meter.address, *OPTIONS, "--json").json)
    assert values["totalCreditAccepted"] == 6000
    assert values["tokenSequence"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_at_a_terminal_it_waits_for_the_next_meter(here: Path) -> None:
    new_meter("a.meter")
    route = write_route("monday.json", stop([credit("4.0", *TEST)]))
    master, slave = os.openpty()
    running = subprocess.Popen(
        [*PROGRAM, "route", "run", route, "sim:a.meter"], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        shown = _until(master, "q ends")
        assert "0 of 1 stop of the route is finished" in shown
        os.write(master, b"\n")
        shown = _until(master, "q ends")
        assert "delivered: Accept" in shown
        assert "1 of 1 stop of the route is finished" in shown
        os.write(master, b"q\n")
        assert running.wait() == 0
    finally:
        running.kill()
        running.wait()
        os.close(master)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize("password", ["Vq7-Kx 93", ""])
def test_at_a_terminal_a_password_is_asked_for_once(here: Path, password: str) -> None:
    secret_file(here / "pw", "Vq7-Kx 93")
    new_meter("a.meter", "--companion", "electricity-mode-c", "--password-file", "pw")
    route = write_route("monday.json", stop(write=["lowCreditThreshold=500"]))
    master, slave = os.openpty()
    running = subprocess.Popen(
        [*PROGRAM, "route", "run", route, "sim:a.meter", "--again"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        _until(master, "q ends")
        os.write(master, b"\n")
        _until(master, "Enter alone: none): ")
        os.write(master, password.encode() + b"\n")
        first = _until(master, "q ends")
        os.write(master, b"\n")
        second = _until(master, "q ends")
        os.write(master, b"q\n")
        running.wait()
    finally:
        running.kill()
        running.wait()
        os.close(master)
    assert "Enter alone" not in second
    for shown in (first, second):
        assert "Kx" not in shown
        assert ("written and read back" in shown) == bool(password)
        assert "read: 0.000 kWh" in shown or "value read: 0.000 kWh" in shown


def _until(terminal: int, text: str) -> str:
    """Read what a terminal shows up to a text."""
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown

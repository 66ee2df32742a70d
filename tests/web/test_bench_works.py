"""A meter of the bench turned by hand: panel, keypad, time, supply and cable, without waiting."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
from bench_meters import BY_NAME, MS, ByHand, S

from vtc07.carrier.companion_file import load_companion
from vtc07.links.address import InnerAddress
from vtc07.links.blocking import open_link
from vtc07.links.fault import DROPPED
from vtc07.web.bench.bench import KINDS, TIME_FACTORS, BenchRefused, Kind
from vtc07.web.bench.display import RESULT_NS, VALUE_NS
from vtc07.web.bench.pace import MOST_AT_ONCE_NS, Pace
from vtc07.web.bench.tape import MOST, Tape

NOISE = "00000000000000000000"


# --- the panel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_panel_of_each_kind(kind: Kind) -> None:
    with ByHand(kind) as it:
        panel = it.panel
        assert (panel.powered, panel.plugged, panel.line_in_use) == (True, True, False)
        assert (panel.load_switch, panel.disconnect_reason) == ("open", "credit")
        assert (panel.credit, panel.power, panel.tamper) == (0, 0, 0)
        assert panel.meter_pan == it.works.meter_pan
        it.buy("credit", amount="5")
        for phase in range(1, kind.phases + 1):
            it.act(functools.partial(it.works.set_load, phase, 500 * phase))
        loads = tuple(500 * phase for phase in range(1, kind.phases + 1))
        panel = it.panel
        assert (panel.load_switch, panel.disconnect_reason) == ("closed", "none")
        assert (panel.loads, panel.phases, panel.power) == (loads, loads, sum(loads))
        assert panel.credit == 5_000
        it.let_pass(3600 / sum(loads) + 0.001)  # one Wh, or one litre
        assert (it.panel.credit, it.panel.consumption) == (4_999, 1)
        assert (panel.unit, panel.flow_unit) == (kind.unit, kind.flow_unit)
        assert it.panel.unit == ("l" if kind.name in ("water", "gas") else "Wh")


def test_what_the_display_shows_in_turn() -> None:
    with ByHand("electricity-3") as it:
        it.buy("credit", amount="12.5")
        it.act(lambda: it.works.set_load(2, 1_500))
        seen: list[tuple[str, ...]] = []
        said: list[str] = []
        for _ in range(10):
            it.let_pass(VALUE_NS / S)
            seen.append(it.panel.display)
            said.append(str(it.panel.shows))
        labels = [lines[-1] for lines in seen]
        assert labels.index("L1") + 1 == labels.index("L2")
        values = {lines[-1]: lines[0] for lines in seen if len(lines) == 2}
        assert values["CREDIT"].endswith(" kWh")
        assert (values["NOW"], values["L1"], values["L2"]) == ("1500 W", "0 W", "1500 W")
        assert values["TOTAL"] == "0.00 kWh"
        assert values["SGC 999000  TI 01"] == "KRN 1  KEN 255"
        assert "Power now: 1500 W" in said
        assert "Phase L2: 1500 W" in said


def test_digits_are_shown_in_groups_and_can_be_taken_back() -> None:
    with ByHand() as it:
        it.press("123456789")
        assert it.panel.display == ("1234 5678 9", "9/20")
        assert str(it.panel.shows) == "9 of 20 digits are typed."
        assert (it.panel.typed, "123456789" in repr(it.panel)) == ("123456789", False)
        it.act(lambda: it.works.press("back"))
        assert it.panel.display == ("1234 5678", "8/20")
        it.act(lambda: it.works.press("clear"))
        assert it.panel.typed == ""
        it.act(lambda: it.works.press("back"))
        it.act(lambda: it.works.press("enter"))  # of nothing
        assert (it.panel.result, it.panel.display[-1]) == (None, "CREDIT")
        it.press("7")
        assert str(it.panel.shows) == "1 digit is typed."
        it.press("1234567890123456789")
        with pytest.raises(BenchRefused, match="All 20 digits are typed"):
            it.press("0")
        with pytest.raises(BenchRefused, match="no such key"):
            it.act(lambda: it.works.press("#"))
        assert it.panel.typed == "71234567890123456789"
        it.let_pass(61)
        assert it.panel.typed == ""


def test_a_token_at_the_keypad_and_what_is_shown_of_it() -> None:
    with ByHand() as it:
        (token,) = it.sale.issue("credit", {"amount": "12.5"}).tokens
        it.press(token)
        it.act(lambda: it.works.press("enter"))
        assert (it.panel.executing, it.panel.display, it.panel.typed) == (True, ("- - - -",), "")
        it.press("1")
        it.act(lambda: it.works.press("enter"))
        assert (str(it.panel.result), it.panel.good) == ("a token is being executed", False)
        it.let_pass(1)
        assert (str(it.panel.result), it.panel.good) == ("Accept", True)
        assert it.panel.display == ("Accept", "+12.50 kWh")
        assert str(it.panel.shows) == "The last token: Accept"
        it.let_pass(RESULT_NS / S + 0.1)
        later = it.panel
        assert later.result is None
        assert later.display[-1] in ("CREDIT", "NOW", "TOTAL", "SGC 999000  TI 01")
        assert it.enter(token) == "UsedError"
        assert "/".join(it.panel.display) == "UsedError"
        assert it.panel.good is False
        assert it.panel.credit == 12_500


def test_what_is_no_token_is_refused_by_the_meter() -> None:
    with ByHand() as it:
        for digits in ("1", "9" * 20):
            it.press(digits)
            it.act(lambda: it.works.press("enter"))
            assert (str(it.panel.result), it.panel.good) == ("value refused", False)
            assert it.panel.display == ("INVALID",)
        assert str(it.panel.events[-1].said) == "at the keypad: value refused"
        assert it.panel.events[-1].number == 2


def test_a_token_for_tests_shows_its_values_one_after_another() -> None:
    with ByHand("electricity-3") as it:
        it.act(lambda: it.works.set_load(1, 700))
        it.buy("power-limit", watts="8000")
        made = it.sale.issue("test-display", {"test": "0"})
        assert str(made.what) == "Test 0: all"
        it.press(made.tokens[0])
        it.act(lambda: it.works.press("enter"))
        it.let_pass(1.5)
        assert "/".join(it.panel.display) == "Accept"
        shown: dict[str, tuple[str, str]] = {}
        for _ in range(18):
            it.let_pass(2)
            if len(it.panel.display) == 2:
                shown[it.panel.display[1]] = (it.panel.display[0], str(it.panel.shows))
        assert shown["01"] == ("OPEN", "load switch: OPEN")
        assert shown["07"][0] == "8000 W"
        assert shown["11"][0] == "NO LIMIT"
        assert shown["16"] == ("999000", "SGC: 999000")
        assert shown["18"][0] == it.panel.meter_pan[6:17]
        assert "12" not in shown  # it is no water meter
        it.let_pass(4)
        assert it.panel.display[-1] not in shown
        one = it.sale.issue("test-display", {"test": "5"})
        it.enter(one.tokens[0])
        it.let_pass(1)
        assert "/".join(it.panel.display) == "TI 01/05"


def test_the_limits_and_the_tamper_switch() -> None:
    with ByHand("electricity-3") as it:
        it.buy("credit", amount="100")
        it.buy("power-limit", watts="3000")
        it.buy("unbalance", watts="2000")
        assert (it.panel.power_limit, it.panel.unbalance_limit) == (3_000, 2_000)
        it.act(lambda: it.works.set_load(1, 2_500))
        assert it.panel.disconnect_reason == "phase unbalance"
        it.act(lambda: it.works.set_load(1, 1_900))
        it.let_pass(31)
        assert it.panel.load_switch == "closed"
        it.act(lambda: it.works.set_load(2, 1_900))
        assert it.panel.disconnect_reason == "power limit"
        it.act(lambda: it.works.set_load(2, 0))
        it.let_pass(31)
        it.act(it.works.tamper)
        assert (it.panel.tamper, it.panel.load_switch) == (1, "open")
        assert it.panel.disconnect_reason == "tamper"
        assert str(it.panel.events[-1].said) == "the load switch is open: tamper"
        it.buy("clear-tamper")
        assert (it.panel.tamper, it.panel.load_switch) == (0, "closed")


def test_what_cannot_be_set_is_refused() -> None:
    with ByHand() as it:
        for phase, watts in ((0, 1), (2, 1), (1, -1), (1, 15_001)):
            with pytest.raises(BenchRefused):
                it.act(functools.partial(it.works.set_load, phase, watts))
        with pytest.raises(BenchRefused, match="Time does not pass like this"):
            it.act(lambda: it.works.set_time(7))
        assert it.panel.loads == (0,)


# --- time ---------------------------------------------------------------------------------------


def test_a_lockout_passes_quickly() -> None:
    with ByHand() as it:
        assert [it.enter(NOISE) for _ in range(5)] == ["CRCError"] * 5
        assert it.panel.keypad_lockout_s == 59
        (token,) = it.sale.issue("credit", {}).tokens
        it.press(token)
        it.act(lambda: it.works.press("enter"))
        assert str(it.panel.result) == "token lockout"
        assert it.panel.display == ("LOCKED", "59 s")
        it.let_pass(7)
        shown = set()
        for _ in range(6):
            it.let_pass(VALUE_NS / S)
            shown.add(it.panel.display[-1])
        assert "LOCK KEYPAD" in shown
        assert it.panel.virtual_lockout_s == 0
        it.act(lambda: it.works.set_time(60))
        assert it.panel.pace == 60
        it.let_pass(0.5)
        assert it.panel.keypad_lockout_s == 0
        assert it.enter(token) == "Accept"


def test_nothing_is_lost_of_what_is_consumed_at_full_speed() -> None:
    """100 s, in which more than 4 days pass for the meter."""
    with ByHand() as it:
        for _ in range(3):
            it.buy("credit", amount="1000000")
        it.act(lambda: it.works.set_time(3600))
        wanted, began, credit = 0, it.panel.line_ns, it.panel.credit
        for watts in (2_000, 37, 0, 9_999):
            it.act(functools.partial(it.works.set_load, 1, watts))
            since = it.panel.line_ns
            it.let_pass(25)
            wanted += watts * (it.panel.line_ns - since)
        assert it.panel.line_ns - began == 100 * 3600 * S
        assert it.panel.consumption == wanted // (3600 * S)
        assert credit is not None
        assert it.panel.credit == credit - wanted // (3600 * S) > 0


def test_time_passes_as_ever_from_the_moment_somebody_opens_the_line() -> None:
    companion = load_companion("electricity")
    with ByHand() as it:
        it.act(lambda: it.works.set_time(3600))
        it.let_pass(1)
        before = it.panel.line_ns
        link = open_link(InnerAddress("electricity"), companion.link)
        it.clock.sleep_until(it.clock.now_ns() + 10 * MS)
        it.works.turn()
        assert it.panel.line_ns - before == 10 * MS
        assert (it.panel.pace, it.panel.time_factor, it.panel.line_in_use) == (1, 3600, True)
        link.send(b"/")
        link.close()
        # It is sent when it is said, and takes its true time though nobody is there any more.
        it.clock.sleep_until(it.clock.now_ns() + 5 * MS)
        it.works.turn()
        assert (it.panel.pace, it.panel.line_in_use) == (1, False)
        it.let_pass(0.005)
        assert it.panel.pace == 3600
        (character,) = it.works.tape.after(0)
        assert (character.sent, character.arrived, character.sender) == (0x2F, 0x2F, "client")
        assert character.at_ns - before == 15 * MS + companion.link.character_ns


def test_the_date_of_tokens_is_the_true_one_however_fast_time_passes() -> None:
    with ByHand() as it:
        it.act(lambda: it.works.set_time(3600))
        it.let_pass(100)
        made = it.sale.issue("credit", {})
        assert made.at == it.at
        assert it.enter(made.tokens[0]) == "Accept"


def test_a_machine_that_cannot_keep_up_makes_time_pass_less_fast() -> None:
    pace = Pace(1_000)
    assert pace.line_ns(1_000 + S) == S
    pace.go(600, 1_000 + S)
    assert pace.line_ns(1_000 + S + MS) == S + 600 * MS
    late = 1_000 + 3 * S
    assert pace.line_ns(late) == S + 600 * MS + 600 * MOST_AT_ONCE_NS
    # What is left out is left out for good, and what comes next counts from there.
    assert pace.line_ns(late + MS) == S + 1_200 * MS + 600 * MOST_AT_ONCE_NS
    pace.go(1, late + 5 * S)
    reached = S + 1_200 * MS + 1_200 * MOST_AT_ONCE_NS
    assert pace.line_ns(late + 5 * S) == reached
    # At its own pace nothing is ever left out.
    assert pace.line_ns(late + 500 * S) == reached + 495 * S
    assert pace.real_ns(reached + S) == late + 6 * S
    assert TIME_FACTORS[0] == 1


def test_an_idle_meter_is_turned_once_a_second() -> None:
    """Whatever its own timers want, and no more often: nothing is polled."""
    with ByHand() as it:
        for _ in range(100):
            due = it.works.turn()
            assert 0 < due - it.clock.now_ns() <= S
            it.clock.sleep_until(due)
        assert it.clock.now_ns() > 80 * S


# --- supply and cable ---------------------------------------------------------------------------


def test_supply_that_is_pulled_out() -> None:
    with ByHand() as it:
        it.buy("credit", amount="10")
        it.act(lambda: it.works.set_load(1, 3_600))
        it.let_pass(5.5)
        before = it.panel
        assert before.consumption == 5
        (token,) = it.sale.issue("credit", {"amount": "7"}).tokens
        it.press(token)
        it.act(lambda: it.works.press("enter"))
        it.press("12")
        it.act(lambda: it.works.set_supply(on=False))
        it.act(lambda: it.works.set_supply(on=False))  # it is out already
        panel = it.panel
        assert (panel.powered, panel.display, panel.shows, panel.credit) == (False, (), None, None)
        assert (panel.load_switch, panel.power, panel.phases) == (None, None, (0,))
        assert (panel.executing, panel.result, panel.loads) == (False, None, (3_600,))
        assert panel.typed == ""
        with pytest.raises(BenchRefused, match="no power"):
            it.press("1")
        with pytest.raises(BenchRefused, match="no power"):
            it.act(it.works.tamper)
        it.act(lambda: it.works.set_load(1, 0))
        it.let_pass(100)
        it.act(lambda: it.works.set_supply(on=True))
        panel = it.panel
        # The token has gone with the power, and so have the last seconds of consumption.
        assert panel.consumption is not None
        assert panel.credit == 10_000 - panel.consumption
        assert 0 <= panel.consumption <= 5
        assert (panel.powered, panel.loads, panel.power) == (True, (0,), 0)
        assert it.enter(token) == "Accept"
        said = [str(event.said) for event in panel.events]
        assert said.count("power is lost") == said.count("power is back") == 1


def test_a_cable_that_is_pulled_out_swallows_characters() -> None:
    companion = load_companion("electricity")
    with ByHand() as it:
        link = open_link(InnerAddress("electricity"), companion.link)
        it.act(lambda: it.works.set_cable(plugged=False))
        it.act(lambda: it.works.set_cable(plugged=False))
        link.send(b"/?!\r\n")
        it.let_pass(1)
        assert [(c.sent, c.arrived, c.lost) for c in it.works.tape.after(3)] == [
            (0x0D, None, True),
            (0x0A, None, True),
        ]
        assert (it.panel.plugged, link.receive(0)) == (False, b"")
        it.act(lambda: it.works.set_cable(plugged=True))
        link.send(b"/?!\r\n")
        it.let_pass(2)
        assert b"VTC" in link.receive(0)
        assert it.panel.session
        link.close()
        assert [str(event.said) for event in it.panel.events] == [
            "the cable is pulled out",
            "the cable is plugged in",
        ]


def test_what_a_meter_was_saying_ends_with_its_power() -> None:
    kind = BY_NAME["electricity-mode-c"]
    companion = load_companion(kind.companion)
    with ByHand(kind) as it:
        link = open_link(InnerAddress(kind.name), companion.link)
        link.send(b"/?!\r\n")
        it.let_pass(0.6)
        assert 0 < len([c for c in it.works.tape.after(0) if c.sender == "server"]) < 10
        it.act(lambda: it.works.set_supply(on=False))
        count = it.works.tape.count
        it.let_pass(5)
        assert it.works.tape.count == count
        link.close()


# --- characters ---------------------------------------------------------------------------------


def test_the_last_characters_are_remembered_with_their_numbers() -> None:
    tape = Tape(2400)
    for place in range(MOST + 10):
        tape.observe("client", place % 128, place % 128, place)
    assert tape.count == MOST + 10
    assert [c.number for c in tape.after(0)] == list(range(11, MOST + 11))
    assert tape.after(MOST + 10) == tape.after(MOST + 11) == ()
    assert [c.number for c in tape.after(MOST + 8)] == [MOST + 9, MOST + 10]
    tape.goes_on("server", 9600, 7)
    tape.observe("server", 1, 0xFF, 8)
    tape.observe("server", 2, DROPPED, 9)
    damaged, lost = tape.after(MOST + 10)
    assert (damaged.damaged, damaged.lost, damaged.speed) == (True, False, 9600)
    assert (lost.damaged, lost.lost, lost.arrived) == (False, True, None)
    assert replace(lost, arrived=2).lost is False

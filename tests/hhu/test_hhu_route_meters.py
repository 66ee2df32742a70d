"""Routes with meters of every kind: behind passwords, nameless, full, or swapped on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hhu_bench import KEY, PAN, MeterLine, ScriptedMeter, credit, new_meter, wall_clock, without
from route_bench import day, results, route_of, values_read

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import ClientEvent, Command, CommandRefused, EnterToken, Read
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.delivery import resolve_earlier
from vtc07.hhu.journal.memory import MemoryPlace
from vtc07.hhu.journal.sqlite import SQLiteJournal
from vtc07.hhu.outcome import Meaning, NotTaken, NotTakenReason, Unresolved, UnresolvedReason
from vtc07.hhu.progress import Progress, Reconnecting
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.route.run import work
from vtc07.hhu.route.task import StopResult, TaskResult
from vtc07.hhu.route.visit import Finding
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.simulated import UNPLUGGED
from vtc07.meter import manufacture
from vtc07.tokens import (
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    KeyAttributes,
    MeterPAN,
)

DONE, TO_DO, OPEN = TaskResult.DONE, TaskResult.TO_DO, TaskResult.OPEN
WH = 10_000
NEIGHBOUR = "000001000000000082"
PASSWORD = "12345678"
WHOLE = {
    "meter": PAN,
    "deliver": [credit(1), credit(2)],
    "write": ["lowCreditThreshold=500"],
    "read": ["creditBalance"],
}


def test_a_register_behind_a_password_waits_for_it(tmp_path: Path) -> None:
    companion = load_companion("electricity-mode-c")
    bench = MeterLine(companion, state=new_meter(companion, password=PASSWORD))
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        assert unit.visit().meaning is Meaning.REFUSED
        assert results(unit.state()) == [DONE, DONE, TO_DO, DONE]
        assert "password" in str(unit.state().tasks[2].said)
        assert unit.state().result is StopResult.PARTLY
        unit.mend()
        client = ModeCClient(companion, character_ns=bench.character_ns, password=PASSWORD)
        bench.line.client = client
        assert unit.visit().complete
        assert bench.state.tokens_executed == 2


@pytest.mark.parametrize("named", [False, True])
def test_a_meter_that_does_not_tell_its_name_has_to_be_named(
    electricity: Companion, tmp_path: Path, named: bool
) -> None:
    """All there is to know it by is the address to which it answers."""
    bench = MeterLine(without(electricity, "meterPAN"))
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        unit.new_session(address=PAN if named else PAN[6:17])
        visit = unit.visit()
        if named:
            assert visit.complete
            assert unit.state().result is StopResult.DONE
        else:
            assert (visit.finding, visit.meaning) == (Finding.NAMELESS, Meaning.REFUSED)
            assert bench.state.tokens_executed == 0


def test_a_meter_that_is_full_takes_the_token_another_day(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    state = bench.state
    full = replace(state.account, balance=state.account.balance + (1 << 62))
    bench.store.state = replace(state, account=full)
    bench.power_fail()
    stop = {"meter": PAN, "deliver": [credit(1)]}
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        assert unit.visit().meaning is Meaning.REFUSED
        assert results(unit.state()) == [TO_DO]
        assert str(unit.state().tasks[0].said) == "refused: OverflowError"
        assert "try again when some is used" in unit.state().tasks[0].why
        bench.store.state = replace(bench.state, account=state.account)
        bench.power_fail()
        visit = unit.later()
        assert visit.complete
        assert [visit.tried[0].task.why, unit.state().tasks[0].why] == ["", ""]
        assert bench.state.account.balance == WH


def test_the_head_slips_to_the_neighbour_in_the_middle(
    electricity: Companion, tmp_path: Path
) -> None:
    """Its values are not taken for the first one's, and it gets none of its tokens."""
    bench = MeterLine(electricity)
    neighbour = MeterLine(electricity, state=new_meter(electricity, NEIGHBOUR))
    slipped = False

    def slip(sender: Sender, char: int, _index: int, now_ns: int) -> int:
        nonlocal slipped
        if slipped or sender == "server" or char != ord("W"):
            return char
        slipped = True

        def put_on_the_neighbour() -> None:
            bench.line.server = neighbour.line.server
            bench.line.plug()

        bench.line.schedule(now_ns + 9 * S, put_on_the_neighbour)
        return UNPLUGGED

    own = bench.line.server
    bench.line.fault = slip
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        visit = unit.visit()
        assert visit.meaning is Meaning.UNRESOLVED
        assert results(unit.state()) == [OPEN, TO_DO, TO_DO, TO_DO]
        assert neighbour.state.tokens_executed == 0
        unit.mend()
        assert unit.visit().finding is Finding.NOT_ON_ROUTE
        bench.line.server = own
        assert unit.later().complete
        assert bench.state.account.balance == 2 * WH


def test_a_head_that_is_put_on_another_meter_between_two_visits(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    other = MeterLine(electricity, state=new_meter(electricity, NEIGHBOUR))
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        unit.visit()
        bench.line.server = other.line.server
        with pytest.raises(Exception, match=NEIGHBOUR):
            unit.visit()
        assert len(unit.state().visits) == 1


def test_what_another_command_found_out_counts(electricity: Companion, tmp_path: Path) -> None:
    """vtc07 hhu resume resolves the delivery that this route left open."""
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        seen = False

        def cut(who: Sender, char: int, _index: int, _now: int) -> int:
            nonlocal seen
            seen |= who == "client" and char == ord("W")
            return UNPLUGGED if seen and who == "server" else char

        bench.line.fault = cut
        assert unit.visit().meaning is Meaning.UNRESOLVED
        assert unit.state().tasks[0].result is OPEN
        unit.mend()
        with unit.journal() as journal:
            procedure = resolve_earlier(
                Session(electricity, address=PAN), journal, wall_clock=unit.clock
            )
            bench.run(procedure)
        task = unit.state().tasks[0]
        assert (task.result, str(task.said), task.delivery) == (DONE, "delivered: Accept", 1)
        assert unit.later().complete
        assert values_read(unit.state()) == {"creditBalance": 2 * WH}


def test_a_stop_without_tasks_is_done_when_its_meter_was_there(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", {"meter": PAN})) as unit:
        assert unit.state().result is StopResult.NOT_VISITED
        visit = unit.visit()
        assert (visit.finding, visit.meaning) == (Finding.NO_TASKS, Meaning.DONE)
        assert unit.state().result is StopResult.DONE


def test_credit_before_the_default_key_is_changed_waits_for_it(
    electricity: Companion, tmp_path: Path
) -> None:
    attributes = KeyAttributes(KT.DDTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    state = manufacture(electricity, MeterPAN(PAN), KEY, attributes, TID(5_000_000))
    bench = MeterLine(electricity, state=state)
    with day(bench, route_of(tmp_path / "r.json", {"meter": PAN, "deliver": [credit(1)]})) as unit:
        unit.visit()
        assert results(unit.state()) == [TO_DO]
        assert str(unit.state().tasks[0].said) == "refused: DDTKError"
        assert unit.state().result is StopResult.PARTLY


def test_while_a_delivery_stays_open_nothing_is_changed_at_the_meter(
    electricity: Companion, tmp_path: Path
) -> None:
    """With the wrong companion nobody can ask what became of it; reading harms nothing."""
    bench = MeterLine(electricity)
    lacking = without(electricity, "tokenSequence", "lastToken", "lastTokenStatus")
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        with unit.journal() as journal:
            journal.open_delivery(PAN, credit(9), Snapshot(0, 0, "", 0), unit.clock())
        bench.companion = lacking
        unit.new_session()
        visit = unit.visit()
        assert visit.meaning is Meaning.UNRESOLVED
        assert "no token is sent to this meter before delivery 1 is resolved" in str(visit.said)
        assert results(unit.state()) == [TO_DO, TO_DO, TO_DO, DONE]
        bench.companion = electricity
        later = unit.later()
        assert later.complete
        assert [str(earlier.outcome) for earlier in later.earlier] == [
            "not taken: the meter has executed no entry of it"
        ]


def test_a_meter_that_is_gone_is_not_looked_for_task_by_task(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        steps: list[Progress] = []
        unit.new_session(on_progress=steps.append)
        bench.line.fault = lambda who, char, _index, _now: (
            UNPLUGGED if who == "client" and char == ord("W") else char
        )
        visit = unit.visit()
        assert visit.obstacle is not None
        assert sum(isinstance(step, Reconnecting) for step in steps) == 3
        assert len(visit.tried) == 1
        again = unit.later()
        assert again.tried[0].task.delivery == 1, "what became of it is written down, too"
        assert again.tried[0].task.entry is not None


def test_a_token_that_nobody_knows_of_stays_open_whatever_came_after(
    electricity: Companion, tmp_path: Path
) -> None:
    with day(MeterLine(electricity), route_of(tmp_path / "r.json", WHOLE)) as unit:
        with unit.journal() as journal:
            for outcome in (
                Unresolved(UnresolvedReason.BY_HAND),
                NotTaken(NotTakenReason.NOT_ARRIVED),
            ):
                made = journal.open_delivery(PAN, credit(1), None, unit.clock())
                journal.announce_write(made.number, 1, unit.clock())
                journal.close_delivery(made.number, outcome, unit.clock())
        assert results(unit.state())[0] is OPEN
        assert unit.visit().meaning is Meaning.UNRESOLVED
        assert unit.bench.state.tokens_executed == 0
        assert results(unit.state()) == [OPEN, TO_DO, DONE, DONE]


def test_a_delivery_that_is_left_open_holds_back_the_tokens_of_the_next_stop(
    electricity: Companion, tmp_path: Path
) -> None:
    """A meter may stand in a route twice; whatever is open at it comes first all the same."""
    bench = MeterLine(electricity, execution_ns=20 * S)
    stops = [{"meter": PAN, "deliver": [credit(number)]} for number in (1, 2)]
    with day(bench, route_of(tmp_path / "r.json", *stops)) as unit:
        visit = unit.visit()
        assert visit.meaning is Meaning.UNRESOLVED
        assert "before delivery 1 is resolved" in str(visit.said)
        with unit.journal() as journal:
            assert [delivery.token for delivery in journal.deliveries()] == [credit(1)]
        bench.meter._execution_ns = S
        assert unit.later().complete
        assert bench.state.tokens_executed == 2


def test_a_meter_that_cannot_be_compared_gets_no_token_of_any_stop(
    electricity: Companion, tmp_path: Path
) -> None:
    """It told its MeterPAN when it was identified, and refuses it before the first token."""
    bench = ScriptedMeter(electricity)
    told = 0

    def refusing(command: Command) -> ClientEvent | None:
        nonlocal told
        if isinstance(command, Read) and command.start.name == "meterPAN":
            told += 1
            if told > 1:
                return CommandRefused(command, ErrorCode.ACCESS_DENIED, "ER03")
        return None

    bench.failing = refusing
    bench.snapshots.append(Snapshot(0, 0, "", 0))
    stops = [{"meter": PAN, "deliver": [credit(number)]} for number in (1, 2)]
    route = route_of(tmp_path / "r.json", *stops)
    with MemoryPlace() as place, SQLiteJournal(place) as journal:
        visit = bench.run(work(Session(electricity), journal, route, wall_clock=wall_clock))
        assert visit.meaning is Meaning.REFUSED
        assert bench.count(EnterToken) == 0
        assert journal.deliveries() == ()


@pytest.mark.parametrize("resend", [False, True])
def test_a_token_that_was_never_sent_is_sent_at_a_meter_that_tells_nothing(
    electricity: Companion, tmp_path: Path, resend: bool
) -> None:
    """The unit crashed between opening the delivery and announcing its first entry."""
    bench = MeterLine(without(electricity, "tokenSequence", "lastToken", "lastTokenStatus"))
    stop = {"meter": PAN, "deliver": [credit(1)]}
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        with unit.journal() as journal:
            journal.open_delivery(PAN, credit(1), None, unit.clock())
        assert unit.visit(resend_if_refusable=resend).complete
        assert bench.state.tokens_executed == 1

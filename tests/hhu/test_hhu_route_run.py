"""Working through routes with real meters: what is done, told, and never done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hhu_bench import PAN, MeterLine, credit, new_meter
from key_change_bench import FOUR, KEY, NEW_KEY, OTHER_NEW_KEY, set_of_four
from route_bench import day, results, route_of, sections, values_read

from vtc07.carrier.companion import Companion, S
from vtc07.hhu.journal.entries import EntryKind
from vtc07.hhu.outcome import Meaning
from vtc07.hhu.route.file import open_route
from vtc07.hhu.route.round import (
    begin_round,
    continue_round,
    current_round,
    round_before,
    round_of_another_file,
)
from vtc07.hhu.route.run import work
from vtc07.hhu.route.state import route_summary
from vtc07.hhu.route.task import StopResult, TaskKind, TaskResult
from vtc07.hhu.route.visit import Arrived, Finding, Known, RouteStep, TaskBegins, TaskEnded
from vtc07.links.link import Sender
from vtc07.links.simulated import UNPLUGGED
from vtc07.meter import MeterState
from vtc07.tokens import EA, DecoderKey, Service, TransferCredit, encode

WH = 10_000
DONE, TO_DO, REFUSED = TaskResult.DONE, TaskResult.TO_DO, TaskResult.REFUSED
WHOLE = {
    "meter": PAN,
    "place": "Kitchen",
    "deliver": [credit(1), credit(2)],
    "write": ["lowCreditThreshold=500"],
    "read": ["creditBalance", "lastToken"],
}
NEIGHBOUR = "000001000000000082"


def wrong_token() -> str:
    return f"{(int(credit(9)) + 1) % 2**66:020d}"


def entries_sent(state: MeterState) -> int:
    return state.tokens_executed


def test_a_visit_that_must_not_go_on_leaves_meter_and_journal_as_they_were(
    electricity: Companion, tmp_path: Path
) -> None:
    def refuse(step: RouteStep) -> None:
        assert step == Known(PAN)
        raise PermissionError

    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "monday.json", WHOLE)) as unit:
        with pytest.raises(PermissionError):
            unit.visit(on_task=refuse)
        assert bench.state.account.balance == 0
        with unit.journal() as journal:
            assert not list(journal.entries(kinds=(EntryKind.ARRIVED, EntryKind.ROUTE)))


def test_everything_that_a_stop_wants(electricity: Companion, tmp_path: Path) -> None:
    bench = MeterLine(electricity)
    route = route_of(tmp_path / "monday.json", WHOLE)
    with day(bench, route) as unit:
        assert unit.state().result is StopResult.NOT_VISITED
        heard: list[RouteStep] = []
        visit = unit.visit(on_task=heard.append)
        assert (visit.finding, visit.meaning) == (Finding.WORK, Meaning.DONE)
        assert visit.complete
        assert str(visit.said) == "5 tasks done, and with them everything at this meter"
        assert bench.state.account.balance == 2 * WH

        state = unit.state()
        assert (state.result, state.meter_pan) == (StopResult.DONE, PAN)
        assert results(state) == [DONE] * 5
        assert [task.delivery for task in state.tasks] == [1, 2, None, None, None]
        assert values_read(state) == {"creditBalance": 2 * WH, "lastToken": credit(2)}
        (visited,) = state.visits
        assert visited.ended is not None
        assert visited.began < visited.ended

        begins = [step for step in heard if isinstance(step, TaskBegins)]
        assert heard[0] == Known(PAN)
        assert isinstance(heard[1], Arrived)
        assert [(step.number, step.of) for step in begins] == [(n, 5) for n in range(1, 6)]
        assert [s.task for s in heard if isinstance(s, TaskEnded)] == [
            ended.task for ended in visit.tried
        ]
        with unit.journal() as journal:
            kinds = [
                entry.kind
                for entry in journal.entries(route="monday")
                if entry.kind not in (EntryKind.SETTING, EntryKind.SET)
            ]
            assert kinds == [
                EntryKind.ROUTE, EntryKind.ARRIVED, *[EntryKind.TASK] * 5, EntryKind.LEFT,
            ]  # fmt: skip
            assert [task.entry for task in state.tasks] == [
                entry.number for entry in journal.entries(kinds=(EntryKind.TASK,))
            ]


def test_no_token_stands_in_the_members_of_an_entry(electricity: Companion, tmp_path: Path) -> None:
    stop = {**WHOLE, "read": ["lastToken", "tokenLog"]}
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        unit.visit()
        assert credit(2) in str(values_read(unit.state()))
        with unit.journal() as journal:
            found = [entry for entry in journal.entries() if entry.kind is EntryKind.TASK]
            assert found
            for entry in found:
                text = "".join(c for c in str(entry.members) if c.isdigit())
                assert credit(1) not in text
                assert credit(2) not in text


def test_a_meter_that_is_done_is_told_so_and_since_when(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        first = unit.visit()
        sent = bench.line.sent("client")
        second = unit.later()
        assert (second.finding, second.meaning) == (Finding.ALREADY_DONE, Meaning.DONE)
        last = first.tried[-1].task.entry
        assert f"entry {last} of the journal" in str(second.said)
        assert second.tried == ()
        assert bench.line.sent("client") - sent < 60, "it was only asked who it is"
        assert len(second.stops[0].visits) == 2


def test_again_writes_and_reads_once_more_and_sends_no_token(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        unit.visit()
        bench.keypad(credit(3))
        heard: list[RouteStep] = []
        visit = unit.later(again=True, on_task=heard.append)
        assert [step.of for step in heard if isinstance(step, TaskBegins)] == [3] * 3
        assert [ended.task.kind for ended in visit.tried] == [
            TaskKind.WRITE, TaskKind.READ, TaskKind.READ,
        ]  # fmt: skip
        assert values_read(unit.state())["creditBalance"] == 3 * WH
        assert entries_sent(bench.state) == 3


def test_a_refused_token_ends_the_deliveries_and_not_the_rest(
    electricity: Companion, tmp_path: Path
) -> None:
    stop = {**WHOLE, "deliver": [credit(1), wrong_token(), credit(2)]}
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        visit = unit.visit()
        assert visit.meaning is Meaning.REFUSED
        state = unit.state()
        assert results(state) == [DONE, REFUSED, TO_DO, DONE, DONE, DONE]
        assert state.result is StopResult.REFUSED
        assert str(state.tasks[1].said) == "refused: CRCError"
        why = "a digit is wrong, or the token is for another meter or another key"
        assert [task.why for task in state.tasks] == ["", why, "", "", "", ""]
        assert [ended.task.why for ended in visit.tried] == ["", why, "", "", ""]
        assert "settled first" in str(state.tasks[2].said)
        again = unit.later()
        assert again.finding is Finding.REFUSED_BEFORE
        assert again.meaning is Meaning.REFUSED
        assert entries_sent(bench.state) == 2, "a wrong token is not tried again: it locks meters"


def test_a_meter_by_its_drn(electricity: Companion, tmp_path: Path) -> None:
    stop = {"meter": PAN[6:17], "read": ["creditBalance"]}
    with day(MeterLine(electricity), route_of(tmp_path / "r.json", stop)) as unit:
        assert unit.visit().complete
        assert unit.state().result is StopResult.DONE


def test_a_meter_that_is_not_on_the_route(electricity: Companion, tmp_path: Path) -> None:
    bench = MeterLine(electricity, state=new_meter(electricity, NEIGHBOUR))
    with day(bench, route_of(tmp_path / "monday.json", WHOLE)) as unit:
        visit = unit.visit()
        assert (visit.finding, visit.meaning) == (Finding.NOT_ON_ROUTE, Meaning.REFUSED)
        assert str(visit.said) == "this meter is not on the route"
        unit.route = route_of(tmp_path / "tuesday.json", {"meter": NEIGHBOUR, "read": ["SGC"]})
        assert unit.later().complete
        unit.route = open_route(tmp_path / "monday.json")
        assert "it was met before on: tuesday" in str(unit.later().said)
        assert unit.state().result is StopResult.NOT_VISITED
        with unit.journal() as journal:
            notes = [e for e in journal.entries(kinds=(EntryKind.NOTE,)) if e.route == "monday"]
            assert [note.meter_pan for note in notes] == [NEIGHBOUR] * 2


def test_a_token_that_another_command_delivered_is_not_sent(
    electricity: Companion, tmp_path: Path
) -> None:
    """By this route last week, by vtc07 send: the journal knows it."""
    bench = MeterLine(electricity)
    one = {"meter": PAN, "deliver": [credit(1)]}
    with day(bench, route_of(tmp_path / "first.json", one)) as unit:
        unit.visit()
        unit.route = route_of(tmp_path / "second.json", WHOLE)
        assert results(unit.state())[:2] == [DONE, TO_DO]
        assert unit.state().result is StopResult.PARTLY
        unit.later()
        assert unit.state().result is StopResult.DONE
        assert entries_sent(bench.state) == 2


def test_a_token_that_stands_in_two_places_is_entered_once(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    route = route_of(tmp_path / "r.json", {"meter": PAN, "read": ["SGC"]})
    twice = {"meter": PAN, "deliver": [credit(1)], "read": ["creditBalance"]}
    with day(bench, route) as unit:
        unit.route = route_of(
            tmp_path / "r.json", twice, {**twice, "meter": PAN[6:17], "write": ["displayMode=1"]}
        )
        unit.visit()
        assert entries_sent(bench.state) == 1
        assert [unit.state(line).tasks[0].result for line in (0, 1)] == [DONE, DONE]


def new_credit(number: int) -> str:
    token = TransferCredit(Service.ELECTRICITY, 5, 6_000_000 + number, 100)
    return encode(token, NEW_KEY).digits


def test_a_key_change_is_delivered_whole_and_credit_of_the_new_key_after_it(
    electricity: Companion, tmp_path: Path
) -> None:
    stop = {
        "meter": PAN,
        "deliver": [credit(1), *sections(FOUR), new_credit(2)],
        "read": ["KRN"],
    }
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        visit = unit.visit()
        assert visit.complete, visit.said
        assert bench.state.key == NEW_KEY
        assert bench.state.account.balance == 2 * WH
        assert values_read(unit.state()) == {"KRN": 2}
        tasks = unit.state().tasks
        assert all(task.entry is not None for task in tasks)
        assert [str(task.said) for task in tasks[1:5]] == [
            "delivered: 1stKCT", "delivered: 2ndKCT", "delivered: 3rdKCT", "delivered: Accept",
        ]  # fmt: skip
        assert unit.later().finding is Finding.ALREADY_DONE


def test_sections_of_a_key_change_are_entered_in_their_order(
    electricity: Companion, tmp_path: Path
) -> None:
    stop = {"meter": PAN, "deliver": sections(FOUR)[::-1]}
    with day(MeterLine(electricity), route_of(tmp_path / "r.json", stop)) as unit:
        assert unit.visit().complete
        with unit.journal() as journal:
            assert [delivery.token for delivery in journal.deliveries()] == FOUR


def test_a_key_change_that_was_overtaken_is_not_tried_again(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    for token in (FOUR[0], *set_of_four(OTHER_NEW_KEY)):
        bench.keypad(token)
        bench.line.idle(20 * S)
    assert bench.state.key == OTHER_NEW_KEY
    with day(bench, route_of(tmp_path / "r.json", {"meter": PAN, "deliver": sections(FOUR)})) as u:
        executed = entries_sent(bench.state)
        assert u.visit().meaning is Meaning.REFUSED
        assert u.state().result is StopResult.REFUSED
        assert "another key change" in " ".join(str(task.said) for task in u.state().tasks)
        assert u.later().finding is Finding.REFUSED_BEFORE
        assert entries_sent(bench.state) == executed


def test_a_key_change_that_stopped_in_the_middle_is_told_and_goes_on(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    stop = {"meter": PAN, "deliver": sections(FOUR), "read": ["KRN"]}
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        for token in (FOUR[0], FOUR[2]):
            bench.keypad(token)
            bench.line.idle(20 * S)
        bench.line.fault = lambda who, char, _at, _now: (
            UNPLUGGED if who == "client" and char == ord("W") else char
        )
        visit = unit.visit()
        assert visit.meaning is Meaning.UNRESOLVED
        assert unit.state().result is StopResult.OPEN
        unit.later()
        assert unit.state().result is StopResult.DONE
        assert entries_sent(bench.state) == 4
        assert bench.state.key == NEW_KEY


def test_a_key_change_of_another_key_is_refused_once(
    electricity: Companion, tmp_path: Path
) -> None:
    other = DecoderKey(EA.MISTY1, bytes(range(64, 80)))
    stop = {"meter": PAN, "deliver": sections(set_of_four(current=other)), "read": ["KRN"]}
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        assert unit.visit().meaning is Meaning.REFUSED
        assert unit.state().result is StopResult.REFUSED
        assert values_read(unit.state()) == {"KRN": 1}
        executed = entries_sent(bench.state)
        assert unit.later().finding is Finding.REFUSED_BEFORE
        assert entries_sent(bench.state) == executed


def test_registers_that_cannot_be_written_or_read(electricity: Companion, tmp_path: Path) -> None:
    stop = {
        "meter": PAN,
        "write": ["SGC=1", "noSuch=1", "lowCreditThreshold=200"],
        "read": ["nothing", "creditBalance"],
    }
    with day(MeterLine(electricity), route_of(tmp_path / "r.json", stop)) as unit:
        unit.visit()
        state = unit.state()
        assert results(state) == [REFUSED, REFUSED, DONE, REFUSED, DONE]
        said = [str(task.said) for task in state.tasks]
        assert said[0].startswith("refused: ")
        assert "no register 'noSuch'" in said[1]
        assert said[2] == "written and read back"
        assert "no register 'nothing'" in said[3]
        assert state.result is StopResult.REFUSED


def test_a_route_that_was_changed_begins_anew_unless_somebody_says_otherwise(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    path = tmp_path / "monday.json"
    with day(bench, route_of(path, WHOLE)) as unit:
        unit.visit()
        unit.route = route_of(path, {**WHOLE, "notes": "corrected"})
        assert results(unit.state()) == [DONE, DONE, TO_DO, TO_DO, TO_DO]
        with unit.journal() as journal:
            assert current_round(journal, unit.route) is None
            earlier = round_of_another_file(journal, unit.route)
            assert earlier is not None
            continue_round(journal, unit.route, earlier, unit.clock())
            assert round_of_another_file(journal, unit.route) is None
        assert unit.state().result is StopResult.DONE
        with unit.journal() as journal:
            begin_round(journal, unit.route, unit.clock())
        assert results(unit.state()) == [DONE, DONE, TO_DO, TO_DO, TO_DO]
        assert unit.state().visits == ()
        unit.later()
        assert unit.state().result is StopResult.DONE
        assert entries_sent(bench.state) == 2


def test_that_a_route_is_the_same_one_may_be_said_later(
    electricity: Companion, tmp_path: Path
) -> None:
    """What was done with the corrected file before that counts as well."""
    neighbour = MeterLine(electricity, state=new_meter(electricity, NEIGHBOUR))
    own = MeterLine(electricity)
    path = tmp_path / "monday.json"
    stops = [{"meter": PAN, "read": ["SGC"]}, {"meter": NEIGHBOUR, "read": ["SGC"]}]
    with day(own, route_of(path, *stops)) as unit:
        unit.visit()
        unit.route = route_of(path, *stops, {"meter": PAN, "read": ["TI"]})
        unit.bench = neighbour
        unit.new_session()
        unit.visit()
        assert [unit.state(line).result for line in (0, 1)] == [
            StopResult.NOT_VISITED, StopResult.DONE,
        ]  # fmt: skip
        with unit.journal() as journal:
            before = round_before(journal, unit.route)
            assert before is not None
            continue_round(journal, unit.route, before, unit.clock())
            assert round_before(journal, unit.route) is None
        assert [unit.state(line).result for line in (0, 1)] == [StopResult.DONE] * 2
        unit.bench = own
        assert unit.later().complete
        assert unit.state(2).result is StopResult.DONE


def test_two_files_of_one_name_are_two_routes(electricity: Companion, tmp_path: Path) -> None:
    bench = MeterLine(electricity)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    stop = {"meter": PAN, "read": ["creditBalance"]}
    first = route_of(tmp_path / "a" / "monday.json", stop)
    second = route_of(tmp_path / "b" / "monday.json", {**stop, "place": "elsewhere"})
    with day(bench, first) as unit:
        unit.visit()
        bench.keypad(credit(1))
        unit.route = second
        unit.later()
        assert values_read(unit.state()) == {"creditBalance": WH}
        unit.route = first
        assert len(unit.state().visits) == 1
        assert values_read(unit.state()) == {"creditBalance": 0}


def test_how_far_a_route_has_come(electricity: Companion, tmp_path: Path) -> None:
    route = route_of(
        tmp_path / "r.json", WHOLE, {"meter": NEIGHBOUR, "deliver": [credit(5)], "read": ["SGC"]}
    )
    bench = MeterLine(electricity)
    with day(bench, route) as unit:
        with unit.journal() as journal:
            nothing = route_summary(journal, route)
        assert (nothing.size, nothing.finished, nothing.began) == (2, 0, None)
        assert nothing.stops[StopResult.NOT_VISITED] == 2
        unit.visit()
        with unit.journal() as journal:
            summary = route_summary(journal, route)
        assert (summary.size, summary.finished) == (2, 1)
        assert summary.stops[StopResult.NOT_VISITED] == 1
        assert summary.tasks[TaskKind.DELIVER, DONE] == 2
        assert summary.tasks[TaskKind.READ, TO_DO] == 1
        assert summary.began == summary.latest == unit.state().visits[0].began


def test_a_session_that_goes_on_is_compared_with_the_meter_that_is_there(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
        unit.visit()
        again = unit.visit()
        assert again.finding is Finding.ALREADY_DONE


def test_a_procedure_of_its_own_needs_nothing_but_what_it_is_given(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit, unit.journal() as journal:
        visit = bench.run(work(unit.session, journal, unit.route, wall_clock=unit.clock))
    assert visit.meter.meter_pan == PAN


def test_a_key_that_was_made_of_two_sets_is_never_told_as_done(
    electricity: Companion, tmp_path: Path
) -> None:
    """The meter says Accept to the last section, but one of another set came in between."""
    bench = MeterLine(electricity)
    (strange, *_) = set_of_four(OTHER_NEW_KEY)
    entries = 0

    def someone_at_the_keypad(who: Sender, char: int, _index: int, now_ns: int) -> int:
        nonlocal entries
        if who == "client" and char == ord("W"):
            entries += 1
            if entries == 4:
                bench.line.schedule(now_ns, lambda: bench.keypad(strange))
        return char

    bench.line.fault = someone_at_the_keypad
    stop = {"meter": PAN, "deliver": sections(FOUR)}
    with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
        visit = unit.visit()
        assert bench.state.key not in (KEY, NEW_KEY)
        assert visit.meaning is Meaning.REFUSED
        executed = entries_sent(bench.state)
        for _ in range(2):
            assert unit.state().result is StopResult.REFUSED
            assert results(unit.state()) == [REFUSED] * 4
            assert "of this set and others" in " ".join(str(t.said) for t in unit.state().tasks)
            assert unit.later().finding is Finding.REFUSED_BEFORE
        assert entries_sent(bench.state) == executed


def test_a_key_change_set_that_was_corrected_goes_on(
    electricity: Companion, tmp_path: Path
) -> None:
    mistyped = f"{int(FOUR[1]) ^ 5:020d}"
    path = tmp_path / "r.json"
    for by_keypad in (True, False):
        bench = MeterLine(electricity)
        wrong = {"meter": PAN, "deliver": sections([FOUR[0], mistyped, *FOUR[2:]])}
        with day(bench, route_of(path, wrong)) as unit:
            if by_keypad:
                bench.keypad(FOUR[0])
                bench.line.idle(20 * S)
            assert unit.visit().meaning is Meaning.REFUSED
            assert unit.later().finding is Finding.REFUSED_BEFORE
            unit.route = route_of(path, {"meter": PAN, "deliver": sections(FOUR)})
            with unit.journal() as journal:
                earlier = round_before(journal, unit.route)
                assert earlier is not None
                continue_round(journal, unit.route, earlier, unit.clock())
            assert unit.later().complete
            assert bench.state.key == NEW_KEY

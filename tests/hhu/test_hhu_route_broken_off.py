"""Visits that break off anywhere: what the journal says is true, and the next one goes on there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hhu_bench import PAN, MeterLine, credit, without
from hypothesis import given, settings
from hypothesis import strategies as st
from key_change_bench import FOUR, NEW_KEY, OTHER_NEW_KEY, set_of_four
from route_bench import (
    CrashError,
    Day,
    crashing,
    day,
    effects_of,
    results,
    route_of,
    sections,
    values_read,
)

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.status import TokenStatus
from vtc07.durable.memory import disk_error
from vtc07.hhu.journal.deliveries import JournalError
from vtc07.hhu.outcome import Delivered, Meaning
from vtc07.hhu.route.run import work
from vtc07.hhu.route.task import StopResult, TaskKind, TaskResult
from vtc07.hhu.route.visit import Finding, RouteVisit
from vtc07.hhu.session import NoLink, SessionError
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Fault
from vtc07.tokens import Service, TransferCredit, encode

WH = 10_000
TOKENS = (credit(1), credit(2))
WHOLE = {
    "meter": PAN,
    "deliver": list(TOKENS),
    "write": ["lowCreditThreshold=500"],
    "read": ["creditBalance"],
}
AFTER = encode(TransferCredit(Service.ELECTRICITY, 5, 6_000_002, 100), NEW_KEY).digits
KEY_CHANGE = {
    "meter": PAN,
    "deliver": [TOKENS[0], *sections(FOUR), AFTER],
    "write": ["lowCreditThreshold=500"],
    "read": ["creditBalance", "KRN"],
}


def accepted(bench: MeterLine) -> list[str]:
    """The tokens that the meter has accepted, in their order."""
    log = sorted(bench.state.token_log, key=lambda entry: entry.sequence)
    return [entry.token for entry in log if entry.status is TokenStatus.ACCEPT]


def assert_true(unit: Day) -> None:
    """Compare what the journal says of the tokens with what the meter has done."""
    unit.mend()
    taken = accepted(unit.bench)
    assert len(taken) == len(set(taken)), "a token was accepted twice"
    state = unit.state()
    for token, task in zip(state.stop.deliver, state.tasks, strict=False):
        assert task.kind is TaskKind.DELIVER
        if token.of_key_change:
            continue
        if task.result is TaskResult.DONE:
            assert token.digits in taken
        elif task.result is TaskResult.TO_DO:
            assert token.digits not in taken
        else:
            assert task.result is TaskResult.OPEN, task.said


def assert_completed(unit: Day, **options: Any) -> None:
    """Come back until nothing is left, and look whether everything was done once."""
    assert_true(unit)
    again = unit.visit(**options)
    state = unit.state()
    assert state.result is StopResult.DONE, f"{again.said}: {[str(t.said) for t in state.tasks]}"
    assert_true(unit)
    taken = accepted(unit.bench)
    tokens = [t.digits for t in state.stop.deliver if not t.of_key_change]
    assert [token for token in taken if token in tokens] == tokens
    assert unit.bench.state.account.balance == len(tokens) * WH
    assert values_read(state)["creditBalance"] == len(tokens) * WH
    assert unit.later().finding is Finding.ALREADY_DONE


def characters(companion: Companion, path: Path, stop: dict[str, Any]) -> dict[Sender, int]:
    bench = MeterLine(companion)
    with day(bench, route_of(path, stop)) as unit:
        assert unit.visit().complete
    return {"client": bench.line.sent("client"), "server": bench.line.sent("server")}


def at(sender: Sender, place: int, verdict: int) -> Fault:
    return lambda who, char, index, _now: verdict if (who, index) == (sender, place) else char


@pytest.mark.parametrize("verdict", [LINK_LOST, UNPLUGGED], ids=["lost", "unplugged"])
@pytest.mark.parametrize("sender", ["client", "server"])
def test_the_line_cut_at_any_character(
    electricity: Companion, tmp_path: Path, sender: Sender, verdict: int
) -> None:
    path = tmp_path / "r.json"
    count = characters(electricity, path, WHOLE)[sender]
    meanings: set[Meaning] = set()
    for place in range(0, count, 11):
        bench = MeterLine(electricity, fault=at(sender, place, verdict))
        with day(bench, route_of(path, WHOLE)) as unit:
            try:
                meanings.add(unit.visit().meaning)
            except NoLink:  # it was not even identified
                assert unit.state().result is StopResult.NOT_VISITED
            assert_completed(unit)
    expected = {Meaning.DONE} if verdict == LINK_LOST else {Meaning.NO_LINK, Meaning.UNRESOLVED}
    assert meanings >= expected


@pytest.mark.parametrize("sender", ["client", "server"])
def test_the_line_cut_at_any_character_of_a_key_change(
    electricity: Companion, tmp_path: Path, sender: Sender
) -> None:
    path = tmp_path / "r.json"
    count = characters(electricity, path, KEY_CHANGE)[sender]
    for place in range(0, count, 41):
        bench = MeterLine(electricity, fault=at(sender, place, UNPLUGGED))
        with day(bench, route_of(path, KEY_CHANGE)) as unit:
            with contextlib.suppress(NoLink):  # it was not even identified
                unit.visit()
            assert_completed(unit)
            assert bench.state.key == NEW_KEY


def count_effects(companion: Companion, path: Path, stop: dict[str, Any]) -> int:
    effects: list[object] = []
    bench = MeterLine(companion)
    with day(bench, route_of(path, stop)) as unit, unit.journal() as journal:
        procedure = work(unit.session, journal, unit.route, wall_clock=unit.clock)
        assert bench.run(effects_of(procedure, effects)).complete
    return len(effects)


@pytest.mark.parametrize(
    ("stop", "step"), [(WHOLE, 1), (KEY_CHANGE, 3)], ids=["credit", "key change"]
)
def test_a_crash_between_any_two_steps(
    electricity: Companion, tmp_path: Path, stop: dict[str, Any], step: int
) -> None:
    path = tmp_path / "r.json"
    count = count_effects(electricity, path, stop)
    for effects in range(0, count, step):
        bench = MeterLine(electricity)
        with day(bench, route_of(path, stop)) as unit:
            with pytest.raises(CrashError):
                unit.visit(effects=effects)
            unit.place.lose_power()
            ended = [visit.ended is not None for visit in unit.state().visits]
            assert not any(ended) or effects == count - 1  # it looks once more at what it wrote
            assert_completed(unit)


def statements(unit: Day, visit: Callable[[], RouteVisit]) -> int:
    count = 0

    def note(_sql: str, _done: bool) -> None:
        nonlocal count
        count += 1

    unit.place.hook = note
    assert visit().complete
    unit.place.hook = None
    return count


def test_the_unit_loses_power_at_any_statement_of_its_journal(
    electricity: Companion, tmp_path: Path
) -> None:
    route = route_of(tmp_path / "r.json", WHOLE)
    with day(MeterLine(electricity), route) as unit:
        count = statements(unit, unit.visit)
    for struck in range(0, count, 2):
        with day(MeterLine(electricity), route) as unit:
            left = struck

            def strike(_sql: str, _done: bool) -> None:
                nonlocal left
                if left == 0:
                    raise CrashError
                left -= 1

            unit.place.hook = strike
            with pytest.raises(CrashError):
                unit.visit()
            unit.place.hook = None
            unit.place.lose_power()
            assert_completed(unit)


def test_a_disk_that_refuses_any_statement(electricity: Companion, tmp_path: Path) -> None:
    """The journal cannot be written any more: nothing is begun that could not be noted."""
    route = route_of(tmp_path / "r.json", WHOLE)
    with day(MeterLine(electricity), route) as unit:
        count = statements(unit, unit.visit)
    told = 0
    for struck in range(0, count, 5):
        with day(MeterLine(electricity), route) as unit:
            left = struck
            refused = False

            def refuse(_sql: str, done: bool) -> None:
                nonlocal left, refused
                left -= 1
                if left < 0 and not done:
                    refused = True
                    raise disk_error()

            unit.place.hook = refuse
            try:
                visit = unit.visit()
            except JournalError:  # nothing was done
                assert unit.bench.state.tokens_executed == 0
            else:
                told += bool(visit.problems)
                assert bool(visit.problems) == refused
            unit.place.hook = None
            unit.place.lose_power()
            assert_completed(unit)
    assert told


def test_a_meter_that_does_not_tell_what_became_of_a_token(
    electricity: Companion, tmp_path: Path
) -> None:
    """Nobody knows whether it was taken: it is not sent again, unless the meter would refuse it."""
    companion = without(electricity, "tokenSequence", "lastToken", "lastTokenStatus")
    for resend in (False, True):
        bench = MeterLine(companion)
        with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit:
            seen = 0

            def cut(who: Sender, char: int, _index: int, _now: int) -> int:
                nonlocal seen
                seen += who == "client" and char == ord("W")
                return UNPLUGGED if seen and who == "server" else char

            bench.line.fault = cut
            assert unit.visit().meaning is Meaning.UNRESOLVED
            assert unit.state().result is StopResult.OPEN
            visit = unit.later(resend_if_refusable=resend)
            assert bench.state.account.balance == (2 * WH if resend else WH)
            expected = StopResult.DONE if resend else StopResult.OPEN
            assert visit.stops[0].result is expected
            if not resend:
                assert visit.meaning is Meaning.UNRESOLVED
                assert results(unit.state()) == [
                    TaskResult.OPEN, TaskResult.TO_DO, TaskResult.DONE, TaskResult.DONE,
                ]  # fmt: skip


def test_an_open_delivery_of_another_token_is_resolved_first(
    electricity: Companion, tmp_path: Path
) -> None:
    bench = MeterLine(electricity)
    path = tmp_path / "r.json"
    first = route_of(tmp_path / "first.json", {"meter": PAN, "deliver": [credit(7)]})
    with day(bench, first) as unit:
        bench.line.fault = lambda who, char, _at, _now: (
            UNPLUGGED if who == "client" and char == ord("W") else char
        )
        assert unit.visit().meaning is Meaning.UNRESOLVED
        unit.route = route_of(path, WHOLE)
        visit = unit.later()
        assert visit.complete
        assert [str(earlier.outcome) for earlier in visit.earlier] == [
            "not taken: the meter has executed no entry of it"
        ]
        unit.route = first
        assert results(unit.state()) == [TaskResult.TO_DO]
        assert unit.later().complete


def test_effects_are_counted_as_they_are(electricity: Companion, tmp_path: Path) -> None:
    """A visit that is let run to its end is not a crash: the tests above strike all the others."""
    bench = MeterLine(electricity)
    count = count_effects(electricity, tmp_path / "r.json", WHOLE)
    with day(bench, route_of(tmp_path / "r.json", WHOLE)) as unit, unit.journal() as journal:
        procedure = work(unit.session, journal, unit.route, wall_clock=unit.clock)
        assert bench.run(crashing(procedure, count)).complete


@settings(max_examples=12)
@given(
    faults=st.lists(
        st.dictionaries(
            st.tuples(st.sampled_from(("client", "server")), st.integers(0, 900)),
            st.sampled_from((DROPPED, DAMAGED, LINK_LOST, UNPLUGGED, ord("A"), 0x06, 0x15, 0x03)),
            max_size=6,
        ),
        min_size=1,
        max_size=3,
    ),
    crash=st.none() | st.integers(0, 60),
    stop=st.sampled_from((WHOLE, KEY_CHANGE)),
)
def test_days_on_which_everything_goes_wrong(
    faults: list[dict[tuple[Sender, int], int]], crash: int | None, stop: dict[str, Any]
) -> None:
    bench = MeterLine(load_companion("electricity"))
    with (
        tempfile.TemporaryDirectory() as folder,
        day(bench, route_of(Path(folder) / "r.json", stop)) as unit,
    ):
        for bad in faults:
            begun = {who: bench.line.sent(who) for who in ("client", "server")}
            bench.line.fault = lambda who, char, place, _now, bad=bad, begun=begun: bad.get(
                (who, place - begun[who]), char
            )
            with contextlib.suppress(SessionError, CrashError):
                unit.visit(effects=crash)
            unit.place.lose_power()
            assert_true(unit)
        for _ in range(3):  # two faults in one message may have made other tokens of ours
            if unit.later().complete:
                break
        assert_completed(unit)


def test_a_last_section_that_is_found_accepted_later_is_not_taken_for_the_whole_set(
    electricity: Companion, tmp_path: Path
) -> None:
    """The cable is cut behind its entry; before it somebody entered one of another set."""
    for strange in (False, True):
        bench = MeterLine(electricity)
        entries = answers = 0

        def cut(
            who: Sender,
            char: int,
            _index: int,
            now_ns: int,
            bench: MeterLine = bench,
            strange: bool = strange,
        ) -> int:
            nonlocal entries, answers
            if who == "client" and char == ord("W"):
                entries += 1
                if entries == 4 and strange:
                    token = set_of_four(OTHER_NEW_KEY)[0]
                    bench.line.schedule(now_ns, lambda: bench.keypad(token))
            # While the other one is executed the entry is refused, and made once more.
            answers += entries == 4 + strange and who == "server"
            return UNPLUGGED if answers == 2 else char  # behind the ACK

        bench.line.fault = cut
        stop = {"meter": PAN, "deliver": sections(FOUR)}
        with day(bench, route_of(tmp_path / "r.json", stop)) as unit:
            assert unit.visit().meaning is Meaning.UNRESOLVED
            later = unit.later()
            assert [type(earlier.outcome) for earlier in later.earlier] == [Delivered]
            assert (bench.state.key == NEW_KEY) is not strange
            assert later.complete is not strange

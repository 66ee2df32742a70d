"""Deliveries behind the sign-on of mode C, over a real line, struck at every character."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hhu_bench import PAN, MeterLine, new_meter, wall_clock
from hypothesis import given, settings
from hypothesis import strategies as st
from true_outcomes import TOKEN, assert_true, session_with

from vtc07.carrier.companion import MS, Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import Failure
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.grammar import DAMAGED
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.carrier.status import ErrorCode
from vtc07.hhu.delivery import SendReport, TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import (
    Delivered,
    NoLink,
    NotTaken,
    NotTakenReason,
    Unresolved,
)
from vtc07.hhu.progress import AwaitingInactivity, Progress
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session, SignOnRefused
from vtc07.hhu.writing import write
from vtc07.links.link import Sender
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Fault, Verdict

PASSWORD = "12345678"
SENDERS: tuple[Sender, ...] = ("client", "server")


@pytest.fixture(scope="module")
def companion() -> Companion:
    return load_companion("electricity-mode-c")


def _send(bench: MeterLine, journal: MemoryJournal) -> SendReport:
    tokens = [TokenToSend(TOKEN)]
    session = session_with(bench.companion)
    return bench.run(send(session, journal, tokens, wall_clock=wall_clock))


def _characters(companion: Companion, password: str | None = None) -> dict[Sender, int]:
    """Return how many characters each end sends in an undisturbed delivery."""
    counts = dict.fromkeys(SENDERS, 0)

    def note(sender: Sender, char: int, _index: int, _now: int) -> int:
        counts[sender] += 1
        return char

    bench = MeterLine(companion, fault=note, password=password)
    _send(bench, MemoryJournal())
    return counts


def _lost(_char: int) -> Verdict:
    return DROPPED


def _damaged(_char: int) -> Verdict:
    return DAMAGED


def _flipped(char: int) -> Verdict:
    return char ^ 0x03  # two bits: the parity is good


def _doubled(char: int) -> Verdict:
    return bytes([char, char])


def _nak_for_ack(char: int) -> Verdict:
    return 0x15 if char == 0x06 else char


def _cut(_char: int) -> Verdict:
    return LINK_LOST


STRIKES = (_lost, _damaged, _flipped, _doubled, _nak_for_ack, _cut)


def _at(sender: Sender, index: int, strike: Callable[[int], Verdict]) -> Fault:
    def fault(who: Sender, char: int, place: int, _now: int) -> Verdict:
        return strike(char) if (who, place) == (sender, index) else char

    return fault


@pytest.mark.parametrize("strike", STRIKES, ids=[s.__name__[1:] for s in STRIKES])
@pytest.mark.parametrize("sender", SENDERS)
def test_one_character_struck_and_the_token_is_delivered_once(
    companion: Companion, sender: Sender, strike: Callable[[int], Verdict]
) -> None:
    """One fault, wherever it strikes in the session, is overcome."""
    for index in range(_characters(companion)[sender]):
        bench, journal = MeterLine(companion, fault=_at(sender, index, strike)), MemoryJournal()
        (outcome,) = _send(bench, journal).outcomes
        assert isinstance(outcome, Delivered), f"character {index}: {outcome}"
        assert_true(outcome, bench, journal)


@pytest.mark.parametrize("sender", SENDERS)
def test_the_cable_pulled_for_good(companion: Companion, sender: Sender) -> None:
    seen: set[type] = set()
    for index in range(_characters(companion)[sender]):
        fault = _at(sender, index, lambda _char: UNPLUGGED)
        bench, journal = MeterLine(companion, fault=fault), MemoryJournal()
        (outcome,) = _send(bench, journal).outcomes
        seen.add(type(outcome))
        assert_true(outcome, bench, journal)
    assert seen >= {NoLink, Unresolved}


def _pulled_for(bench: MeterLine, seconds: int, sender: Sender, index: int) -> Fault:
    def fault(who: Sender, char: int, place: int, now_ns: int) -> Verdict:
        if (who, place) != (sender, index):
            return char
        bench.line.schedule(now_ns + seconds * S, bench.line.plug)
        return UNPLUGGED

    return fault


@pytest.mark.parametrize("seconds", [1, 7, 30])
@pytest.mark.parametrize("sender", SENDERS)
def test_the_cable_pulled_and_put_back(companion: Companion, sender: Sender, seconds: int) -> None:
    for index in range(0, _characters(companion)[sender], 3):
        bench, journal = MeterLine(companion), MemoryJournal()
        bench.line.fault = _pulled_for(bench, seconds, sender, index)
        (outcome,) = _send(bench, journal).outcomes
        if seconds < 30:
            assert isinstance(outcome, Delivered | NoLink), f"character {index}: {outcome}"
        assert_true(outcome, bench, journal)


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(SENDERS), st.integers(0, 300)),
        st.sampled_from((DROPPED, DAMAGED, LINK_LOST, ord("A"), 0x06, 0x15, 0x02, 0x03)),
        max_size=10,
    )
)
def test_many_faults_at_once_and_what_is_reported_is_true(
    faults: dict[tuple[str, int], int],
) -> None:
    bench, journal = MeterLine(load_companion("electricity-mode-c")), MemoryJournal()
    bench.line.fault = lambda who, char, place, _now: faults.get((who, place), char)
    (outcome,) = _send(bench, journal).outcomes
    assert_true(outcome, bench, journal)


@pytest.mark.parametrize(
    "compatibility",
    [
        Compatibility(check=CheckCharacter.SUM),
        Compatibility(crlf_before_etx=True),
        Compatibility(address_not_echoed=True),
        Compatibility(lf_line_ends=True),
    ],
    ids=["SUM", "CR LF before ETX", "address not echoed", "LF line ends"],
)
def test_meters_that_deviate_are_delivered_to(
    companion: Companion, compatibility: Compatibility
) -> None:
    bench = MeterLine(replace(companion, compatibility=compatibility))
    journal = MemoryJournal()
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, Delivered)
    assert_true(outcome, bench, journal)


def test_a_head_that_echoes_and_nobody_said_so(companion: Companion) -> None:
    """The echo of every command is passed over, and nothing has to be asked twice for it."""
    said = dict.fromkeys(SENDERS, 0)
    bench, journal = MeterLine(companion, echo=True), MemoryJournal()

    def count(who: Sender, char: int, _place: int, _now: int) -> Verdict:
        said[who] += 1
        return char

    bench.line.fault = count
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, Delivered)
    assert said == _characters(companion)
    assert_true(outcome, bench, journal)


def test_the_meter_ends_the_session_in_the_middle_of_a_delivery(companion: Companion) -> None:
    """B0 from the meter, at the entry: only a snapshot of the next session tells."""
    bench, journal = MeterLine(companion), MemoryJournal()
    struck = False

    def fault(who: Sender, char: int, _place: int, _now: int) -> Verdict:
        nonlocal struck
        if who == "server" and char == 0x06 and not struck:
            struck = True
            return b"\x01B0\x03q"
        return char

    bench.line.fault = fault
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, Delivered)
    assert_true(outcome, bench, journal)


def test_after_a_lost_session_the_meter_is_awaited_until_it_was_inactive(
    companion: Companion,
) -> None:
    """B0 and the first sign-on are lost as well; the meter still listens at 9600 Bd."""
    bench, journal = MeterLine(companion), MemoryJournal()
    told: list[Progress] = []
    entered = False

    def fault(who: Sender, char: int, _place: int, now_ns: int) -> Verdict:
        nonlocal entered
        if who == "client" and char == ord("W") and not entered:
            entered = True
            bench.line.schedule(now_ns + 30 * S, bench.line.plug)
            return UNPLUGGED
        return char

    bench.line.fault = fault
    session = Session(companion, address=PAN, on_progress=told.append)
    tokens = [TokenToSend(TOKEN)]
    (outcome,) = bench.run(send(session, journal, tokens, wall_clock=wall_clock)).outcomes
    assert entered
    assert [t.seconds for t in told if isinstance(t, AwaitingInactivity)] == [121]
    assert isinstance(outcome, Delivered)
    assert_true(outcome, bench, journal)


# --- passwords ------------------------------------------------------------------------------------


def _locked(companion: Companion, password: str | None) -> MeterLine:
    state = new_meter(companion, password=PASSWORD)
    return MeterLine(companion, state=state, password=password)


def test_a_register_behind_the_password_is_written_and_read_back(companion: Companion) -> None:
    bench = _locked(companion, PASSWORD)
    session = session_with(companion)
    register = companion.table.named("installationReference")
    (result,) = bench.run(write(session, [(register, "Flat 7")], verify=True))
    assert result.good
    assert result.read_back == "Flat 7"
    assert session.level == 2


def test_without_the_password_the_write_is_the_meters_to_refuse(companion: Companion) -> None:
    bench = _locked(companion, None)
    session = session_with(companion)
    register = companion.table.named("installationReference")
    (result,) = bench.run(write(session, [(register, "Flat 7")]))
    assert (result.written, result.error) == (False, ErrorCode.ACCESS_DENIED)
    assert session.level == 0


def test_a_wrong_password_is_tried_once_and_nothing_is_sent(companion: Companion) -> None:
    bench = _locked(companion, "87654321")
    offered = 0

    def count(who: Sender, char: int, _place: int, _now: int) -> Verdict:
        nonlocal offered
        offered += who == "client" and char == ord("P")
        return char

    bench.line.fault = count
    session = session_with(companion)
    with pytest.raises(SignOnRefused) as refused:
        bench.run(session.identify())
    assert refused.value.failure is Failure.PASSWORD_REFUSED
    assert "wait before the next try" in str(refused.value)
    assert "87654321" not in str(refused.value)
    journal = MemoryJournal()
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, NotTaken)
    assert outcome.reason is NotTakenReason.SIGN_ON_REFUSED
    assert offered == 1  # the same password is not given again by itself
    assert isinstance(bench.client, ModeCClient)
    bench.client.use_password(PASSWORD)
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, Delivered)


def test_a_delivery_with_a_password_over_a_line_that_loses_a_character(
    companion: Companion,
) -> None:
    """The sign-on is done anew with its password, and never refused for what the line did."""
    for index in range(20, 60, 3):
        for sender in SENDERS:
            bench = _locked(companion, PASSWORD)
            bench.line.fault = _at(sender, index, _lost)
            journal = MemoryJournal()
            (outcome,) = _send(bench, journal).outcomes
            assert isinstance(outcome, Delivered), f"{sender} {index}: {outcome}"
            assert_true(outcome, bench, journal)


def test_programming_mode_refused_is_said_once(companion: Companion) -> None:
    """A meter that answers every option select with its readout."""
    rule = companion.mode_c
    assert rule is not None
    bench = MeterLine(companion)
    readouts = 0

    def readout_only(who: Sender, char: int, _place: int, _now: int) -> Verdict:
        nonlocal readouts
        if who == "server" and char == 0x02:
            readouts += 1
        return ord("0") if who == "client" and char == ord("1") and option[0] else char

    option = [False]

    def watch(who: Sender, char: int, place: int, now_ns: int) -> Verdict:
        if who == "client":
            verdict = readout_only(who, char, place, now_ns)
            option[0] = char == 0x06 or (option[0] and char != 0x0A)
            return verdict
        return readout_only(who, char, place, now_ns)

    bench.line.fault = watch
    journal = MemoryJournal()
    (outcome,) = _send(bench, journal).outcomes
    assert isinstance(outcome, NotTaken)
    assert outcome.reason is NotTakenReason.SIGN_ON_REFUSED
    assert "programming mode" in str(outcome.detail)
    assert readouts == 2


# --- reading --------------------------------------------------------------------------------------


def test_all_registers_are_read(companion: Companion) -> None:
    bench = MeterLine(companion)
    wanted = [r for r in companion.table if r.read_level == 0]
    found = bench.run(read(session_with(companion), wanted))
    assert [v.register for v in found.values] == wanted
    assert not found.refused
    assert found.value("meterPAN") == PAN


def test_a_register_at_a_higher_level_among_others_is_told_apart(companion: Companion) -> None:
    """What an answer holds depends on the level that is open: nothing may be taken for another."""
    table = companion.table
    hidden = tuple(
        replace(register, read_level=2) if register.name == "activePower" else register
        for register in table
    )
    guarded = replace(companion, table=replace(table, registers=hidden))
    names = ("totalCreditAccepted", "activePower", "activePowerL1", "loadSwitch")
    wanted = [guarded.table.named(name) for name in names]
    bench = MeterLine(guarded, state=new_meter(guarded, password=PASSWORD), password=PASSWORD)
    found = bench.run(read(session_with(guarded), wanted))
    assert tuple(v.register.name for v in found.values) == names
    open_ones = [register for register in wanted if register.read_level == 0]
    bench = MeterLine(guarded)
    found = bench.run(read(session_with(guarded), open_ones))
    assert [v.register for v in found.values] == open_ones


def test_the_time_that_a_delivery_takes(companion: Companion) -> None:
    """Nothing is waited for beyond what the line and the reaction times cost."""
    bench = MeterLine(companion, execution_ns=500 * MS)
    (outcome,) = _send(bench, MemoryJournal()).outcomes
    assert isinstance(outcome, Delivered)
    assert bench.line.now_ns < 6 * S

"""The running meter: 16 until the commit, one token at a time, failures, losses of power."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench_meter import MADE, MeterBench, credit, iter_events, new_meter

from vtc07.carrier.companion import MS, S
from vtc07.carrier.companion_file import load_companion, parse_companion
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import (
    Changes,
    CompanionUnfit,
    ConstantLoad,
    ManufactureRefused,
    MemoryStore,
    Meter,
    MeterState,
    TokenExecuted,
    WriteFinished,
)
from vtc07.tokens import (
    KT,
    TCT,
    ClearCredit,
    Service,
    Set2ndSectionDecoderKey,
    SetMaximumPowerLimit,
    TokenData,
)

NOT_READY = 16


class FailingStore(MemoryStore):
    """A store that fails from a certain commit on."""

    def __init__(self, state: MeterState, failing_from: int) -> None:
        super().__init__(state)
        self.failing_from = failing_from

    def commit(self, changes: Changes) -> None:
        if self.commits >= self.failing_from:
            raise OSError(5, "the disk is gone")
        super().commit(changes)


def snapshot(bench: MeterBench) -> tuple[object, ...]:
    names = ("tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus")
    return tuple(bench.read(name) for name in names)


def due(bench: MeterBench) -> Callable[[], None]:
    """Let the execution time pass and return the token's commit, not run yet."""
    bench.now_ns += bench.execution_ns or 0
    bench.meter.handle_timer(bench.now_ns)
    job = bench.meter.next_work()
    assert job is not None
    return job


# --- execution -----------------------------------------------------------------------------------


def test_sixteen_from_the_entry_until_the_commit() -> None:
    bench = MeterBench(execution_ns=1 * S)
    first, second = bench.digits(credit(1, 5)), bench.digits(credit(2, 5))
    bench.enter(first)
    before = snapshot(bench)
    assert before == (1, 1, first, 1)
    assert bench.offer(second) is None
    executing = (NOT_READY, *before[1:])
    assert snapshot(bench) == executing
    assert bench.meter.next_work() is None
    bench.sleep(0.999999999)
    assert snapshot(bench) == executing
    assert bench.offer(credit(3, 5)) is ErrorCode.TOKEN_EXECUTING
    assert bench.offer("not a token") is ErrorCode.TOKEN_EXECUTING
    bench.now_ns += 1
    bench.meter.handle_timer(bench.now_ns)
    job = bench.meter.next_work()
    assert job is not None
    job()  # durable, but the meter has not been told
    assert snapshot(bench) == executing
    assert bench.number("creditBalance") == 500
    assert bench.meter.next_work() is None
    bench.meter.work_done(None, bench.now_ns)
    assert snapshot(bench) == (1, 2, second, 1)
    assert bench.number("creditBalance") == 1_000


def test_the_execution_time_is_the_companions() -> None:
    bench = MeterBench(execution_ns=None)
    policy = bench.companion.meter
    assert policy is not None
    bench.offer(credit(1, 5))
    assert bench.meter.next_timer() == bench.now_ns + policy.execution_ms * MS


def test_a_keypad_token_blocks_the_carrier_without_showing_16() -> None:
    bench = MeterBench(execution_ns=1 * S)
    assert bench.offer(credit(1, 5), TCT.NUMERIC) is None
    assert bench.read("tokenStatus") == 0
    assert bench.offer(credit(2, 5), TCT.VIRTUAL) is ErrorCode.TOKEN_EXECUTING
    assert bench.offer(credit(2, 5), TCT.NUMERIC) is ErrorCode.TOKEN_EXECUTING
    bench.sleep(1)
    assert bench.events == [TokenExecuted(TCT.NUMERIC, TokenStatus.ACCEPT)]
    assert bench.read("tokenStatus") == 1  # whatever carrier it came by
    assert bench.number("tokenSequence") == 1


def test_a_keypad_takes_groups_of_digits() -> None:
    bench = MeterBench()
    digits = bench.digits(credit(1, 5))
    groups = "-".join(digits[at : at + 4] for at in range(0, 20, 4))
    assert bench.enter(groups.replace("-", " ", 2), TCT.NUMERIC) is TokenStatus.ACCEPT
    assert bench.read("lastToken") == digits
    for wrong in ("", "12", "x" * 20, "73786976294838206464", digits + "1"):
        assert bench.offer(wrong, TCT.NUMERIC) is ErrorCode.VALUE_REFUSED
    assert bench.number("tokenSequence") == 1


def test_two_carriers_race_with_the_same_token() -> None:
    for first, second in ((TCT.VIRTUAL, TCT.NUMERIC), (TCT.NUMERIC, TCT.VIRTUAL)):
        bench = MeterBench(execution_ns=1 * S)
        assert bench.offer(credit(1, 5), first) is None
        assert bench.offer(credit(1, 5), second) is ErrorCode.TOKEN_EXECUTING
        bench.sleep(1)
        assert bench.enter(credit(1, 5), second) is TokenStatus.USED_ERROR
        assert bench.number("totalCreditAccepted") == 500


def test_time_goes_on_while_a_commit_is_out() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)), execution_ns=1)
    bench.enter(credit(1, 1))
    bench.sleep(90)
    bench.offer(credit(2, 1))
    job = due(bench)
    bench.now_ns += 20 * S - 1  # the old credit runs out meanwhile: it was not known to be more
    bench.meter.handle_timer(bench.now_ns)
    assert bench.number("loadSwitch") == 0
    assert bench.number("creditBalance") == 0
    bench.finish(job)
    assert bench.number("loadSwitch") == 1
    assert bench.number("creditBalance") == 90
    assert bench.number("totalConsumption") == 110
    assert bench.events_logged().count("switchOpen,1") == 0  # that never became durable
    bench.work()
    bench.sleep(90)
    assert bench.number("totalConsumption") == 200


def test_tamper_during_a_commit_is_not_lost() -> None:
    bench = MeterBench(execution_ns=1)
    bench.offer(credit(1, 5))
    job = due(bench)
    bench.meter.tamper(0x10, bench.now_ns)
    bench.finish(job)
    bench.work()
    assert bench.number("tamperStatus") == 0x10
    assert bench.number("creditBalance") == 500
    assert bench.number("loadSwitch") == 0
    assert bench.meter.committed.switch.tamper == 0x10
    with pytest.raises(ValueError, match="16 bits"):
        bench.meter.tamper(0, bench.now_ns)


def test_another_load_during_a_commit_counts_from_its_instant() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)), execution_ns=1)
    bench.enter(credit(1, 5))
    bench.sleep(10)
    bench.offer(credit(2, 5))
    job = due(bench)
    bench.now_ns += 20 * S - 1
    bench.meter.set_load(ConstantLoad((7_200,)), bench.now_ns)
    bench.now_ns += 30 * S
    bench.meter.handle_timer(bench.now_ns)
    assert bench.number("totalConsumption") == 10 + 20 + 60
    bench.finish(job)
    assert bench.number("totalConsumption") == 10 + 20 + 60
    assert bench.number("creditBalance") == 1_000 - 90


def test_a_load_that_trips_during_a_commit_has_tripped_after_it() -> None:
    bench = MeterBench(load=ConstantLoad((10,)), execution_ns=1)
    bench.enter(credit(1, 5))
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 100))
    bench.offer(credit(3, 5))
    job = due(bench)
    bench.meter.set_load(ConstantLoad((101,)), bench.now_ns)
    bench.meter.set_load(ConstantLoad((10,)), bench.now_ns)
    bench.finish(job)
    bench.work()
    assert bench.number("disconnectReason") == 3
    assert bench.number("creditBalance") == 1_000


def test_the_end_of_a_lockout_between_two_timers_is_seen() -> None:
    bench = MeterBench()
    for value in range(5):
        bench.enter(TokenData.assemble(0, value))
    assert bench.number("lockoutRemaining") == 60
    assert bench.offer(credit(1, 5)) is ErrorCode.TOKEN_LOCKOUT
    assert bench.read("tokenStatus") == 15
    bench.meter.handle_timer(bench.now_ns + 59 * S)
    assert bench.read("tokenStatus") == 15
    bench.meter.handle_timer(bench.now_ns + 60 * S)
    assert bench.read("tokenStatus") == 13
    bench.now_ns += 60 * S
    bench.work()
    # Nothing but powered time is left to be committed.
    assert bench.meter.next_timer() == bench.now_ns + 540 * S


def test_upkeep_in_flight_delays_a_token_but_does_not_lose_it() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)), execution_ns=1)
    bench.enter(credit(1, 5))
    bench.now_ns += 10 * S
    bench.meter.handle_timer(bench.now_ns)
    upkeep = bench.meter.next_work()
    assert upkeep is not None
    assert bench.offer(credit(2, 5)) is None
    bench.now_ns += 1 * S
    bench.meter.handle_timer(bench.now_ns)
    assert bench.meter.next_work() is None
    timer = bench.meter.next_timer()
    assert timer is None or timer > bench.now_ns  # nothing spins while a commit is out
    bench.finish(upkeep)
    assert bench.read("tokenStatus") == NOT_READY
    bench.work()
    assert bench.number("creditBalance") == 1_000 - 11


# --- failure -------------------------------------------------------------------------------------


def test_a_failed_commit_leaves_everything_as_before() -> None:
    state = new_meter()
    bench = MeterBench(store=FailingStore(state, 2), execution_ns=1 * S)
    bench.enter(credit(1, 5))
    before, shown = bench.meter.committed, snapshot(bench)
    assert bench.offer(credit(2, 5)) is None
    bench.sleep(1)
    assert bench.events[-1] == TokenExecuted(TCT.VIRTUAL, None)
    assert snapshot(bench) == shown
    assert bench.meter.committed is before
    assert bench.number("creditBalance") == 500
    assert bench.number("serverStatus") == 0x40
    assert bench.offer(credit(2, 5)) is ErrorCode.STORE_FAULT
    assert bench.offer(credit(2, 5), TCT.NUMERIC) is ErrorCode.STORE_FAULT
    assert bench.offer("12") is ErrorCode.VALUE_REFUSED
    bench.meter.write(7, bench.companion.table.named("lowCreditThreshold"), 1, bench.now_ns)
    assert iter_events(bench.meter) == [WriteFinished(7, ErrorCode.STORE_FAULT)]
    assert bench.events_logged()[-1] == "storeFault,"
    bench.sleep(5_000)  # nothing is tried again
    assert bench.number("serverStatus") == 0x40


def test_a_failure_ends_all_that_waits() -> None:
    bench = MeterBench(store=FailingStore(new_meter(), 1), execution_ns=1 * S)
    table = bench.companion.table
    bench.offer(credit(1, 5), TCT.NUMERIC)
    bench.meter.write(1, table.named("lowCreditThreshold"), 1, bench.now_ns)
    bench.meter.write(2, table.named("installationReference"), "x", bench.now_ns)
    bench.meter.write(3, table.named("lowCreditAlarmEnabled"), 2, bench.now_ns)
    bench.work()
    assert sorted(map(repr, bench.events)) == sorted(
        map(
            repr,
            [
                WriteFinished(1, ErrorCode.STORE_FAULT),
                WriteFinished(2, ErrorCode.STORE_FAULT),
                WriteFinished(3, ErrorCode.VALUE_REFUSED),
                TokenExecuted(TCT.NUMERIC, None),
            ],
        )
    )
    assert bench.number("lowCreditThreshold") == 0


def test_a_meter_without_a_store_still_cuts_off() -> None:
    bench = MeterBench(store=FailingStore(new_meter(), 2), load=ConstantLoad((1_000,)))
    bench.enter(credit(1, 10))
    bench.sleep(3600)
    assert bench.meter.store_fault
    assert bench.number("loadSwitch") == 0
    assert bench.number("totalConsumption") == 1_000


def test_work_that_was_not_out() -> None:
    bench = MeterBench()
    with pytest.raises(ValueError, match="no commit"):
        bench.meter.work_done(None, bench.now_ns)


# --- writes --------------------------------------------------------------------------------------


def test_a_write_is_done_when_it_is_durable() -> None:
    bench = MeterBench()
    register = bench.companion.table.named("installationReference")
    bench.meter.write(9, register, "pole 12", bench.now_ns)
    assert bench.read("installationReference") == ""
    job = bench.meter.next_work()
    assert job is not None
    job()
    assert iter_events(bench.meter) == []
    bench.meter.work_done(None, bench.now_ns)
    assert iter_events(bench.meter) == [WriteFinished(9, None)]
    assert bench.read("installationReference") == "pole 12"
    assert bench.events_logged()[-1] == f"write,{0x31}"


def test_writes_do_not_wait_for_a_token() -> None:
    bench = MeterBench(execution_ns=4 * S)
    bench.offer(credit(1, 5))
    table = bench.companion.table
    bench.meter.write(1, table.named("lowCreditThreshold"), 70, bench.now_ns)
    bench.meter.write(2, table.named("lowCreditAlarmEnabled"), 2, bench.now_ns)
    bench.work()
    assert bench.events == [
        WriteFinished(2, ErrorCode.VALUE_REFUSED),
        WriteFinished(1, None),
    ]
    assert bench.number("lowCreditThreshold") == 70
    assert bench.read("tokenStatus") == NOT_READY
    bench.sleep(4)
    assert bench.number("lowCreditThreshold") == 70
    assert bench.number("creditBalance") == 500


# --- power ---------------------------------------------------------------------------------------


def test_a_token_that_was_not_committed_was_not_executed() -> None:
    bench = MeterBench(execution_ns=1 * S)
    bench.enter(credit(1, 5))
    before = snapshot(bench)
    bench.offer(credit(2, 5))
    bench.power_up()
    assert snapshot(bench) == before
    bench.offer(credit(2, 5))
    due(bench)  # the commit begins and never ends
    bench.power_up()
    assert snapshot(bench) == before
    assert bench.number("powerFailCount") == 2
    bench.offer(credit(2, 5))
    due(bench)()  # the commit ends, but nobody hears of it
    bench.power_up()
    assert snapshot(bench)[:2] == (1, 2)
    assert bench.number("creditBalance") == 1_000
    assert bench.number("powerFailCount") == 3
    assert bench.enter(credit(2, 5)) is TokenStatus.USED_ERROR


def test_an_orderly_power_off_is_no_power_fail() -> None:
    bench = MeterBench(load=ConstantLoad((1_000,)), execution_ns=3 * S)
    bench.enter(credit(1, 5))
    bench.sleep(7)
    bench.offer(credit(2, 5))
    bench.meter.write(1, bench.companion.table.named("lowCreditThreshold"), 3, bench.now_ns)
    bench.meter.power_off(bench.now_ns)
    assert bench.offer(credit(3, 5)) is ErrorCode.TOKEN_EXECUTING
    bench.work()
    assert TokenExecuted(TCT.VIRTUAL, TokenStatus.ACCEPT) in bench.events
    assert WriteFinished(1, None) in bench.events
    assert bench.meter.next_timer() is None
    ended = bench.meter.state
    assert bench.meter.committed == ended
    assert not ended.powered
    assert bench.offer(credit(3, 5)) is ErrorCode.STORE_FAULT
    bench.now_ns += 1_000 * S
    bench.power_up()
    assert bench.number("powerFailCount") == 0
    assert bench.meter.state.powered_ns == ended.powered_ns
    assert bench.events_logged()[-1] == "powerUp,"
    bench.power_up()
    assert bench.number("powerFailCount") == 1
    assert bench.events_logged()[-2:] == ["powerFail,1", "powerUp,"]


def test_staging_survives_a_loss_of_power() -> None:
    bench = MeterBench()
    bench.enter(Set2ndSectionDecoderKey(1, 2, 3))
    bench.sleep(300)
    bench.power_up()
    assert bench.number("serverStatus") == 0x13
    bench.sleep(289)
    assert bench.number("serverStatus") == 0x13
    bench.sleep(11)
    assert bench.number("serverStatus") == 3


def test_a_trip_survives_a_loss_of_power() -> None:
    bench = MeterBench(load=ConstantLoad((10,)))
    bench.enter(credit(1, 5))
    bench.meter.tamper(1, bench.now_ns)
    bench.work()
    bench.power_up()
    assert bench.number("tamperStatus") == 1


def test_the_clock_never_goes_back() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)))
    bench.enter(credit(1, 5))
    bench.sleep(10)
    powered = bench.meter.state.powered_ns
    bench.meter.handle_timer(bench.now_ns - 5 * S)
    assert bench.meter.state.powered_ns == powered
    bench.sleep(1)
    assert bench.meter.state.powered_ns == powered + S


# --- manufacture and companions ------------------------------------------------------------------


def test_at_manufacture() -> None:
    bench = MeterBench()
    zero = ("tokenStatus", "tokenSequence", "lastTokenStatus", "creditBalance", "disconnectReason")
    assert [bench.read(name) for name in zero] == [0, 0, 0, 0, 1]
    assert bench.read("lastToken") == ""
    assert bench.read("MfrCode") == "31"
    assert [bench.read(f"acceptedTID.{n}") for n in range(1, 51)] == [MADE] * 50
    assert bench.enter(ClearCredit(0, MADE, 0)) is TokenStatus.USED_ERROR


def test_what_cannot_be_made() -> None:
    with pytest.raises(ManufactureRefused, match="magnetic card"):
        new_meter(kt=KT.DCTK)
    with pytest.raises(ManufactureRefused, match="phase"):
        new_meter(phases=2)
    with pytest.raises(ManufactureRefused, match="phase"):
        new_meter("water", phases=3)
    for address in ("a/b", "what?", "now!", "x" * 33, "a-b", "bell\x07"):
        with pytest.raises(ManufactureRefused, match="address"):
            new_meter(device_address=address)
    assert new_meter(device_address="Shed 4b").nameplate.device_address == "Shed 4b"
    assert new_meter("water").nameplate.service is Service.WATER


def test_companions_that_our_meter_cannot_serve() -> None:
    other = '[[register]]\naddress = "0F00"\nname = "moonPhase"\ntype = "u8"\naccess = "r"\n'
    text = f'extends = "electricity"\n{other}meaning = "none"\n'
    companion = parse_companion(text, "odd.toml")
    with pytest.raises(CompanionUnfit, match="moonPhase"):
        Meter(companion, MemoryStore(new_meter()), now_ns=0)
    with pytest.raises(CompanionUnfit, match="water"):
        Meter(load_companion("water"), MemoryStore(new_meter()), now_ns=0)
    with pytest.raises(ValueError, match="3 phases"):
        MeterBench(load=ConstantLoad((1, 2, 3)))


@pytest.mark.parametrize(
    ("name", "address", "data_type"),
    [
        ("tokenSequence", "0005", "text 10"),
        ("tokenSequence", "0005", "u31"),
        ("lastToken", "0006", "u64"),
        ("lastToken", "0006", "text 19"),
        ("lastTokenStatus", "0007", "u4"),
        ("tokenResult", "000A", "text 3"),
        ("meterPAN", "0010", "text 17"),
        ("DRN", "0011", "text 11"),
        ("MfrCode", "0012", "u8"),
        ("KRN", "0016", "text 2"),
        ("acceptedTID", "0040", "text 8"),
        ("tokenLog", "0080", "text 59"),
        ("eventLog", "0100", "text 43"),
    ],
)
def test_a_register_that_could_not_show_its_value_is_refused_at_once(
    name: str, address: str, data_type: str
) -> None:
    text = f'extends = "electricity"\n[[register]]\naddress = "{address}"\ntype = "{data_type}"\n'
    companion = parse_companion(text, "narrow.toml")
    with pytest.raises(CompanionUnfit, match=rf"narrow.* {name}"):
        Meter(companion, MemoryStore(new_meter()), now_ns=0)

"""Consumption to the last base unit, the load switch, limits and trips."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from bench_meter import MADE, MeterBench, credit, new_meter
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import TokenStatus
from vtc07.meter import (
    ConstantLoad,
    Demand,
    Load,
    LowCreditAlarm,
    MemoryStore,
    MeterEvent,
    MeterState,
    Rules,
)
from vtc07.meter.accounting import advance, settle
from vtc07.tokens import (
    ClearTamperCondition,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
)

HOUR_NS = 3600 * S
RULES = Rules.of(load_companion("electricity"))


@dataclass(frozen=True)
class Fast:
    """A load whose time passes ``pace`` times as fast."""

    phases: tuple[int, ...]
    pace: int

    def demand(self, powered_ns: int) -> Demand:
        return Demand(self.phases, None, self.pace)


@dataclass(frozen=True)
class Steps:
    """A load in steps: (from this powered instant on, W of each phase)."""

    steps: tuple[tuple[int, tuple[int, ...]], ...]

    def demand(self, powered_ns: int) -> Demand:
        now = [step for step in self.steps if step[0] <= powered_ns][-1]
        later = [at for at, _ in self.steps if at > powered_ns]
        return Demand(now[1], min(later, default=None))


def charged(balance: int, limits: tuple[int, int] = (0, 0)) -> MeterState:
    state = new_meter()
    state = replace(
        state,
        account=replace(state.account, balance=balance),
        switch=replace(state.switch, maximum_power=limits[0], maximum_unbalance=limits[1]),
    )
    return settle(state, ConstantLoad(), RULES)


def test_consumption_is_exact() -> None:
    bench = MeterBench(load=ConstantLoad((1_500,)))
    bench.enter(credit(1, 100))
    bench.sleep(3600)
    assert bench.number("creditBalance") == 10_000 - 1_500
    assert bench.number("totalConsumption") == 1_500
    assert bench.number("activePower") == 1_500
    assert bench.number("activePowerL1") == 1_500
    assert bench.number("activePowerL2") == 0


def test_the_switch_opens_at_the_instant_credit_runs_out() -> None:
    bench = MeterBench(load=ConstantLoad((1_000,)))
    bench.enter(credit(1, 10))  # 1000 Wh: one hour
    bench.sleep(3599.999999999)
    assert bench.number("loadSwitch") == 1
    bench.sleep(0.000000001)
    assert bench.number("creditBalance") == 0
    assert bench.number("loadSwitch") == 0
    assert bench.number("disconnectReason") == 1
    assert bench.number("activePower") == 0
    assert bench.meter.committed.switch.closed is False
    bench.sleep(10_000)
    assert bench.number("totalConsumption") == 1_000
    assert bench.enter(credit(2, 1)) is TokenStatus.ACCEPT
    assert bench.number("loadSwitch") == 1


def test_a_late_timer_changes_nothing() -> None:
    bench = MeterBench(load=ConstantLoad((1_000,)))
    bench.enter(credit(1, 10))
    bench.now_ns += 5 * HOUR_NS
    bench.meter.handle_timer(bench.now_ns)
    assert bench.number("creditBalance") == 0
    assert bench.number("totalConsumption") == 1_000


def test_connection_time() -> None:
    bench = MeterBench(companion="time")
    assert bench.enter(credit(1, 5, Service.TIME)) is TokenStatus.ACCEPT
    assert bench.number("creditBalance") == 30
    bench.sleep(29)
    assert bench.number("creditBalance") == 1
    assert bench.number("loadSwitch") == 1
    bench.sleep(1)
    assert bench.number("loadSwitch") == 0
    bench.sleep(100)
    assert bench.number("totalConsumption") == 30


def test_litres() -> None:
    bench = MeterBench(companion="water", load=ConstantLoad((240,)))
    bench.enter(credit(1, 2, Service.WATER))
    bench.sleep(1800)
    assert bench.number("creditBalance") == 80
    assert bench.number("flowRate") == 240


@given(
    balance=st.integers(1, 500),
    steps=st.lists(
        st.tuples(st.integers(1, 40), st.tuples(*[st.integers(0, 90_000)] * 3)), max_size=5
    ),
    cuts=st.lists(st.integers(0, 200 * S), max_size=12),
    limits=st.tuples(st.integers(0, 60_000), st.integers(0, 60_000)),
)
def test_the_way_may_be_cut_into_any_pieces(
    balance: int,
    steps: list[tuple[int, tuple[int, int, int]]],
    cuts: list[int],
    limits: tuple[int, int],
) -> None:
    at, pieces = 0, [(0, (700, 0, 0))]
    for wait, phases in steps:
        at += wait * S + 7
        pieces.append((at, phases))
    load: Load = Steps(tuple(pieces))
    start = charged(balance, limits)
    end = 200 * S
    whole = advance(start, end, load, RULES)
    cut = start
    for instant in sorted(cuts):
        cut = advance(cut, instant, load, RULES)
    assert advance(cut, end, load, RULES) == whole
    # Nothing is lost and nothing comes from nowhere.
    account = whole.account
    assert account.balance + account.consumed == balance
    assert account.balance >= 0
    assert 0 <= account.remainder < HOUR_NS


def test_a_constant_load_counts_as_arithmetic_says() -> None:
    state = advance(charged(10**9), 12_345_678_901_234, ConstantLoad((777, 1)), RULES)
    assert state.account.consumed == 12_345_678_901_234 * 778 // HOUR_NS


def test_power_above_the_limit_trips_and_closes_after_30_s() -> None:
    load = Steps(((0, (3_000,)), (100 * S, (5_001,)), (110 * S, (4_000,))))
    bench = MeterBench(load=load)
    bench.enter(credit(1, 1_000))
    assert bench.enter(SetMaximumPowerLimit(0, MADE + 2, 5_000)) is TokenStatus.ACCEPT
    bench.sleep(99)
    assert bench.number("serverStatus") == 0
    bench.sleep(1)
    assert bench.number("serverStatus") == 0x21
    assert bench.number("disconnectReason") == 3
    bench.sleep(29)
    assert bench.number("loadSwitch") == 0
    bench.sleep(1)
    assert bench.number("serverStatus") == 0
    assert bench.events_logged()[-4:] == ["token,2", "limitTrip,3", "switchOpen,3", "switchClosed,"]


def test_a_load_that_stays_too_high_trips_again() -> None:
    bench = MeterBench(load=ConstantLoad((5_001,)))
    bench.enter(credit(1, 1_000))
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 5_000))
    assert bench.meter.committed.switch.closed is False  # in the token's own transaction
    bench.sleep(30)
    assert bench.events_logged()[-3:] == ["switchClosed,", "limitTrip,3", "switchOpen,3"]
    bench.enter(SetMaximumPowerLimit(0, MADE + 3, 0))
    assert bench.number("loadSwitch") == 0
    bench.sleep(30)
    assert bench.number("loadSwitch") == 1


def test_unbalance_between_phases() -> None:
    bench = MeterBench(new_meter(phases=3), load=ConstantLoad((2_000, 1_500, 900)))
    bench.enter(credit(1, 1_000))
    bench.enter(SetMaximumPhasePowerUnbalanceLimit(0, MADE + 2, 1_100))
    assert bench.number("disconnectReason") == 0
    assert [bench.number(f"activePowerL{n}") for n in (1, 2, 3)] == [2_000, 1_500, 900]
    bench.enter(SetMaximumPhasePowerUnbalanceLimit(0, MADE + 3, 1_099))
    assert bench.number("disconnectReason") == 4
    bench.meter.tamper(1, bench.now_ns)
    bench.work()
    assert bench.number("disconnectReason") == 4  # the highest that holds
    bench.sleep(30)
    assert bench.number("disconnectReason") == 2
    bench.enter(ClearTamperCondition(0, MADE + 4))
    assert bench.number("disconnectReason") == 4  # closed, and tripped again


def test_a_load_at_the_limit_does_not_trip() -> None:
    bench = MeterBench(new_meter(phases=3), load=ConstantLoad((500, 300, 200)))
    bench.enter(credit(1, 1_000))
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 1_000))
    bench.enter(SetMaximumPhasePowerUnbalanceLimit(0, MADE + 3, 300))
    assert bench.number("serverStatus") == 0
    bench.enter(SetMaximumPowerLimit(0, MADE + 4, 999))
    assert bench.number("serverStatus") == 0x21


def test_a_phase_without_load_is_a_phase() -> None:
    bench = MeterBench(new_meter(phases=3), load=ConstantLoad((1_500,)))
    bench.enter(credit(1, 1_000))
    bench.enter(SetMaximumPhasePowerUnbalanceLimit(0, MADE + 2, 1_499))
    assert bench.number("disconnectReason") == 4


def test_an_open_switch_does_not_trip() -> None:
    bench = MeterBench(load=ConstantLoad((9_000,)))
    bench.enter(SetMaximumPowerLimit(0, MADE + 1, 5_000))
    assert bench.number("disconnectReason") == 1
    bench.enter(credit(2, 5))
    assert bench.number("disconnectReason") == 3


def test_an_accelerated_load_is_metered_faster_and_flows_as_it_is() -> None:
    bench = MeterBench(load=Fast((1_000,), 60))
    bench.enter(credit(1, 10))  # 1000 Wh: one minute
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 1_000))
    bench.sleep(59)
    assert bench.number("activePower") == 1_000
    assert bench.number("creditBalance") == 1_000 - 59 * 1_000 // 60
    bench.sleep(0.999999999)
    assert bench.number("loadSwitch") == 1
    bench.sleep(0.000000001)
    assert bench.number("disconnectReason") == 1
    bench.sleep(3600)
    assert bench.number("totalConsumption") == 1_000


def test_another_load_takes_over_at_its_instant() -> None:
    bench = MeterBench(load=ConstantLoad((1_200,)))
    bench.enter(credit(1, 100))
    bench.sleep(1_800)
    bench.now_ns += 1_800 * S
    bench.meter.set_load(ConstantLoad((300,)), bench.now_ns)  # no timer was served meanwhile
    bench.work()
    assert bench.number("totalConsumption") == 1_200
    assert bench.number("activePower") == 300
    bench.sleep(3_600)
    assert bench.number("totalConsumption") == 1_500
    assert bench.meter.load == ConstantLoad((300,))
    with pytest.raises(ValueError, match="3 phases"):
        bench.meter.set_load(ConstantLoad((1, 1, 1)), bench.now_ns)
    assert bench.meter.load == ConstantLoad((300,))


def test_a_load_above_the_limit_trips_as_it_comes() -> None:
    bench = MeterBench(load=ConstantLoad((1_000,)))
    bench.enter(credit(1, 100))
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 2_000))
    bench.meter.set_load(ConstantLoad((2_001,)), bench.now_ns)
    assert bench.number("disconnectReason") == 3
    bench.work()
    assert not bench.meter.committed.switch.closed
    bench.meter.set_load(ConstantLoad((2_000,)), bench.now_ns)
    bench.sleep(29)
    assert bench.number("loadSwitch") == 0
    bench.sleep(1)
    assert bench.number("loadSwitch") == 1


def test_low_credit_alarm() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)))
    bench.enter(credit(1, 1))
    table = bench.companion.table
    bench.meter.write(1, table.named("lowCreditThreshold"), 60, bench.now_ns)
    bench.work()
    bench.sleep(50)
    alarms = [bench.meter.low_credit_alarm]  # not enabled yet
    bench.meter.write(2, table.named("lowCreditAlarmEnabled"), 1, bench.now_ns)
    bench.work()
    assert bench.number("creditBalance") == 50
    alarms.append(bench.meter.low_credit_alarm)
    bench.enter(credit(2, 1))
    alarms.append(bench.meter.low_credit_alarm)
    assert alarms == [False, True, False]


def test_the_alarm_is_told_at_the_unit_that_reaches_the_threshold() -> None:
    bench = MeterBench(load=ConstantLoad((3_600,)))
    table = bench.companion.table
    bench.enter(credit(1, 1))
    bench.meter.write(1, table.named("lowCreditThreshold"), 63, bench.now_ns)
    bench.meter.write(2, table.named("lowCreditAlarmEnabled"), 1, bench.now_ns)
    bench.work()
    start = bench.now_ns
    told: list[tuple[int, MeterEvent]] = []
    while bench.now_ns < start + 70 * S:
        bench.events.clear()
        bench.now_ns = bench.meter.next_timer() or 0
        bench.meter.handle_timer(bench.now_ns)
        bench.work()
        told += [(bench.now_ns - start, event) for event in bench.events]
    assert told == [(37 * S, LowCreditAlarm(active=True))]
    bench.events.clear()
    bench.power_up()  # a host that starts anew is told
    assert bench.events == [LowCreditAlarm(active=True)]
    bench.enter(credit(2, 1))
    assert LowCreditAlarm(active=False) in bench.events


def test_little_is_lost_with_power() -> None:
    for watts in (100, 3_600, 36_000, 3_600_000):
        bench = MeterBench(load=ConstantLoad((watts,)))
        assert bench.enter(credit(1, 500_000)) is TokenStatus.ACCEPT
        for seconds in (7.3, 9.9, 3.1, 15.2):
            bench.sleep(seconds)
            live, kept = bench.meter.state, bench.meter.committed
            assert live.powered_ns - kept.powered_ns < 10 * S
            assert live.account.consumed > 0 or watts == 100
            assert live.account.consumed - kept.account.consumed < 10


def test_nothing_is_committed_for_nothing() -> None:
    store = MemoryStore(new_meter())
    bench = MeterBench(store=store)
    bench.sleep(3600)
    assert store.commits == 1 + 6  # power up, and every ten minutes


@pytest.mark.parametrize("phases", [(), (-1,)])
def test_no_such_load(phases: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="phase"):
        ConstantLoad(phases)

"""The meter as a hand-held unit sees it: all of it read from registers, over a line.

A real session, a real server with a real meter behind it, and characters at 9600 Bd between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from bench_meter import ATTRIBUTES, KEYS, MADE, PAN, credit, new_meter

from vtc07.carrier.client import Client
from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.registers import Value
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, Refused
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links.simulated import SimulatedLine
from vtc07.meter import (
    Accelerated,
    ConstantLoad,
    HouseholdLoad,
    Load,
    LowCreditAlarm,
    MemoryStore,
    Meter,
    MeterServer,
    MeterState,
    PhaseLoad,
    ProfileLoad,
)
from vtc07.tokens import (
    EA,
    KT,
    TCT,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    Service,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    Token,
    TokenData,
    encode,
    key_change_set,
)

AT = datetime(2030, 1, 1, tzinfo=UTC)
NEW_KEY = DecoderKey(EA.MISTY1, bytes(range(0x61, 0x71)))


class Dark:
    """A port behind which there is no power: whatever comes is swallowed."""

    def receive(self, chars: bytes, now_ns: int) -> None:
        pass

    def bytes_to_send(self, now_ns: int) -> bytes:
        return b""

    def next_timer(self) -> int | None:
        return None

    def handle_timer(self, now_ns: int) -> None:
        pass

    def connection_lost(self, now_ns: int) -> None:
        pass

    def next_speed_change(self) -> SpeedChange | None:
        return None

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        pass


class Bench:
    """A meter with a load, a hand-held unit, and the line between them."""

    def __init__(
        self,
        state: MeterState | None = None,
        *,
        companion: str = "electricity",
        load: Load | None = None,
    ) -> None:
        self.companion = load_companion(companion)
        self.load = load
        self.store = MemoryStore(state or new_meter(self.companion))
        self.journal = MemoryJournal()
        self.alarms: list[LowCreditAlarm] = []
        self.line = SimulatedLine(
            Client(self.companion), self._powered_up(0), speed=9600, in_runs=True
        )
        self.line.idle(0)

    def _powered_up(self, now_ns: int) -> MeterServer:
        self.meter = Meter(self.companion, self.store, now_ns=now_ns, load=self.load)
        return MeterServer(
            self.companion,
            self.meter,
            character_ns=-(-10 * S // 9600),
            low_credit_alarm=self.alarms.append,
        )

    def session(self) -> Session:
        """Return a session that has not begun: pauses are longer than one lasts."""
        return Session(self.companion, address=PAN.digits)

    def send(self, *tokens: Token | TokenData) -> list[TokenStatus]:
        """Deliver tokens and return their results; the last may be refused."""
        digits = [
            (t if isinstance(t, TokenData) else encode(t, self.store.state.key)).digits
            for t in tokens
        ]
        report = self.line.run(
            send(
                self.session(),
                self.journal,
                [TokenToSend(each) for each in digits],
                wall_clock=lambda: AT,
            )
        )
        found = []
        for outcome in report.outcomes:
            assert isinstance(outcome, Delivered | Refused), outcome
            found.append(outcome.status)
        return found

    def read(self, *names: str) -> dict[str, Value]:
        """Read registers by name."""
        wanted = [self.companion.table.named(name) for name in names]
        found = self.line.run(read(self.session(), wanted))
        assert not found.refused
        return {value.register.name: value.value for value in found.values}

    def number(self, name: str) -> int:
        value = self.read(name)[name]
        assert isinstance(value, int)
        return value

    def log(self, name: str) -> list[str]:
        """Return the entries of a log, oldest first."""
        registers = [r.name for r in self.companion.table if r.name.startswith(f"{name}.")]
        return [str(value) for value in reversed(self.read(*registers).values()) if value]

    def events(self) -> list[str]:
        """Return events and details, without their times."""
        return [entry.partition(",")[2] for entry in self.log("eventLog")]

    def sleep(self, seconds: float) -> None:
        self.line.idle(int(seconds * S))

    def sleep_until_powered(self, powered_ns: int) -> None:
        """Let time pass up to an instant of the meter's own time."""
        self.line.idle(powered_ns - self.meter.state.powered_ns)

    def lose_power(self, seconds: float = 0) -> None:
        """Power is lost without warning, and back after a while."""
        self.line.server = Dark()
        self.sleep(seconds)
        self.line.server = self._powered_up(self.line.now_ns)
        self.line.idle(0)

    def switch(self) -> tuple[Value, ...]:
        """Return loadSwitch, disconnectReason, serverStatus and activePower."""
        names = ("loadSwitch", "disconnectReason", "serverStatus", "activePower")
        return tuple(self.read(*names).values())


# --- the load switch ----------------------------------------------------------------------------


def test_without_credit_it_is_open_until_there_is_some() -> None:
    bench = Bench(load=ConstantLoad((3_600,)))
    assert bench.switch() == (0, 1, 0x0003, 0)
    assert bench.send(credit(1, 1)) == [TokenStatus.ACCEPT]  # 100 Wh: 100 s
    assert bench.switch() == (1, 0, 0, 3_600)
    bench.sleep(120)
    assert bench.switch() == (0, 1, 0x0003, 0)
    assert bench.read("creditBalance", "totalConsumption") == {
        "creditBalance": 0, "totalConsumption": 100,
    }  # fmt: skip
    assert bench.send(credit(2, 1)) == [TokenStatus.ACCEPT]
    assert bench.switch() == (1, 0, 0, 3_600)
    assert bench.send(ClearCredit(0, MADE + 3, 0)) == [TokenStatus.ACCEPT]
    assert bench.switch() == (0, 1, 0x0003, 0)
    assert bench.events() == [
        "manufactured,", "powerUp,", "token,1", "switchClosed,", "switchOpen,1", "token,2",
        "switchClosed,", "token,3", "switchOpen,1",
    ]  # fmt: skip


def test_tamper_opens_it_and_a_token_closes_it() -> None:
    bench = Bench(load=ConstantLoad((500,)))
    bench.send(credit(1, 100))
    bench.meter.tamper(0x0102, bench.line.now_ns)
    assert bench.switch() == (0, 2, 0x0005, 0)
    assert bench.number("tamperStatus") == 0x0102
    bench.sleep(1_000)
    bench.lose_power(60)
    assert bench.send(credit(2, 100)) == [TokenStatus.ACCEPT]
    assert bench.switch() == (0, 2, 0x0005, 0)
    assert bench.send(ClearTamperCondition(0, MADE + 3)) == [TokenStatus.ACCEPT]
    assert bench.switch() == (1, 0, 0, 500)
    assert bench.number("tamperStatus") == 0
    assert bench.events()[3:] == [
        "switchClosed,", "tamper,258", "switchOpen,2", "powerFail,1", "powerUp,", "token,2",
        "token,3", "switchClosed,",
    ]  # fmt: skip


def trip_end(bench: Bench) -> int:
    """Return the powered instant at which the trip ends."""
    switch = bench.meter.state.switch
    until = switch.power_trip_until_ns or switch.unbalance_trip_until_ns
    assert until is not None
    return until


def times_of(bench: Bench, *names: str) -> list[int]:
    """Return the powered seconds of the latest events of these names."""
    latest = {}
    for entry in bench.log("eventLog"):
        seconds, name, _ = entry.split(",")
        latest[name] = int(seconds)
    return [latest[name] for name in names]


def test_a_power_limit_trips_and_closes_after_thirty_seconds() -> None:
    bench = Bench(load=ConstantLoad((2_000,)))
    assert (
        bench.send(credit(1, 100), SetMaximumPowerLimit(0, MADE + 2, 2_000))
        == [TokenStatus.ACCEPT] * 2
    )
    assert bench.switch() == (1, 0, 0, 2_000)
    assert bench.number("maximumPowerLimit") == 2_000
    bench.meter.set_load(ConstantLoad((2_001,)), bench.line.now_ns)
    assert bench.switch() == (0, 3, 0x0021, 0)
    bench.meter.set_load(ConstantLoad((1_999,)), bench.line.now_ns)
    bench.sleep_until_powered(trip_end(bench) - 5 * S)
    assert bench.switch() == (0, 3, 0x0021, 0)
    bench.sleep(5)
    assert bench.switch() == (1, 0, 0, 1_999)
    tripped, opened, closed = times_of(bench, "limitTrip", "switchOpen", "switchClosed")
    assert (opened - tripped, closed - tripped) == (0, 30)
    assert bench.events()[-3:] == ["limitTrip,3", "switchOpen,3", "switchClosed,"]


def test_phases_out_of_balance_trip_and_close_after_thirty_seconds() -> None:
    load = ConstantLoad((900, 600, 300))
    bench = Bench(new_meter(phases=3), load=load)
    limit = SetMaximumPhasePowerUnbalanceLimit(0, MADE + 2, 600)
    assert bench.send(credit(1, 100), limit) == [TokenStatus.ACCEPT] * 2
    phases = ("activePowerL1", "activePowerL2", "activePowerL3")
    assert list(bench.read(*phases).values()) == [900, 600, 300]
    bench.meter.set_load(PhaseLoad(load, (None, None, 0)), bench.line.now_ns)
    assert bench.switch() == (0, 4, 0x0001, 0)
    assert list(bench.read(*phases).values()) == [0, 0, 0]
    bench.meter.set_load(load, bench.line.now_ns)
    bench.sleep_until_powered(trip_end(bench) - 5 * S)
    assert bench.switch() == (0, 4, 0x0001, 0)
    bench.sleep(5)
    assert bench.switch() == (1, 0, 0, 1_800)
    assert bench.events()[-3:] == ["limitTrip,4", "switchOpen,4", "switchClosed,"]


def test_a_trip_goes_on_after_a_loss_of_power_by_powered_time() -> None:
    bench = Bench(load=ConstantLoad((2_001,)))
    bench.send(credit(1, 100), SetMaximumPowerLimit(0, MADE + 2, 2_000))
    assert bench.switch() == (0, 3, 0x0021, 0)
    bench.load = ConstantLoad((100,))
    bench.lose_power(3_600)
    assert bench.switch() == (0, 3, 0x0021, 0)
    bench.sleep_until_powered(trip_end(bench))
    assert bench.switch() == (1, 0, 0, 100)


def test_of_several_reasons_the_highest_shows_and_each_must_go() -> None:
    load = ConstantLoad((3_600, 0, 0))
    bench = Bench(new_meter(phases=3), load=load)
    bench.send(
        credit(1, 1),
        SetMaximumPowerLimit(0, MADE + 2, 3_000),
        SetMaximumPhasePowerUnbalanceLimit(0, MADE + 3, 3_000),
    )
    # Both limits were passed at once where only one was there to open the switch.
    bench.sleep(40)
    assert bench.number("disconnectReason") == 4
    bench.meter.tamper(1, bench.line.now_ns)
    bench.send(ClearCredit(0, MADE + 4, 0))
    assert bench.switch()[:2] == (0, 4)
    bench.meter.set_load(ConstantLoad((1, 1, 1)), bench.line.now_ns)
    bench.sleep(31)
    assert bench.switch() == (0, 2, 0x0007, 0)
    bench.send(ClearTamperCondition(0, MADE + 5))
    assert bench.switch() == (0, 1, 0x0003, 0)
    bench.send(credit(6, 1))
    assert bench.switch() == (1, 0, 0, 3)


LOADS: dict[str, Load] = {
    "constant": ConstantLoad((700, 20, 7)),
    "profile": ProfileLoad.parse("0,100,7,0\n13,5000,0,300\n40,0,0,0\n50,repeat\n"),
    "household": HouseholdLoad(4, phases=3),
    "accelerated": Accelerated(HouseholdLoad(9, phases=3), 977),
    "single phase": PhaseLoad(HouseholdLoad(9, phases=3), (None, 333, 0)),
}


@pytest.mark.parametrize("name", LOADS)
def test_credit_ends_at_exactly_zero(name: str) -> None:
    bench = Bench(new_meter(phases=3), load=LOADS[name])
    bench.send(credit(1, 1))
    bench.sleep(3 * 3_600)
    assert bench.switch() == (0, 1, 0x0003, 0)
    assert bench.read("creditBalance", "totalConsumption", "totalCreditAccepted") == {
        "creditBalance": 0, "totalConsumption": 100, "totalCreditAccepted": 100,
    }  # fmt: skip


def test_low_credit_alarm_is_set_up_by_registers_and_is_not_in_any() -> None:
    bench = Bench(load=ConstantLoad((3_600,)))
    bench.send(credit(1, 2))
    table = bench.companion.table
    values = [(table.named("lowCreditThreshold"), 120), (table.named("lowCreditAlarmEnabled"), 1)]
    results = bench.line.run(write(bench.session(), values, verify=True))
    assert [result.good for result in results] == [True, True]
    assert not bench.alarms
    bench.sleep(80)
    assert bench.alarms == [LowCreditAlarm(active=True)]
    assert bench.switch() == (1, 0, 0, 3_600)
    (refused,) = bench.line.run(write(bench.session(), [(table.named("lowCreditAlarmEnabled"), 2)]))
    assert refused.error is ErrorCode.VALUE_REFUSED
    bench.send(credit(2, 2))
    assert bench.alarms == [LowCreditAlarm(active=True), LowCreditAlarm(active=False)]


# --- logs ---------------------------------------------------------------------------------------


def test_the_logs_tell_a_life() -> None:
    bench = Bench(load=ConstantLoad((1_000,)))
    good = credit(1, 10)
    assert bench.send(good) == [TokenStatus.ACCEPT]
    assert bench.send(good) == [TokenStatus.USED_ERROR]
    assert bench.send(credit(-1, 10)) == [TokenStatus.OLD_ERROR]
    assert bench.send(credit(2, 10, Service.WATER)) == [TokenStatus.FUNCTION_ERROR]
    bench.meter.enter(encode(credit(3, 5), bench.store.state.key).digits, TCT.NUMERIC,
                      bench.line.now_ns)  # fmt: skip
    bench.sleep(2)
    register = bench.companion.table.named("installationReference")
    bench.line.run(write(bench.session(), [(register, "shed")]))
    bench.lose_power(10)
    noise = [TokenData.assemble(0, value) for value in range(5)]
    for token in noise:
        assert bench.send(token) == [TokenStatus.CRC_ERROR]
    assert bench.number("lockoutRemaining") > 50
    assert bench.events() == [
        "manufactured,", "powerUp,", "token,1", "switchClosed,", "token,2", "token,3", "token,4",
        "token,5", "write,49", "powerFail,1", "powerUp,", "token,6", "token,7", "token,8",
        "token,9", "token,10", "lockout,60",
    ]  # fmt: skip
    seconds = [int(entry.partition(",")[0]) for entry in bench.log("eventLog")]
    assert seconds == sorted(seconds)
    assert seconds[-1] <= bench.meter.state.powered_s

    tokens = [entry.split(",") for entry in bench.log("tokenLog")]
    key = new_meter().key
    assert [entry[1] for entry in tokens[:5]] == [
        encode(token, key).digits
        for token in (good, good, credit(-1, 10), credit(2, 10, Service.WATER), credit(3, 5))
    ]
    assert [[*entry[:1], *entry[2:]] for entry in tokens] == [
        ["1", str(MADE + 1), "0.0", "1000", "1"],
        ["2", str(MADE + 1), "0.0", "1000", "10"],
        ["3", str(MADE - 1), "0.0", "1000", "9"],
        ["4", str(MADE + 2), "0.1", "", "8"],
        ["5", str(MADE + 3), "0.0", "500", "1"],
        *[[str(number), "", "", "", "13"] for number in range(6, 11)],
    ]
    assert bench.log("acceptedTID") == [
        *[str(MADE)] * 48, str(MADE + 1), str(MADE + 3),
    ]  # fmt: skip


# --- key change ---------------------------------------------------------------------------------


def sections(**changes: Any) -> tuple[TokenData, ...]:
    """Return the four sections to a new key under the meter's first one."""
    attributes = replace(ATTRIBUTES, **changes)
    return key_change_set(DecoderKey(EA.MISTY1, KEYS[EA.MISTY1]), NEW_KEY, attributes, ro=False)


def is_staged(bench: Bench) -> bool:
    return bool(bench.number("serverStatus") & 0x10)


def test_a_key_change_goes_on_after_losses_of_power() -> None:
    first, second, third, fourth = sections(kt=KT.DDTK)
    bench = Bench()
    assert bench.send(first) == [TokenStatus.FIRST_KCT]
    bench.lose_power(7_200)  # longer than sections are kept, but without power
    assert is_staged(bench)
    assert bench.send(second, third) == [TokenStatus.SECOND_KCT, TokenStatus.THIRD_KCT]
    bench.lose_power(7_200)
    assert bench.read("KT") == {"KT": int(KT.DUTK)}
    assert bench.send(fourth) == [TokenStatus.ACCEPT]
    assert not is_staged(bench)
    assert bench.read("KT") == {"KT": int(KT.DDTK)}
    assert bench.store.state.key.material == NEW_KEY.material
    assert "keyChange,3" in bench.events()
    bench.lose_power()
    assert bench.send(credit(9, 1)) == [TokenStatus.DDTK_ERROR]  # under the new key


def test_staged_sections_are_kept_for_ten_powered_minutes() -> None:
    first, second, third, fourth = sections()
    bench = Bench()
    assert bench.send(first, second) == [TokenStatus.FIRST_KCT, TokenStatus.SECOND_KCT]
    staging = bench.store.state.staging
    assert staging is not None
    for _ in range(5):
        bench.sleep(100)
        bench.lose_power(3_600)
    assert is_staged(bench)
    # What was not committed of powered time is forgotten with it, at most 10 s a loss.
    bench.sleep_until_powered(staging.deadline_ns - 3 * S)
    assert is_staged(bench)
    bench.sleep_until_powered(staging.deadline_ns)
    assert not is_staged(bench)
    assert bench.send(third, fourth) == [TokenStatus.THIRD_KCT, TokenStatus.FOURTH_KCT]
    assert bench.store.state.key.material == KEYS[EA.MISTY1]
    # A set that is begun anew works.
    assert bench.send(first) == [TokenStatus.FIRST_KCT]
    assert bench.send(second) == [TokenStatus.ACCEPT]
    assert bench.store.state.key.material == NEW_KEY.material


# --- what is refused ----------------------------------------------------------------------------


def test_a_key_that_has_expired() -> None:
    ken = (MADE + 5) >> 16
    bench = Bench(new_meter(ken=type(ATTRIBUTES.ken)(ken)))
    last = ((ken + 1) << 16) - 1
    assert bench.send(credit(last - MADE, 1)) == [TokenStatus.ACCEPT]
    assert bench.send(credit(last + 1 - MADE, 1)) == [TokenStatus.KEY_EXPIRED_ERROR]
    assert bench.send(ClearCredit(0, last + 1, 0)) == [TokenStatus.KEY_EXPIRED_ERROR]
    assert bench.number("creditBalance") == 100
    assert bench.number("validationResult") == 11


def test_a_default_key_takes_no_credit() -> None:
    bench = Bench(new_meter(kt=KT.DDTK))
    assert bench.number("serverStatus") == 0x0083
    assert bench.send(credit(1, 1)) == [TokenStatus.DDTK_ERROR]
    assert bench.send(SetMaximumPowerLimit(0, MADE + 1, 9_000)) == [TokenStatus.ACCEPT]
    assert bench.send(*sections()) == [
        TokenStatus.FIRST_KCT, TokenStatus.SECOND_KCT, TokenStatus.THIRD_KCT, TokenStatus.ACCEPT,
    ]  # fmt: skip
    assert bench.number("serverStatus") == 0x0003
    assert bench.send(credit(2, 1)) == [TokenStatus.ACCEPT]


def test_credit_that_would_overflow_is_refused_whole() -> None:
    state = new_meter()
    full = replace(state, account=replace(state.account, balance=9_999_999_900 - 1_000))
    bench = Bench(full)
    assert bench.send(credit(1, 11)) == [TokenStatus.OVERFLOW_ERROR]
    assert bench.number("creditBalance") == 9_999_999_900 - 1_000
    assert bench.number("tokenResult") == 4
    assert bench.send(credit(1, 10)) == [TokenStatus.ACCEPT]  # its TID was not stored
    assert bench.number("creditBalance") == 9_999_999_900


@pytest.mark.parametrize("service", Service, ids=lambda service: service.name.lower())
def test_each_meter_takes_the_credit_of_its_service(service: Service) -> None:
    bench = Bench(companion=service.name.lower())
    unit = 6 if service is Service.TIME else 100
    for other in Service:
        if other is not service:
            assert bench.send(credit(1, 5, other)) == [TokenStatus.FUNCTION_ERROR]
    assert bench.number("totalCreditAccepted") == 0
    assert bench.send(credit(1, 5, service)) == [TokenStatus.ACCEPT]
    assert bench.number("totalCreditAccepted") == 5 * unit
    assert bench.number("loadSwitch") == 1

"""The meter against a model of a few lines: credit, TIDs, statuses, lockout, in any order."""

from __future__ import annotations

from bench_meter import MADE, MeterBench, credit, new_meter
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vtc07.carrier.status import ErrorCode
from vtc07.meter import ConstantLoad
from vtc07.tokens import (
    EA,
    KT,
    TCT,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    InitiateMeterTest,
    Service,
    Token,
    TokenData,
    encode,
    key_change_set,
)

CARRIERS = st.sampled_from([TCT.VIRTUAL, TCT.NUMERIC])
TIDS = st.integers(-3, 60)
WATT_HOUR_A_SECOND = ConstantLoad((3_600,))


class Locks:
    """What the model knows of one carrier's lockout, in whole seconds."""

    def __init__(self) -> None:
        self.failures = 0
        self.remaining = 0
        self.length = 0
        self.refused = False  # an entry, since the latest lockout began

    def fail(self) -> None:
        self.failures += 1
        if self.failures >= 5:
            self.length = 60 if not self.length else min(3_600, 2 * self.length)
            self.remaining = self.length
            self.refused = False

    def clear(self) -> None:
        self.failures = self.remaining = self.length = 0


class MeterAndModel(RuleBasedStateMachine):
    @initialize(default_key=st.booleans(), load=st.booleans())
    def manufacture(self, default_key: bool, load: bool) -> None:
        self.consumes = load
        kt = KT.DDTK if default_key else KT.DUTK
        self.bench = MeterBench(new_meter(kt=kt), load=WATT_HOUR_A_SECOND if load else None)
        self.default_key = default_key
        self.key_number = 0
        self.credit = 0
        self.accepted = 0
        self.used = [MADE] * 50
        self.executed = 0
        self.status = 0
        self.locks = {TCT.VIRTUAL: Locks(), TCT.NUMERIC: Locks()}
        self.tamper = 0
        self.staged = 0
        self.fails = 0

    def deliver(self, token: Token | TokenData, carrier: TCT, expected: int) -> bool:
        """Enter a token that gets ``expected`` unless the carrier is locked."""
        lock = self.locks[carrier]
        if lock.remaining:
            assert self.bench.offer(token, carrier) is ErrorCode.TOKEN_LOCKOUT
            self.bench.work()  # which makes durable that it was
            lock.refused = True
            return False
        self.bench.enter(token, carrier)
        self.executed += 1
        self.status = expected
        if expected in (13, 14):
            lock.fail()
        assert self.bench.read("lastTokenStatus") == expected
        return expected in (1, 2, 3, 17, 18)

    def judged(self, tid: int, *, is_credit: bool) -> int | None:
        if tid < min(self.used):
            return 9
        if tid in self.used:
            return 10
        return 12 if is_credit and self.default_key else None

    def store(self, tid: int) -> None:
        self.used = sorted([*self.used, tid])[1:]

    @rule(tid=TIDS, amount=st.integers(0, 40), carrier=CARRIERS, service=st.sampled_from(Service))
    def enter_credit(self, tid: int, amount: int, carrier: TCT, service: Service) -> None:
        refused = self.judged(MADE + tid, is_credit=True)
        expected = refused or (1 if service is Service.ELECTRICITY else 8)
        if self.deliver(credit(tid, amount, service), carrier, expected):
            self.credit += 100 * amount
            self.accepted += 100 * amount
            self.store(MADE + tid)
            self.locks[carrier].clear()

    @rule(tid=TIDS, register=st.sampled_from([0, 2, 7, 8, 0xFFFF]), carrier=CARRIERS)
    def clear_credit(self, tid: int, register: int, carrier: TCT) -> None:
        result = {0: 1, 0xFFFF: 1, 2: 8, 7: 8, 8: 7}[register]
        expected = self.judged(MADE + tid, is_credit=False) or result
        if self.deliver(ClearCredit(0, MADE + tid, register), carrier, expected):
            self.credit = 0
            self.store(MADE + tid)
            self.locks[carrier].clear()

    @rule(tid=TIDS, pad=st.booleans(), carrier=CARRIERS)
    def clear_tamper(self, tid: int, pad: bool, carrier: TCT) -> None:
        expected = self.judged(MADE + tid, is_credit=False) or (6 if pad else 1)
        if self.deliver(ClearTamperCondition(0, MADE + tid, int(pad)), carrier, expected):
            self.tamper = 0
            self.store(MADE + tid)
            self.locks[carrier].clear()

    @rule(carrier=CARRIERS, value=st.integers(0, 1000), times=st.integers(1, 3))
    def enter_noise(self, carrier: TCT, value: int, times: int) -> None:
        for _ in range(times):
            self.deliver(TokenData.assemble(0, value), carrier, 13)

    @rule(carrier=CARRIERS, mfr_code=st.sampled_from([0, 31, 77]))
    def enter_test(self, carrier: TCT, mfr_code: int) -> None:
        token = InitiateMeterTest(1, mfr_code)
        self.deliver(token, carrier, 14 if mfr_code == 77 else 1)

    @rule(carrier=CARRIERS, order=st.permutations(range(4)), to_default=st.booleans())
    def change_key(self, carrier: TCT, order: list[int], to_default: bool) -> None:
        self.key_number += 1
        state = self.bench.meter.state
        new = DecoderKey(EA.MISTY1, bytes([self.key_number]) * 16)
        kt = KT.DDTK if to_default else KT.DUTK
        attributes = type(state.attributes)(
            kt,
            state.attributes.sgc,
            state.attributes.ti,
            state.attributes.krn,
            state.attributes.ken,
            state.attributes.base_date,
        )
        tokens = key_change_set(state.key, new, attributes, ro=False)
        statuses = (2, 3, 17, 18)
        for count, place in enumerate(order, 1):
            expected = 1 if count == 4 else statuses[place]
            if not self.deliver(tokens[place], carrier, expected):
                return
            self.locks[carrier].clear()
            assert bool(self.bench.number("serverStatus") & 0x10) is (count < 4)
        self.default_key = to_default
        other = encode(credit(59, 1), state.key)
        self.deliver(other, carrier, 13)

    @rule(seconds=st.one_of(st.integers(0, 30), st.integers(50, 130)))
    def let_time_pass(self, seconds: int) -> None:
        if self.consumes and not self.tamper:
            self.credit -= min(self.credit, seconds)
        for lock in self.locks.values():
            lock.remaining = max(0, lock.remaining - seconds)
        self.bench.sleep(seconds)

    @rule(load=st.booleans())
    def hang_another_load_on_it(self, load: bool) -> None:
        self.consumes = load
        self.bench.load = WATT_HOUR_A_SECOND if load else ConstantLoad((0,))
        self.bench.meter.set_load(self.bench.load, self.bench.now_ns)
        self.bench.work()

    @rule(flags=st.integers(1, 0xFFFF))
    def tamper_with_it(self, flags: int) -> None:
        self.tamper |= flags
        self.bench.meter.tamper(flags, self.bench.now_ns)
        self.bench.work()

    @precondition(lambda self: self.executed)
    @rule()
    def lose_power(self) -> None:
        self.bench.power_up()
        self.fails += 1
        # At most ten seconds, or ten watt-hours, are forgotten.
        forgotten = self.bench.number("creditBalance") - self.credit
        assert 0 <= forgotten <= 10
        self.credit += forgotten
        for carrier, lock in self.locks.items():
            remaining = self.bench.meter.state.lockout(carrier).remaining_s
            assert 0 <= remaining - lock.remaining <= 10
            lock.remaining = remaining

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "bench"):
            return
        bench = self.bench
        state = bench.meter.state
        assert bench.number("creditBalance") == self.credit
        assert bench.number("totalCreditAccepted") == self.accepted
        assert [bench.read(f"acceptedTID.{n}") for n in range(1, 51)] == self.used[::-1]
        assert bench.number("tokenSequence") == self.executed
        assert bench.number("lastTokenStatus") == self.status
        lock = self.locks[TCT.VIRTUAL]
        shows_15 = lock.refused and lock.remaining
        assert bench.number("tokenStatus") == (15 if shows_15 else self.status)
        assert bench.number("lockoutRemaining") == lock.remaining
        open_ = bool(self.credit <= 0 or self.tamper)
        assert bench.number("loadSwitch") == (not open_)
        assert bench.number("disconnectReason") == (2 if self.tamper else int(self.credit <= 0))
        bits = (open_, self.credit <= 0, bool(self.tamper), bool(lock.remaining))
        shown = bench.number("serverStatus")
        assert [bool(shown >> bit & 1) for bit in range(4)] == list(bits)
        assert bool(shown & 0x80) is self.default_key
        assert bench.number("powerFailCount") == self.fails
        # The total and the balance never disagree about what was accepted and cleared.
        assert state.account.balance >= 0
        assert state.powered_ns - bench.meter.committed.powered_ns >= 0


TestMeterAndModel = MeterAndModel.TestCase
TestMeterAndModel.settings = settings(max_examples=60, stateful_step_count=40)

"""A meter works the same whether or not anyone looks at it in between."""

from __future__ import annotations

from bench_meter import MADE, MeterBench, credit, new_meter
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import S
from vtc07.meter import ConstantLoad, Load, MemoryStore, ProfileLoad
from vtc07.tokens import Set2ndSectionDecoderKey, SetMaximumPowerLimit, Token, TokenData

_READ = ("serverStatus", "tokenStatus", "lockoutRemaining", "creditBalance", "activePower")


class Watched(MeterBench):
    """A meter that is looked at, and whose timer is served, when there is no need for it."""

    def __init__(self, eighths: list[int], load: Load) -> None:
        self.looks = eighths  # of a second, since the meter was left alone
        super().__init__(new_meter(phases=3), load=load, execution_ns=1 * S)

    def sleep(self, seconds: float) -> None:
        begin = self.now_ns
        end = begin + int(seconds * S)
        for look in self.looks:
            instant = begin + look * S // 8
            if instant < end:
                super().sleep((instant - self.now_ns) / S)
                assert self.now_ns == instant
                self.meter.next_timer()
                self.read(_READ[look % len(_READ)])
                assert self.meter.state.powered_ns == instant - 5 * S
                assert self.meter.next_work() is None
        super().sleep((end - self.now_ns) / S)


_STEPS = st.one_of(
    st.tuples(st.just("sleep"), st.integers(1, 700)),
    st.tuples(st.just("credit"), st.integers(0, 3)),
    st.tuples(st.just("noise"), st.integers(1, 6)),
    st.tuples(st.just("tamper"), st.integers(1, 3)),
    st.tuples(st.just("limit"), st.sampled_from([0, 4_000])),
    st.tuples(st.just("alarm"), st.integers(0, 300)),
    st.tuples(st.just("load"), st.sampled_from([0, 3_600, 90_000])),
    st.tuples(st.just("section"), st.integers(0, 2)),
)


def _live_through(bench: MeterBench, steps: list[tuple[str, int]]) -> None:
    table = bench.companion.table
    for number, (what, value) in enumerate(steps, 1):
        token: Token | TokenData | None = None
        match what:
            case "sleep":
                bench.sleep(value)
            case "credit":
                token = credit(number, value)
            case "noise":
                for wrong in range(value):
                    bench.offer(TokenData.assemble(0, wrong))
                    bench.sleep(1)
            case "tamper":
                bench.meter.tamper(value, bench.now_ns)
            case "limit":
                token = SetMaximumPowerLimit(0, MADE + number, value)
            case "alarm":
                bench.meter.write(1, table.named("lowCreditThreshold"), value, bench.now_ns)
                bench.meter.write(2, table.named("lowCreditAlarmEnabled"), 1, bench.now_ns)
            case "load":
                bench.meter.set_load(ConstantLoad((value, 0, value // 3)), bench.now_ns)
            case "section":
                token = Set2ndSectionDecoderKey(value, 2, 3)
        if token is not None:
            bench.offer(token)
        bench.sleep(2)


@given(
    steps=st.lists(_STEPS, max_size=14),
    looks=st.lists(st.integers(1, 700), max_size=4).map(sorted),
)
def test_looking_at_a_meter_changes_nothing(steps: list[tuple[str, int]], looks: list[int]) -> None:
    load = ProfileLoad.parse("0,100,0,0\n7,5000,0,40\n30,0,0,0\n61,repeat\n")
    alone, watched = Watched([], load), Watched(looks, load)
    _live_through(alone, steps)
    _live_through(watched, steps)
    assert watched.meter.state == alone.meter.state
    assert watched.meter.committed == alone.meter.committed
    assert watched.events == alone.events
    assert watched.meter.next_timer() == alone.meter.next_timer()
    assert watched.meter.low_credit_alarm == alone.meter.low_credit_alarm
    stores = [bench.store for bench in (alone, watched)]
    assert all(isinstance(store, MemoryStore) for store in stores)
    assert len({store.commits for store in stores if isinstance(store, MemoryStore)}) == 1

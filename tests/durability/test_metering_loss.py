"""How much metered consumption a loss of power can take: 10 s of it, or 10 base units."""

from __future__ import annotations

import pytest
from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.meter import ConstantLoad, MemoryDatabase, SQLiteStore

LOADS = st.one_of(st.integers(0, 50), st.integers(0, 5_000), st.integers(0, 60_000))
#: Another load, and how long it lasts in ns; then power may fail.
PIECES = st.lists(st.tuples(LOADS, st.integers(0, 40 * S), st.booleans()), min_size=1, max_size=12)


@given(PIECES)
@settings(max_examples=100)
def test_the_loss_is_bounded(pieces: list[tuple[int, int, bool]]) -> None:
    companion = load_companion("electricity")
    assert companion.meter is not None
    longest_ns = companion.meter.commit_interval_s * S
    most = companion.meter.commit_consumption
    with MemoryDatabase() as database:
        SQLiteStore.create_in(database, new_meter(), ELECTRICITY, KEY).close()
        store = SQLiteStore.open_in(database, KEY)
        bench = MeterBench(companion=companion, store=store)
        bench.enter(credit(1, 1_000_000))
        accepted = bench.meter.committed.account.accepted
        for watts, lasting_ns, fails in pieces:
            bench.meter.set_load(ConstantLoad((watts,)), bench.now_ns)
            bench.work()
            bench.sleep(lasting_ns / S)
            if not fails:
                continue
            live = bench.meter.state
            database.lose_power()
            store = SQLiteStore.open_in(database, KEY)
            kept = store.load()
            lost = live.account.consumed - kept.account.consumed
            lost_ns = live.powered_ns - kept.powered_ns
            assert 0 <= lost <= most
            assert lost == 0 or lost_ns <= longest_ns
            assert kept.account.balance - live.account.balance == lost  # in nobody's disfavour
            assert live.account.consumed + live.account.balance == accepted
            bench.load = ConstantLoad((watts,))
            bench.store = store
            bench.power_up()
        account = bench.meter.state.account
        assert account.consumed + account.balance == accepted
        store.close()


@pytest.mark.parametrize(("watts", "most"), [(300, 1), (3_600, 9), (36_000, 9), (60_000, 9)])
def test_what_is_lost_at_the_worst_instant(watts: int, most: int) -> None:
    bench = MeterBench(load=ConstantLoad((watts,)))
    bench.enter(credit(1, 1_000_000))
    lost = []
    for _ in range(400):
        bench.sleep(0.173)
        live, kept = bench.meter.state, bench.meter.committed
        lost.append(live.account.consumed - kept.account.consumed)
        assert live.powered_ns - kept.powered_ns <= 10 * S
    assert max(lost) == most

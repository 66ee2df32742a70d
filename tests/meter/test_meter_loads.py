"""Loads: profiles, households, acceleration, single phases; all metered to the last unit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from bench_meter import MADE, MeterBench, credit, new_meter
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.meter import (
    Accelerated,
    ConstantLoad,
    Demand,
    HouseholdLoad,
    Load,
    MeterState,
    PhaseLoad,
    ProfileError,
    ProfileLoad,
    Rules,
    Since,
)
from vtc07.meter.accounting import advance
from vtc07.tokens import Service, SetMaximumPowerLimit

HOUR_NS = 3600 * S
DAY_S = 86_400
RULES = Rules.of(load_companion("electricity"))

PROFILE = """\
seconds, L1, L2, L3
0, 100, 0, 0      # night
10, 2000, 300, 0
12.5, 0, 0, 0

20.000000001, 1, 2, 3
30, repeat
"""


def charged(balance: int) -> MeterState:
    state = new_meter(phases=3)
    return replace(state, account=replace(state.account, balance=balance))


# --- profiles -----------------------------------------------------------------------------------


def at(load: Load, seconds: float) -> tuple[tuple[int, ...], int | None]:
    demand = load.demand(int(seconds * S))
    return demand.phases, demand.until_ns


def test_a_profile_repeats_where_it_says_so() -> None:
    load = ProfileLoad.parse(PROFILE)
    assert at(load, 0) == ((100, 0, 0), 10 * S)
    assert at(load, 10) == ((2000, 300, 0), 12_500_000_000)
    assert at(load, 19) == ((0, 0, 0), 20 * S + 1)
    assert load.demand(20 * S) == Demand((0, 0, 0), 20 * S + 1)
    assert at(load, 25) == ((1, 2, 3), 30 * S)
    assert at(load, 30) == ((100, 0, 0), 40 * S)
    assert at(load, 3_000_011) == ((2000, 300, 0), 3_000_012_500_000_000)


def test_a_profile_holds_its_last_line_otherwise() -> None:
    load = ProfileLoad.parse("0,7\n5,9\n")
    assert at(load, 4.9) == ((7,), 5 * S)
    assert at(load, 5) == ((9,), None)
    assert at(load, 10**9) == ((9,), None)


@pytest.mark.parametrize("ends", ["\n", "\r\n", ""])
def test_what_a_profile_may_look_like(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "load.csv"
    lines = ["\ufeff# made by hand", "", '"Sekunde","Watt"', '"0","5"', " 60 , 6 ", "90,7" + ends]
    path.write_bytes((ends or "\n").join(lines).encode())
    assert ProfileLoad.read(path) == ProfileLoad((0, 60 * S, 90 * S), ((5,), (6,), (7,)))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "holds no load"),
        ("# nothing\n\nseconds,L1\n", None, "holds no load"),
        ("seconds,L1\nwatts,L1\n0,1\n", 2, "no number of seconds"),
        ("1,5\n", 1, "begins at 0"),
        ("0,5\n0,6\n", 2, "more than"),
        ("0,5\n9,6\n8,7\n", 3, "more than"),
        ("0,5\n-1,6\n", 2, "no number of seconds"),
        ("0,5\n1e3,6\n", 2, "no number of seconds"),
        ("0,5\n\u0661,6\n", 2, "no number of seconds"),
        ("0,5\n1.0000000001,6\n", 2, "no number of seconds"),
        ("0,-5\n", 1, "whole watts"),
        ("0,5.5\n", 1, "whole watts"),
        ("0,1234567890\n", 1, "whole watts"),
        ("0,\n", 1, "whole watts"),
        ("0\n", 1, "has 0 loads"),
        ("0,1,2\n", 1, "has 2 loads"),
        ("0,1,2,3,4\n", 1, "has 4 loads"),
        ("0,1\n5,1,2,3\n", 2, "has 3 loads, but the lines before have 1"),
        ("0;100\n", 1, "semicolons"),
        ("seconds;L1;L2\n0;100;5\n", 2, "semicolons"),
        ("0,repeat\n", 1, "whole watts"),
        ("0,1\n5,repeat\n6,1\n", 3, "nothing may follow"),
        ("0,1\n0,repeat\n", 2, "more than"),
        ('0,"1\n', 1, "no CSV"),
        ("0,1\n" + "9" * 5000 + ",1\n", 2, "…"),
    ],
)
def test_a_bad_profile_is_refused_whole(
    tmp_path: Path, text: str, line: int | None, said: str
) -> None:
    path = tmp_path / "load.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError) as raised:
        ProfileLoad.read(path)
    sentence = str(raised.value)
    assert said in sentence
    assert "load.csv" in sentence
    assert (f"line {line}" in sentence) is (line is not None)
    assert len(sentence) < 250 + len(str(path))
    assert "\n" not in sentence
    assert sentence.endswith(".")


@given(st.text(alphabet='0123456789,.-\n#"repeatL ;\x00é', max_size=80))
def test_any_text_is_a_profile_or_an_error_in_a_sentence(text: str) -> None:
    try:
        load = ProfileLoad.parse(text)
    except ProfileError:
        return
    assert len(load.demand(0).phases) in (1, 3)


def test_a_file_that_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no file"):
        ProfileLoad.read(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"0,1\xff\n")
    with pytest.raises(ProfileError, match="UTF-8"):
        ProfileLoad.read(tmp_path / "b.csv")
    with (tmp_path / "c.csv").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(ProfileError, match="MiB"):
        ProfileLoad.read(tmp_path / "c.csv")
    for name in ("a\0b", "\ud800"):
        with pytest.raises(ProfileError, match="name of a file"):
            ProfileLoad.read(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        ProfileLoad.read(tmp_path / "d.csv")


def test_a_profile_that_gives_an_error_is_refused_with_its_name() -> None:
    unreadable = Path("/proc/self/mem")
    if not unreadable.is_file():
        pytest.skip("the system has no file that cannot be read by its owner")
    with pytest.raises(ProfileError, match="/proc/self/mem cannot be read: "):
        ProfileLoad.read(unreadable)


@pytest.mark.parametrize(
    ("starts", "pieces", "period"),
    [
        ((), (), None),
        ((1,), ((1,),), None),
        ((0, 0), ((1,), (1,)), None),
        ((0, 5), ((1,), (1,)), 5),
        ((0, 5), ((1,), (1, 2)), None),
        ((0,), ((),), None),
        ((0,), ((-1,),), None),
        ((0, 1), ((1,),), None),
    ],
)
def test_no_such_profile(
    starts: tuple[int, ...], pieces: tuple[tuple[int, ...], ...], period: int | None
) -> None:
    with pytest.raises(ValueError, match=r"profile|pieces|piece|negative"):
        ProfileLoad(starts, pieces, period)


# --- households ---------------------------------------------------------------------------------


def day_of(load: Load, day: int = 0) -> list[tuple[int, Demand]]:
    """Return a day's pieces with their beginnings."""
    now, pieces = day * DAY_S * S, []
    while now < (day + 1) * DAY_S * S:
        demand = load.demand(now)
        pieces.append((now, demand))
        assert demand.until_ns is not None
        assert demand.until_ns > now
        now = demand.until_ns
    return pieces


def watt_hours(load: Load, from_h: float, to_h: float, day: int = 0) -> float:
    begin, end = (int((day * 24 + hours) * HOUR_NS) for hours in (from_h, to_h))
    total = 0
    for start, demand in day_of(load, day):
        assert demand.until_ns is not None
        length = min(end, demand.until_ns) - max(begin, start)
        total += demand.rate * max(0, length)
    return total / HOUR_NS


def test_a_household_is_its_seed() -> None:
    day = day_of(HouseholdLoad(7), 3)
    assert day_of(HouseholdLoad(7), 3) == day
    assert day_of(HouseholdLoad(8), 3) != day
    assert day_of(HouseholdLoad(7), 4) != day
    # Known numbers: a household must be the same on every machine and in every version.
    assert [HouseholdLoad(7).demand(h * HOUR_NS).phases for h in (0, 7, 13, 20)] == [
        KNOWN[hour] for hour in (0, 7, 13, 20)
    ]


KNOWN = {0: (98,), 7: (376,), 13: (178,), 20: (2368,)}


def test_the_order_of_questions_does_not_matter() -> None:
    load = HouseholdLoad(3, phases=3)
    instants = [((n * 7_919) % 400) * HOUR_NS // 3 for n in range(400)]
    answers = {instant: load.demand(instant) for instant in instants}
    fresh = HouseholdLoad(3, phases=3)
    assert {instant: fresh.demand(instant) for instant in sorted(instants)} == answers


@pytest.mark.parametrize("seed", range(12))
def test_a_household_lives_like_one(seed: int) -> None:
    load = HouseholdLoad(seed)
    days = [day_of(load, day) for day in range(7)]
    watts = [demand.power for day in days for _, demand in day]
    assert min(watts) >= 50  # the base load is always there
    assert 2_000 < max(watts) < 9_000
    week = sum(watt_hours(load, 0, 24, day) for day in range(7))
    assert 35_000 < week < 85_000
    night = sum(watt_hours(load, 0, 4, day) for day in range(7))
    evening = sum(watt_hours(load, 17, 21, day) for day in range(7))
    assert evening > 3 * night
    # The fridge goes on and off some thirty times a day.
    assert all(60 < len(day) < 200 for day in days)


def test_a_household_on_three_phases_is_the_same_household() -> None:
    one, three = HouseholdLoad(5), HouseholdLoad(5, phases=3)
    for instant in range(0, 2 * DAY_S * S, 97 * S):
        apart = three.demand(instant)
        assert len(apart.phases) == 3
        assert apart.power == one.demand(instant).power
    assert all(
        any(demand.phases[phase] for _, demand in day_of(three) + day_of(three, 1))
        for phase in range(3)
    )


def test_households_use_water_and_gas() -> None:
    for service, least, most in ((Service.WATER, 50, 500), (Service.GAS, 3_000, 15_000)):
        load = HouseholdLoad(1, service=service)
        week = [watt_hours(load, 0, 24, day) for day in range(7)]  # litres
        assert all(least < day < most for day in week), week
        assert any(not demand.power for _, demand in day_of(load))
    with pytest.raises(ValueError, match="electricity, water or gas"):
        HouseholdLoad(1, service=Service.TIME)
    for phases, service in ((2, Service.ELECTRICITY), (3, Service.WATER)):
        with pytest.raises(ValueError, match="phase"):
            HouseholdLoad(1, phases, service)


# --- wrappers -----------------------------------------------------------------------------------


def test_an_accelerated_profile_passes_faster() -> None:
    load = Accelerated(ProfileLoad.parse("0,100\n60,200\n120,repeat\n"), 7)
    first = load.demand(0)
    assert first.phases == (100,)
    assert first.pace == 7
    assert first.until_ns == -(-60 * S // 7)
    assert load.demand(first.until_ns - 1).phases == (100,)
    assert load.demand(first.until_ns).phases == (200,)
    assert Accelerated(load, 10).demand(0).pace == 70
    with pytest.raises(ValueError, match="from 1 on"):
        Accelerated(load, 0)


def test_an_accelerated_day_meters_a_day() -> None:
    household = HouseholdLoad(11, phases=3)
    begun = charged(10**9)
    slow = advance(begun, 864 * 1_000 * S, household, RULES)
    fast = advance(begun, 864 * S, Accelerated(household, 1_000), RULES)
    # A piece ends on a whole ns of the meter's: that is all that may be between them.
    assert abs(slow.account.consumed - fast.account.consumed) <= 1
    assert slow.account.consumed > 50_000


def test_a_load_that_begins_later() -> None:
    load = Since(ProfileLoad.parse("0,100\n60,200\n"), 1_000 * S)
    assert load.demand(5 * S) == Demand((100,), 1_060 * S)
    assert load.demand(1_059 * S) == Demand((100,), 1_060 * S)
    assert load.demand(1_060 * S) == Demand((200,), None)


def test_single_phases() -> None:
    base = ProfileLoad.parse("0,100,200,300\n60,1,2,3\n")
    assert PhaseLoad(base, (None, 7, 0)).demand(0) == Demand((100, 7, 0), 60 * S)
    assert PhaseLoad(base, (None, None, None)).demand(60 * S) == Demand((1, 2, 3), None)
    assert PhaseLoad(ConstantLoad((5,)), (None, None, 9)).demand(0) == Demand((5, 0, 9), None)
    assert PhaseLoad(Accelerated(base, 2), (1, 1, 1)).demand(0) == Demand((1, 1, 1), 30 * S, 2)
    for phases in ((), (-1, None, None), (1,)):
        with pytest.raises(ValueError, match="phase"):
            PhaseLoad(base, phases)


def test_a_phase_that_is_switched_off_upsets_the_balance() -> None:
    bench = MeterBench(new_meter(phases=3), load=ConstantLoad((500, 500, 500)))
    bench.enter(credit(1, 100))
    bench.enter(SetMaximumPowerLimit(0, MADE + 2, 1_500))
    bench.meter.set_load(PhaseLoad(bench.meter.load, (None, 0, None)), bench.now_ns)
    assert [bench.number(f"activePowerL{n}") for n in (1, 2, 3)] == [500, 0, 500]
    assert bench.number("activePower") == 1_000


# --- energy -------------------------------------------------------------------------------------

profiles = st.builds(
    lambda steps, repeats: ProfileLoad.parse(
        "0,1,2,3\n"
        + "".join(
            f"{second},{','.join(map(str, watts))}\n" for second, watts in sorted(steps.items())
        )
        + (f"{max(steps, default=0) + 3},repeat\n" if repeats else "")
    ),
    st.dictionaries(st.integers(1, 300), st.tuples(*[st.integers(0, 50_000)] * 3), max_size=6),
    st.booleans(),
)
households = st.builds(HouseholdLoad, st.integers(0, 2**40), st.just(3))


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """Any load, with any of the wrappers around it, in any order."""
    load: Load = draw(st.one_of(profiles, households, st.just(ConstantLoad((900, 0, 70)))))
    for wrapper in draw(st.permutations(["fast", "later", "phases"])):
        if not draw(st.booleans()):
            continue
        match wrapper:
            case "fast":
                load = Accelerated(load, draw(st.integers(1, 60)))
            case "later":
                load = Since(load, draw(st.integers(0, 100 * S)))
            case _:
                taken = st.one_of(st.none(), st.integers(0, 4_000))
                load = PhaseLoad(load, draw(st.tuples(taken, taken, taken)))
    return load


def integrated(load: Load, to_ns: int) -> Fraction:
    """Return the base units of a load up to an instant, found by halving, not by its pieces."""

    def between(start: int, end: int) -> Fraction:
        demand = load.demand(start)
        if demand.until_ns is None or demand.until_ns >= end:
            return Fraction(sum(demand.phases) * demand.pace * (end - start), HOUR_NS)
        middle = (start + end) // 2
        return between(start, middle) + between(middle, end)

    return between(0, to_ns)


@given(
    load=loads(),
    cuts=st.lists(st.integers(0, 900 * S), max_size=8),
    end=st.integers(1, 900 * S),
)
def test_energy_is_exact_however_time_is_cut(load: Load, cuts: list[int], end: int) -> None:
    start = charged(10**15)
    whole = advance(start, end, load, RULES)
    cut = start
    for instant in sorted(cuts):
        cut = advance(cut, min(instant, end), load, RULES)
    assert advance(cut, end, load, RULES) == whole
    account = whole.account
    assert account.consumed + Fraction(account.remainder, HOUR_NS) == integrated(load, end)
    assert account.balance == 10**15 - account.consumed


@given(load=loads(), instants=st.lists(st.integers(0, 3 * DAY_S * S), min_size=2, max_size=6))
def test_a_demand_holds_until_it_says(load: Load, instants: list[int]) -> None:
    instants.sort()
    for before, after in pairwise(instants):
        demand = load.demand(before)
        assert demand.until_ns is None or demand.until_ns > before
        if demand.until_ns is None or after < demand.until_ns:
            assert load.demand(after) == demand


@given(load=loads(), balance=st.integers(1, 50))
def test_credit_runs_out_at_exactly_zero_whatever_the_load(load: Load, balance: int) -> None:
    start = charged(balance)
    end = advance(start, 120 * S, load, RULES)
    assert 0 <= end.account.balance <= balance
    assert end.account.balance + end.account.consumed == balance
    assert end.switch.closed is (end.account.balance > 0)
    assert end.switch.closed is (integrated(load, 120 * S) < balance)

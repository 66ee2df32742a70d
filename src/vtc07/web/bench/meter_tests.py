"""What a display shows when a token of class 1 asks for it (IEC 62055-41 6.3.8)."""

from __future__ import annotations

from typing import Final

from vtc07.hhu.texts import mark
from vtc07.meter import MeterState
from vtc07.tokens import InitiateMeterTest
from vtc07.web.bench.facts import Kind

#: The tests by number, as `vtc07.tokens.METER_TESTS` has them.
TEST_TITLES: Final = {
    0: mark("all"),
    1: mark("load switch"),
    2: mark("displays"),
    3: mark("cumulative totals"),
    4: mark("KRN and KT"),
    5: mark("TI"),
    6: mark("token input device"),
    7: mark("maximum power limit"),
    8: mark("tamper status"),
    9: mark("active power"),
    10: mark("software version"),
    11: mark("phase power unbalance limit"),
    12: mark("water meter factor"),
    13: mark("tariff rate"),
    14: mark("EA"),
    15: mark("number of KCTs supported"),
    16: mark("SGC"),
    17: mark("KEN"),
    18: mark("DRN"),
}
#: EA11 takes key changes of four tokens.
_KCTS: Final = 4


def thousandths(units: int) -> str:
    """Return base units as a display has them: thousands, with two decimals."""
    sign = "-" if units < 0 else ""
    return f"{sign}{abs(units) // 1000}.{abs(units) % 1000 // 10:02d}"


def asked(control: int, subclass: int) -> tuple[int, ...]:
    """Return the tests that Control of a token of class 1 asks for, of those that have a name."""
    tests = InitiateMeterTest(control, four_digit_mfr_code=subclass == 1).tests
    if tests == (0,):
        return tuple(number for number in TEST_TITLES if number)
    return tuple(number for number in tests if number in TEST_TITLES)


def shown(test: int, state: MeterState, power: int, kind: Kind) -> str | None:
    """Return what the display shows for a test, None where this meter has nothing to show."""
    attributes, plate, switch = state.attributes, state.nameplate, state.switch
    has_phases = kind.phases > 1
    found: dict[int, str] = {
        1: "CLOSED" if switch.closed else "OPEN",
        2: "8888.88",
        3: f"{thousandths(state.account.consumed)} {kind.large_unit}",
        4: f"KRN {attributes.krn} KT {int(attributes.kt)}",
        5: f"TI {attributes.ti}",
        6: "KEYPAD",
        8: f"{switch.tamper:04X}",
        9: f"{power} {kind.flow_unit}",
        10: plate.software_version,
        14: f"EA {state.key.ea.code}",
        15: f"{_KCTS} KCT",
        16: f"{attributes.sgc}",
        17: f"KEN {attributes.ken}",
        18: f"{plate.meter_pan.drn}",
    }
    if kind.flow_unit == "W":
        found[7] = f"{switch.maximum_power} W" if switch.maximum_power else "NO LIMIT"
    if has_phases:
        found[11] = f"{switch.maximum_unbalance} W" if switch.maximum_unbalance else "NO LIMIT"
    return found.get(test)

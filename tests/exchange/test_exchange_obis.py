"""What addresses of a readout mean: OBIS codes, and what is none or another's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.exchange.blocks import Row
from vtc07.carrier.exchange.obis import meaning_of
from vtc07.carrier.exchange.telegram import parse_telegrams


@pytest.mark.parametrize(
    ("address", "unit", "meaning"),
    [
        ("1.8.0", "kWh", "energy imported"),
        ("1.8.0", None, "energy imported"),
        ("1.8", "kWh", "energy imported"),
        ("1-0:1.8.0*255", None, "energy imported"),
        ("1-1:1.8.2", "MWh", "energy imported, tariff 2"),
        ("2.8.0", "kWh", "energy exported"),
        ("1.8.0*12", "kWh", "energy imported; stored value 12, of an earlier period"),
        ("1.8.1&03", "kWh", "energy imported, tariff 1; stored value 3, of an earlier period"),
        ("1.6.0", "kW", "greatest demand imported"),
        ("1-0:1.4.0", "kW", "demand imported in the period under way"),
        ("1.7.0", "W", "power imported now"),
        ("2.7.0", "kW", "power exported now"),
        ("21.7.0", "kW", "power imported now, L1"),
        ("62.7.0", "kW", "power exported now, L3"),
        ("16.7", "kW", "power imported minus exported now"),
        ("5.8.0", "kvarh", "reactive energy in quadrant I"),
        ("9.8.0", "kVAh", "apparent energy imported"),
        ("32.7.0", "V", "voltage of L1"),
        ("72.7", "V", "voltage of L3"),
        ("51.7.0", "A", "current of L2"),
        ("91.7.0", "A", "current of the neutral"),
        ("13.7.0", None, "power factor"),
        ("73.7.0", None, "power factor of L3"),
        ("14.7.0", "Hz", "frequency"),
        ("0.0", None, "meter number"),
        ("1-0:0.0.0*255", None, "meter number"),
        ("0.9.1", None, "time of day"),
        ("0-0:0.9.2", None, "date"),
        ("F.F", None, "error and status flags"),
        ("1-1:F.F", None, "error and status flags"),
        ("C.1", None, "serial number"),
        ("1-0:96.1.0*255", None, "serial number"),
        ("C.5.0", None, "operating status"),
        ("C.7.0", None, "number of power failures"),
        ("0.2.0", None, "version of the meter's software"),
        ("0-1:24.2.1", None, "last reading of the meter on M-Bus channel 1"),
        ("0-4:96.1.0", None, "number of the meter on M-Bus channel 4"),
        ("0-0:96.1.1", None, "meter number"),
        ("0-0:96.14.0", None, "tariff in force"),
        ("1-0:52.32.0", None, "number of voltage sags of L2"),
        ("7-0:3.0.0", "m3", "gas volume in all"),
        ("8-0:1.0.0", "m3", "water volume in all"),
    ],
)
def test_codes_that_are_known(address: str, unit: str | None, meaning: str) -> None:
    assert meaning_of(address, unit) == meaning


@pytest.mark.parametrize(
    ("address", "unit"),
    [
        ("", None), ("P.01", None), ("96.80", None), ("96.50", None), ("96.1.3", None),
        ("96.77.4", None), ("C.1.1", None), ("C.2.9", None), ("C.5.1", None), ("96.3.11", None),
        ("19.40.0", None), ("19.10.0", "Wh"), ("0023", None), ("1.20", "kWh"), ("F", None),
        ("82.8.1", None), ("1-0:96.5.5*255", None), ("1.8.64", "kWh"), ("1.7.1", "kW"),
        ("81.7.0", None), ("101.7.0", None), ("99.1.0", None),
        ("1.8.0*100", "kWh"),  # stored values are 0 to 99, other numbers are makers'
        ("0.1.0*12", None), ("C.1.0*1", None), ("0-0:96.1.1*1", None), ("0-1:24.2.1*1", None),
        ("1-65:1.8.0", "kWh"), ("1-128:1.8.0*12", "kWh"), ("0-0:1.8.0", "kWh"),
        ("7-0:1.8.0", "kWh"), ("6-0:1.8.0*12", "kWh"), ("0-1:1.8.0", "kWh"),
        ("1-0:96.14.0", None), ("0-0:24.2.1", None),
    ],
)  # fmt: skip
def test_codes_of_which_nothing_is_surely_known(address: str, unit: str | None) -> None:
    assert meaning_of(address, unit) is None


@pytest.mark.parametrize(
    ("address", "unit"),
    [
        ("1.8.0", "m3"), ("1-0:1.8.0", "min"), ("1.7.0", "kWh"), ("1.8.0", "kW"), ("1.8.0", ""),
        ("6.8", "MWh"), ("6.6", "kW"), ("6.8.1", None), ("9.6", None), ("6.8*01", "MWh"),
        ("32.7.0", "A"), ("13.7.0", "kW"), ("7-0:3.0.0", "kWh"), ("1.8", None),
    ],
)  # fmt: skip
def test_a_unit_that_contradicts_or_is_wanted_and_missing(address: str, unit: str | None) -> None:
    assert meaning_of(address, unit) is None


@given(st.text(max_size=20), st.none() | st.text(max_size=6))
def test_any_text_is_taken(address: str, unit: str | None) -> None:
    meaning = meaning_of(address, unit)
    assert meaning is None or (meaning.isprintable() and meaning == meaning.strip())


@given(st.from_regex(r"(\d-\d{1,3}:)?[0-9CF]{1,3}\.[0-9F]{1,3}(\.\d{1,3})?", fullmatch=True))
def test_a_value_that_is_not_stored_is_one_of_now(code: str) -> None:
    assert meaning_of(f"{code}*255") == meaning_of(code)


def test_aliases_of_the_shipped_companion_mean_what_its_registers_are() -> None:
    table = load_companion("electricity-mode-c").table
    meanings = {r.name: meaning_of(r.alias, r.unit) for r in table if r.alias is not None}
    assert {name: meaning for name, meaning in meanings.items() if meaning is not None} == {
        "serverStatus": "error and status flags",
        "softwareVersion": "version of the meter's software",
        "meterPAN": "meter number",
        "DRN": "serial number",
        "totalConsumption": "energy imported",
        "activePower": "power imported now",
        "activePowerL1": "power imported now, L1",
        "activePowerL2": "power imported now, L2",
        "activePowerL3": "power imported now, L3",
        "loadSwitch": "state of the disconnecting switch",
        "powerFailCount": "number of power failures",
    }


def rows_of(path: Path) -> list[Row]:
    chars = bytes(char & 0x7F for char in path.read_bytes())
    return [row for telegram in parse_telegrams(chars) for row in telegram.block.rows]


def test_recordings_have_a_meaning_where_their_rows_are_standard(shared: Path) -> None:
    telegrams = shared / "telegrams"
    p1 = rows_of(telegrams / "03_enexis_t210d.bin")
    assert all(meaning_of(row.address, row.values[0].unit) for row in p1)
    heat = rows_of(telegrams / "15_siemens_uh50_2wr5.bin")
    known = {row.address for row in heat if meaning_of(row.address, row.values[0].unit)}
    assert known == {"0.0"}  # a heat meter's addresses are not electricity's
    national = rows_of(telegrams / "23_luna_readout.bin")
    unknown = {row.address for row in national if not meaning_of(row.address, row.values[0].unit)}
    assert {"96.80", "96.77.4", "96.1.3", "96.50"} <= unknown
    assert not unknown & {"1.8.0", "1.8.4", "1.6.0", "32.7.0", "33.7.0", "34.7.0", "96.7.1"}

"""Every recorded telegram says what a person sees in it, and every recorded session is framed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtc07.carrier.companion import MessageLimits
from vtc07.carrier.exchange.blocks import ReadoutBlock, Value, parse_block
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.messages import (
    CommandMessage,
    OptionSelect,
    check_is_good,
    parse_command_message,
    parse_data_sets,
    parse_identification,
    parse_option_select,
)
from vtc07.carrier.exchange.reader import HHUReader, PortReader
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility
from vtc07.carrier.exchange.telegram import Framing, Telegram, crc16, parse_telegrams
from vtc07.carrier.framing import Frame
from vtc07.carrier.messages import DataSet, parse_id_request

LIMITS = MessageLimits()
COMMA = Compatibility(decimal_comma=True)
CRC, PUSHED, BARE, OPEN = Framing.PUSHED_CRC, Framing.PUSHED, Framing.BARE, Framing.UNCHECKED


def telegram(shared: Path, name: str, compat: Compatibility = COMMA) -> Telegram:
    chars = (shared / "telegrams" / f"{name}.bin").read_bytes()
    (one,) = parse_telegrams(chars, compat)
    assert one.block.leftovers == ()
    return one


def said(block: ReadoutBlock, address: str) -> list[str]:
    """Return a row's values with their units, as a person reads them."""
    row = block.find(address)
    assert row is not None, f"there is no {address}"
    return [str(value).strip() for value in row.all_values]


def history(block: ReadoutBlock, register: str) -> list[tuple[int | None, str]]:
    return [
        (row.history, str(row.values[0]).strip()) for row in block.rows if row.register == register
    ]


def test_01_landis_gyr_zcf100(shared: Path) -> None:
    one = telegram(shared, "01_landis_gir_zcf100")
    assert one.identity == MeterIdentity("XMX", "5", "LGBBFG1012530239")
    assert (one.framing, one.check_good, one.block.after) == (CRC, True, "CC1E")
    assert len(one.block.rows) == 23
    assert said(one.block, "1-0:1.8.1") == ["000075.067 kWh"]
    assert said(one.block, "1-0:1.7.0") == ["02.778 kW"]
    assert said(one.block, "1-0:99.97.0") == ["0", "0-0:96.7.19"]
    assert said(one.block, "0-0:96.13.1") == [""]
    assert said(one.block, "0-1:24.2.1") == ["161116200000W", "00066.405 m3"]


def test_03_enexis_t210d(shared: Path) -> None:
    one = telegram(shared, "03_enexis_t210d")
    assert one.identity == MeterIdentity("Ene", "5", "\\T210-D ESMR5.0")
    assert (one.framing, one.check_good, one.block.after) == (CRC, True, "162E")
    assert len(one.block.rows) == 35
    assert said(one.block, "0-0:1.0.0") == ["190816125118S"]
    assert said(one.block, "1-0:52.7.0") == ["243.0 V"]
    assert said(one.block, "1-0:71.7.0") == ["001 A"]


@pytest.mark.parametrize("name", ["01_landis_gir_zcf100", "03_enexis_t210d"])
def test_a_struck_character_shows_in_the_crc16(shared: Path, name: str) -> None:
    chars = bytearray((shared / "telegrams" / f"{name}.bin").read_bytes())
    assert crc16(bytes(chars[: chars.index(b"!") + 1])) == int(chars[-6:-2], 16)
    chars[chars.index(b"*kWh") - 1] ^= 1
    (one,) = parse_telegrams(bytes(chars))
    assert (one.framing, one.check_good) == (CRC, False)


def test_04_hager_ehz161wa(shared: Path) -> None:
    one = telegram(shared, "04_hager_ehz161wa")
    assert one.identity == MeterIdentity("HAG", "5", "eHZ010C_EHZ1vA02")
    assert (one.framing, one.check_good) == (PUSHED, None)
    assert len(one.block.rows) == 15
    assert said(one.block, "1-0:1.8.0*255") == ["000001.2963"]
    assert said(one.block, "1-0:41.7.0*255") == ["+00026 W"]
    assert history(one.block, "1-0:1.8.0") == [(None, "000001.2963")]  # 255: none
    assert [number for number, _ in history(one.block, "1-0:96.50.0")] == list(range(8))


def test_06_iskra_mt382_1003(shared: Path) -> None:
    one = telegram(shared, "06_iskra_mt382_1003")
    assert one.identity == MeterIdentity("ISk", "5", "\\MT382-1003")
    assert one.identity.escapes == ()  # \M is a name
    assert (one.framing, len(one.block.rows)) == (PUSHED, 16)
    assert said(one.block, "1-0:1.8.2") == ["00017.004 kWh"]
    assert said(one.block, "0-0:96.13.0") == [""]
    gas = one.block.find("0-1:24.3.0")
    assert gas is not None
    assert gas.further == ((Value("00001.160"),),)
    assert gas.profile is not None
    assert gas.profile.start == "130110100000"
    assert (gas.profile.period_min, gas.profile.channels) == (60, (("0-1:24.2.1", "m3"),))
    assert gas.profile.entries == ((Value("00001.160"),),)


def test_07_iskra_mt382_1000_dsmr3(shared: Path) -> None:
    one = telegram(shared, "07_iskra_mt382_1000_dsmr3")
    assert one.identity == MeterIdentity("ISk", "5", "\x02MT382-1000")
    assert (one.framing, len(one.block.rows)) == (PUSHED, 16)
    assert said(one.block, "1-0:2.8.2") == ["12345.678 kWh"]
    assert said(one.block, "0-0:17.0.0") == ["016 A"]
    assert len(said(one.block, "0-0:96.13.0")[0]) == 160
    assert said(one.block, "0-1:24.3.0") == [
        "090212160000", "00", "60", "1", "0-1:24.2.1", "m3", "00001.001",
    ]  # fmt: skip


def test_08_kamstrup_162(shared: Path) -> None:
    one = telegram(shared, "08_kamstrup_162")
    assert one.identity == MeterIdentity("KMP", "5", " KA6U001660297912")
    assert (one.framing, len(one.block.rows)) == (PUSHED, 16)
    assert said(one.block, "1-0:1.8.1") == ["00068.000 kWh"]
    assert said(one.block, "1-0:2.7.0") == ["0000.12 kW"]
    assert said(one.block, "0-1:24.3.0")[-1] == "00054.386"


def test_10_lgz_zmd120ap_echo(shared: Path) -> None:
    one = telegram(shared, "10_lgz_zmd120ap_echo")
    assert one.identity == MeterIdentity("LGZ", "5", "2ZMD120APt.G03")
    assert (one.framing, len(one.block.rows), one.block.ended) == (BARE, 8, True)
    assert said(one.block, "F.F") == ["00000000"]
    row = one.block.find("0.0.0")
    assert row is not None
    assert row.values == (Value(" 20000"),)
    assert said(one.block, "2.8.0") == ["004329.6 kWh"]


def test_12_lg_e350_zmf100ac(shared: Path) -> None:
    one = telegram(shared, "12_lg_e350_zmf100ac")
    assert one.identity == MeterIdentity("LGZ", "4", "ZMF100AC.M27")
    assert (one.framing, len(one.block.rows), one.block.ended) == (OPEN, 23, True)
    row = one.block.find("C.1.1")
    assert row is not None
    assert row.values == (Value("        "),)
    assert said(one.block, "0.0") == ["18438636"]
    assert said(one.block, "72.7") == ["234 V"]
    assert said(one.block, "16.7") == ["001.66 kW"]


def test_13_ace3k260_mode_e(shared: Path) -> None:
    one = telegram(shared, "13_ace3k260_modeE")
    assert one.identity == MeterIdentity("ACE", "0", "\\3k260V01.18", ("3",))
    assert not one.identity.has_mode_e
    assert (one.framing, one.check_good, one.block.ended) == (OPEN, None, True)
    assert [row.address for row in one.block.rows] == ["F.F", "C.1", "C.5.0", "1.8.0", "2.8.0"]
    assert said(one.block, "2.8.0") == ["000120.1 kWh"]


def test_15_siemens_uh50_2wr5(shared: Path) -> None:
    one = telegram(shared, "15_siemens_uh50_2wr5")
    assert one.identity == MeterIdentity("SIE", "3", "2WR5")
    assert (one.framing, len(one.block.rows), one.block.ended) == (BARE, 50, True)
    assert history(one.block, "6.8") == [(None, "0029.055 MWh"), (1, "0028.086 MWh")]
    assert said(one.block, "6.8.5*01") == [""]
    row = one.block.find("9.4")
    assert row is not None
    assert row.values[0].joined == (Value("088", "C"), Value("082", "C"))
    row = one.block.find("9.36")
    assert row is not None
    assert row.values[0].joined == (Value("2017-01-18"), Value("01:36:47"))
    assert said(one.block, "9.1") == ["0&1&0&-&CV&3&2.14"]
    assert said(one.block, "9.2") == ["&&"]
    assert said(one.block, "0.0") == ["00010213"]


def test_17_emh_ehz(shared: Path) -> None:
    one = telegram(shared, "17_emh_ehz")
    assert one.identity == MeterIdentity("EMH", "5", "----eHZ-E0018E")
    assert (one.framing, len(one.block.rows)) == (PUSHED, 4)
    assert said(one.block, "1-0:1.8.1*255") == ["032942.0231"]
    assert said(one.block, "1-0:0.0.0*255") == ["331200-5009810"]


def test_21_metcom_mcs301_list1(shared: Path) -> None:
    one = telegram(shared, "21_metcom_mcs301_list1")
    assert one.identity == MeterIdentity("MCS", "5", "\\@0050010067967", ("@",))
    assert (one.framing, len(one.block.rows), one.block.ended) == (OPEN, 47, True)
    assert history(one.block, "1.8.0") == [
        (None, "01281.6601 kWh"),
        (12, "01236.1958 kWh"),
        (11, "01158.9747 kWh"),
        (10, "01097.4085 kWh"),
    ]
    assert said(one.block, "1.6.1*11") == ["0.74906 kW", "2209281400"]
    assert [text for _, text in history(one.block, "0.2.0")] == ["01.01.28", "02.02.13", "2.2.8"]


def test_22_metcom_mcs301_p01(shared: Path) -> None:
    one = telegram(shared, "22_metcom_mcs301_p01")
    assert (one.identity, one.framing, one.block.ended) == (None, OPEN, False)
    (row,) = one.block.rows
    assert row.address == "P.01"
    profile = row.profile
    assert profile is not None
    assert (profile.start, profile.status, profile.period_min) == ("1220401010000", "08", 15)
    assert profile.channels[:3] == (("1-0:1.5.0", "kW"), ("1-0:2.5.0", "kW"), ("1-0:5.5.0", "kvar"))
    assert len(profile.channels) == 6
    assert len(profile.entries) == 4
    assert [str(entry[0]) for entry in profile.entries] == [
        "0.30499", "0.31774", "0.33878", "0.30506",
    ]  # fmt: skip
    assert profile.entries[3][5] == Value("0.00713")


def test_23_luna_readout(shared: Path) -> None:
    one = telegram(shared, "23_luna_readout")
    assert one.identity == MeterIdentity("LUN", "5", "<1>LUN12345671")
    assert (one.framing, len(one.block.rows), one.block.ended) == (BARE, 80, True)
    assert said(one.block, "1.6.0*2") == ["005.656 kW", "16-09-02,16:15"]
    assert said(one.block, "33.7.0") == ["+1.00"]
    assert said(one.block, "53.7.0") == ["0.00"]
    assert said(one.block, "96.77.4*1") == ["18-04-07,10:46,00-00-00,00:00"]
    assert said(one.block, "96.7.5") == ["0969", "02:30:57"]
    assert [number for number, _ in history(one.block, "5.8.0")] == [None, 1, 2]


def test_28_kamstrup_685_mode_a(shared: Path) -> None:
    one = telegram(shared, "28_kamstrup_685_modeA")
    assert one.identity == MeterIdentity("KAM", " ", "685-382-QR-10")
    assert (one.framing, len(one.block.rows), one.block.ended) == (OPEN, 8, True)
    assert said(one.block, "1.6") == ["000007.4 kW"]
    assert history(one.block, "1.6") == [(None, "000007.4 kW"), (1, "000013.0")]
    as_it_came = telegram(shared, "28_kamstrup_685_modeA", Compatibility())
    assert said(as_it_came.block, "1.6") == ["000007,4 kW"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("10_lgz_zmd120ap_echo", [Frame.ECHO, Frame.IDENTIFICATION, Frame.BLOCK]),
        ("12_lg_e350_zmf100ac", [Frame.IDENTIFICATION, Frame.DATA]),
        ("13_ace3k260_modeE", [Frame.IDENTIFICATION, Frame.DATA]),
        ("15_siemens_uh50_2wr5", [Frame.IDENTIFICATION, Frame.BLOCK]),
        ("21_metcom_mcs301_list1", [Frame.IDENTIFICATION, Frame.DATA]),
        ("22_metcom_mcs301_p01", [Frame.DATA]),
        ("23_luna_readout", [Frame.IDENTIFICATION, Frame.BLOCK]),
        ("28_kamstrup_685_modeA", [Frame.IDENTIFICATION, Frame.DATA]),
    ],
)
def test_a_hand_held_unit_hears_the_same(shared: Path, name: str, expected: list[Frame]) -> None:
    chars = (shared / "telegrams" / f"{name}.bin").read_bytes()
    reader = HHUReader(LIMITS, unchecked=True)
    reader.readout = True
    heard = [one for char in chars for one in reader.feed(bytes((char,)))]
    rest = reader.rest()
    if rest is not None:  # these end without a line's end, or never say `!`
        assert name in (
            "10_lgz_zmd120ap_echo",
            "12_lg_e350_zmf100ac",
            "22_metcom_mcs301_p01",
            "23_luna_readout",
        )
        heard.append(rest)
    assert [one.frame for one in heard] == expected
    assert parse_block(heard[-1].chars, COMMA) == telegram(shared, name).block


# --- sessions -------------------------------------------------------------------------------------

Heard = list[tuple[str, Frame, bytes]]


def framed(shared: Path, name: str) -> Heard:
    """Read a session with the reader of each side; all of it must be framed, whole."""
    text = (shared / "telegrams" / f"{name}.session.json").read_text("utf-8")
    messages: list[dict[str, Any]] = json.loads(text)
    heard: Heard = []
    port, hhu = PortReader(LIMITS), HHUReader(LIMITS)
    for message in messages:
        chars = bytes.fromhex(message["hex"])
        port.commands = Frame.OPTION_SELECT in [frame for _, frame, _ in heard]
        port.commands |= chars.startswith(b"\x01")
        port.option_select = not port.commands
        reader: PortReader | HHUReader = port if message["from"] == "HHU" else hhu
        (whole,) = reader.feed(chars)
        assert (whole.chars, whole.damaged, whole.overlong) == (chars, False, False)
        heard.append((message["from"], whole.frame, whole.chars))
    return heard


def kinds(heard: Heard) -> list[Frame]:
    return [frame for _, frame, _ in heard]


def commands(heard: Heard, kind: CheckCharacter = CheckCharacter.XOR) -> list[CommandMessage]:
    told = [parse_command_message(c, kind) for _, f, c in heard if f is Frame.COMMAND]
    parsed = [command for command in told if command is not None]
    assert len(parsed) == len(told)
    return parsed


SIGN_ON = [Frame.REQUEST, Frame.IDENTIFICATION, Frame.OPTION_SELECT]


def test_18_neva_mt324_signon(shared: Path) -> None:
    heard = framed(shared, "18_neva_mt324_signon")
    assert kinds(heard) == [*SIGN_ON, Frame.COMMAND, Frame.COMMAND, Frame.ACK]
    request = parse_id_request(heard[0][2])
    assert request is not None
    assert request.address == "00000201"
    assert parse_identification(heard[1][2]) == MeterIdentity("TPC", "5", "NEVAMT324.2307")
    assert parse_option_select(heard[2][2]) == OptionSelect("0", "5", "1")
    assert [(c.code, c.data) for c in commands(heard)] == [
        ("P0", "(00000000)"), ("P1", "(00000000)"),
    ]  # fmt: skip


def test_20_energomera_ce102m(shared: Path) -> None:
    heard = framed(shared, "20_energomera_ce102m")
    assert kinds(heard)[:6] == [*SIGN_ON, Frame.COMMAND, Frame.COMMAND, Frame.ACK]
    assert kinds(heard)[6:] == [Frame.COMMAND, Frame.DATA] * 4
    by_sum = commands(heard, CheckCharacter.SUM)
    assert [command.code for command in by_sum] == ["P0", "P1", "R1", "R1", "R1", "R1"]
    answers = [chars for _, frame, chars in heard if frame is Frame.DATA]
    assert all(check_is_good(chars, CheckCharacter.SUM) for chars in answers)
    assert [check_is_good(chars) for chars in answers] == [False, False, False, True]
    sets = [parse_data_sets(chars[1:-2].decode("ascii")) for chars in answers]
    assert sets[0] == (DataSet("CURRE", "0.402"),)
    assert sets[3] is not None
    assert [(s.address, s.value) for s in sets[3]] == [
        ("ET0PE", "68.42"), ("", "45.54"), ("", "22.88"), ("", "0.00"), ("", "0.00"), ("", "0.00"),
    ]  # fmt: skip
    assert answers[3][-1] == 0x0F


def test_25_apator_norax3_signon(shared: Path) -> None:
    heard = framed(shared, "25_apator_norax3_signon")
    assert kinds(heard) == SIGN_ON
    identity = parse_identification(heard[1][2])
    assert identity == MeterIdentity("APA", "5", "\\2NORAX30", ("2",))
    assert identity.has_mode_e
    assert parse_option_select(heard[2][2]) == OptionSelect("2", "5", "6")


def test_26_pozyton_lp1_signon(shared: Path) -> None:
    heard = framed(shared, "26_pozyton_lp1_signon")
    assert kinds(heard) == SIGN_ON
    request = parse_id_request(heard[0][2])
    assert request is not None
    assert request.address == "035 0000101"
    assert parse_identification(heard[1][2]) == MeterIdentity("POZ", "4", "LP1-VP02.04*")
    assert parse_option_select(heard[2][2]) == OptionSelect("0", "4", "1")


def test_29_lis200_w2(shared: Path) -> None:
    heard = framed(shared, "29_pwitab_lis200_w2")
    assert kinds(heard) == [Frame.COMMAND, Frame.ACK, Frame.DATA]
    assert commands(heard) == [CommandMessage("W2", "C003(910324092239)")]
    assert parse_data_sets(heard[2][2][1:-2].decode("ascii")) == (DataSet("3:171.0", "0"),)


def test_every_recording_has_a_test(shared: Path) -> None:
    index: list[dict[str, Any]] = json.loads(
        (shared / "telegrams" / "index.json").read_text("utf-8")
    )
    tests: dict[str, Callable[..., object]] = {
        name: value for name, value in globals().items() if name.startswith("test_")
    }
    for entry in index:
        number = entry["file"].split("_")[0]
        assert any(name.startswith(f"test_{number}_") for name in tests), entry["file"]

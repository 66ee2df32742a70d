"""`vtc07 readout`: meters of any maker, asked, listened to, or recorded."""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from cli_bench import Result, done, here, new_meter, one_sentence, served, vtc07
from exchange_bench import LINES, at_a_port, maker

from vtc07.carrier.companion import MS
from vtc07.carrier.exchange.events import Block
from vtc07.carrier.exchange.messages import build_block, close
from vtc07.carrier.exchange.mode_d import MeterPush, PushSender
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility

__all__ = ["here"]

IDENT = b"/ABC5X1-42\r\n"
BLOCK = build_block(LINES)
SUM = Compatibility(check=CheckCharacter.SUM)
READ = [
    ("F.F", "00", None), ("0.0.0", "00471100", None), ("1.8.0", "001234.5", "kWh"),
    ("1.8.0*12", "001200.0", "kWh"), ("1.6.1", "0.402", "kW"), ("1.6.1", "2211120730", None),
    ("C.1.1", "        ", None), ("31.7.0", "-1.25", "A"),
]  # fmt: skip


def values(telegram: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """Return all values of a telegram of the JSON document, with address and unit."""
    return [
        (row["address"], value["value"], value["unit"])
        for row in telegram["rows"]
        for value in [*row["values"], *(v for line in row["further"] for v in line)]
    ]


def one(result: Result) -> dict[str, Any]:
    """Return the one telegram of the JSON document."""
    telegram: dict[str, Any]
    (telegram,) = result.json["telegrams"]
    return telegram


def recorded(here: Path, chars: bytes) -> str:
    (here / "recorded").write_bytes(chars)
    return "recorded"


# --- asked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "mode", "speed"), [(" ", "A", 300), ("A", "B", 600), ("5", "C", 9600), ("9", "C", 115200)]
)
def test_a_meter_of_each_mode_is_read_out(z: str, mode: str, speed: int, here: Path) -> None:
    with at_a_port(maker(z)) as address:
        found = done("readout", address, "--json")
    assert found.json["source"] == address
    telegram = one(found)
    assert values(telegram) == READ
    assert telegram["identity"] == {
        "flag": "ABc", "baud_identification": z, "identification": "X1-42", "escapes": [],
    }  # fmt: skip
    assert (telegram["mode"], telegram["speed"], telegram["check"]) == (mode, speed, "right")
    assert telegram["not_understood"] == []
    assert found.err == ""


def test_a_meaning_is_null_where_none_is_known_and_no_column_where_all_are(here: Path) -> None:
    name = recorded(here, IDENT + close(b"\x02P.99(1)\r\n96.80(01)\r\n!\r\n"))
    found = one(done("readout", "--from", name, "--json"))
    assert [row["meaning"] for row in found["rows"]] == [None, None]
    table = done("readout", "--from", name).out
    assert "meaning" not in table
    name = recorded(here, IDENT + close(b"\x02P.99(1)\r\n0.9.1(101112)\r\n!\r\n"))
    found = one(done("readout", "--from", name, "--json"))
    assert [row["meaning"] for row in found["rows"]] == [None, "time of day"]


def test_our_own_addresses_have_no_meaning_that_is_another_s(here: Path) -> None:
    store = new_meter("c.meter", "--companion", "electricity-mode-c")
    with served(store) as meter:
        rows = one(done("readout", meter.address, "--json"))["rows"]
    meanings = {row["address"]: row["meaning"] for row in rows}
    assert {address: meaning for address, meaning in meanings.items() if meaning} == {
        "F.F": "error and status flags",
        "0.0.0": "meter number",
        "C.1.0": "serial number",
        "0.2.0": "version of the meter's software",
        "1.8.0": "energy imported",
        "1.7.0": "power imported now",
        "21.7.0": "power imported now, L1",
        "41.7.0": "power imported now, L2",
        "61.7.0": "power imported now, L3",
        "96.3.10": "state of the disconnecting switch",
        "C.7.0": "number of power failures",
    }
    assert {"19.40.0", "19.10.0", "96.3.11", "C.5.1"} <= set(meanings)


def test_a_direct_port_is_told_from_a_meter_that_is_silent(here: Path) -> None:
    with served(new_meter("d.meter")) as meter:
        found = vtc07("readout", meter.address, "--timeout", "0.2", "--json")
    assert (found.code, found.out) == (3, "")
    sentence = found.error["error"]
    assert "the meter says it is VTC '" in sentence
    assert f"vtc07 identify {meter.address}, and" in sentence
    assert sentence.endswith(f"vtc07 read {meter.address}")


def test_another_maker_s_meter_without_a_readout_is_no_direct_port(here: Path) -> None:
    def identify() -> None:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(64):
                connection.sendall(b"/ABC3X1\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=identify)
        answering.start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        found = vtc07("readout", address, "--timeout", "0.2")
        answering.join()
    assert found.code == 3
    assert "vtc07 identify" not in found.err


def test_the_highest_speed_wanted_and_the_address(here: Path) -> None:
    with at_a_port(maker("5")) as address:
        found = done("readout", address, "--json", "--speed", "1200", "--meter-address", "0012")
        assert one(found)["speed"] == 1200
        silent = vtc07("readout", address, "--meter-address", "13", "--timeout", "0.2")
    assert silent.code == 3
    assert "the meter does not answer: check the head's place, --meter-address" in silent.err


def test_a_table_and_csv(here: Path) -> None:
    with at_a_port(maker()) as address:
        table = done("readout", address).out.splitlines()
        text = done("readout", address, "--csv").out
    assert table[0].split() == ["FLAG", "letters", "ABc"]
    assert table[3].split() == ["speed", "9600", "Bd"]
    assert [" ".join(line.split()) for line in table[6:]] == [
        "address value unit meaning",
        "F.F 00 error and status flags",
        "0.0.0 00471100 meter number",
        "1.8.0 001234.5 kWh energy imported",
        "1.8.0*12 001200.0 kWh energy imported; stored value 12, of an earlier period",
        "1.6.1 0.402 kW greatest demand imported, tariff 1",
        "2211120730",
        "C.1.1",
        "31.7.0 -1.25 A current of L1",
    ]
    assert text.splitlines()[0] == "telegram,address,position,value,unit,meaning"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["meaning"] for row in rows[3:]] == [
        "energy imported; stored value 12, of an earlier period",
        "greatest demand imported, tariff 1", "", "", "current of L1",
    ]  # fmt: skip
    assert [(row["address"], row["value"], row["unit"] or None) for row in rows] == READ
    assert [row["position"] for row in rows][4:6] == ["1", "2"]


@pytest.mark.parametrize(
    ("compat", "options"),
    [
        (SUM, ["--check", "sum"]),
        (Compatibility(no_readout_bcc=True), ["--no-readout-bcc"]),
        (Compatibility(decimal_comma=True), ["--decimal-comma"]),
        (Compatibility(lf_line_ends=True), []),
        (Compatibility(crlf_before_etx=True, address_not_echoed=True), ["--address-not-echoed"]),
    ],
)
def test_meters_that_deviate(compat: Compatibility, options: list[str], here: Path) -> None:
    with at_a_port(maker(compat=compat)) as address:
        found = done("readout", address, "--json", *options)
    assert values(one(found)) == READ
    checked = "none" if compat.no_readout_bcc else "right"
    assert one(found)["check"] == checked


def test_a_check_that_is_always_wrong_is_told_with_what_may_help(here: Path) -> None:
    with at_a_port(maker(compat=SUM)) as address:
        found = vtc07("readout", address, "--json")
    assert (found.code, found.out) == (3, "")
    assert "only damaged answers of the meter arrive" in found.error["error"]
    assert "--check sum, or --no-readout-bcc" in found.error["error"]


def test_our_own_meter_of_mode_c_and_a_trace(here: Path) -> None:
    store = new_meter("c.meter", "--companion", "electricity-mode-c")
    with served(store) as meter:
        found = done("readout", meter.address, "--json", "--trace", "t.jsonl")
    read = {address: value for address, value, _ in values(one(found))}
    assert read["0.0.0"] == "600727000000000009"
    assert read["1.8.0"] == "0"
    assert one(found)["check"] == "right"
    assert "option select" in (here / "t.jsonl").read_text()
    again = vtc07("readout", meter.address, "--trace", "t.jsonl")
    assert again.code == 2
    assert "t.jsonl exists already" in again.err


def test_a_meter_at_a_pseudo_terminal(here: Path) -> None:
    store = new_meter("c.meter", "--companion", "electricity-mode-c")
    with served(store, "--listen", "pty:meter"):
        found = done("readout", "pty:meter", "--json")
    assert ("0.0.0", "600727000000000009", None) in values(one(found))
    assert one(found)["check"] == "right"


# --- listened to ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_crc16", [False, True])
def test_telegrams_that_are_pushed(with_crc16: bool, here: Path) -> None:
    sender = PushSender("ABC", "X1", interval_ns=50 * MS, speed=115200, with_crc16=with_crc16)
    with at_a_port(MeterPush(sender, lambda: Block(LINES))) as address:
        found = done("readout", address, "--listen", "--count", "3", "--speed", "115200", "--json")
    telegrams = found.json["telegrams"]
    assert [values(telegram) for telegram in telegrams] == [READ] * 3
    assert {telegram["mode"] for telegram in telegrams} == {"D"}
    assert {telegram["check"] for telegram in telegrams} == {"right" if with_crc16 else "none"}


def test_nothing_is_pushed(here: Path) -> None:
    with at_a_port(maker()) as address:
        found = vtc07("readout", address, "--listen", "--timeout", "0.2")
    assert found.code == 3
    assert "no telegram in 0.2 s" in found.err


def test_what_was_heard_is_shown_although_not_all_came(here: Path) -> None:
    def push_twice() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall((IDENT + b"\r\n1.8.0(001234.5*kWh)\r\n!\r\n") * 2)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        pushing = threading.Thread(target=push_twice)
        pushing.start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        found = vtc07("readout", address, "--listen", "--count", "3", "--json")
        pushing.join()
    telegrams = found.json["telegrams"]
    assert [values(telegram) for telegram in telegrams] == [[("1.8.0", "001234.5", "kWh")]] * 2
    assert found.code == 3
    assert "the link was lost" in found.error["error"]


class Torn(MeterPush):
    """A meter whose telegrams are hit on their way, but for every third."""

    sent = 0

    def bytes_to_send(self, now_ns: int) -> bytes:
        chars = super().bytes_to_send(now_ns)
        if not chars:
            return chars
        self.sent += 1
        if self.sent % 3 == 1:
            return chars[20:]
        return chars.replace(b"1234", b"1235") if self.sent % 3 == 2 else chars


def test_a_torn_telegram_is_told_and_not_shown(here: Path) -> None:
    sender = PushSender("ABC", "X1", interval_ns=50 * MS, speed=115200, with_crc16=True)
    with at_a_port(Torn(sender, lambda: Block(LINES))) as address:
        found = done("readout", address, "--listen", "--speed", "115200", "--json")
    assert values(one(found)) == READ
    assert "its CRC16 is wrong" in found.err or "its beginning was not heard" in found.err


# --- recorded -------------------------------------------------------------------------------------


def test_recorded_characters_with_parity_in_bit_7(here: Path) -> None:
    chars = b"/?!\r\n" + IDENT + BLOCK
    parity = bytes(char | (char.bit_count() % 2) << 7 for char in chars)
    found = done("readout", "--from", recorded(here, parity), "--json")
    assert values(one(found)) == READ
    assert one(found)["check"] == "right"
    assert one(found)["speed"] is None


def test_a_recorded_answer_with_a_load_profile(here: Path) -> None:
    text = b"\x02P.01(1221101000000)(08)(15)(2)(1.5.0)(kW)(2.5.0)(kW)\r\n(0.1)(0.2)\r\n(0.3)(0.4)"
    name = recorded(here, close(text))
    profile = one(done("readout", "--from", name, "--json"))["rows"][0]["profile"]
    assert profile["entries"] == [["0.1", "0.2"], ["0.3", "0.4"]]
    assert profile["channels"][1] == {"address": "2.5.0", "unit": "kW"}
    table = [line.split() for line in done("readout", "--from", name).out.splitlines()]
    assert ["number", "1.5.0", "kW", "2.5.0", "kW"] in table
    assert table[-2:] == [["0", "0.1", "0.2"], ["1", "0.3", "0.4"]]


def test_several_recorded_telegrams(here: Path) -> None:
    name = recorded(here, IDENT + BLOCK + IDENT + BLOCK)
    rows = list(csv.DictReader(io.StringIO(done("readout", "--from", name, "--csv").out)))
    assert [row["telegram"] for row in rows] == ["1"] * len(READ) + ["2"] * len(READ)
    table = done("readout", "--from", name).out
    assert table.count("FLAG letters") == 2


def test_a_wrong_check_shows_no_values_and_says_what_to_do(here: Path) -> None:
    by_sum = IDENT + build_block(LINES, SUM)
    found = vtc07("readout", "--from", recorded(here, by_sum))
    assert (found.code, found.out) == (2, "")
    assert "right as sum: add --check sum" in found.err
    assert done("readout", "--from", "recorded", "--check", "sum").out
    struck = IDENT + BLOCK.replace(b"1234", b"1235")
    found = vtc07("readout", "--from", recorded(here, struck), "--json")
    assert (found.code, found.out) == (2, "")
    assert "the check character is wrong, so that a value may be" in found.error["error"]
    all_the_same = done("readout", "--from", "recorded", "--no-readout-bcc", "--json")
    assert one(all_the_same)["check"] == "wrong"
    assert "the check is wrong, and --no-readout-bcc shows the values" in all_the_same.err
    pushed = recorded(here, b"/ABC5X\r\n\r\nA(1)\r\n!0000\r\n")
    assert "the CRC16 is wrong" in vtc07("readout", "--from", pushed).err


def test_what_is_not_understood_is_shown_as_a_warning(here: Path) -> None:
    name = recorded(here, IDENT + close(b"\x02A(1)\r\nxyz\x1b[2J\r\n!\r\n"))
    found = done("readout", "--from", name, "--json")
    assert values(one(found)) == [("A", "1", None)]
    assert one(found)["not_understood"] == [{"line": 2, "text": "xyz\x1b[2J"}]
    assert "not understood, line 2" in found.err
    assert "\x1b" not in found.err


def test_a_terminal_gets_no_control_characters(here: Path) -> None:
    name = recorded(here, b"/ABC5\x1b[2JX\r\nA\x1b(1\x07*k\x1bWh)\r\n!\r\n")
    assert not set(done("readout", "--from", name).everything) & {"\x1b", "\x07"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the meter's ADDRESS is missing"),
        (["nowhere"], "is not the address of a meter"),
        (["sim:m.meter"], "serve the meter with vtc07 meter serve"),
        (["tcp://127.0.0.1:1", "--from", "x"], "leave out ADDRESS and --listen"),
        (["--from", "absent"], "absent cannot be used"),
        (["tcp://127.0.0.1:1", "--csv", "--json"], "--json and --csv exclude each other"),
        (["tcp://127.0.0.1:1", "--meter-address", "a/b"], "is no device address"),
        (["tcp://127.0.0.1:1", "--speed", "1000"], "--speed"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: list[str], sentence: str, here: Path) -> None:
    found = vtc07("readout", *arguments)
    assert (found.code, found.out) == (2, "")
    assert sentence in found.err


def test_a_file_that_is_no_recording_is_one_sentence(here: Path) -> None:
    document = {"registers": [{"name": f"a{number}", "value": number} for number in range(99)]}
    for chars in (
        json.dumps(document, indent=2).encode(),
        b"Well!\n",
        b"/usr/bin\n/usr/lib\n",
        b"",
    ):
        found = vtc07("readout", "--from", recorded(here, chars))
        assert (found.code, found.out) == (2, "")
        assert one_sentence(found.err).startswith("recorded holds no telegram")
        assert len(found.err.splitlines()) == 1


def test_many_lines_that_are_no_data_are_told_in_a_few(here: Path) -> None:
    def warnings(lines: int) -> list[str]:
        noise = b"".join(b"noise %d\r\n" % number for number in range(lines))
        name = recorded(here, IDENT + b"1.8.0(1*kWh)\r\n" + noise + b"!\r\n")
        found = done("readout", "--from", name, "--json")
        assert len(one(found)["not_understood"]) == lines  # there they are all
        said = [json.loads(line) for line in found.err.splitlines()]
        return [each["warning"] for each in said if "warning" in each]

    assert [text.partition(":")[0] for text in warnings(3)] == [
        "not understood, line 2", "not understood, line 3", "not understood, line 4",
    ]  # fmt: skip
    assert warnings(4)[3:] == ["and 1 more line that is no data"]
    assert warnings(600)[3:] == ["and 597 more lines that are no data"]


def test_an_empty_readout_is_an_answer(here: Path) -> None:
    found = done("readout", "--from", recorded(here, IDENT + b"!\r\n"), "--json")
    assert one(found)["rows"] == []


def test_what_is_said_of_a_check_that_is_not_there_is_true(here: Path) -> None:
    bare = recorded(here, IDENT + b"1.8.0(1*kWh)\r\n!\r\n")
    none_recorded = "the recording has no check character: the values are as they arrived"
    taken = "taken without a check, as --no-readout-bcc says: the values are as they arrived"
    assert none_recorded in done("readout", "--from", bare).err
    assert taken in done("readout", "--from", bare, "--no-readout-bcc").err
    with at_a_port(maker(compat=SUM)) as address:  # a check that is wrong as it is looked at here
        found = done("readout", address, "--no-readout-bcc")
    assert taken in found.err
    assert "the meter sent no" not in found.err
    with at_a_port(maker(compat=Compatibility(no_readout_bcc=True))) as address:
        assert "the meter sent no check character: " in done("readout", address).err


def test_no_telegram_and_no_link(here: Path) -> None:
    empty = vtc07("readout", "--from", recorded(here, b"\x00\x01"))
    assert empty.code == 2
    assert "holds no telegram" in empty.err
    unreachable = vtc07("readout", "tcp://127.0.0.1:1")
    assert unreachable.code == 3


def test_every_shared_recording(shared: Path, here: Path) -> None:
    for path in sorted((shared / "telegrams").glob("*.bin")):
        found = done("readout", "--from", str(path), "--json")
        assert one(found)["not_understood"] == []
        text = done("readout", "--from", str(path), "--csv").out
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [(row["address"], row["value"]) for row in rows] == [
            (address, value) for address, value, _ in values(one(found))
        ]
        assert done("readout", "--from", str(path)).out

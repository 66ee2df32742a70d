"""Where meters were reached before, kept from one day to the next."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from vtc07.links.ports import SerialPort
from vtc07.screens.places import (
    own_companions,
    places,
    remember,
    remember_companion,
    used_before,
)

USB = SerialPort("/dev/ttyUSB0", "/dev/serial/by-id/usb-Head", "Optical head", usb_id="0403:6001")
PLAIN = SerialPort("/dev/ttyS0")


def test_the_last_address_is_the_first_and_each_stands_once(tmp_path: Path) -> None:
    file = tmp_path / "state" / "places.json"
    assert used_before(file) == ()
    for address in ("/dev/ttyUSB0", "tcp://127.0.0.1:4059", "/dev/ttyUSB0"):
        remember(file, address)
    assert used_before(file) == ("/dev/ttyUSB0", "tcp://127.0.0.1:4059")
    for number in range(20):
        remember(file, f"tcp://127.0.0.1:{4060 + number}")
    assert used_before(file)[0] == "tcp://127.0.0.1:4079"
    assert len(used_before(file)) == 6


def test_a_simulated_meter_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "places.json"
    remember(file, "sim:kitchen.meter")
    assert used_before(file) == (f"sim:{tmp_path / 'kitchen.meter'}",)


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "places.json"
    for content in (
        "",
        "[1, 2",
        "[" * 100_000,
        '{"addresses": 5}',
        '{"addresses": ["nonsense", 5]}',
        "[]",
    ):
        file.write_text(content)
        assert used_before(file) == ()
        assert own_companions(file) == ()
    remember(file, "/dev/ttyUSB0")
    assert used_before(file) == ("/dev/ttyUSB0",)


def test_what_cannot_be_kept_is_not_there(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    remember(blocked / "places.json", "/dev/ttyUSB0")
    assert used_before(blocked / "places.json") == ()


def test_own_companions_are_kept_beside_addresses(tmp_path: Path) -> None:
    file = tmp_path / "places.json"
    remember(file, "/dev/ttyUSB0")
    remember_companion(file, str(tmp_path / "own.toml"))
    assert own_companions(file) == (str(tmp_path / "own.toml"),)
    assert used_before(file) == ("/dev/ttyUSB0",)
    assert set(json.loads(file.read_text())) == {"addresses", "companions"}


@pytest.mark.skipif(sys.platform == "win32", reason="rights are of another kind there")
def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "places.json"
    (tmp_path / "victim").write_text("")
    (tmp_path / "places.json.new").symlink_to(tmp_path / "victim")
    remember(file, "/dev/ttyUSB0")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.is_symlink()
    assert (tmp_path / "victim").read_text() == ""


def test_ports_stand_behind_addresses_and_none_twice() -> None:
    found = places(["tcp://127.0.0.1:4059", "/dev/serial/by-id/usb-Head"], [USB, PLAIN])
    assert [(p.address, p.what, p.used_before) for p in found] == [
        ("tcp://127.0.0.1:4059", "", True),
        ("/dev/serial/by-id/usb-Head", "Optical head", True),
        ("/dev/ttyS0", "", False),
    ]
    assert [p.address for p in places([], [USB, PLAIN])] == ["/dev/ttyUSB0", "/dev/ttyS0"]

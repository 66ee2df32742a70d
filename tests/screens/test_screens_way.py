"""The way to a meter as it is typed: an address, and options behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vtc07.cli.head_options import Head
from vtc07.screens.meter_line import Target
from vtc07.screens.places import remember, used_before
from vtc07.screens.way import WayError, way_of


def test_an_address_alone() -> None:
    way = way_of("  COM3 ", "fast.toml")
    assert (way.address, way.companion, way.speed, way.head) == ("COM3", "fast.toml", None, Head())
    assert way_of("sim:my meter.db").address == "sim:my meter.db"


def test_options_of_the_head_stand_behind_it() -> None:
    way = way_of(
        "/dev/ttyUSB0 --wake-up normal --rts on --speed 300 --companion water", "fast.toml"
    )
    assert (way.address, way.companion, way.speed) == ("/dev/ttyUSB0", "water", 300)
    assert way.wake_up == "normal"
    assert way.head == Head(rts=True)
    assert way_of("/dev/ttyUSB0 --rts off", "fast.toml").companion == "fast.toml"
    assert way_of('"sim:my meter.db" --attempts 2').address == "sim:my meter.db"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("localhost", "localhost is no address"),
        ("", "is no address"),
        ("/dev/ttyUSB0 --sped 300", "No such option"),
        ("/dev/ttyUSB0 --speed fast", "not a valid integer"),
        ('/dev/ttyUSB0 --companion "own', "No closing quotation"),
        ("/dev/ttyUSB0 --trace t.jsonl", "F2 shows the line"),
        ("/dev/ttyUSB0 --password-file -", "name a file"),
        ("/dev/ttyUSB0 /dev/ttyUSB1 --rts on", "unexpected extra argument"),
    ],
)
def test_what_is_no_way_is_said(text: str, words: str) -> None:
    with pytest.raises(WayError) as raised:
        way_of(text)
    assert words in str(raised.value.said)


def test_it_is_remembered_with_its_options(tmp_path: Path) -> None:
    file = tmp_path / "places.json"
    remember(file, "/dev/ttyUSB0 --rts on")
    assert used_before(file) == ("/dev/ttyUSB0 --rts on",)


def test_a_password_stands_in_no_repr() -> None:
    target = Target.typed("/dev/ttyUSB0", "auto")
    assert "12345678" not in repr(Target(target.way, target.text, password="12345678"))
    spoken = target.spoken("electricity", 9600)
    assert (spoken.companion, spoken.way.speed) == ("electricity", 9600)
    assert spoken.spoken("electricity").way.speed == 9600

"""Opening routes: what CSV and JSON may look like, and what is refused as a whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from vtc07.hhu.route import Route, RouteError, RouteToken
from vtc07.hhu.route_file import open_route

PAN = "600727000000000009"
DRN = "00000000000"
OTHER = "600727111111111153"
TOKEN = "56493153725450313471"


def made(tmp_path: Path, text: str | bytes, name: str = "monday.csv") -> Route:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_route(path)


def test_a_csv_route_is_opened(tmp_path: Path) -> None:
    text = (
        "meter,place,deliver,write,read,notes\r\n"
        f'{OTHER},"12, Mill Lane",5649 3153 7254 5031 3471,lowCreditThreshold=500,'
        "creditBalance;loadSwitch,dog\r\n"
    )
    route = made(tmp_path, text)
    assert (route.name, route.size, route.faulty) == ("monday", 1, 0)
    assert route.digest == hashlib.sha256(text.encode()).hexdigest()
    (stop,) = route.stops()
    assert stop.line == 2
    assert stop.meter == OTHER
    assert stop.place == "12, Mill Lane"
    assert stop.deliver == (RouteToken(TOKEN),)
    assert stop.write == ("lowCreditThreshold=500",)
    assert stop.read == ("creditBalance", "loadSwitch")
    assert stop.notes == "dog"
    assert route.stops_of(OTHER) == (stop,)
    assert route.stops_of(PAN) == ()


def test_a_json_route_is_opened(tmp_path: Path) -> None:
    document = {
        "route": "North",
        "stops": [
            {"meter": PAN, "read": ["creditBalance"]},
            {
                "meter": DRN,
                "deliver": [
                    {"token": "01234567890268435456", "section": 1, "sections": 2},
                    "2/2: 0123 4567 8902 6843 5457",
                ],
                "write": {"lowCreditThreshold": 500, "installationReference": "A 1"},
            },
        ],
    }
    route = made(tmp_path, json.dumps(document), "north.json")
    assert (route.name, route.size) == ("North", 2)
    first, second = route.stops()
    assert (first.line, second.line) == (1, 2)
    assert [(t.section, t.sections) for t in second.deliver] == [(1, 2), (2, 2)]
    assert second.write == ("lowCreditThreshold=500", "installationReference=A 1")


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    route = made(tmp_path, f"meter,read\n{PAN},creditBalance\n")
    (tmp_path / "monday.csv").write_text(f"meter,read\n{PAN},loadSwitch\n")
    with pytest.raises(RouteError, match="was changed while it was in use"):
        next(route.stops())
    with pytest.raises(RouteError, match="was changed while it was in use"):
        route.stops_of(PAN)

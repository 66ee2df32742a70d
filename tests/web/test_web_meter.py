"""Where meters are met, and a meter as it is read: what open pages are told, over plain HTTP."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cable import Cable
from cli_bench import FAST, done, served
from web_bench import COMPANION, Http, Web, meter, text_of, web

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import RegisterValue
from vtc07.screens.mood import Mood
from vtc07.screens.overview import Overview
from vtc07.web.picture import alarms, credit, load_switch
from vtc07.web.view import ENVIRONMENT

PAN = "600727000000000009"
#: The first register that is read of a meter once it was greeted.
VALUES = b"R1\x020003"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, str, Path]]:
    """One application and one meter for all tests here, each of which closes its places."""
    folder = tmp_path_factory.mktemp("meter")
    (folder / "web").mkdir()
    with meter(folder) as address, web(folder / "web") as running:
        yield running, address, folder


@pytest.fixture
def application(bench: tuple[Web, str, Path]) -> Iterator[Web]:
    """The application, without places before and after."""
    running = bench[0]
    yield running
    for name in _places(running.http):
        running.http.post(f"/at/{name}/leave", {"sure": "yes"}, follow=False)
        running.rests(name)
        assert running.http.post(f"/at/{name}/close", follow=False).status == 303
    assert not _places(running.http)


@pytest.fixture
def address(bench: tuple[Web, str, Path]) -> str:
    """Where the meter is served."""
    return bench[1]


@pytest.fixture
def companion(bench: tuple[Web, str, Path]) -> str:
    """The name of the meter's companion file: no shipped one describes it."""
    return str(bench[2] / COMPANION)


def _places(http: Http) -> list[str]:
    names = http.get("/").html.split('href="/at/')[1:]
    return [name.partition('"')[0] for name in names]


def _connect(client: Http, address: str, **fields: str) -> str:
    answer = client.post("/connect", {"address": address, **fields}, follow=False)
    assert answer.status == 303, answer.text
    return answer.headers["Location"].removeprefix("/at/")


# --- connecting -----------------------------------------------------------------------------------


def test_a_meter_is_shown_as_it_arrives_and_may_be_left(
    application: Web, address: str, companion: str
) -> None:
    with Cable(address, VALUES, hangs=True) as cable:
        name = _connect(application.http, cable.address, file=companion)
        with application.events(name, "meter", "work") as events:
            shown = events.sees("meter", PAN, "VTc", "010000010003", "awaited")
            assert "The credit is not known yet." in shown
            assert "kWh" not in shown
            assert "No credit is left." in shown  # the sign-on says so before anything is read
            application.http.post(f"/at/{name}/leave", quiet=True)
            events.sees("work", "Left")
            assert "not told" in events.sees("meter", PAN)


def test_two_pages_of_a_place_see_the_same(application: Web, address: str, companion: str) -> None:
    other = application.client()
    with Cable(address, VALUES, hangs=True) as cable:
        name = _connect(application.http, cable.address, file=companion)
        # The same is asked for from another page: that page is led to what is under way.
        assert _connect(other, cable.address, file=companion) == name
        for client in (application.http, other):
            assert "leave" in client.get(f"/at/{name}").text
        other.post(f"/at/{name}/leave", quiet=True)
        assert "Left" in application.rests(name)
        assert "Left" in application.http.get(f"/at/{name}").text


def test_of_two_that_ask_at_the_same_instant_one_is_told_to_wait(
    application: Web, address: str, companion: str
) -> None:
    together, answers = threading.Barrier(2), []
    with Cable(address, VALUES, hangs=True) as cable:
        name = _connect(application.http, cable.address, file=companion)
        application.http.post(f"/at/{name}/leave", quiet=True)
        application.rests(name)

        def ask() -> None:
            client = application.client()
            together.wait()
            answers.append(client.post(f"/at/{name}/whoever", quiet=True))

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        done_, refused = sorted(answers, key=lambda answer: answer.status)
        assert (done_.status, refused.status) == (204, 409)
        assert "Something else is under way here: connecting to" in refused.json["said"]


def test_two_places_work_at_once_and_each_has_its_own_state(
    application: Web, address: str, companion: str
) -> None:
    with Cable(address, VALUES, hangs=True) as cable:
        held = _connect(application.http, cable.address, file=companion)
        with application.events(held, "meter") as events:
            events.sees("meter", "awaited")
        with meter(Path(companion).parent, "--pan", "600727111111111153", name="other") as there:
            # The other meter is read while this one keeps its line waiting.
            free = _connect(application.http, there, file=companion)
            application.rests(free)
        first = application.http.get("/").text
        assert "meter 600727111111111153" in first
        assert "…" in first
        assert held != free
        assert "awaited" in application.http.get(f"/at/{held}").text


@pytest.mark.parametrize("written", ["tcp://localhost:{port}", "TCP://127.0.0.1:{port}/"])
def test_an_address_written_otherwise_is_the_same_place(
    application: Web, address: str, companion: str, written: str
) -> None:
    name = application.connect(address, companion)
    again = application.connect(written.format(port=address.rpartition(":")[2]), companion)
    assert again == name
    assert _places(application.http) == [name]


def test_a_device_by_another_name_is_the_same_place(
    application: Web, companion: str, tmp_path: Path
) -> None:
    with meter(tmp_path, listen=f"pty:{tmp_path}/head") as head:
        other = tmp_path / "by-id"
        other.symlink_to(tmp_path / "head")
        name = application.connect(head, companion)
        assert application.connect(f"pty:{other}", companion) == name
        assert application.connect(str((tmp_path / "head").resolve()), companion) == name
        assert "0.000 kWh" in application.http.get(f"/at/{name}").text
        application.http.post(f"/at/{name}/close")


def test_an_unknown_meter_is_asked_for_its_companion(application: Web, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(FAST.replace("VTc", "XYz"))
    done("meter", "new", str(tmp_path / "own.meter"), "--companion", str(own))
    with served(str(tmp_path / "own.meter"), "--listen", "tcp://127.0.0.1:0") as there:
        name = application.connect(there.address)
        asked = application.http.get(f"/at/{name}").text
        assert "The meter says it is XYz 010000010003, which no shipped companion" in asked
        missing = application.http.post(f"/at/{name}/companion", {"companion": "nothing.toml"})
        assert missing.status == 422
        assert "nothing.toml" in missing.text
        application.http.post(f"/at/{name}/companion", {"companion": str(own)}, follow=False)
        application.rests(name)
        assert "0.000 kWh" in application.http.get(f"/at/{name}").text
        # From now on such a meter is known without being asked for.
        application.http.post(f"/at/{name}/close")
        again = application.connect(there.address)
        assert "0.000 kWh" in application.http.get(f"/at/{again}").text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"address": "nonsense"}, "nonsense is no address."),
        ({"address": ""}, "is no address."),
        ({"address": "tcp://127.0.0.1:9 --trace x"}, "Leave out --trace"),
        ({"address": "tcp://127.0.0.1:9", "file": "no.toml"}, "no.toml"),
        ({"address": "tcp://a..b:1"}, "tcp://a..b:1 is no address."),
        ({"address": "tcp://127.0.0.1:" + "9" * 5000}, "is no address."),
        ({"address": "tcp://127.0.0.1:9", "file": "a\0b"}, "can be the name of no file"),
        ({"address": "tcp://127.0.0.1:9", "file": "/dev/zero"}, "no regular file"),
        ({"address": "tcp://127.0.0.1:9 --companion /dev/zero"}, "no regular file"),
        ({"address": '"><script>alert(1)</script>'}, '"><script>alert(1)</script>'),
    ],
)
def test_what_is_no_address_is_asked_for_again(
    application: Web, fields: dict[str, str], why: str
) -> None:
    answer = application.http.post("/connect", fields)
    assert answer.status == 422
    assert why in answer.text
    assert "<script>alert" not in answer.html
    assert not _places(application.http)


def test_a_file_that_nobody_writes_to_is_not_waited_for(
    application: Web, address: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = str(tmp_path / "pipe")
    assert application.http.post("/connect", {"address": address, "file": pipe}).status == 422
    name = application.connect(address)
    assert application.http.post(f"/at/{name}/companion", {"companion": pipe}).status == 422
    application.http.post(f"/at/{name}/close")


def test_a_place_that_appears_is_seen_without_loading_the_page_again(application: Web) -> None:
    # As a port that is plugged in: both come from looking again and again.
    state = application.folder / "state" / "vtc07" / "places.json"
    with application.events("", "places") as events:
        events.until(lambda: "places" in events.parts)
        assert "/dev/probe7" not in events.text("places")
        before = state.read_text() if state.exists() else '{"addresses": []}'
        known = json.loads(before)
        known["addresses"].insert(0, "/dev/probe7")
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps(known))
        events.sees("places", "/dev/probe7")
        state.write_text(before)
        events.until(lambda: "/dev/probe7" not in events.text("places"))


def test_a_place_is_closed_but_not_while_work_is_under_way(
    application: Web, address: str, companion: str
) -> None:
    with Cable(address, VALUES, hangs=True) as cable:
        name = _connect(application.http, cable.address, file=companion)
        refused = application.http.post(f"/at/{name}/close")
        assert refused.status == 409
        assert "Something else is under way here" in refused.text
        application.http.post(f"/at/{name}/leave")
        application.rests(name)
    with application.events(name, "work") as events:
        assert application.http.post(f"/at/{name}/close", follow=False).status == 303
        events.sees("work", "This place is closed")
    for path in (f"/at/{name}", f"/at/{name}/registers", f"/live?station={name}&part=work"):
        assert application.http.get(path).status == 404
    assert application.http.post(f"/at/{name}/again").status == 404
    assert application.connect(address, companion) != name  # no page of the old one leads there


# --- a meter that is known ------------------------------------------------------------------------


def test_another_meter_in_its_place_is_not_taken_for_it(
    application: Web, companion: str, tmp_path: Path
) -> None:
    with meter(tmp_path) as here:
        name = application.connect(here, companion)
    store = str(tmp_path / "other.meter")
    done("meter", "new", store, "--companion", companion, "--pan", "600727111111111153")
    with served(store, "--listen", here):
        application.http.post(f"/at/{name}/again")
        assert "To work with it, go back to the start and connect" in application.rests(name)
        application.http.post(f"/at/{name}/whoever")
        application.rests(name)
        assert "meter 600727111111111153" in application.http.get(f"/at/{name}").text


# --- pictures -------------------------------------------------------------------------------------

_COMPANIONS = ("electricity", "electricity-mode-c", "water", "gas", "time")


def _overview(name: str, **values: int) -> Overview:
    companion = load_companion(name)
    found = tuple(RegisterValue(companion.table.named(n), v) for n, v in values.items())
    return Overview(companion, PAN, found)


def _drawn(macro: str, picture: object) -> str:
    template = ENVIRONMENT.from_string(
        '{% import "drawings.html" as drawings with context %}{{ drawings[macro](picture) }}'
    )
    return template.render(macro=macro, picture=picture, words=str, said=_said, Mood=Mood)


def _said(template: str, **values: object) -> str:
    return template.format(**values)


@pytest.mark.parametrize("name", _COMPANIONS)
def test_a_load_switch_is_told_in_words_and_drawn_in_another_way_for_each_state(name: str) -> None:
    drawn, told = {}, []
    for state in (None, 0, 1):
        values = {} if state is None else {"loadSwitch": state, "disconnectReason": 2 * (1 - state)}
        picture = load_switch(_overview(name, **values))
        assert picture is not None
        assert picture.is_open is (None if state is None else state == 0)
        told.append(str(picture.said))
        html = _drawn("load_switch", picture)
        assert f'aria-label="{picture.said}"' in html
        assert str(picture.said) in text_of(html)  # to be seen, too
        assert ("tampering was noticed" in text_of(html)) is (state == 0)
        drawn[state] = html.partition("<path")[2].partition("</svg>")[0]
    assert len(set(drawn.values())) == 3  # by shape, not by colour
    assert all(("valve" in words) is (name in ("water", "gas")) for words in told)


def test_a_reason_that_nobody_knows_is_shown_as_it_is() -> None:
    picture = load_switch(_overview("electricity", loadSwitch=0, disconnectReason=77))
    assert picture is not None
    assert str(picture.why) == "77"


@dataclass(frozen=True)
class Scale:
    """A credit, and how it is to stand on its scale."""

    name: str
    value: int
    threshold: int | None
    text: str
    full: str
    at: int
    flag: int | None = None
    note: str = ""


@pytest.mark.parametrize(
    "wanted",
    [
        Scale("electricity", 12_300, 5_000, "12.300 kWh", "20.000 kWh", 615, 250),
        Scale("electricity", 5_000, 5_000, "5.000 kWh", "20.000 kWh", 250, 250, "credit is low"),
        Scale("electricity", 0, None, "0.000 kWh", "1.000 kWh", 0, note="No credit is left."),
        Scale("electricity", -1_500, 0, "-1.500 kWh", "1.000 kWh", 0, note="More was used"),
        Scale("water", 900, None, "0.900 m3", "1.000 m3", 900),
        Scale("gas", 2_000_000, None, "2000.000 m3", "2000.000 m3", 1000),
        Scale("time", 5_400, None, "90 min 0 s", "120 min 0 s", 750),
    ],
    ids=lambda wanted: f"{wanted.name} {wanted.text}",
)
def test_a_credit_stands_on_a_scale(wanted: Scale) -> None:
    limits = {"lowCreditThreshold": wanted.threshold, "lowCreditAlarmEnabled": 1}
    known = {} if wanted.threshold is None else {k: v for k, v in limits.items() if v is not None}
    picture = credit(_overview(wanted.name, creditBalance=wanted.value, **known))
    assert picture is not None
    assert (picture.text, picture.full) == (wanted.text, wanted.full)
    assert (picture.at, picture.threshold) == (wanted.at, wanted.flag)
    assert wanted.note in str(picture.note or "")
    html = _drawn("credit_gauge", picture)
    assert f'aria-label="{picture.said}"' in html
    assert wanted.text in str(picture.said)
    assert wanted.note in text_of(html)
    assert ("warns at" in text_of(html)) is (wanted.flag is not None)
    assert ("!" in text_of(html)) is bool(wanted.note)


def test_a_credit_that_is_not_read_yet_is_no_number() -> None:
    picture = credit(_overview("water"))
    assert picture is not None
    html = _drawn("credit_gauge", picture)
    assert "not known yet" in text_of(html)
    assert not any(char.isdigit() for char in text_of(html))


def test_an_alarm_below_the_threshold_is_none_where_the_meter_gives_none() -> None:
    values = {"creditBalance": 100, "lowCreditThreshold": 5_000}
    for enabled in (0, 1):
        overview = _overview("electricity", **values, lowCreditAlarmEnabled=enabled)
        assert overview.wants_care("creditBalance") is bool(enabled)
        assert any("low" in str(a.what) for a in alarms(overview)) is bool(enabled)


def test_alarms_are_told_once_and_the_worst_first() -> None:
    found = alarms(
        _overview(
            "electricity",
            serverStatus=0b1100_1111,  # all but a key change and a power limit
            tamperStatus=1,
            creditBalance=0,
            lockoutRemaining=90,
        )
    )
    told = [str(alarm.what) for alarm in found]
    assert len(told) == len(set(told))
    assert told[-1] == "The meter has the default key of its maker still."
    assert set(told[:-1]) == {
        "Tampering was noticed.",
        "Tokens are not taken for a while, after wrong ones.",
        "Tokens are taken again in 1 min 30 s.",
        "The meter's memory has a fault.",
        "No credit is left.",
    }
    moods = [(Mood.BAD, Mood.CARE, Mood.PLAIN).index(alarm.mood) for alarm in found]
    assert moods == sorted(moods)
    assert not alarms(_overview("electricity", serverStatus=0, creditBalance=1))

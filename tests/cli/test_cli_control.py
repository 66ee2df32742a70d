"""``vtc07 meter set``: what it does to a served meter, and that the control socket is harmless."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cli_bench import (
    FAST,
    Served,
    contents,
    credit,
    done,
    here,
    new_meter,
    one_sentence,
    registers,
    served,
    start,
    vtc07,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.cli import control, control_place
from vtc07.cli.control import Power, Request, SetLoad, SetPhase, Show, Tamper
from vtc07.cli.control_port import ControlPort, ask, control_port
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.served_meter import ServedMeter
from vtc07.hhu.texts import Said
from vtc07.links.clock import VirtualClock
from vtc07.meter import Changes, MemoryStore, MeterState, TokenExecuted, manufacture
from vtc07.meter.state import Account
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    RND,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    TransferCredit,
    encode,
)

__all__ = ["here"]

HAS_UNIX = hasattr(socket, "AF_UNIX")
POSIX = pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
UNIX = pytest.mark.skipif(not HAS_UNIX, reason="Unix sockets")
KEY = DecoderKey(EA.MISTY1, bytes(range(0x41, 0x51)))


def charged(companion: Companion, balance: int = 100_000, phases: int = 1) -> MeterState:
    """Return a meter with credit."""
    attributes = KeyAttributes(KT.DUTK, SGC("600411"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    pan = MeterPAN("600727111111111153")
    state = manufacture(companion, pan, KEY, attributes, TID(0), phases=phases)
    return replace(state, account=Account(balance=balance))


class Bench:
    """A served meter in this process, on a clock that moves when told to."""

    def __init__(
        self,
        *,
        companion: str = "electricity",
        balance: int = 100_000,
        phases: int = 1,
        load: str | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.told: list[str] = []
        self.companion = load_companion(companion)
        self.store = MemoryStore(charged(self.companion, balance, phases))
        self.meter = ServedMeter(self.companion, self.store, now_ns=0, load=load, told=self.hear)
        self.sleep(0)

    def hear(self, sentence: Said) -> None:
        """Keep what is told."""
        self.told.append(str(sentence))

    def act(self, request: Request) -> dict[str, Any]:
        """Carry out a request as `meter set` sends it, by way of its line."""
        secret, understood = control.read_request(control.request_line("s", request))
        assert (secret, understood) == ("s", request)
        done = self.meter.act(understood, self.clock.now_ns())
        return control.read_answer(control.done_line(done))

    def sleep(self, seconds: float) -> bytes:
        """Let time pass as a driver does, and return what the meter sent."""
        end = self.clock.now_ns() + int(seconds * S)
        sent = b""
        while True:
            sent += self.meter.bytes_to_send(self.clock.now_ns())
            while (job := self.meter.next_work()) is not None:
                job()
                self.meter.work_done(None, self.clock.now_ns())
            timer = self.meter.next_timer()
            if timer is None or timer > end:
                break
            self.clock.sleep_until(timer)
            self.meter.handle_timer(self.clock.now_ns())
        self.clock.sleep_until(end)
        self.meter.handle_timer(end)
        return sent + self.meter.bytes_to_send(end)


# --- what is done to the meter ------------------------------------------------------------------


def test_a_load_takes_over_where_the_other_ends() -> None:
    bench = Bench(load="1000")
    bench.sleep(3600)
    shown = bench.act(SetLoad("500", 60))
    assert (shown["consumption"], shown["power"], shown["load"]) == (1_000, 500, "500")
    assert shown["acceleration"] == 60
    bench.sleep(60)
    shown = bench.act(Show())
    assert (shown["consumption"], shown["credit"]) == (1_500, 98_500)
    assert (shown["load_switch"], shown["disconnect_reason"]) == ("closed", "none")


def test_a_profile_begins_when_it_is_hung_on_the_meter(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("0,3600\n10,0\n100,repeat\n")
    bench = Bench()
    bench.sleep(12_345)
    assert bench.act(SetLoad(f"profile:{tmp_path / 'p.csv'}", 1))["power"] == 3_600
    bench.sleep(9.9)
    assert bench.act(Show())["power"] == 3_600
    bench.sleep(0.1)
    shown = bench.act(Show())
    assert (shown["power"], shown["consumption"]) == (0, 10)
    bench.act(SetLoad(f"profile:{tmp_path / 'p.csv'}", 100))
    bench.sleep(1)
    assert bench.act(Show())["consumption"] == 20


def test_single_phases() -> None:
    bench = Bench(phases=3, load="100,200,300")
    assert bench.act(SetPhase(2, 1_500))["phases"] == [100, 1_500, 300]
    assert bench.act(SetPhase(3, 0))["phases"] == [100, 1_500, 0]
    shown = bench.act(SetPhase(2, None))
    assert shown["phases"] == [100, 200, 0]
    assert shown["phases_set"] == ["as the load", "as the load", 0]
    assert bench.act(SetLoad("7", 1))["phases"] == [7]
    shown = bench.act(SetPhase(3, 9))
    assert shown["phases"] == [7, 0, 9]
    with pytest.raises(Failure, match="no phase L4"):
        bench.act(SetPhase(4, 1))
    assert bench.act(Show()) == shown


def test_tamper_is_durable_before_the_answer() -> None:
    bench = Bench(load="100")
    shown = bench.act(Tamper(0x8001))
    assert shown["tamper"] == 0x8001
    assert (shown["load_switch"], shown["disconnect_reason"], shown["power"]) == (
        "open", "tamper", 0,
    )  # fmt: skip
    assert bench.store.state.switch.tamper == 0x8001
    assert bench.told[-2:] == ["tamper is noticed: flags 32769", "the load switch is open: tamper"]


def test_without_power_the_port_is_silent_and_what_was_not_committed_is_lost() -> None:
    bench = Bench(load="360")
    bench.sleep(105)  # 10.5 Wh, of which the last half is not committed
    before = bench.act(Show())
    kept = bench.store.state
    assert kept.account.consumed <= before["consumption"]
    shown = bench.act(Power(on=False))
    assert shown["powered"] is False
    assert shown["credit"] is shown["load_switch"] is None
    assert bench.meter.next_timer() is None
    bench.meter.receive(b"/?!\r\n", bench.clock.now_ns())
    assert bench.sleep(1_000) == b""
    assert bench.store.state == kept
    with pytest.raises(Failure, match="no power"):
        bench.act(Tamper(1))
    assert bench.act(SetLoad("720", 1))["powered"] is False
    assert bench.act(Power(on=False))["powered"] is False
    shown = bench.act(Power(on=True))
    assert (shown["consumption"], shown["power"]) == (kept.account.consumed, 720)
    assert bench.store.state.power_fails == 1
    bench.act(Power(on=True))
    bench.meter.receive(b"/?!\r\n", bench.clock.now_ns())
    assert bench.sleep(0.5).startswith(b"/VTC3")
    assert bench.store.state.power_fails == 1
    assert bench.told[-2:] == ["power is lost", "power is back"]


def test_power_that_fails_is_back_at_its_instant() -> None:
    bench = Bench(load="3600")
    bench.sleep(10)
    assert bench.act(Power(on=False, back_ms=2_500))["power_returns_in_ms"] == 2_500
    bench.sleep(2.499)
    assert bench.act(Show())["power_returns_in_ms"] == 1
    bench.sleep(0.001)
    shown = bench.act(Show())
    assert (shown["powered"], shown["consumption"]) == (True, 10)
    bench.sleep(5)
    assert bench.act(Show())["consumption"] == 15
    bench.act(Power(on=False, back_ms=1))
    assert bench.act(Power(on=False))["power_returns_in_ms"] is None  # and stays away
    bench.sleep(100)
    assert bench.act(Show())["powered"] is False


def test_what_happens_is_told_when_it_is_durable() -> None:
    bench = Bench(load="3600", balance=20)
    assert bench.told == ["the load switch is closed"]
    bench.sleep(21)
    assert bench.told[1:] == ["the load switch is open: credit"]
    settings = replace(
        bench.store.state.settings, low_credit_alarm_enabled=1, low_credit_threshold=5
    )
    bench.store.state = replace(bench.store.state, settings=settings)
    bench.act(Power(on=False))
    bench.act(Power(on=True))
    assert bench.told[2:] == ["power is lost", "power is back", "the low-credit alarm is on"]


def test_a_token_is_typed_at_the_keypad() -> None:
    bench = Bench()
    executed: list[TokenExecuted] = []
    bench.meter = ServedMeter(
        bench.companion, bench.store, now_ns=0, told=bench.hear, token_executed=executed.append
    )
    bench.sleep(0)
    token = encode(TransferCredit(Service.ELECTRICITY, RND(5), 1_000, 250), KEY).digits
    assert bench.meter.enter(token[:19], bench.clock.now_ns()) is ErrorCode.VALUE_REFUSED
    assert bench.meter.enter(token, bench.clock.now_ns()) is None
    assert bench.meter.enter(token, bench.clock.now_ns()) is ErrorCode.TOKEN_EXECUTING
    bench.sleep(5)
    assert executed == [TokenExecuted(TCT.NUMERIC, TokenStatus.ACCEPT)]
    assert bench.told[-1] == "token from the numeric carrier: Accept"
    assert bench.act(Show())["credit"] == 125_000
    bench.act(Power(on=False))
    assert bench.meter.meter is None
    with pytest.raises(Failure, match="its keypad does nothing"):
        bench.meter.enter(token, bench.clock.now_ns())


def test_a_store_at_fault_is_told_and_shown_until_power_returns() -> None:
    class Fragile(MemoryStore):
        broken = False

        def commit(self, changes: Changes) -> None:
            if self.broken:
                raise OSError(28, "No space left on device")
            super().commit(changes)

    bench = Bench(load="100")
    bench.store = store = Fragile(bench.store.state)
    bench.meter = ServedMeter(bench.companion, store, now_ns=0, load="100", told=bench.hear)
    bench.sleep(1)
    store.broken = True
    shown = bench.act(Tamper(1))
    assert (shown["store_fault"], shown["tamper"], shown["load_switch"]) == (True, 1, "open")
    assert bench.told[-1].startswith("the store could not be written")
    store.broken = False
    bench.act(Power(on=False))
    shown = bench.act(Power(on=True))
    assert (shown["store_fault"], shown["tamper"], shown["load_switch"]) == (False, 0, "closed")


@pytest.mark.parametrize(
    ("words", "acceleration", "said"),
    [
        ("1,2", 1, "2 phases"),
        ("x", 1, "no load"),
        ("-5", 1, "no load"),
        ("", 1, "no load"),
        ("1" * 10, 1, "no load"),
        ("household:", 1, "no seed"),
        ("household:x", 1, "no seed"),
        ("profile:nowhere.csv", 1, "nowhere.csv"),
        ("1", 0, "acceleration"),
        ("1", 100_001, "acceleration"),
    ],
)
def test_a_bad_load_leaves_the_one_before(words: str, acceleration: int, said: str) -> None:
    bench = Bench(load="300")
    with pytest.raises((Failure, OSError), match=said):
        bench.meter.act(SetLoad(words, acceleration), 0)
    assert bench.act(Show())["power"] == 300


def test_what_a_meter_of_another_service_has() -> None:
    water = Bench(companion="water")
    assert water.act(SetLoad("household:1", 1))["unit"] == "l"
    assert water.act(SetLoad("240", 1))["power"] == 240
    with pytest.raises(Failure, match="electricity"):
        water.act(SetPhase(1, 5))
    time = Bench(companion="time")
    assert time.act(Show())["load"] == "connection time"
    with pytest.raises(Failure, match="counts seconds"):
        time.act(SetLoad("5", 1))


# --- the socket ---------------------------------------------------------------------------------


@dataclass
class Control:
    """A control socket that is turned by hand."""

    bench: Bench
    port: ControlPort
    store: Path

    @property
    def place(self) -> control_place.Place:
        place = control_place.read(control_place.beside(self.store))
        assert place is not None
        return place

    def connect(self) -> socket.socket:
        place = self.place
        if place.unix is None:
            assert place.tcp is not None
            return socket.create_connection(("127.0.0.1", place.tcp))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(place.unix)
        return connection

    def say(self, *parts: bytes, end: bool = True) -> bytes:
        """Send, turning the port in between, and return what is answered."""
        with self.connect() as visitor:
            with contextlib.suppress(OSError):
                for part in parts:
                    visitor.sendall(part)
                    self.port.turn()
                if end:
                    visitor.shutdown(socket.SHUT_WR)
            self.port.turn()
            self.port.turn()
            visitor.settimeout(0)
            answer = b""
            with contextlib.suppress(OSError):
                while chars := visitor.recv(65_536):
                    answer += chars
            return answer

    def good(self) -> dict[str, Any]:
        """Ask for the state and return it."""
        line = control.request_line(self.place.secret, Show())
        return control.read_answer(self.say(line))


@contextlib.contextmanager
def controlled(folder: Path) -> Iterator[Control]:
    bench = Bench(load="100")
    store = folder / "m.meter"

    def act(request: Request) -> dict[str, Any]:
        return bench.meter.act(request, bench.clock.now_ns())

    with control_port(store, "tcp://127.0.0.1:4059", act, bench.clock) as port:
        yield Control(bench, port, store)


@pytest.fixture(params=[pytest.param("unix", marks=UNIX), "tcp"])
def channel(here: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both transports: without Unix sockets the loopback is taken."""
    if request.param == "tcp":
        monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    return str(request.param)


def test_a_request_is_carried_out(here: Path, channel: str) -> None:
    with controlled(here) as it:
        assert (it.place.unix is not None) is (channel == "unix")
        line = control.request_line(it.place.secret, Tamper(5))
        assert control.read_answer(it.say(line))["tamper"] == 5
        assert control.read_answer(it.say(line[:30], line[30:60], line[60:]))["tamper"] == 5
        assert control.read_answer(it.say(line, end=False))["tamper"] == 5
        answer = it.say(control.request_line(it.place.secret, SetPhase(3, 1)))
        with pytest.raises(Failure, match="no phase L3"):
            control.read_answer(answer)


def test_without_the_secret_nothing_is_done(here: Path, channel: str) -> None:
    with controlled(here) as it:
        for secret in ("", "0" * 64, it.place.secret[:-1], it.place.secret.upper(), "\ud800é"):
            answer = it.say(control.request_line(secret, Tamper(5)))
            with pytest.raises(Failure, match="without its secret"):
                control.read_answer(answer)
        assert it.good()["tamper"] == 0


def hostile_lines(secret: str) -> list[bytes]:
    good = {"vtc07": 1, "secret": secret, "do": "tamper", "flags": 1}
    documents: list[object] = [
        [], 5, None, "x", {}, good | {"vtc07": 2}, good | {"vtc07": "1"}, good | {"flags": 0},
        good | {"flags": 65_536}, good | {"flags": "1"}, good | {"flags": 1.0},
        good | {"flags": True}, good | {"flags": None}, good | {"flags": [1]},
        good | {"do": "explode"}, good | {"do": None},
        good | {"do": []}, good | {"secret": None}, good | {"secret": [secret]},
        good | {"do": "load"}, good | {"do": "load", "words": 5, "acceleration": 1},
        good | {"do": "load", "words": "5", "acceleration": 0},
        good | {"do": "load", "words": "5" * 5_000, "acceleration": 1},
        good | {"do": "phase"}, good | {"do": "phase", "number": 0, "watts": 1},
        good | {"do": "phase", "number": 1, "watts": -1},
        good | {"do": "phase", "number": 1, "watts": 10**9},
        good | {"do": "power"}, good | {"do": "power", "on": 1, "back_ms": None},
        good | {"do": "power", "on": False, "back_ms": 0},
        good | {"do": "power", "on": False, "back_ms": 10**12},
    ]  # fmt: skip
    texts = [json.dumps(document).encode() for document in documents]
    texts += [
        b"", b" ", b"\x00" * 100, b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000,
        b"1" * 60_000, b'{"vtc07": NaN}', b"GET / HTTP/1.1\r", json.dumps(good).encode()[:-1],
        json.dumps(good).encode("utf-16"), b"9" * 200_000,
    ]  # fmt: skip
    return texts


def test_whatever_is_said_does_no_harm(here: Path, channel: str) -> None:
    with controlled(here) as it:
        before = it.good()
        for text in hostile_lines(it.place.secret):
            answer = it.say(text + b"\n")
            if answer:  # none where more was sent than was read
                with pytest.raises(Failure, match="understand"):
                    control.read_answer(answer)
        noise = random.Random(7)
        for _ in range(200):
            it.say(noise.randbytes(noise.randrange(300)))
        assert it.good() == before


def test_a_load_that_cannot_be_is_refused_in_a_sentence(here: Path, channel: str) -> None:
    with controlled(here) as it:
        for words in (
            "profile:/dev/zero",
            "profile:",
            "profile:\x00",
            "profile:\ud800",
            "profile:" + "é" * 4_000,
        ):
            line = control.request_line(it.place.secret, SetLoad(words, 1))
            with pytest.raises(Failure):
                control.read_answer(it.say(line))
        assert it.good()["load"] == "100"


def test_those_who_say_nothing_keep_nobody_out(here: Path, channel: str) -> None:
    with controlled(here) as it, contextlib.ExitStack() as visitors:
        crowd = []
        for _ in range(30):
            crowd.append(visitors.enter_context(it.connect()))
            it.port.turn()
            assert it.good()["tamper"] == 0
        crowd[0].settimeout(10)
        assert crowd[0].recv(1) == b""  # sent away for those who came later
        idle = visitors.enter_context(it.connect())
        it.port.turn()
        it.bench.clock.sleep_until(it.bench.clock.now_ns() + 5 * S)
        it.port.turn()
        idle.settimeout(10)
        assert idle.recv(1) == b""  # sent away


def test_one_who_breaks_off_does_no_harm(here: Path, channel: str) -> None:
    with controlled(here) as it:
        for part in (b"", b"{", control.request_line(it.place.secret, Tamper(1))[:-1]):
            visitor = it.connect()
            visitor.sendall(part)
            if channel == "tcp":  # with a reset
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            visitor.close()
            it.port.turn()
            it.port.turn()
        assert it.good()["tamper"] == 0


@POSIX
def test_files_and_socket_are_their_owners(here: Path, channel: str) -> None:
    with controlled(here) as it:
        beside = control_place.beside(it.store)
        by_address = control_place.by_address("tcp://127.0.0.1:4059")
        assert by_address is not None
        for file in (beside, by_address):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert control_place.read(file) == it.place
        assert stat.S_IMODE(by_address.parent.stat().st_mode) == 0o700
        if it.place.unix is not None:
            folder = Path(it.place.unix).parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not beside.exists()
    assert not by_address.exists()
    if channel == "unix":
        assert not folder.exists()
    assert contents(here) == {}


@POSIX
def test_a_runtime_folder_that_others_may_write_in_is_not_used(here: Path) -> None:
    folder = control_place.runtime_folder()
    assert folder is not None
    folder.chmod(0o770)
    assert control_place.runtime_folder() is None
    assert control_place.by_address("tcp://127.0.0.1:4059") is None
    with controlled(here) as it:
        assert it.good()["tamper"] == 0
        with pytest.raises(Failure, match="no meter is being served"):
            ask("tcp://127.0.0.1:4059", Show())


@POSIX
def test_a_runtime_folder_that_another_may_take_away_is_not_used(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode, safe in ((0o700, True), (0o1777, True), (0o777, False), (0o770, False)):
        parent = here / f"{mode:o}"
        parent.mkdir()
        parent.chmod(mode)
        named_by_the_library(monkeypatch, parent)
        assert (control_place.runtime_folder() is not None) is safe


def named_by_the_library(monkeypatch: pytest.MonkeyPatch, parent: Path) -> None:
    """Name a folder as versions of platformdirs do that do not look at whose it is."""
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda *_, **__: parent / "vtc07")


@POSIX
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_has_planted_is_not_believed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("runtime", "link"):
        planted = here / name
        if name == "link":
            (here / "own").mkdir(mode=0o700)
            planted.symlink_to(here / "own")
        else:
            planted.mkdir(mode=0o700)
        os.chown(planted, 1234, 1234, follow_symlinks=False)
        named_by_the_library(monkeypatch, planted)
        assert control_place.runtime_folder() is None
    with controlled(here) as it:
        assert it.good()["tamper"] == 0
        os.chown(here / "m.meter.control", 1234, 1234)
        assert control_place.read(here / "m.meter.control") is None
        with pytest.raises(Failure, match="not being served"):
            ask(new_meter(), Show())
        os.chown(here / "m.meter.control", 0, 0)
        if it.place.unix is not None:
            os.chown(Path(it.place.unix).parent, 1234, 1234)
            with pytest.raises(Failure, match="not being served"):
                ask("m.meter", Show())
            os.chown(Path(it.place.unix).parent, 0, 0)


def test_a_runtime_folder_that_there_cannot_be_is_no_traceback(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> Path:
        # What the library raises where /tmp/runtime-1000 has been made by another user.
        raise PermissionError("runtime directory is owned by another")

    monkeypatch.setattr("platformdirs.user_runtime_path", refused)
    with pytest.raises(Failure, match="no meter is being served"):
        ask("tcp://127.0.0.1:4059", Show())
    with controlled(here) as it:
        assert asked(it, "m.meter", Show())["tamper"] == 0


def test_a_control_file_that_is_a_link_is_not_followed(here: Path) -> None:
    control_place.write(here / "elsewhere", control_place.Place("s", tcp=9))
    (here / "m.meter.control").symlink_to(here / "elsewhere")
    assert control_place.read(here / "m.meter.control") is None


@POSIX
def test_a_control_file_at_which_somebody_would_wait_is_not_waited_for(here: Path) -> None:
    os.mkfifo(here / "m.meter.control")
    assert control_place.read(here / "m.meter.control") is None


@UNIX
def test_long_names_of_folders_are_no_obstacle(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = here / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with controlled(deep) as it:
        assert it.good()["tamper"] == 0


def asked(it: Control, target: str, request: Request) -> dict[str, Any]:
    """Ask as the program does, with the port turned meanwhile."""
    answers: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: answers.append(ask(target, request)))
    asking.start()
    while asking.is_alive():
        it.port.turn()
        asking.join(0.001)
    (answer,) = answers
    return answer


def test_a_meter_is_found_by_any_name(here: Path, channel: str) -> None:
    (here / "other").symlink_to(here)
    with controlled(here) as it:
        for target in (
            "m.meter", "./m.meter", "other/m.meter", str(here / "m.meter"), "sim:m.meter",
            "tcp://127.0.0.1:4059", " TCP://127.0.0.1:4059/",
        ):  # fmt: skip
            assert asked(it, target, Show())["load"] == "100"


def test_a_socket_at_which_something_else_listens(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = control_place.Place("s", tcp=listener.getsockname()[1])
        control_place.write(here / "m.meter.control", place)

        def greet() -> None:
            visitor, _ = listener.accept()
            with visitor:
                visitor.recv(4096)
                visitor.sendall(b"220 mail.example ESMTP\r\n")

        other = threading.Thread(target=greet)
        other.start()
        with pytest.raises(Failure, match="not being served"):
            ask(new_meter(), Show())
        other.join()


def test_one_that_does_not_answer_may_have_done_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_meter()
    monkeypatch.setattr("vtc07.cli.control_port._ANSWER_LIMIT_S", 0.01)
    with controlled(here) as it:  # which nobody turns
        with pytest.raises(Failure, match=r"does not answer.* may still do") as raised:
            ask("m.meter", Tamper(1))
        assert raised.value.exit_code is ExitCode.NO_LINK
        it.port.turn()
        assert it.good()["tamper"] == 1


def test_one_that_goes_away_may_have_done_it(here: Path) -> None:
    new_meter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = control_place.Place("s", tcp=listener.getsockname()[1])
        control_place.write(here / "m.meter.control", place)

        def hear_and_die() -> None:
            visitor, _ = listener.accept()
            with visitor:
                visitor.recv(4096)

        other = threading.Thread(target=hear_and_die)
        other.start()
        result = vtc07("meter", "set", "m.meter", "tamper", "--json")
        other.join()
    assert result.code == result.error["exit_code"] == 3
    assert "may have done" in result.error["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"vtc07": 1, "secret": 5, "unix": "x", "tcp": null}',
        b'{"vtc07": 1, "secret": "s", "unix": null, "tcp": 70000}',
        b'{"vtc07": 1, "secret": "s", "unix": null, "tcp": null}',
        b'{"vtc07": 1, "secret": "s", "unix": "nowhere", "tcp": null}',
    ],
)
def test_a_control_file_that_says_nothing_of_use(here: Path, content: bytes) -> None:
    new_meter()
    (here / "m.meter.control").write_bytes(content)
    with pytest.raises(Failure, match="not being served"):
        ask("m.meter", Show())
    with controlled(here) as it:  # and is replaced
        assert it.good()["tamper"] == 0


@pytest.mark.parametrize("content", [b"{}", b"[]", b"\xff", b"[" * 4096, b"x" * 5000, b"\n"])
def test_what_is_no_control_file_is_not_replaced(here: Path, content: bytes) -> None:
    new_meter()
    file = here / "m.meter.control"
    file.write_bytes(content)
    with pytest.raises(Failure, match="not being served"):
        ask("m.meter", Show())
    with pytest.raises(OSError, match=r"m\.meter\.control is in the way"), controlled(here):
        pass
    assert file.read_bytes() == content


@UNIX
@pytest.mark.parametrize("depth", [0, 100], ids=["in the runtime folder", "elsewhere"])
def test_what_killed_servers_left_is_taken_away_and_what_lives_is_not(
    here: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    short = tempfile.mkdtemp(prefix="v", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(short) / ("d" * depth)))
    try:
        _leave_and_take_away(here)
    finally:
        shutil.rmtree(short)


def _leave_and_take_away(here: Path) -> None:
    folder = control_place.runtime_folder()
    assert folder is not None
    with control_place.listening(1) as (listener, file):
        # A socket at which nobody listens any more, and the control file that speaks of it.
        listener.close()
        control_place.write(folder / "dead.control", control_place.Place("s", unix=str(file)))
        gone = control_place.Place("s", unix=str(folder / "vtc07-gone" / "control"))
        control_place.write(folder / "gone.control", gone)
        # A server of the same store that had no Unix sockets, at another address.
        before = control_place.Place("t", tcp=9)
        for control_file in (here / "m.meter.control", folder / "before.control"):
            control_place.write(control_file, before)
        (folder / "other.control").write_text("not ours")
        control_place.write(folder / "tcp.control", control_place.Place("u", tcp=9))
        (here / "living").mkdir()
        with controlled(here / "living") as living:
            alive = living.place
            control_place.write(folder / "alive.control", alive)
            with controlled(here) as it:
                assert it.good()["tamper"] == 0
                left = {each.name for each in folder.glob("*.control")}
                by_address = control_place.by_address("tcp://127.0.0.1:4059")
                assert by_address is not None
                assert left == {"other.control", "tcp.control", "alive.control", by_address.name}
                assert not file.parent.exists()
            assert living.good()["tamper"] == 0


@UNIX
def test_nothing_but_a_socket_of_ours_is_taken_away(here: Path) -> None:
    folder = here / "vtc07-mine"
    folder.mkdir()
    precious = folder / "control"
    precious.write_text("precious")
    for unix in (str(precious), str(here / "m.meter"), "/nowhere/control"):
        control_place.write(here / "m.meter.control", control_place.Place("s", unix=unix))
        with controlled(here):
            pass
    assert precious.read_text() == "precious"


@POSIX
def test_a_profile_that_cannot_be_read_is_refused_in_a_sentence(here: Path, channel: str) -> None:
    unreadable = Path("/proc/self/mem")  # a file that gives an error, not characters
    if not unreadable.is_file():
        pytest.skip("the system has no file that cannot be read by its owner")
    with controlled(here) as it:
        line = control.request_line(it.place.secret, SetLoad(f"profile:{unreadable}", 1))
        with pytest.raises(Failure, match="cannot be read"):
            control.read_answer(it.say(line))
        assert it.good()["load"] == "100"


def test_an_error_of_the_system_is_an_answer(here: Path) -> None:
    def act(_request: Request) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    clock = VirtualClock()
    with control_port(here / "m.meter", "tcp://127.0.0.1:4059", act, clock) as port:
        it = Control(Bench(), port, here / "m.meter")
        answer = it.say(control.request_line(it.place.secret, Show()))
        with pytest.raises(Failure, match="No space left on device"):
            control.read_answer(answer)


# --- the program --------------------------------------------------------------------------------


@pytest.fixture
def fast(here: Path) -> str:
    """A meter of three phases that answers fast, with 25 kWh."""
    (here / "fast.toml").write_text(FAST)
    new_meter("m.meter", "--companion", "fast.toml", "--phases", "3")
    done("meter", "enter", "m.meter", credit("25.0", "--test-key"))
    return "m.meter"


def changed(*words: str) -> dict[str, Any]:
    """Run ``meter set`` on m.meter and return its document."""
    document: dict[str, Any] = done("meter", "set", "m.meter", *words, "--json").json
    return document


def read(it: Served, *names: str) -> dict[str, Any]:
    return registers(done("read", it.address, *names, "--companion", "fast.toml", "--json").json)


def test_a_served_meter_is_acted_on(here: Path, fast: str) -> None:
    (here / "day.csv").write_text("0,100,200,300\n86400,repeat\n")
    with served(fast, "--load", "500,0,500") as it:
        assert changed("show")["phases"] == [500, 0, 500]
        assert changed("load", "profile:day.csv")["phases"] == [100, 200, 300]
        assert changed("phase", "L2", "off")["phases"] == [100, 0, 300]
        names = ("activePowerL1", "activePowerL2", "activePowerL3")
        assert [read(it, name)[name] for name in names] == [100, 0, 300]
        shown = done("meter", "set", it.address, "load", "household:7", "--acceleration", "60").out
        assert "household:7 x60" in shown
        assert "closed" in shown
        assert changed("tamper", "3")["disconnect_reason"] == "tamper"
        assert read(it, "disconnectReason", "tamperStatus") == {
            "disconnectReason": 2, "tamperStatus": 3,
        }  # fmt: skip
        code, err = it.stop()
    assert code == 0
    assert "the load switch is open: tamper" in err
    assert err.endswith("the meter is switched off\n")
    assert not [name for name in contents(here) if name.endswith(".control")]
    assert registers(done("meter", "show", fast, "--json").json)["tamperStatus"] == 3


def test_power_that_is_cut_under_a_session(here: Path, fast: str) -> None:
    with served(fast, "--load", "100") as it:
        host, port = it.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as head:
            head.settimeout(30)
            head.sendall(b"/?!\r\n")
            assert head.recv(4096).startswith(b"/VTc3")
            changed("power", "off")
            head.sendall(b"/?!\r\n")
            assert changed("show")["powered"] is False
            head.settimeout(0)
            with pytest.raises(BlockingIOError):
                head.recv(1)
            changed("power", "on")
            head.settimeout(30)
            head.sendall(b"/?!\r\n")
            assert head.recv(4096).startswith(b"/VTc3")
        assert read(it, "powerFailCount") == {"powerFailCount": 1}
        changed("power", "off")
        code, err = it.stop()
    assert code == 0
    assert "power is lost" in err
    assert "no power to be switched off" in err
    assert registers(done("meter", "show", fast, "--json").json)["powerFailCount"] == 1
    with served(fast) as it:
        assert read(it, "powerFailCount") == {"powerFailCount": 2}


def test_a_store_beside_which_a_control_file_would_be_another_store(here: Path, fast: str) -> None:
    new_meter("m.meter.control", "--companion", "fast.toml")
    before = (here / "m.meter.control").read_bytes()
    with served(fast) as it:
        assert read(it, "creditBalance") == {"creditBalance": 25_000}
        code, err = it.stop()
    assert code == 0
    assert "m.meter.control is in the way" in err
    assert (here / "m.meter.control").read_bytes() == before
    done("meter", "show", "m.meter.control")


def test_words_have_no_blanks_around_them(fast: str) -> None:
    with served(fast, "--load", " 500 "):
        assert changed("show")["load"] == "500"
        assert changed("load", " household:7 ")["load"] == "household:7"


def test_a_killed_server_leaves_nothing_in_the_way(here: Path, fast: str) -> None:
    with served(fast) as it:
        place = control_place.read(here / "m.meter.control")
        assert place is not None
        it.process.kill()
        it.process.wait()
    result = vtc07("meter", "set", fast, "show")
    assert result.code == 2
    assert "not being served" in one_sentence(result.err)
    assert vtc07("meter", "set", it.address, "show").code == 2
    with served(fast):
        assert changed("show")["powered"] is True
        assert control_place.read(here / "m.meter.control") != place
        if place.unix is not None:
            assert not Path(place.unix).parent.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("m.meter", "show"), "not being served"),
        (("tcp://127.0.0.1:1", "show"), "no meter is being served"),
        (("/dev/ttyUSB7", "show"), "no meter is being served"),
        (("nowhere.meter", "show"), "no store nowhere.meter"),
        (("m.meter", "lod", "1500"), "show, load, phase, tamper or power"),
        (("m.meter", "show", "all"), "show, load, phase, tamper or power"),
        (("m.meter", "load"), "one load"),
        (("m.meter", "load", "1", "2"), "one load"),
        (("m.meter", "load", "x" * 5_000), "too long"),
        (("m.meter", "tamper", "clear"), "only a token clears"),
        (("m.meter", "tamper", "65536"), "65535"),
        (("m.meter", "tamper", "x"), "65535"),
        (("m.meter", "phase", "L2"), "phase L2 1500"),
        (("m.meter", "phase", "N", "5"), "L1, L2 or L3"),
        (("m.meter", "phase", "L1", "-5"), "No such option"),
        (("m.meter", "phase", "L1", "many"), "whole watts"),
        (("m.meter", "power"), "off, on or fail"),
        (("m.meter", "power", "gone"), "off, on or fail"),
        (("m.meter", "power", "fail", "--for", "0"), "no time"),
        (("m.meter", "power", "fail", "--for", "1e3"), "no time"),
        (("m.meter", "power", "off", "--for", "3"), "power fail"),
        (("m.meter", "show", "--acceleration", "5"), "load alone"),
        (("m.meter", "load", "5", "--acceleration", "0"), "100000"),
        (("m.meter",), "show|load"),
    ],
)
def test_wrong_words_are_answered_in_a_sentence(
    here: Path, words: tuple[str, ...], said: str
) -> None:
    new_meter()
    before = contents(here)
    result = vtc07("meter", "set", *words)
    assert result.code == 2
    assert said.lower() in one_sentence(result.err).lower()
    assert result.out == ""
    assert contents(here) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--load", "5,5"), "2 phases"),
        (("--load", "5 kW"), "profile:FILE.csv"),
        (("--load", "profile:none.csv"), "none.csv"),
        (("--load", "profile:"), "profile:FILE.csv"),
        (("--load", "profile:bad.csv"), "bad.csv, line 2"),
        (("--load", "profile:three.csv"), "3 phases"),
        (("--load", "household:me"), "seed"),
        (("--acceleration", "0"), "acceleration"),
    ],
)
def test_a_load_that_cannot_be_is_no_load_to_serve_with(
    here: Path, options: tuple[str, ...], said: str
) -> None:
    new_meter()
    (here / "bad.csv").write_text("0,5\n5,five\n")
    (here / "three.csv").write_text("0,5,5,5\n")
    result = vtc07("meter", "serve", "m.meter", *options)
    assert result.code == 2
    assert said in one_sentence(result.err)
    assert not (here / "m.meter.control").exists()


def test_a_refusal_of_the_meter_has_json_and_its_exit_code(here: Path, fast: str) -> None:
    with served(fast):
        result = vtc07("meter", "set", fast, "phase", "L5", "1", "--json")
        assert result.code == 2
        assert "no phase L5" in result.error["error"]
        asking = [start("meter", "set", fast, "tamper", str(1 << bit)) for bit in range(4)]
        said = [process.communicate() for process in asking]
        assert [process.returncode for process in asking] == [0] * 4, said
        assert changed("show")["tamper"] == 0xF


def test_no_secret_is_shown(here: Path, fast: str) -> None:
    with served(fast) as it:
        place = control_place.read(here / "m.meter.control")
        assert place is not None
        said = [vtc07("meter", "set", fast, *words).everything for words in (("show",), ("x",))]
        _, err = it.stop()
    assert not any(place.secret in text for text in (*said, err))

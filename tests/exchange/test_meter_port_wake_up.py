"""A meter's port that sleeps: normal and fast wake-up, direct and in mode C; else it is deaf."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench_meter_port import (
    ACK,
    B0,
    B1,
    IDENTIFICATION,
    NAK,
    P0,
    REQUEST,
    TO_PROGRAM,
    PortBench,
    command,
)
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MS, Companion, Timing
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import SpeedChange
from vtc07.carrier.events import Connected, Disconnected, IdentificationRequested, Values
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.server import Server
from vtc07.carrier.wake_up_caller import WakeUpCaller
from vtc07.carrier.wake_up_meter import SleepingPort

TIMING = Timing()
AT_300 = 33_333_334


class Hosted:
    """A server's core with its host, as `Sleeper` wants it; it keeps what the port was given."""

    def __init__(self) -> None:
        self.bench = PortBench()
        self.port = self.bench.port
        self.heard = b""

    @property
    def connected(self) -> bool:
        return self.port.connected

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard += chars
        self.port.receive(chars, now_ns)
        self._pump(now_ns)

    def bytes_to_send(self, now_ns: int) -> bytes:
        return self.port.bytes_to_send(now_ns)

    def next_timer(self) -> int | None:
        return self.port.next_timer()

    def handle_timer(self, now_ns: int) -> None:
        self.port.handle_timer(now_ns)
        self._pump(now_ns)

    def connection_lost(self, now_ns: int) -> None:
        self.port.connection_lost(now_ns)

    def next_speed_change(self) -> SpeedChange | None:
        return self.port.next_speed_change()

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        self._pump(now_ns)

    def _pump(self, now_ns: int) -> None:
        while (event := self.port.next_event()) is not None:
            request = getattr(event, "request", None)
            if request is not None:
                reply = self.bench.host(event)  # type: ignore[arg-type]
                assert reply is not None
                self.port.answer(request, reply, now_ns)


class DirectlyHosted(Hosted):
    """The same with the core of direct VTC07."""

    def __init__(self, companion: Companion) -> None:
        super().__init__()
        self.port = Server(companion, ["1"], character_ns=4_166_667)  # type: ignore[assignment]

    def _pump(self, now_ns: int) -> None:
        while (event := self.port.next_event()) is not None:
            match event:
                case IdentificationRequested(request=request, registers=registers):
                    zeros: tuple[int | str, ...] = tuple(
                        0 if register.width else "" for register in registers
                    )
                    self.port.answer(request, Values(zeros), now_ns)  # type: ignore[arg-type]
                case Connected() | Disconnected():
                    pass
                case _:
                    raise AssertionError(event)


class Bed:
    """A sleeping port on a virtual clock."""

    def __init__(
        self,
        wake_up: WakeUp = WakeUp.NORMAL,
        server: Hosted | None = None,
        character_ns: int = AT_300,
    ) -> None:
        self.server = server or Hosted()
        self.character_ns = character_ns
        self.port = SleepingPort(self.server, wake_up, TIMING, character_ns=character_ns)
        self.now_ns = 1_000 * MS
        self.sent: list[tuple[int, bytes]] = []

    def turn(self) -> None:
        while self.port.next_speed_change() is not None:
            pass
        if chars := self.port.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns, chars))
        while self.port.next_speed_change() is not None:
            pass

    def advance(self, ms: float) -> None:
        end = self.now_ns + int(ms * MS)
        self.turn()
        while (timer := self.port.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.port.handle_timer(self.now_ns)
            self.turn()
        self.now_ns = end

    def hear(self, chars: bytes, run: int = 1, character_ns: int | None = None) -> None:
        """Give characters, ``run`` of them at a time, each run with its last one."""
        for at in range(0, len(chars), run):
            piece = chars[at : at + run]
            self.advance(len(piece) * (character_ns or self.character_ns) / MS)
            self.port.receive(piece, self.now_ns)
            self.turn()

    def say(self, chars: bytes, wait_ms: float = 1200) -> bytes:
        before = len(self.sent)
        self.hear(chars)
        self.advance(wait_ms)
        return b"".join(chars for _, chars in self.sent[before:])

    def nuls(self, ms: int, run: int = 1) -> None:
        self.hear(bytes(ms * MS // self.character_ns), run)


def session(bed: Bed, end: bytes = B0) -> None:
    """Sign on and off again; the characters after the option select are at 9600 Bd."""
    assert bed.say(REQUEST) == IDENTIFICATION
    assert bed.say(TO_PROGRAM) == P0
    bed.character_ns = 1_041_667
    assert bed.say(command("R1", "1.8.0()")).startswith(b"\x021.8.0(")
    assert bed.say(end) == (ACK if end == B1 else b"")
    bed.character_ns = AT_300


# --- asleep ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wake_up", [WakeUp.NORMAL, WakeUp.FAST])
@pytest.mark.parametrize(
    "chars", [REQUEST, b"/?10203!\r\n", B0, NAK, ACK, b"\xff" * 99, b"\x00", b"U" * 70]
)
def test_asleep_it_hears_nothing(chars: bytes, wake_up: WakeUp) -> None:
    bed = Bed(wake_up)
    assert bed.say(chars, 5000) == b""
    assert bed.say(chars, 5000) == b""
    assert not bed.port.awake
    assert bed.server.heard == b""


@pytest.mark.parametrize("run", [1, 3, 20, 999])
@pytest.mark.parametrize("nuls_ms", [2100, 2200, 2300])
@pytest.mark.parametrize("silence_ms", [1500, 1600, 1700])
def test_normal_wake_up(nuls_ms: int, silence_ms: int, run: int) -> None:
    bed = Bed()
    bed.nuls(nuls_ms, run)
    bed.advance(silence_ms)
    assert bed.port.awake
    assert bed.sent == []
    session(bed)
    assert not bed.port.awake


@pytest.mark.parametrize("nuls_ms", [0, 500, 1000, 1900, 2700, 5000])
def test_nuls_too_few_or_without_end_wake_nobody(nuls_ms: int) -> None:
    bed = Bed()
    bed.nuls(nuls_ms)
    bed.advance(1600)
    assert bed.say(REQUEST) == b""
    assert not bed.port.awake


@pytest.mark.parametrize("silence_ms", [0, 100, 1000, 1400])
def test_a_silence_that_is_too_short_wakes_nobody(silence_ms: int) -> None:
    bed = Bed()
    bed.nuls(2200)
    bed.advance(silence_ms)
    assert bed.say(REQUEST, 5000) == b""
    assert not bed.port.awake
    bed.nuls(2200)  # at least 1.5 s later it is tried again
    bed.advance(1600)
    session(bed)


@pytest.mark.parametrize("gap_ms", [60, 100, 500])
def test_a_gap_among_the_nuls_wakes_nobody(gap_ms: int) -> None:
    bed = Bed()
    bed.nuls(1100)
    bed.advance(gap_ms)
    bed.nuls(1100)
    bed.advance(1600)
    assert bed.say(REQUEST) == b""


@pytest.mark.parametrize("gap_ms", [1, 5])
def test_a_gap_of_5_ms_is_none(gap_ms: int) -> None:
    bed = Bed()
    for _ in range(22):
        bed.hear(bytes(3))
        bed.advance(gap_ms)
    bed.advance(1600)
    session(bed)


@pytest.mark.parametrize("noise", [b"U", b"\xff", b"/"])
def test_another_character_among_the_nuls_wakes_nobody(noise: bytes) -> None:
    bed = Bed()
    bed.hear(bytes(33) + noise + bytes(33), 999)
    bed.advance(1600)
    assert bed.say(REQUEST) == b""


def test_noise_before_the_request_once_awake_does_no_harm() -> None:
    bed = Bed()
    bed.nuls(2200)
    bed.advance(1550)
    bed.hear(b"\x00\x7f")
    session(bed)


# --- fast wake-up ---------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [1, 4, 99])
@pytest.mark.parametrize("burst_ms", [500, 550, 600])
@pytest.mark.parametrize("request_ms", [200, 300, 1500])
def test_fast_wake_up_ack_in_the_pause_after_10_ms_and_b1_at_the_end(
    burst_ms: int, request_ms: int, run: int
) -> None:
    bed = Bed(WakeUp.FAST)
    bed.nuls(burst_ms, run)
    burst_over = bed.now_ns
    bed.advance(2 * 33.4 + 20)
    ((acknowledged, chars),) = bed.sent
    assert chars == ACK
    assert acknowledged - burst_over >= 10 * MS
    assert acknowledged + AT_300 - burst_over <= 2 * AT_300 + 20 * MS  # out before the next burst
    bed.now_ns = acknowledged + AT_300 + request_ms * MS
    session(bed, B1)
    assert not bed.port.awake


@pytest.mark.parametrize("character_ns", [AT_300, 4_166_667, 1_041_667, 520_834])
def test_fast_wake_up_at_any_rate(character_ns: int) -> None:
    bed = Bed(WakeUp.FAST, character_ns=character_ns)
    bed.nuls(550)
    bed.advance(2 * character_ns / MS + 20)
    assert [chars for _, chars in bed.sent] == [ACK]
    assert bed.port.awake


def test_a_second_burst_wakes_where_the_first_was_cut_short() -> None:
    bed = Bed(WakeUp.FAST)
    bed.nuls(300)
    bed.advance(90)
    assert bed.sent == []
    bed.nuls(550)
    bed.advance(90)
    assert [chars for _, chars in bed.sent] == [ACK]


def test_the_ack_is_not_said_when_the_pause_may_be_over() -> None:
    bed = Bed(WakeUp.FAST)
    bed.nuls(550)
    bed.now_ns += 120 * MS  # the driver was busy
    bed.advance(100)
    assert bed.sent == []
    bed.nuls(550)
    bed.advance(100)
    assert [chars for _, chars in bed.sent] == [ACK]


def test_a_port_for_normal_wake_up_says_no_ack() -> None:
    bed = Bed(WakeUp.NORMAL)
    for _ in range(8):
        bed.nuls(550)
        bed.advance(97)
    bed.advance(3000)
    assert bed.sent == []
    assert not bed.port.awake


@pytest.mark.parametrize("run", [1, 5])
def test_a_port_for_fast_wake_up_knows_the_normal_one(run: int) -> None:
    bed = Bed(WakeUp.FAST)
    bed.nuls(2200, run)
    bed.advance(1600)
    assert [chars for _, chars in bed.sent] in ([], [ACK])
    session(bed)


@pytest.mark.parametrize("wake_up", [WakeUp.NORMAL, WakeUp.FAST])
@pytest.mark.parametrize("paced", [True, False])
def test_our_own_hand_held_unit_wakes_it(wake_up: WakeUp, paced: bool) -> None:
    """Where the path does not pace them, NULs come all at once, with the time of that instant."""
    bed = Bed(wake_up)
    caller = WakeUpCaller(wake_up, TIMING, AT_300, bed.now_ns)
    while caller.request_ns is None or bed.now_ns < caller.request_ns:
        bed.advance(max(0, caller.due_ns - bed.now_ns) / MS)
        heard = len(bed.sent)
        nuls = caller.bytes_to_send(bed.now_ns)
        begun = bed.now_ns
        if nuls:
            bed.hear(nuls, len(nuls), AT_300 if paced else 1)
            bed.advance(120)
        for _, chars in bed.sent[heard:]:
            caller.hear(chars, bed.now_ns)
        assert bed.now_ns - begun < 10_000 * MS
    session(bed, B1 if wake_up is WakeUp.FAST else B0)


# --- to sleep again -------------------------------------------------------------------------------


def woken(wake_up: WakeUp = WakeUp.NORMAL) -> Bed:
    bed = Bed(wake_up)
    bed.nuls(2200)
    bed.advance(1600)
    assert bed.port.awake
    return bed


def test_it_sleeps_when_no_session_is_opened_for_the_time_of_inactivity() -> None:
    bed = woken()
    awake = []
    for _ in range(2):
        bed.advance(118_000)
        awake.append(bed.port.awake)
    assert awake == [True, False]
    assert bed.say(REQUEST) == b""


def test_it_sleeps_after_inactivity_in_a_session() -> None:
    bed = woken()
    assert bed.say(REQUEST) == IDENTIFICATION
    assert bed.say(TO_PROGRAM) == P0
    bed.advance(121_000)
    assert not bed.port.awake
    bed.nuls(2200)
    bed.advance(1600)
    session(bed)


def test_it_sleeps_after_a_wrong_password_and_says_b0_before() -> None:
    bed = woken()
    bed.say(REQUEST)
    bed.say(TO_PROGRAM)
    bed.character_ns = 1_041_667
    assert bed.say(command("P1", "(wrong)")) == B0
    assert not bed.port.awake


def test_it_sleeps_when_the_link_closes() -> None:
    bed = woken()
    bed.say(REQUEST)
    bed.port.connection_lost(bed.now_ns)
    assert not bed.port.awake
    assert not bed.port.connected


def test_a_direct_server_sleeps_as_well() -> None:
    companion = load_companion("gas")
    bed = Bed(WakeUp.NORMAL, DirectlyHosted(companion), character_ns=4_166_667)
    assert bed.say(b"/?!\r\n") == b""
    bed.nuls(2200, 40)
    bed.advance(1600)
    assert bed.say(b"/?!\r\n").startswith(b"/")
    assert bed.port.connected
    assert bed.say(B0) == b""
    assert not bed.port.awake
    assert bed.say(b"/?!\r\n") == b""


def test_the_next_timer_is_the_earliest_of_the_server_and_the_port() -> None:
    bed = Bed(WakeUp.FAST)
    bed.nuls(550)
    ack_ns = bed.now_ns + AT_300 + 10 * MS
    for server_ns in (ack_ns - 1, ack_ns + 1, None):
        bed.server.next_timer = lambda at=server_ns: at  # type: ignore[method-assign,misc]
        earliest = ack_ns if server_ns is None else min(ack_ns, server_ns)
        assert bed.port.next_timer() == earliest


def test_what_cannot_be() -> None:
    for wake_up, character_ns in ((WakeUp.NONE, AT_300), (WakeUp.FAST, 0)):
        with pytest.raises(ValueError, match="wake-up"):
            SleepingPort(Hosted(), wake_up, TIMING, character_ns=character_ns)


@given(
    st.sampled_from([WakeUp.NORMAL, WakeUp.FAST]),
    st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 80).map(bytes),
                st.sampled_from([REQUEST, TO_PROGRAM, B0, B1, b"\xff", b"U"]),
                st.binary(max_size=10),
            ),
            st.integers(1, 80),
            st.sampled_from([0, 5, 50, 97, 1000, 1600, 121_000]),
        ),
        max_size=10,
    ),
)
def test_anything_at_any_time_and_then_it_wakes(
    wake_up: WakeUp, said: list[tuple[bytes, int, int]]
) -> None:
    bed = Bed(wake_up)
    for chars, run, pause in said:
        bed.hear(chars, run)
        bed.advance(pause)
    bed.advance(250_000)
    assert not bed.port.awake
    bed.nuls(2200)
    bed.advance(1600)
    session(bed)

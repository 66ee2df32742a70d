"""The simulated line where levels decide: speeds, formats, collisions, noise, echo."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.endpoint import Procedure, SpeedChange, reopen, wait
from vtc07.carrier.events import ClientEvent, Command
from vtc07.links.link import Sender
from vtc07.links.noise import Noise
from vtc07.links.simulated import DROPPED, LINK_LOST, UNPLUGGED, Held, SimulatedLine
from vtc07.links.waveform import EVEN_PARITY, NO_PARITY, Format

MS = 1_000_000
S = 1_000_000_000
FF = b"\xff"
SPEEDS = [300, 600, 1200, 2400, 4800, 9600, 19200]


class Talker:
    """An end that says what it is told to, at instants, and keeps what it hears.

    ``script``: at an instant characters to send, or a speed to go on at; in order.
    """

    def __init__(self, *script: tuple[int, bytes | int]) -> None:
        self._script = deque(script)
        self._out: deque[bytes | int] = deque()
        self.heard = b""
        self.times: list[int] = []
        self.losses = 0

    def start(self, command: Command, now_ns: int) -> None:
        raise ValueError(command)

    def next_event(self) -> ClientEvent | None:
        return None

    def next_work(self) -> Callable[[], None] | None:
        return None

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        raise AssertionError

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard += chars
        self.times += [now_ns] * len(chars)

    def bytes_to_send(self, now_ns: int) -> bytes:
        if self._out and isinstance(self._out[0], bytes):
            chars = self._out.popleft()
            assert isinstance(chars, bytes)
            return chars
        return b""

    def next_speed_change(self) -> SpeedChange | None:
        if self._out and isinstance(self._out[0], int):
            speed = self._out.popleft()
            assert isinstance(speed, int)
            return SpeedChange(speed)
        return None

    def next_timer(self) -> int | None:
        return self._script[0][0] if self._script else None

    def handle_timer(self, now_ns: int) -> None:
        while self._script and self._script[0][0] <= now_ns:
            self._out.append(self._script.popleft()[1])

    def connection_lost(self, now_ns: int) -> None:
        self.losses += 1


def talk(client: Talker, server: Talker, seconds: int = 20, **options: Any) -> SimulatedLine:
    line = SimulatedLine(client, server, **options)
    line.idle(seconds * S)
    return line


TEXT = bytes(range(128))


# --- pacing and changes of speed ------------------------------------------------------------------


def test_each_end_sends_at_its_own_speed() -> None:
    client, server = Talker((S, b"abc")), Talker((5 * S, b"xyz"))
    log: list[tuple[Sender, int]] = []
    talk(
        client,
        server,
        speed=300,
        server_speed=9600,
        observers=[lambda who, _sent, _arrived, now: log.append((who, now))],
    )
    assert next(now for who, now in log if who == "client") == S + 33_333_334
    assert next(now for who, now in log if who == "server") == 5 * S + 1_041_667


def test_a_change_of_speed_stands_between_what_was_handed_over_before_and_after_it() -> None:
    script = ((S, b"/?!"), (S, 9600), (S, b"abc"), (S, 300), (S, b"\r\n"))
    ends: list[int] = []
    client, server = Talker(*script), Talker()
    line = SimulatedLine(
        client, server, speed=300, observers=[lambda _who, _sent, _got, now: ends.append(now)]
    )
    line.idle(S)  # the script's instant; nothing has gone out yet
    assert line.queued("client") == 8
    assert line.speed("client") == 300
    line.schedule(1_099 * MS, lambda: ends.append(-line.speed("client")))
    line.schedule(1_101 * MS, lambda: ends.append(-line.speed("client")))
    line.idle(2 * S)
    last_slow = S + 100_000_000
    fast = [last_slow - -10 * S * k // 9600 for k in (1, 2, 3)]
    slow = [fast[-1] - -10 * S * k // 300 for k in (1, 2)]
    assert [end for end in ends if end < 0] == [-300, -9600]
    # The server, at 300 Bd all the while, makes of the three at 9600 what it can.
    assert {S - -10 * S * k // 300 for k in (1, 2, 3)} | {*fast, *slow} <= set(ends)
    assert server.heard.startswith(b"/?!")
    assert b"abc" not in server.heard
    assert line.speed("client") == 300


def test_an_end_that_is_not_closed_goes_on_at_the_speed_that_waited_behind_what_is_lost() -> None:
    told: list[tuple[Sender, int]] = []
    client = Talker((6 * S, b"hallo"))
    server = Talker((S, b"held"), (S, 300))
    line = SimulatedLine(
        client,
        server,
        speed=300,
        server_speed=9600,
        fault=lambda who, char, _place, _now: Held(60 * S) if who == "server" else char,
        on_speed=lambda who, speed, _now: told.append((who, speed)),
    )
    line.idle(2 * S)
    line.run(reopen_once())
    assert (line.speed("server"), told) == (300, [("server", 300)])
    line.idle(10 * S)
    assert server.heard == b"hallo"


@pytest.mark.parametrize("in_runs", [False, True])
@pytest.mark.parametrize("levels", [False, True])
def test_a_change_of_speed_is_told_behind_the_last_character_before_it(
    in_runs: bool, levels: bool
) -> None:
    told: list[int] = []
    talk(
        Talker((S, b"abc"), (S, 9600), (S, b"d")),
        Talker(),
        speed=300,
        server_speed=9600 if levels else 300,
        in_runs=in_runs,
        observers=[
            lambda who, sent, _arrived, _now: told.append(sent) if who == "client" else None
        ],
        on_speed=lambda _who, speed, _now: told.append(speed),
    )
    assert [each for each in told if each in (*b"abcd", 9600)] == [*b"abc", 9600, *b"d"]


def reopen_once() -> Procedure[bool]:
    return (yield from reopen())


@pytest.mark.parametrize(("speed", "goes_on"), [(None, 300), (1200, 1200)])
def test_an_end_in_the_place_of_another_one_has_a_speed_of_its_own(
    speed: int | None, goes_on: int
) -> None:
    told: list[tuple[Sender, int]] = []
    line = talk(
        Talker((S, 9600)), Talker(), speed=300, on_speed=lambda *said: told.append(said[:2])
    )
    line.client = Talker((21 * S, b"x"))
    line.silence("client", speed=speed)
    line.idle(5 * S)
    assert line.speed("client") == goes_on
    assert told == [("client", 9600), ("client", goes_on)]


@given(
    speeds=st.lists(st.sampled_from(SPEEDS), min_size=1, max_size=5),
    texts=st.lists(st.binary(max_size=12), min_size=5, max_size=5),
)
def test_ends_that_change_their_speed_together_understand_each_other(
    speeds: list[int], texts: list[bytes]
) -> None:
    client: list[tuple[int, bytes | int]] = []
    server: list[tuple[int, bytes | int]] = []
    said = b""
    for number, (speed, text) in enumerate(zip(speeds, texts, strict=False)):
        chars = bytes(char & 0x7F for char in text)
        client += [(number * 5 * S, chars), (number * 5 * S + 2 * S, speed)]
        server += [(number * 5 * S + 2 * S, speed), (number * 5 * S + 3 * S, chars)]
        said += chars
    up, down = Talker(*client), Talker(*server)
    line = talk(up, down, 30, speed=300)
    assert (up.heard, down.heard) == (said, said)
    assert line.speed("client") == line.speed("server") == speeds[-1]


def test_a_change_back_within_a_character_damages_that_character_only() -> None:
    # The server is at 9600 for the first half of the second character, then at 300 again.
    client = Talker((S, b"abcd"))
    server = Talker((S + 35 * MS, 9600), (S + 50 * MS, 300))
    talk(client, server, speed=300)
    assert server.heard[:1] == b"a"
    assert server.heard[-2:] == b"cd"
    assert FF in server.heard[1:-2] or server.heard[1:-2] == b""


def test_an_end_whose_link_is_opened_anew_is_at_its_first_speed_again() -> None:
    client, server = Talker((S, 9600)), Talker((S, 9600))
    line = talk(client, server, 2, speed=300)
    assert (line.speed("client"), line.speed("server")) == (9600, 9600)

    def anew() -> Procedure[bool]:
        opened = yield from reopen()
        yield from wait(S)
        return opened

    assert line.run(anew())
    assert (line.speed("client"), line.speed("server")) == (300, 9600)
    line.silence("server")
    assert line.speed("server") == 300


def test_a_loss_brings_both_ends_back_to_their_first_speeds() -> None:
    client, server = Talker((S, b"abc"), (S, 9600), (S, b"def")), Talker((S, 2400))
    line = talk(
        client,
        server,
        3,
        speed=300,
        server_speed=600,
        fault=lambda who, char, place, now: LINK_LOST if place == 1 else char,
    )
    assert (client.losses, server.losses) == (1, 1)
    assert (line.speed("client"), line.speed("server")) == (300, 600)
    assert line.queued("client") == 0


@pytest.mark.parametrize("speed", [0, -300])
def test_a_speed_below_1_bd_is_refused(speed: int) -> None:
    with pytest.raises(ValueError, match=f"{speed} Bd"):
        SimulatedLine(Talker(), Talker(), speed=speed)
    with pytest.raises(ValueError, match=f"{speed} Bd"):
        SimulatedLine(Talker(), Talker(), server_speed=speed)
    with pytest.raises(ValueError, match=f"{speed} Bd"):
        talk(Talker((S, speed)), Talker())


# --- garbling -------------------------------------------------------------------------------------


@given(
    chars=st.binary(min_size=1, max_size=20),
    speeds=st.tuples(st.sampled_from(SPEEDS), st.sampled_from(SPEEDS)),
)
def test_ends_of_different_speeds_do_not_understand_each_other(
    chars: bytes, speeds: tuple[int, int]
) -> None:
    chars = bytes(char & 0x7F for char in chars)

    def once() -> bytes:
        server = Talker()
        talk(Talker((S, chars)), server, speed=speeds[0], server_speed=speeds[1])
        return server.heard

    heard = once()
    assert heard == once()  # the same every time
    if speeds[0] == speeds[1]:
        assert heard == chars
    elif speeds[0] < speeds[1]:
        assert len(heard) >= len(chars)
        # Each start bit is at least two bits long over there.
        assert heard != chars
    else:
        assert len(heard) <= len(chars)


def test_a_sign_on_at_300_bd_at_a_port_of_9600_is_damaged_characters_only() -> None:
    server = Talker()
    talk(Talker((S, b"/?!\r\n")), server, speed=300, server_speed=9600)
    # One for each time that the line is at SPACE, 32 bits of 9600 Bd and more.
    assert server.heard == FF * len(server.heard)
    assert len(server.heard) == 3 + 2 + 3 + 3 + 3


def test_what_a_slow_end_takes_for_a_character_ends_after_the_burst_that_was_it() -> None:
    server = Talker()
    talk(Talker((S, bytes(8))), server, speed=9600, server_speed=300)
    assert server.heard == b"\xff"  # 8 bits whose parity is odd: the first is SPACE, then MARK
    assert server.times == [S + 33_333_334]


@given(st.binary(min_size=1, max_size=30))
def test_without_parity_at_one_end_half_of_the_characters_are_damaged_at_the_other(
    chars: bytes,
) -> None:
    chars = bytes(char & 0x7F for char in chars)
    plain, checked = Talker((2 * S, chars)), Talker((9 * S, chars))
    talk(plain, checked, client_format=NO_PARITY)
    assert plain.heard == chars  # bit 7 is ignored
    assert checked.heard == bytes(c if c.bit_count() % 2 == 0 else 0xFF for c in chars)


@pytest.mark.parametrize("format_", [EVEN_PARITY, NO_PARITY])
def test_a_damaged_character_stays_one_where_levels_decide(format_: Format) -> None:
    # The slightest noise there is, far away: levels decide, but nothing strikes.
    server = Talker()
    talk(
        Talker((S, b"abcdef")),
        server,
        noise=Noise(1e-12),
        server_format=format_,
        client_format=format_,
        fault=lambda who, char, place, now: {2: 0xFF, 3: DROPPED, 4: ord("E")}.get(place, char),
    )
    assert server.heard == b"ab\xffEf"


# --- what was there before is there where levels decide -------------------------------------------


@given(
    faults=st.dictionaries(
        st.integers(0, 12), st.sampled_from([DROPPED, 0xFF, UNPLUGGED, 0x41, Held(S)]), max_size=5
    ),
    in_runs=st.booleans(),
)
def test_undisturbed_levels_carry_what_characters_would(
    faults: dict[int, int | Held], in_runs: bool
) -> None:
    def once(noise: Noise | None, *, collisions: bool) -> tuple[bytes, bytes, list[int], list[int]]:
        client, server = Talker((S, b"/?12!\r\n")), Talker((9 * S, b"/VTC30041\r\n"))
        line = SimulatedLine(
            client,
            server,
            noise=noise,
            collisions=collisions,
            in_runs=in_runs and noise is None and not collisions,
            fault=lambda who, char, place, now: (
                faults.get(place, char) if who == "client" else char
            ),
        )
        line.schedule(8 * S, line.plug)
        line.idle(20 * S)
        times = [] if in_runs else server.times
        return client.heard, server.heard, times, [] if in_runs else client.times

    one, other, third = (
        once(None, collisions=False),
        once(Noise(1e-12), collisions=False),
        once(None, collisions=True),
    )
    assert one[:2] == other[:2] == third[:2]
    if not in_runs:
        assert one == other == third


# --- collisions -----------------------------------------------------------------------------------


@given(
    chars=st.lists(st.tuples(st.integers(0, 127), st.integers(0, 127)), min_size=1, max_size=9),
    late=st.integers(0, 200_000),
)
def test_two_ends_that_speak_at_once_damage_each_other(
    chars: list[tuple[int, int]], late: int
) -> None:
    up, down = (bytes(text) for text in zip(*chars, strict=True))

    def once(*, collisions: bool) -> tuple[bytes, bytes]:
        client, server = Talker((S, up)), Talker((S + late, down))
        talk(client, server, 5, collisions=collisions)
        return client.heard, server.heard

    assert once(collisions=False) == (down, up)
    heard = once(collisions=True)
    assert heard == once(collisions=True)
    # Less than half a bit apart: what one has at SPACE, the other one cannot have at MARK.
    assert (heard == (down, up)) == (up == down)


def test_after_a_collision_the_line_is_as_before() -> None:
    client = Talker((S, b"zzzz"), (3 * S, b"request"))
    server = Talker((S + 5 * MS, b"UUUU"), (5 * S, b"answer"))
    talk(client, server, collisions=True)
    assert client.heard.endswith(b"answer")
    assert server.heard.endswith(b"request")
    assert b"UUUU" not in client.heard
    assert b"zzzz" not in server.heard


def test_whoever_speaks_alone_on_a_shared_line_hears_itself_only_where_it_echoes() -> None:
    for echo in (False, True):
        client, server = Talker((S, b"request")), Talker((5 * S, b"answer"))
        talk(client, server, collisions=True, echo=echo)
        assert client.heard == (b"request" if echo else b"") + b"answer"
        assert server.heard == b"request"


# --- noise ----------------------------------------------------------------------------------------


def noisy(rate: float, seed: int, *, seconds: int = 60, text: bytes = b"") -> bytes:
    server = Talker()
    talk(Talker((S, text)), server, seconds, speed=2400, noise=Noise(rate, seed))
    return server.heard


def test_noise_in_silence_is_characters_out_of_nothing_mostly_7f() -> None:
    heard = noisy(0.001, 1)
    # 60 s of 2400 bits, a thousandth of them struck.
    assert 100 < len(heard) < 190
    assert heard.count(0x7F) > len(heard) / 2
    assert len(set(heard)) > 2


def test_noise_in_characters_is_bit_errors_at_its_rate() -> None:
    text = b"/?1234567!\r\n" * 100
    heard = noisy(0.001, 2, seconds=7, text=text)
    errors = heard.count(0xFF)
    assert 3 < errors < 40
    assert heard != text
    assert heard.replace(FF, b"")[:20] in text * 2


@pytest.mark.parametrize("rate", [0.0005, 0.02, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_the_same_seed_gives_the_same_noise(rate: float, seed: int) -> None:
    first = noisy(rate, seed, seconds=2, text=TEXT)
    assert first == noisy(rate, seed, seconds=2, text=TEXT)


def test_another_seed_or_end_gives_other_noise() -> None:
    assert len({noisy(0.01, seed, seconds=2) for seed in range(5)}) == 5
    client, server = Talker(), Talker()
    talk(client, server, noise=Noise(0.01))
    assert client.heard != server.heard


def test_an_unplugged_head_hears_no_noise() -> None:
    client, server = Talker(), Talker()
    line = SimulatedLine(client, server, noise=Noise(0.01, 3))
    line.unplug()
    line.idle(5 * S)
    assert (len(client.heard), len(server.heard)) == (0, 0)
    line.plug()
    line.idle(5 * S)
    assert min(len(client.heard), len(server.heard)) > 0
    assert len(set(server.times)) == len(server.times)  # nor is any of it heard later
    assert min(server.times) > 5 * S


@pytest.mark.parametrize("rate", [0, -0.1, 0.6, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="share of bits"):
        Noise(rate)


def test_observers_are_told_of_what_arrives_out_of_nothing_as_noise() -> None:
    log: list[tuple[Sender, int, int]] = []
    client, server = Talker((S, b"a")), Talker()
    talk(
        client,
        server,
        speed=300,
        server_speed=9600,
        observers=[lambda who, sent, arrived, now: log.append((who, sent, arrived))],
    )
    assert log[0] == ("client", ord("a"), 0xFF)
    assert log[1:] == [("client", 0xFF, 0xFF)] * (len(server.heard) - 1)


# --- echo -----------------------------------------------------------------------------------------


def test_each_end_may_be_echoed() -> None:
    client, server = Talker((S, b"abc")), Talker((5 * S, b"xyz"))
    talk(client, server, server_echo=True)
    assert client.heard == b"xyz"
    assert server.heard == b"abcxyz"


@pytest.mark.parametrize("speeds", [(300, 300), (300, 9600)])
def test_an_echo_is_read_by_the_one_who_sent_it_and_may_be_damaged_on_its_way(
    speeds: tuple[int, int],
) -> None:
    asked: list[tuple[Sender, int]] = []

    def damage(who: Sender, char: int, place: int, now: int) -> int | bytes:
        asked.append((who, place))
        return b"ee" if place == 4 else {1: 0xFF, 3: DROPPED}.get(place, char)

    client, server = Talker((S, b"abc"), (3 * S, b"def")), Talker()
    talk(
        client,
        server,
        speed=speeds[0],
        server_speed=speeds[1],
        echo=True,
        echo_fault=damage,
    )
    assert client.heard == b"a\xffceef"
    assert asked == [("client", place) for place in range(6)]
    assert (server.heard == b"abcdef") == (speeds[0] == speeds[1])


def test_an_echo_comes_back_in_the_format_of_the_one_who_sent_it() -> None:
    client, server = Talker((S, b"abc")), Talker()
    talk(client, server, echo=True, client_format=NO_PARITY)
    assert client.heard == b"abc"
    assert server.heard == FF + FF + b"c"


# --- when something happens next ------------------------------------------------------------------


def test_a_line_says_when_something_happens_next() -> None:
    line = SimulatedLine(Talker((S, b"ab")), Talker(), speed=300, server_speed=9600)
    found = [line.next_ns]
    line.idle(S)
    found.append(line.next_ns)
    line.schedule(S + 5, line.unplug)
    found.append(line.next_ns)
    line.idle(S)
    found.append(line.next_ns)
    assert found == [S, S + 33_333_334, S + 5, None]
    assert SimulatedLine(Talker(), Talker(), noise=Noise(0.1)).next_ns is not None

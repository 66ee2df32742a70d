from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.endpoint import Procedure, SpeedChange, durably, now, perform, reopen, wait
from vtc07.carrier.events import (
    ClientEvent,
    Command,
    CommandFailed,
    Failure,
    Identified,
    Identify,
    Identity,
)
from vtc07.links.link import Sender
from vtc07.links.simulated import (
    DROPPED,
    LINK_LOST,
    UNPLUGGED,
    Held,
    SimulatedLine,
    Verdict,
)

MS = 1_000_000
S = 1_000_000_000
Log = list[tuple[Sender, int, int, int]]

# Two small real endpoints that know no message but `/?address!CR LF` and its answer: enough to
# prove what a line does, to the nanosecond.


class Asker:
    """Sends an IDRequest at once, again after ``patience_ns`` of silence, gives up at three."""

    def __init__(self, patience_ns: int = 5_000 * MS) -> None:
        self.patience_ns = patience_ns
        self.heard: list[tuple[bytes, int]] = []
        self.losses: list[int] = []
        self._command: Identify | None = None
        self._out = b""
        self._line = b""
        self._attempts = 0
        self._deadline: int | None = None
        self._events: deque[ClientEvent] = deque()

    def start(self, command: Command, now_ns: int) -> None:
        assert isinstance(command, Identify)
        assert self._command is None
        self._command, self._attempts, self._line = command, 0, b""
        self._ask(now_ns)

    def _ask(self, now_ns: int) -> None:
        assert self._command is not None
        self._attempts += 1
        self._out = f"/?{self._command.address}!\r\n".encode()
        self._deadline = now_ns + self.patience_ns

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard.append((chars, now_ns))
        self._line += chars
        if self._command is not None and self._line.endswith(b"\n"):
            identity = Identity("VTC", "3", self._line.decode("latin-1")[5:-2], None)
            self._finish(Identified(identity))

    def _finish(self, event: ClientEvent) -> None:
        self._command, self._deadline, self._out, self._line = None, None, b"", b""
        self._events.append(event)

    def bytes_to_send(self, now_ns: int) -> bytes:
        out, self._out = self._out, b""
        return out

    def next_event(self) -> ClientEvent | None:
        return self._events.popleft() if self._events else None

    def next_timer(self) -> int | None:
        return self._deadline

    def handle_timer(self, now_ns: int) -> None:
        if self._deadline is None or now_ns < self._deadline:
            return
        if self._attempts < 3:
            self._line = b""
            self._ask(now_ns)
        else:
            self._fail(Failure.NO_ANSWER)

    def _fail(self, failure: Failure) -> None:
        assert self._command is not None
        self._finish(CommandFailed(self._command, failure, self._attempts))

    def connection_lost(self, now_ns: int) -> None:
        self.losses.append(now_ns)
        if self._command is not None:
            self._fail(Failure.LINK_LOST)

    def next_speed_change(self) -> SpeedChange | None:
        return None


class Answerer:
    """Answers `/?text!CR LF` with `/VTC3text CR LF`, ``reaction_ns`` after it, by way of a job."""

    def __init__(self, reaction_ns: int = 200 * MS) -> None:
        self.reaction_ns = reaction_ns
        self.heard: list[tuple[bytes, int]] = []
        self.losses: list[int] = []
        self.job: Callable[[str], str] = lambda text: text
        self.errors: list[Exception] = []
        self._line = b""
        self._asked: str | None = None
        self._working = False
        self._answer = ""
        self._due: int | None = None
        self._out = b""

    def receive(self, chars: bytes, now_ns: int) -> None:
        self.heard.append((chars, now_ns))
        self._line += chars
        if self._line.endswith(b"\n"):
            self._asked = self._line.rpartition(b"/?")[2][:-3].decode("latin-1")
            self._line = b""

    def next_work(self) -> Callable[[], None] | None:
        if self._asked is None or self._working:
            return None
        asked = self._asked

        def work() -> None:
            self._answer = self.job(asked)

        self._working = True
        return work

    def work_done(self, error: Exception | None, now_ns: int) -> None:
        assert self._working
        self._working, self._asked = False, None
        if error is not None:
            self.errors.append(error)
            return
        self._due = now_ns + self.reaction_ns

    def bytes_to_send(self, now_ns: int) -> bytes:
        out, self._out = self._out, b""
        return out

    def next_timer(self) -> int | None:
        return self._due

    def handle_timer(self, now_ns: int) -> None:
        if self._due is not None and now_ns >= self._due:
            self._due = None
            self._out = f"/VTC3{self._answer}\r\n".encode("latin-1")

    def connection_lost(self, now_ns: int) -> None:
        self.losses.append(now_ns)
        self._line, self._out = b"", b""

    def next_speed_change(self) -> SpeedChange | None:
        return None


def observed_line(**options: object) -> tuple[SimulatedLine, Asker, Answerer, Log]:
    log: Log = []
    client, server = Asker(), Answerer()
    line = SimulatedLine(
        client,
        server,
        observers=[lambda *character: log.append(character)],
        **options,  # type: ignore[arg-type]
    )
    return line, client, server, log


def text_of(event: ClientEvent) -> str:
    assert isinstance(event, Identified), event
    return event.identity.identification


def test_characters_at_2400_bd_end_at_exact_instants() -> None:
    line, _, server, log = observed_line()
    text_of(line.run(perform(Identify("1234567"))))
    request = [entry for entry in log if entry[0] == "client"]
    assert bytes(entry[1] for entry in request) == b"/?1234567!\r\n"
    assert request[0][3] == 4_166_667
    assert request[11][3] == 50_000_000
    answer = [entry for entry in log if entry[0] == "server"]
    assert answer[0][3] == 50_000_000 + server.reaction_ns + 4_166_667
    assert answer[11][3] == 50_000_000 + server.reaction_ns + 50_000_000


@given(speed=st.integers(1, 200_000), length=st.integers(0, 30), start=st.integers(0, 10**15))
def test_every_character_ends_at_the_first_whole_ns_not_before_its_exact_end(
    speed: int, length: int, start: int
) -> None:
    line, client, _, log = observed_line(speed=speed)
    client.patience_ns = 10**15
    line.idle(start)
    line.run(perform(Identify("7" * length)))
    ends = [entry[3] for entry in log if entry[0] == "client"]
    for k, end in enumerate(ends, 1):
        exact = start + Fraction(10 * k * S, speed)
        assert end - 1 < exact <= end


def test_no_noise_is_nothing() -> None:
    line, _, server, log = observed_line()
    line.inject("client", b"")
    line.idle(S)
    assert (server.heard, log) == ([], [])


def test_what_is_sent_during_a_burst_follows_it_without_a_gap() -> None:
    line, _, _, log = observed_line()
    line.inject("client", b"\x00" * 3)
    line.run(perform(Identify("")))
    ends = [entry[3] for entry in log if entry[0] == "client"]
    assert ends == [-(-k * 10 * S // 2400) for k in range(1, 9)]


def conversation() -> Procedure[list[object]]:
    found: list[object] = []
    found.append((yield from perform(Identify("1"))))
    yield from wait(3 * S)
    found.append((yield from reopen()))
    found.append((yield from perform(Identify("22"))))
    found.append((yield from now()))
    return found


@given(faults=st.dictionaries(st.integers(0, 40), st.integers(-3, 255), max_size=6))
def test_the_same_inputs_give_the_same_characters_at_the_same_instants(
    faults: dict[int, int],
) -> None:
    def once() -> tuple[list[object], Log, list[tuple[bytes, int]], list[tuple[bytes, int]]]:
        line, client, server, log = observed_line(
            fault=lambda sender, char, index, time: (
                faults.get(index, char) if sender == "client" else char
            )
        )
        return line.run(conversation()), log, client.heard, server.heard

    assert once() == once()


def test_faults_drop_flip_and_damage_single_characters() -> None:
    changes = {2: DROPPED, 3: 0xC1, 4: ord("b") ^ 0x20}
    line, _, _, log = observed_line(
        fault=lambda sender, char, index, time: (
            changes.get(index, char) if sender == "client" else char
        )
    )
    event = line.run(perform(Identify("XYbc")))
    assert text_of(event) == "\xffBc"
    assert [(sent, arrived) for sender, sent, arrived, _ in log if sender == "client"][2:6] == [
        (ord("X"), DROPPED),
        (ord("Y"), 0xFF),
        (ord("b"), ord("B")),
        (ord("c"), ord("c")),
    ]


def test_an_unplugged_head_is_silence_until_it_is_plugged_again() -> None:
    line, client, server, log = observed_line()
    line.fault = lambda sender, char, index, time: (
        UNPLUGGED if (sender, index) == ("client", 3) else char
    )
    line.schedule(6 * S, line.plug)
    event = line.run(perform(Identify("12345")))
    assert text_of(event) == "12345"  # by the first repeat after the head is on again
    assert server.heard[2][1] < S  # the third character came, then nothing
    assert server.heard[3][1] > 2 * client.patience_ns
    assert not client.losses
    assert not server.losses
    assert sum(arrived == DROPPED for _, _, arrived, _ in log) == 10 - 3 + 10


def test_an_opening_of_the_link_does_not_put_the_head_back_on() -> None:
    line, _, _, _ = observed_line()
    line.unplug()

    def procedure() -> Procedure[tuple[bool, ClientEvent]]:
        opened = yield from reopen()
        return opened, (yield from perform(Identify("")))

    opened, event = line.run(procedure())
    assert opened
    assert isinstance(event, CommandFailed)
    assert event.failure is Failure.NO_ANSWER
    assert event.attempts == 3


def test_a_lost_link_tells_both_ends_and_stays_lost_until_reopened() -> None:
    line, client, server, _ = observed_line()
    line.fault = lambda sender, char, index, time: (
        LINK_LOST if (sender, index) == ("server", 4) else char
    )

    def procedure() -> Procedure[list[object]]:
        found: list[object] = [(yield from perform(Identify("1")))]
        found.append((yield from perform(Identify("2"))))
        line.reachable = False
        found.append((yield from reopen()))
        line.reachable = True
        found.append((yield from reopen()))
        found.append((yield from perform(Identify("4"))))
        return found

    first, second, unreachable, reachable, last = line.run(procedure())
    assert isinstance(first, CommandFailed)
    assert first.failure is Failure.LINK_LOST
    assert isinstance(second, CommandFailed)
    assert second.failure is Failure.LINK_LOST
    assert (unreachable, reachable) == (False, True)
    assert isinstance(last, Identified)
    assert last.identity.identification == "4"
    assert len(server.losses) == 1
    assert len(client.losses) == 2
    assert client.losses[0] == server.losses[0]


@pytest.mark.parametrize("seen", [False, True])
def test_the_server_sees_the_client_close_only_where_the_line_has_connections(
    *, seen: bool
) -> None:
    line, client, server, _ = observed_line(server_sees_close=seen)
    line.run(conversation())
    assert len(client.losses) == 1
    assert len(server.losses) == seen


def test_durably_returns_or_raises_into_the_procedure_and_takes_no_time() -> None:
    def fails() -> None:
        raise OSError("disk full")

    def procedure() -> Procedure[tuple[str, str, int]]:
        kept = yield from durably(lambda: "kept")
        try:
            yield from durably(fails)
        except OSError as error:
            return kept, str(error), (yield from now())
        return kept, "", -1

    line, _, _, _ = observed_line()
    assert line.run(procedure()) == ("kept", "disk full", 0)


def test_a_job_that_fails_is_reported_to_the_server() -> None:
    line, client, server, _ = observed_line()
    client.patience_ns = S

    def fails(text: str) -> str:
        raise OSError(text)

    server.job = fails
    event = line.run(perform(Identify("5")))
    assert isinstance(event, CommandFailed)
    assert [str(error) for error in server.errors] == ["5", "5", "5"]


def test_a_timer_that_never_advances_is_an_error_not_a_hang() -> None:
    line, client, _, _ = observed_line()
    client.next_timer = lambda: 0  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="timer"):
        line.idle(S)


class _Watch:
    """A clock that only notes how long it would have slept."""

    def __init__(self) -> None:
        self.time = 1_000_000
        self.instants: list[int] = []

    def now_ns(self) -> int:
        return self.time

    def sleep_until(self, instant_ns: int) -> None:
        self.instants.append(instant_ns)
        self.time = max(self.time, instant_ns)


def test_a_real_clock_is_waited_for_at_every_character() -> None:
    watch = _Watch()
    line, _, _, log = observed_line(clock=watch)
    line.run(perform(Identify("9")))
    assert [entry[3] for entry in log] == sorted({*watch.instants} & {e[3] for e in log})
    assert watch.instants == sorted(watch.instants)
    assert log[0][3] == 1_000_000 + 4_166_667
    assert watch.instants[-1] == log[-1][3] == line.now_ns
    assert log[-1][3] == 1_000_000 + 25_000_000 + 200 * MS + 33_333_334


def test_time_that_passes_between_runs_on_a_real_clock_counts() -> None:
    watch = _Watch()
    line, _, _, log = observed_line(clock=watch)
    watch.time += 5 * S
    line.run(perform(Identify("9")))
    assert log[0][3] == 5 * S + 1_000_000 + 4_166_667


@given(
    faults=st.dictionaries(
        st.integers(0, 60), st.sampled_from([DROPPED, 0xFF, UNPLUGGED, LINK_LOST]), max_size=5
    ),
    plugs=st.lists(st.integers(0, 12 * S), max_size=3),
    speed=st.sampled_from([300, 2400, 19200]),
)
def test_runs_change_nothing_but_how_characters_are_handed_over(
    faults: dict[int, int], plugs: list[int], speed: int
) -> None:
    def once(*, in_runs: bool) -> tuple[list[object], Log, bytes, bytes, list[int], int]:
        line, client, server, log = observed_line(in_runs=in_runs, speed=speed)
        # Never the end of a message, so that nobody speaks in the middle of a run.
        line.fault = lambda sender, char, index, time: (
            faults.get(index, char) if char != 0x0A else char
        )
        for instant in plugs:
            line.schedule(instant, line.plug)
        found = line.run(conversation())
        heard = [b"".join(chars for chars, _ in end.heard) for end in (client, server)]
        return found, log, *heard, client.losses, line.now_ns  # type: ignore[return-value]

    assert once(in_runs=True) == once(in_runs=False)


def test_a_run_ends_where_something_else_happens() -> None:
    line, client, server, _ = observed_line(in_runs=True)
    times: list[int] = []
    line.schedule(20 * MS, lambda: times.append(line.now_ns))
    assert text_of(line.run(perform(Identify("12345")))) == "12345"
    assert times == [20 * MS]
    assert [chars for chars, _ in server.heard] == [b"/?12", b"345!\r\n"]
    assert server.heard[0][1] == 16_666_667
    assert len(client.heard) == 1


@given(
    faults=st.dictionaries(
        st.tuples(st.sampled_from(["client", "server"]), st.integers(0, 40)),
        st.one_of(st.integers(-3, 255), st.binary(max_size=3), st.builds(Held, st.integers(0, S))),
        max_size=6,
    )
)
def test_runs_with_named_places_are_the_same_as_runs_that_ask_of_every_character(
    faults: dict[tuple[Sender, int], Verdict],
) -> None:
    asked: list[int] = []

    def once(*, named: bool) -> tuple[object, Log, bytes, bytes]:
        def fault(sender: Sender, char: int, place: int, _: int) -> Verdict:
            asked.append(named)
            return faults.get((sender, place), char)

        def places(sender: Sender, place: int) -> int | None:
            wanted = [p for s, p in faults if s == sender and p >= place]
            return min(wanted, default=None)

        line, client, server, log = observed_line(
            fault=fault, fault_places=places if named else None, in_runs=True
        )
        found = line.run(conversation())
        up, down = (b"".join(chars for chars, _ in end.heard) for end in (server, client))
        return found, log, up, down

    assert once(named=True) == once(named=False)
    assert sum(asked) <= len(faults)


def test_runs_without_observers_carry_the_same_characters_to_the_same_ends() -> None:
    def once(*, watched: bool) -> tuple[object, list[object], list[object]]:
        client, server = Asker(), Answerer()
        line = SimulatedLine(
            client,
            server,
            in_runs=True,
            fault=lambda _sender, char, place, _now: Held(S) if place == 3 else char,
            fault_places=lambda _, place: 3 if place <= 3 else None,
            observers=[lambda *_: None] if watched else [],
        )
        return line.run(conversation()), list(client.heard), list(server.heard)

    assert once(watched=True) == once(watched=False)


def test_a_held_character_and_all_behind_it_come_later() -> None:
    line, _, _, log = observed_line(
        fault=lambda sender, char, place, _: (
            Held(700 * MS) if (sender, place) == ("client", 2) else char
        )
    )
    line.run(perform(Identify("7")))
    ends = [entry[3] for entry in log if entry[0] == "client"]
    late = [0, 0, *[700 * MS] * (len(ends) - 2)]
    assert ends == [-(-k * 10 * S // 2400) + wait for k, wait in enumerate(late, 1)]


def test_a_doubled_character_arrives_twice_at_one_instant() -> None:
    line, _, server, log = observed_line(
        fault=lambda sender, char, place, _: (
            bytes((char, char)) if (sender, place) == ("client", 2) else char
        )
    )
    assert text_of(line.run(perform(Identify("7")))) == "77"
    assert server.heard[2] == (b"77", 12_500_000)
    assert [entry[2] for entry in log[:4]] == list(b"/?77")


def test_a_head_that_echoes_returns_what_arrives() -> None:
    line, client, _, _ = observed_line(
        echo=True,
        fault=lambda sender, char, place, _: ord("8") if (sender, place) == ("client", 2) else char,
    )
    line.run(perform(Identify("7")))
    assert b"".join(chars for chars, _ in client.heard[:6]) == b"/?8!\r\n"
    assert client.heard[0][1] == 4_166_667


def test_an_end_that_fell_silent_sends_nothing_of_what_it_had_left() -> None:
    line, _, server, log = observed_line()
    line.schedule(14 * MS, lambda: line.silence("client"))
    line.run(perform(Identify("7")))
    early = [entry for entry in log if entry[3] < S]
    assert len(early) == 3
    assert line.sent("client") == len([e for e in log if e[0] == "client"])
    assert line.queued("client") == line.queued("server") == 0
    assert server.heard[3][1] > 5 * S

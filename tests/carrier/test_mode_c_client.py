"""The client of mode C as a core: sign-on, password, commands, the ends of a session."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MS, Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.events import (
    Break,
    ClientEvent,
    Command,
    CommandFailed,
    CommandRefused,
    EnterToken,
    Entry,
    Failure,
    Identified,
    Identify,
    Read,
    ReadSnapshot,
    RegistersRead,
    SignedOff,
    TokenEntryAnswered,
    Write,
    Written,
)
from vtc07.carrier.exchange.messages import operand_message
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility, WakeUp
from vtc07.carrier.messages import close
from vtc07.carrier.mode_c_client import Algorithm, ModeCClient
from vtc07.carrier.status import ErrorCode

ACK, NAK, B0, B1 = b"\x06", b"\x15", b"\x01B0\x03\x71", b"\x01B1\x03\x70"
IDENTIFICATION = b"/VTM5050004010003\r\n"
P0 = operand_message("4711")
READOUT = close(b"\x020.0.0(600727111111111153)\r\n!\r\n")
PAN_DATA = close(b"\x020010(600727111111111153)")
TOKEN = "56493153725450313471"


@pytest.fixture(scope="module")
def companion() -> Companion:
    return load_companion("electricity-mode-c")


class Bench:
    """Runs commands against a meter's characters said by hand, on a virtual clock."""

    def __init__(
        self,
        companion: Companion,
        *,
        paced: bool = False,
        password: str | None = None,
        algorithm: Algorithm | None = None,
        speed: int | None = None,
    ) -> None:
        self.table = companion.table
        self.client = ModeCClient(
            companion,
            character_ns=companion.link.character_ns if paced else 0,
            password=password,
            algorithm=algorithm,
            speed=speed,
        )
        self.now_ns = 5 * MS
        self.speed = 300
        self.sent: list[tuple[int, int, bytes]] = []
        self.events: list[ClientEvent] = []

    def _turn(self) -> None:
        for _ in range(2):
            while (change := self.client.next_speed_change()) is not None:
                self.speed = change.speed
            if chars := self.client.bytes_to_send(self.now_ns):
                self.sent.append((self.now_ns // MS, self.speed, chars))
        while (event := self.client.next_event()) is not None:
            self.events.append(event)

    def advance(self, ms: int) -> None:
        end = self.now_ns + ms * MS
        self._turn()
        while (timer := self.client.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.client.handle_timer(self.now_ns)
            self._turn()
        self.now_ns = end

    def start(self, command: Command) -> None:
        self.client.start(command, self.now_ns)
        self._turn()

    def hear(self, chars: bytes, after_ms: int = 500) -> None:
        """Hear the meter after a while in which our own message has gone out."""
        self.advance(after_ms)
        self.client.receive(chars, self.now_ns)
        self._turn()

    def lose(self) -> None:
        self.client.connection_lost(self.now_ns)
        self._turn()

    def sign_on(self) -> None:
        self.start(Identify())
        self.hear(IDENTIFICATION)
        self.hear(P0)

    @property
    def said(self) -> list[bytes]:
        return [chars for _, _, chars in self.sent]

    def event(self) -> ClientEvent:
        return self.events[-1]


def test_identify_is_the_whole_sign_on(companion: Companion) -> None:
    bench = Bench(companion)
    bench.sign_on()
    identified = bench.event()
    assert isinstance(identified, Identified)
    assert identified.level == 0
    assert identified.identity.values == (5, 4, 1, 3)
    assert bench.said == [b"/?!\r\n", b"\x06051\r\n"]
    assert (bench.speed, bench.client.busy) == (9600, False)


def test_a_password_is_part_of_the_sign_on(companion: Companion) -> None:
    bench = Bench(companion, password="12345678")
    bench.sign_on()
    assert bench.events == []
    bench.hear(ACK)
    identified = bench.event()
    assert isinstance(identified, Identified)
    assert identified.level == 2
    assert bench.said[-1] == close(b"\x01P1\x02(12345678)")


def test_a_secure_algorithm_answers_the_operand(companion: Companion) -> None:
    bench = Bench(companion, algorithm=lambda operand: operand[::-1])
    bench.sign_on()
    bench.hear(ACK)
    assert isinstance(bench.event(), Identified)
    assert bench.said[-1] == close(b"\x01P2\x02(1174)")


def test_an_algorithm_that_fails_ends_the_sign_on_and_no_more(companion: Companion) -> None:
    results = iter(["not (sayable)", "4117"])
    bench = Bench(companion, algorithm=lambda _operand: next(results))
    with pytest.raises(ValueError, match="result") as raised:
        bench.sign_on()
    assert "sayable" not in str(raised.value)
    assert not bench.client.busy
    bench.start(Identify())
    bench.advance(2000)
    assert bench.said[-2:] == [B0, b"/?!\r\n"]
    bench.hear(IDENTIFICATION)
    bench.hear(P0)
    bench.hear(ACK)
    assert isinstance(bench.event(), Identified)


@pytest.mark.parametrize("answer", [B0, close(b"\x02(ER04)")], ids=["B0", "an error message"])
def test_a_refused_password_is_not_given_again(companion: Companion, answer: bytes) -> None:
    bench = Bench(companion, password="wrong")
    bench.sign_on()
    bench.hear(answer)
    failed = CommandFailed(Identify(), Failure.PASSWORD_REFUSED, 1)
    assert bench.event() == failed
    bench.advance(10_000)
    said = len(bench.sent)
    for _ in range(3):
        bench.start(Identify())
        assert bench.event() == replace(failed, attempts=0)
    bench.advance(10_000)
    assert len(bench.sent) == said
    bench.client.use_password("right")
    bench.start(Identify())
    bench.advance(3_000)
    assert bench.said[-1] == b"/?!\r\n"


def test_a_password_is_shown_nowhere(companion: Companion) -> None:
    with pytest.raises(ValueError, match="password") as raised:
        ModeCClient(companion, password="se(cret")
    assert "se(cret" not in str(raised.value)
    with pytest.raises(ValueError, match="password"):
        ModeCClient(companion).use_password("se)cret")


def test_a_companion_of_direct_mode_is_refused(electricity: Companion) -> None:
    with pytest.raises(ValueError, match="does not speak mode C"):
        ModeCClient(electricity)


def test_programming_mode_refused(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    for option in (b"\x06051\r\n", b"\x06001\r\n"):
        bench.hear(IDENTIFICATION)
        bench.advance(400)
        assert bench.said[-1] == option
        bench.hear(READOUT)
    assert bench.event() == CommandFailed(Identify(), Failure.PROGRAMMING_REFUSED, 2)
    bench.advance(60_000)
    assert len(bench.sent) == 4


def test_a_meter_of_mode_a_or_b_has_no_programming_mode_here(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    bench.hear(b"/VTMA050004010003\r\n")
    bench.hear(READOUT)
    assert bench.event() == CommandFailed(Identify(), Failure.PROGRAMMING_REFUSED, 1)


def test_commands_are_those_of_the_direct_client(companion: Companion) -> None:
    bench = Bench(companion)
    bench.sign_on()
    bench.start(Read(bench.table.named("meterPAN")))
    bench.hear(PAN_DATA)
    read = bench.event()
    assert isinstance(read, RegistersRead)
    assert read.values[0].value == "600727111111111153"
    bench.start(Write(bench.table.named("installationReference"), "Flat 7"))
    bench.hear(ACK)
    assert isinstance(bench.event(), Written)
    bench.start(Write(bench.table.named("installationReference"), "Flat 7"))
    bench.hear(close(b"\x02(ER04)"))
    refused = bench.event()
    assert isinstance(refused, CommandRefused)
    assert refused.error is ErrorCode.ACCESS_DENIED
    assert all(speed == 9600 for _, speed, _ in bench.sent[2:])


def test_a_token_entry_is_said_once_whatever_comes(companion: Companion) -> None:
    entry = close(f"\x01W1\x02000F({TOKEN})".encode())
    for heard in (NAK, b"", B0, PAN_DATA, b"\x02\xff\x03\x00", IDENTIFICATION):
        bench = Bench(companion)
        bench.sign_on()
        bench.start(EnterToken(TOKEN))
        bench.hear(heard)
        bench.advance(60_000)
        assert bench.event() == TokenEntryAnswered(Entry.UNCERTAIN)
        assert bench.said.count(entry) == 1


def test_every_snapshot_asks_with_another_count(companion: Companion) -> None:
    bench = Bench(companion)
    bench.sign_on()
    bench.start(ReadSnapshot())
    bench.advance(10_000)
    commands = bench.said[2:]
    assert commands == [close(b"\x01R1\x020004(%02X)" % n) for n in (4, 5, 6)]
    assert bench.event() == CommandFailed(ReadSnapshot(), Failure.NO_ANSWER, 3)


def test_b0_of_the_meter_ends_a_command_at_once(companion: Companion) -> None:
    bench = Bench(companion)
    bench.sign_on()
    read = Read(bench.table.named("meterPAN"))
    bench.start(read)
    bench.hear(B0)
    assert bench.event() == CommandFailed(read, Failure.SESSION_ENDED, 1)
    bench.start(read)  # nothing is said without a session
    assert bench.event() == CommandFailed(read, Failure.SESSION_ENDED, 0)
    bench.start(EnterToken(TOKEN))
    assert bench.event() == TokenEntryAnswered(Entry.UNCERTAIN)
    assert TOKEN.encode() not in b"".join(bench.said)


def test_nothing_is_said_before_the_sign_on(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(ReadSnapshot())
    assert bench.event() == CommandFailed(ReadSnapshot(), Failure.SESSION_ENDED, 0)
    bench.start(Break())
    assert bench.event() == SignedOff()
    bench.advance(1_000)
    assert bench.sent == []
    with pytest.raises(ValueError, match="20 decimal digits"):
        bench.start(EnterToken(""))
    with pytest.raises(ValueError, match="no address"):
        bench.start(Identify("a-b"))
    bench.start(Identify())
    with pytest.raises(ValueError, match="one at a time"):
        bench.start(Break())


@pytest.mark.parametrize("paced", [True, False], ids=["serial", "TCP"])
def test_after_a_lost_session_b0_at_its_speed_1500_ms_and_sign_on_at_300(
    companion: Companion, paced: bool
) -> None:
    bench = Bench(companion, paced=paced)
    bench.sign_on()
    bench.start(Read(bench.table.named("meterPAN")))
    bench.advance(60_000)
    failed = bench.event()
    assert isinstance(failed, CommandFailed)
    assert failed.failure is Failure.NO_ANSWER
    bench.lose()
    before = len(bench.sent)
    bench.start(Identify())
    bench.hear(IDENTIFICATION, 3_000)
    bench.hear(P0)
    assert isinstance(bench.event(), Identified)
    (left_ms, *left), (asked_ms, *asked) = bench.sent[before : before + 2]
    assert (left, asked) == ([9600, B0], [300, b"/?!\r\n"])
    assert 1_500 <= asked_ms - left_ms <= 1_510


def test_a_link_lost_ends_what_runs(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    bench.lose()
    assert bench.event() == CommandFailed(Identify(), Failure.LINK_LOST, 1)
    bench.sign_on()
    bench.start(EnterToken(TOKEN))
    bench.advance(300)
    bench.lose()
    assert bench.event() == TokenEntryAnswered(Entry.UNCERTAIN)
    assert not bench.client.busy


def test_break_is_b0_and_leads_back_to_300(companion: Companion) -> None:
    bench = Bench(companion)
    bench.sign_on()
    bench.start(Break())
    bench.advance(300)
    assert bench.event() == SignedOff()
    assert (bench.said[-1], bench.speed) == (B0, 300)


def test_b1_and_its_ack_after_a_fast_wake_up(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(Identify(wake_up=WakeUp.FAST))
    bench.hear(ACK, 600)
    bench.hear(IDENTIFICATION, 900)
    bench.hear(P0)
    assert isinstance(bench.event(), Identified)
    bench.start(Break())
    bench.hear(ACK)
    assert bench.event() == SignedOff()
    assert (bench.said[-1], bench.speed) == (B1, 300)


def test_a_silence_before_the_sign_on(companion: Companion) -> None:
    client = ModeCClient(companion, silence_ns=400 * MS)
    client.start(Identify(), 1_000 * MS)
    assert client.next_timer() == 1_400 * MS
    assert client.bytes_to_send(1_399 * MS) == b""
    assert client.bytes_to_send(1_400 * MS) == b"/?!\r\n"


def test_a_line_that_babbles_holds_a_sign_on_for_the_longest_readout_only(
    companion: Companion,
) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    began_ns = bench.now_ns
    while not bench.events:
        bench.hear(b"x", 1_000)
    assert bench.event() == CommandFailed(Identify(), Failure.NO_ANSWER, 3)
    assert bench.now_ns - began_ns < 3 * 280 * S


def test_a_greatest_speed(companion: Companion) -> None:
    bench = Bench(companion, speed=2400)
    bench.sign_on()
    assert bench.said[-1] == b"\x06031\r\n"
    assert bench.speed == 2400


def test_what_announces_mode_e_is_no_part_of_the_identification(companion: Companion) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    bench.hear(b"/VTM5\\2050004010003\r\n")
    bench.hear(P0)
    identified = bench.event()
    assert isinstance(identified, Identified)
    assert identified.identity.values == (5, 4, 1, 3)


def test_the_reaction_time_that_the_meter_announces_holds_for_commands(
    companion: Companion,
) -> None:
    bench = Bench(companion)
    bench.start(Identify())
    bench.hear(b"/VTm5050004010003\r\n")
    bench.hear(P0)
    heard_ms = bench.now_ns // MS
    bench.start(Read(bench.table.named("meterPAN")))
    bench.advance(100)
    assert bench.sent[-1][0] - heard_ms == 20


def test_deviations_are_the_companions(companion: Companion) -> None:
    compatibility = Compatibility(
        check=CheckCharacter.SUM, crlf_before_etx=True, address_not_echoed=True
    )

    def checked(message: bytes) -> bytes:
        return message + bytes([sum(message[1:]) % 128])

    bench = Bench(replace(companion, compatibility=compatibility))
    bench.start(Identify())
    bench.hear(IDENTIFICATION)
    bench.hear(checked(b"\x01P0\x02(4711)\x03"))
    assert isinstance(bench.event(), Identified)
    bench.start(Read(bench.table.named("tokenStatus"), 2))
    bench.hear(checked(b"\x02(1)\r\n(7)\r\n\x03"))
    assert bench.said[-1] == checked(b"\x01R1\x020004(02)\x03")
    read = bench.event()
    assert isinstance(read, RegistersRead)
    assert [found.value for found in read.values] == [1, 7]
    bench.start(Read(bench.table.named("tokenStatus")))
    bench.hear(checked(b"\x02(ER04)\x03"))
    assert isinstance(bench.event(), CommandRefused)


def test_a_decimal_comma_by_the_companion(companion: Companion) -> None:
    table = companion.table
    scaled = tuple(
        replace(register, scaler=-1, decimal_comma=True)
        if register.name == "activePower"
        else register
        for register in table
    )
    bench = Bench(replace(companion, table=replace(table, registers=scaled)))
    bench.sign_on()
    power = bench.table.named("activePower")
    bench.start(Read(power))
    bench.hear(close(f"\x02{power.address}(7,4*W)".encode()))
    read = bench.event()
    assert isinstance(read, RegistersRead)
    assert read.values[0].value == 74


PIECES = st.one_of(
    st.sampled_from(
        [ACK, NAK, B0, P0, PAN_DATA, READOUT, IDENTIFICATION, close(b"\x02(ER05)"), b"\x02\xff"]
    ),
    st.binary(max_size=10),
)
SEGMENTS = st.lists(PIECES, max_size=3).map(b"".join)  # several messages may come in one piece
HEARD = st.lists(st.tuples(SEGMENTS, st.integers(0, 2_500)), max_size=6)


@given(
    st.lists(st.tuples(st.sampled_from(["on", "read", "snapshot", "token", "off", "cut"]), HEARD)),
    st.sampled_from([None, "12345678"]),
)
def test_whatever_is_heard_every_command_ends_once_and_a_token_is_said_once(
    script: list[tuple[str, list[tuple[bytes, int]]]], password: str | None
) -> None:
    bench = Bench(load_companion("electricity-mode-c"), password=password)
    commands: dict[str, Command] = {
        "on": Identify(),
        "read": Read(bench.table.named("meterPAN")),
        "snapshot": ReadSnapshot(),
        "token": EnterToken(TOKEN),
        "off": Break(),
    }
    entries = ended = 0
    for name, heard in script:
        if name == "cut":
            bench.lose()
            continue
        bench.start(commands[name])
        entries += name == "token"
        for chars, after_ms in heard:
            bench.hear(bytes(0xFF if char > 0x7F else char for char in chars), after_ms)
        while bench.client.busy:
            bench.advance(5_000)
        ended += 1
        assert len(bench.events) == ended
    said = b"".join(bench.said)
    assert said.count(TOKEN.encode()) <= entries
    assert all(b"P1" not in chars or password is not None for chars in bench.said)

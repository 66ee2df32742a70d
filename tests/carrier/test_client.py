"""The client: attempts, NAKs, waits, the snapshot's rule, the token entry that is sent once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.client import Client
from vtc07.carrier.companion import MS, Companion
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
from vtc07.carrier.exchange.settings import WakeUp
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    BREAK_MESSAGE,
    NAK_MESSAGE,
    ErrorMessage,
    IDResponse,
    ReadCommand,
    close,
)
from vtc07.carrier.states import CLIENT, ClientAction, ClientInput, ClientState
from vtc07.carrier.status import ErrorCode

TOKEN = "56493153725450313471"
ID_RESPONSE = IDResponse("VTC", "3", "010000010003").to_chars()


class Bench:
    """Runs commands of a client against answers given by hand, on a virtual clock."""

    def __init__(self, companion: Companion, *, character_ns: int = 0) -> None:
        self.table = companion.table
        self.client = Client(companion, character_ns=character_ns)
        self.now_ns = 5 * MS
        self.sent: list[tuple[int, bytes]] = []
        self.events: list[ClientEvent] = []

    def _turn(self) -> None:
        if chars := self.client.bytes_to_send(self.now_ns):
            self.sent.append((self.now_ns // MS, chars))
        while (event := self.client.next_event()) is not None:
            self.events.append(event)

    def start(self, command: Command) -> None:
        self.client.start(command, self.now_ns)
        self.advance(0)

    def advance(self, ms: int) -> None:
        end = self.now_ns + ms * MS
        self._turn()
        while (timer := self.client.next_timer()) is not None and timer <= end:
            self.now_ns = max(self.now_ns, timer)
            self.client.handle_timer(self.now_ns)
            self._turn()
        self.now_ns = end

    def hear(self, chars: bytes, after_ms: int = 0) -> None:
        self.advance(after_ms)
        self.client.receive(chars, self.now_ns)
        self.advance(0)

    @property
    def commands(self) -> list[bytes]:
        return [chars for _, chars in self.sent]


@pytest.fixture
def bench(electricity: Companion) -> Bench:
    return Bench(electricity)


def read_pan(bench: Bench) -> Read:
    return Read(bench.table.named("meterPAN"))


PAN_DATA = close(b"\x020010(600727000000000009)")


# --- ordinary commands ----------------------------------------------------------------------------


def test_identify(bench: Bench) -> None:
    bench.start(Identify("600727000000000009"))
    assert bench.commands == [b"/?600727000000000009!\r\n"]
    bench.hear(b"\x00\xff" + ID_RESPONSE, 200)
    (event,) = bench.events
    assert isinstance(event, Identified)
    assert event.identity.flag == "VTC"
    assert event.identity.values == (1, 0, 1, 3)
    assert not bench.client.busy


def test_an_identification_of_another_layout_has_no_values(bench: Bench) -> None:
    for text in ("", "0100000100030", "ISk5\\2MT382/1003", "01000001000G"):
        bench.start(Identify())
        bench.hear(IDResponse("ISk", "5", text).to_chars(), 20)
        event = bench.events.pop()
        assert isinstance(event, Identified)
        assert event.identity.identification == text
        assert event.identity.values is None
        bench.advance(500)


@pytest.mark.parametrize("address", ["1" * 33, "12-3", "ä", "1\n"])
def test_an_address_that_cannot_be_said_is_refused(bench: Bench, address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        bench.client.start(Identify(address), 0)
    assert not bench.client.busy


def test_no_answer_three_attempts_2000_ms_after_the_last_character(electricity: Companion) -> None:
    bench = Bench(electricity, character_ns=10 * MS)
    bench.start(read_pan(bench))
    bench.advance(20_000)
    length = len(ReadCommand("0010").to_chars()) * 10
    assert [at for at, _ in bench.sent] == [5, 5 + length + 2000, 5 + 2 * (length + 2000)]
    (event,) = bench.events
    assert event == CommandFailed(read_pan(bench), Failure.NO_ANSWER, 3)


def test_the_first_character_of_an_answer_ends_the_wait_for_it(bench: Bench) -> None:
    bench.start(read_pan(bench))
    bench.advance(1990)
    for char in PAN_DATA:  # slowly: 26 characters in 2.6 s
        bench.hear(bytes([char]))
        assert len(bench.sent) == 1
        bench.advance(100)
    (event,) = bench.events
    assert isinstance(event, RegistersRead)
    assert event.values[0].value == "600727000000000009"


def test_an_answer_that_stops_in_the_middle_gets_a_nak(bench: Bench) -> None:
    bench.start(read_pan(bench))
    bench.hear(PAN_DATA[:-4], 200)
    bench.advance(1499)
    assert len(bench.sent) == 1
    bench.advance(1)
    assert bench.commands[1:] == [NAK_MESSAGE]
    bench.hear(PAN_DATA, 200)
    assert isinstance(bench.events[0], RegistersRead)


def test_three_naks_for_one_answer_then_the_command_again(bench: Bench) -> None:
    command = ReadCommand("0010").to_chars()
    bench.start(read_pan(bench))
    bad = PAN_DATA[:-1] + b"\x0f"
    for _ in range(12):
        bench.hear(bad, 300)
        bench.advance(200)
    assert bench.commands == [command, *[NAK_MESSAGE] * 3] * 3
    assert bench.events == [CommandFailed(read_pan(bench), Failure.DAMAGED, 3)]


def test_a_nak_goes_out_after_the_reaction_time(bench: Bench) -> None:
    bench.start(Identify())
    bench.hear(b"/VTC30100\xff0010003\r\n", 200)
    bench.advance(1000)
    assert bench.sent[1] == (5 + 200 + 200, NAK_MESSAGE)


@pytest.mark.parametrize(
    "data",
    [
        b"0011(00000000000)",  # another register
        b"0011(600727111111111153)",  # another register, with what would be right in this one
        b"0010(600727000000000008)",  # check digit
        b"0010(600727000000000017)",  # the DRN's check digit
        b"0010(60072700000000000)",
        b"0010(600727000000000009*Wh)",
        b"0010(600727000000000009)0011(00000000000)",  # more than asked for
        b"0010",
        b"",
    ],
)
def test_data_that_is_not_what_was_asked_for_counts_as_damaged(bench: Bench, data: bytes) -> None:
    bench.start(read_pan(bench))
    bench.hear(close(b"\x02" + data), 200)
    bench.advance(200)
    assert bench.commands[1:] == [NAK_MESSAGE]


def test_a_prefix_of_what_was_asked_for_is_an_answer(bench: Bench) -> None:
    bench.start(Read(bench.table.named("tokenStatus"), 4))
    bench.hear(close(b"\x020004(0a)0005(00000001)"), 200)
    (event,) = bench.events
    assert isinstance(event, RegistersRead)
    assert [v.value for v in event.values] == [10, 1]


@pytest.mark.parametrize("noise", [b"\x06", b"\x00\x00", b"abc", b"\xff", ID_RESPONSE])
def test_never_a_nak_to_a_single_character_or_to_what_is_no_data(
    bench: Bench, noise: bytes
) -> None:
    bench.start(read_pan(bench))
    bench.hear(noise, 200)
    bench.advance(1799)
    assert len(bench.sent) == 1
    bench.advance(1)
    assert bench.commands[1:] == [bench.commands[0]]


@pytest.mark.parametrize("char", [b"\x02", b"/", b"\x01"])
def test_a_lone_character_that_begins_a_message_gets_no_nak(bench: Bench, char: bytes) -> None:
    """An ACK of which the line made STX: the write is repeated, nothing is said about it."""
    bench.start(Write(bench.table.named("lowCreditThreshold"), 5000))
    bench.hear(char, 200)
    bench.advance(1800)
    assert bench.commands[1:] == [bench.commands[0]]


def test_an_identification_is_as_long_as_the_companion_takes(electricity: Companion) -> None:
    for limit in (20, 64, 100):
        limits = replace(electricity.limits, identification=limit)
        bench = Bench(replace(electricity, limits=limits))
        bench.start(Identify())
        bench.hear(IDResponse("VTC", "3", "x" * (limit + 1)).to_chars(), 200)
        bench.advance(200)
        assert bench.commands[1:] == [NAK_MESSAGE]
        bench.hear(IDResponse("VTC", "3", "x" * limit).to_chars(), 200)
        assert isinstance(bench.events[0], Identified)


def test_nak_of_the_server_is_the_next_attempt(bench: Bench) -> None:
    write = Write(bench.table.named("lowCreditThreshold"), 5000)
    bench.start(write)
    for _ in range(3):
        bench.hear(NAK_MESSAGE, 200)
        bench.advance(200)
    assert len(bench.sent) == 3
    assert bench.events == [CommandFailed(write, Failure.REFUSED_BY_NAK, 3)]


def test_write_is_answered_by_ack_or_an_error(bench: Bench) -> None:
    write = Write(bench.table.named("lowCreditThreshold"), 5000)
    bench.start(write)
    assert bench.commands == [bytes.fromhex("0157310230303330283030303031333838290367")]
    bench.hear(ACK_MESSAGE, 200)
    bench.start(write)
    bench.advance(200)
    bench.hear(ErrorMessage("ER04").to_chars(), 200)
    bench.start(write)
    bench.advance(200)
    bench.hear(ErrorMessage("no access").to_chars(), 200)
    assert bench.events == [
        Written(write.register),
        CommandRefused(write, ErrorCode.ACCESS_DENIED, "ER04"),
        CommandRefused(write, None, "no access"),
    ]


def test_the_next_command_waits_for_the_reaction_time(bench: Bench) -> None:
    bench.start(read_pan(bench))
    bench.hear(PAN_DATA, 200)
    bench.start(read_pan(bench))
    bench.advance(199)
    assert len(bench.sent) == 1
    bench.advance(1)
    assert len(bench.sent) == 2


def test_a_lower_case_third_flag_letter_announces_20_ms(bench: Bench) -> None:
    bench.start(Identify())
    bench.hear(IDResponse("VTc", "3", "010000010003").to_chars(), 20)
    bench.start(read_pan(bench))
    bench.advance(19)
    assert len(bench.sent) == 1
    bench.advance(1)
    assert len(bench.sent) == 2


def test_break_ends_when_it_is_sent(electricity: Companion) -> None:
    bench = Bench(electricity, character_ns=10 * MS)
    bench.start(Break())
    bench.advance(49)
    assert bench.events == []
    bench.advance(1)
    assert bench.events == [SignedOff()]
    assert bench.commands == [BREAK_MESSAGE]


def test_a_lost_link_ends_the_command(bench: Bench) -> None:
    bench.start(read_pan(bench))
    bench.client.connection_lost(bench.now_ns)
    bench.advance(0)
    assert bench.events == [CommandFailed(read_pan(bench), Failure.LINK_LOST, 1)]
    bench.start(read_pan(bench))  # on the link that was opened again
    bench.hear(PAN_DATA, 400)
    assert isinstance(bench.events[-1], RegistersRead)


def test_what_arrives_before_our_own_last_character_answers_nothing(
    electricity: Companion,
) -> None:
    bench = Bench(electricity, character_ns=10 * MS)
    bench.start(Write(bench.table.named("lowCreditThreshold"), 1))
    bench.hear(ACK_MESSAGE, 100)
    assert bench.events == []


# --- the snapshot ---------------------------------------------------------------------------------


def snapshot(count: int, status: str = "01", bcc_error: int = 0) -> bytes:
    values = [status, "00000001", TOKEN, "01", "01", "01", "01", "0000*s", "a 1"]
    body = "".join(f"{4 + i:04X}({v})" for i, v in enumerate(values[:count]))
    chars = close(b"\x02" + body.encode())
    return chars[:-1] + bytes([chars[-1] ^ bcc_error])


def test_every_attempt_at_the_snapshot_asks_with_another_count(bench: Bench) -> None:
    for _ in range(3):
        bench.start(ReadSnapshot())
        bench.advance(8000)
    counts = [chars[9:11] for chars in bench.commands]
    assert counts == [b"04", b"05", b"06", b"07", b"08", b"09", b"04", b"05", b"06"]
    assert bench.events == [CommandFailed(ReadSnapshot(), Failure.NO_ANSWER, 3)] * 3


@pytest.mark.parametrize(
    "chars",
    [
        snapshot(3),
        snapshot(5),
        snapshot(4, bcc_error=1),
        snapshot(4, status="1"),
        ErrorMessage("ER03").to_chars(),
        NAK_MESSAGE,
        ACK_MESSAGE,
        ID_RESPONSE,
        PAN_DATA,
        b"\x02",
    ],
)
def test_only_exactly_these_registers_answer_a_snapshot(bench: Bench, chars: bytes) -> None:
    bench.start(ReadSnapshot())
    bench.hear(chars, 200)
    assert bench.events == []
    if chars != b"\x02":
        bench.hear(snapshot(4), 100)  # the wait went on
        assert isinstance(bench.events[0], RegistersRead)
    else:
        bench.advance(5000)
        assert NAK_MESSAGE not in bench.commands


def test_a_late_answer_to_the_attempt_before_is_not_taken(bench: Bench) -> None:
    bench.start(ReadSnapshot())
    bench.advance(2000)
    assert len(bench.sent) == 2
    bench.hear(snapshot(4, "00"), 50)
    assert bench.events == []
    bench.hear(snapshot(5, "10"), 300)
    (event,) = bench.events
    assert isinstance(event, RegistersRead)
    assert len(event.values) == 5
    assert event.values[0].value == 16


# --- the token entry ------------------------------------------------------------------------------


def entered(bench: Bench) -> TokenEntryAnswered:
    (event,) = bench.events
    assert isinstance(event, TokenEntryAnswered)
    assert [c for c in bench.commands if c != bench.commands[0]] == []
    assert len(bench.sent) == 1
    return event


def test_token_entry_ack(bench: Bench) -> None:
    bench.start(EnterToken(TOKEN))
    assert bench.commands[0][-1] == 0x18
    bench.hear(ACK_MESSAGE, 200)
    assert entered(bench) == TokenEntryAnswered(Entry.ACK)


def test_token_entry_refused_with_a_good_bcc(bench: Bench) -> None:
    bench.start(EnterToken(TOKEN))
    bench.hear(ErrorMessage("ER07").to_chars(), 200)
    assert entered(bench) == TokenEntryAnswered(Entry.REFUSED, ErrorCode.TOKEN_EXECUTING, "ER07")


@pytest.mark.parametrize(
    "chars",
    [
        NAK_MESSAGE,
        ErrorMessage("ER07").to_chars()[:-1] + b"\x13",
        PAN_DATA,
        snapshot(4),
        ID_RESPONSE,
        b"\x02(ER0",
        b"",
        b"\xff",
    ],
)
def test_after_anything_else_the_entry_is_uncertain_and_not_repeated(
    bench: Bench, chars: bytes
) -> None:
    bench.start(EnterToken(TOKEN))
    bench.hear(chars, 200)
    bench.advance(10_000)
    assert entered(bench) == TokenEntryAnswered(Entry.UNCERTAIN)


def test_a_token_entry_on_a_lost_link_is_uncertain(bench: Bench) -> None:
    bench.start(EnterToken(TOKEN))
    bench.client.connection_lost(bench.now_ns)
    bench.advance(0)
    assert entered(bench) == TokenEntryAnswered(Entry.UNCERTAIN)
    assert TOKEN not in repr(EnterToken(TOKEN))


# --- any line -------------------------------------------------------------------------------------


@given(
    which=st.sampled_from(["identify", "read", "write", "snapshot", "entry", "break"]),
    pieces=st.lists(
        st.tuples(
            st.integers(0, 2500),
            st.binary(max_size=30)
            | st.sampled_from([PAN_DATA, ID_RESPONSE, ACK_MESSAGE, NAK_MESSAGE, snapshot(4)]),
        ),
        max_size=40,
    ),
)
def test_every_command_ends_once_whatever_arrives(
    electricity: Companion, which: str, pieces: list[tuple[int, bytes]]
) -> None:
    bench = Bench(electricity)
    commands: dict[str, Command] = {
        "identify": Identify(),
        "read": read_pan(bench),
        "write": Write(bench.table.named("lowCreditThreshold"), 1),
        "snapshot": ReadSnapshot(),
        "entry": EnterToken(TOKEN),
        "break": Break(),
    }
    bench.start(commands[which])
    for pause, chars in pieces:
        bench.hear(chars, pause)
    bench.advance(60_000)
    assert len(bench.events) == 1
    assert not bench.client.busy
    assert bench.client.next_timer() is None
    attempts = [c for c in bench.commands if c != NAK_MESSAGE]
    assert len(attempts) <= (1 if which in ("entry", "break") else 3)
    assert len(bench.commands) <= 12


@given(gap=st.integers(1, 1499), char=st.sampled_from([0x02, 0xFF, 0x41, 0x01, 0x2F]))
def test_a_line_that_babbles_for_ever_cannot_hold_a_command(
    electricity: Companion, gap: int, char: int
) -> None:
    bench = Bench(electricity)
    bench.start(read_pan(bench))
    limit = 200_000 // gap + 1
    heard = 0
    while not bench.events:
        bench.hear(bytes([char]), gap)
        heard += 1
        assert heard < limit, "three attempts with their NAKs never take 200 s"


def test_the_table_is_total_and_a_token_entry_is_never_repeated() -> None:
    for state in ClientState:
        assert set(CLIENT[state]) == set(ClientInput)
    actions = {t.action for t in CLIENT[ClientState.ENTRY].values()}
    assert not actions & {ClientAction.REPEAT, ClientAction.SEND_NAK}


def test_a_companion_without_distinct_snapshots_is_told(electricity: Companion) -> None:
    table = replace(electricity.table, registers=electricity.table.registers[:4])
    client = Client(replace(electricity, table=table))
    with pytest.raises(ValueError, match="no snapshot"):
        client.start(ReadSnapshot(), 0)


# --- wake-up and slow paths -----------------------------------------------------------------------


@pytest.mark.parametrize("character_ns", [0, 4_166_667], ids=["TCP", "2400 Bd"])
def test_a_meter_on_a_battery_is_woken_before_every_attempt(
    electricity: Companion, character_ns: int
) -> None:
    bench = Bench(electricity, character_ns=character_ns)
    bench.start(Identify(wake_up=WakeUp.NORMAL))
    bench.advance(30_000)
    nuls, asked = bench.commands[0::2], bench.commands[1::2]
    assert asked == [b"/?!\r\n"] * 3
    pace = electricity.link.character_ns
    for chars in nuls:
        assert set(chars) == {0}
        assert 2100 * MS <= len(chars) * pace <= 2300 * MS
    for (woken, chars), (at, _) in zip(bench.sent[0::2], bench.sent[1::2], strict=True):
        assert 1500 <= at - woken - len(chars) * pace / MS <= 1700
    assert bench.events == [CommandFailed(Identify(wake_up=WakeUp.NORMAL), Failure.NO_ANSWER, 3)]


def test_a_woken_meter_answers(electricity: Companion) -> None:
    bench = Bench(electricity)
    bench.start(Identify(wake_up=WakeUp.NORMAL))
    bench.advance(3900)
    assert len(bench.sent) == 2
    bench.hear(ID_RESPONSE, 100)
    assert isinstance(bench.events[0], Identified)


def _woken_fast(bench: Bench) -> None:
    bench.start(Identify(wake_up=WakeUp.FAST))
    bench.hear(ACK_MESSAGE, 560)
    bench.advance(600)
    bench.hear(ID_RESPONSE, 300)
    assert isinstance(bench.events[-1], Identified)
    bench.advance(300)


@pytest.mark.parametrize("character_ns", [0, 4_166_667], ids=["TCP", "2400 Bd"])
def test_a_meter_that_is_woken_fast_hears_bursts_until_it_acknowledges(
    electricity: Companion, character_ns: int
) -> None:
    bench = Bench(electricity, character_ns=character_ns)
    bench.start(Identify(wake_up=WakeUp.FAST))
    bench.advance(2_000)
    pace_ms = electricity.link.character_ns / MS
    for (at, nuls), (following, _) in pairwise(bench.sent):
        burst_ms = len(nuls) * pace_ms
        assert set(nuls) == {0}
        assert 500 <= burst_ms <= 600
        assert 20 <= following - at - burst_ms - 2 * pace_ms <= 41
    bench.hear(ACK_MESSAGE)
    woken = bench.now_ns // MS
    bench.advance(1_500)
    assert bench.commands[-1] == b"/?!\r\n"
    assert 200 <= bench.sent[-1][0] - woken <= 1_500


def test_a_meter_that_no_fast_wake_up_wakes_is_asked_after_4500_ms(bench: Bench) -> None:
    bench.start(Identify(wake_up=WakeUp.FAST))
    bench.advance(5_500)
    assert bench.commands[-1] == b"/?!\r\n"
    assert bench.sent[-1][0] - bench.sent[0][0] >= 4_500


def test_b0_follows_where_b1_means_nothing(bench: Bench) -> None:
    _woken_fast(bench)
    bench.start(Break())
    bench.hear(ErrorMessage("ER01").to_chars(), 250)
    bench.advance(300)
    assert bench.commands[-2:] == [b"\x01B1\x03p", BREAK_MESSAGE]
    assert bench.events[-1] == SignedOff()


def test_b1_ends_the_session_of_a_meter_that_was_woken_fast(bench: Bench) -> None:
    _woken_fast(bench)
    bench.start(Break())
    assert bench.commands[-1] == b"\x01B1\x03p"
    bench.advance(100)
    assert bench.client.busy
    bench.hear(ACK_MESSAGE, 200)
    assert bench.events[-1] == SignedOff()
    bench.advance(1_000)
    bench.start(Break())
    assert bench.commands[-1] == BREAK_MESSAGE


def test_b1_is_said_three_times_and_then_the_session_is_over_all_the_same(bench: Bench) -> None:
    _woken_fast(bench)
    bench.start(Break())
    bench.advance(30_000)
    assert bench.commands.count(b"\x01B1\x03p") == 3
    assert bench.events[-1] == SignedOff()
    assert not bench.client.busy


def test_b0_from_a_meter_of_direct_mode_means_nothing(bench: Bench) -> None:
    bench.start(read_pan(bench))
    bench.hear(BREAK_MESSAGE, 250)
    assert bench.client.busy


def test_a_link_lost_during_wake_up_ends_it(bench: Bench) -> None:
    bench.start(Identify(wake_up=WakeUp.NORMAL))
    bench.client.connection_lost(bench.now_ns)
    bench.advance(10_000)
    assert len(bench.sent) == 1
    bench.start(read_pan(bench))  # nothing of the wake-up is left
    bench.advance(300)
    assert bench.commands[1:] == [ReadCommand("0010").to_chars()]


def test_a_profile_stretches_limits_and_nothing_else(electricity: Companion) -> None:
    slow = replace(electricity, timing=electricity.timing.stretched(4))
    bench = Bench(slow)
    bench.start(read_pan(bench))
    bench.hear(PAN_DATA[:5], 7900)  # nearly 8 s late, and 5.9 s between two characters
    bench.hear(PAN_DATA[5:], 5900)
    assert isinstance(bench.events[0], RegistersRead)
    bench.start(read_pan(bench))
    bench.advance(200)
    assert len(bench.sent) == 2  # the reaction time is what it was
    with pytest.raises(ValueError, match="1 or more"):
        electricity.timing.stretched(0)

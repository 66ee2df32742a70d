"""The server: every row of docs/protocol.md 5, and values, reads and errors of section 4."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_server import PAN, ServerBench
from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.companion import MS, Companion
from vtc07.carrier.events import (
    Connected,
    Done,
    End,
    Refused,
    TokenEntered,
    Values,
    WriteRequested,
)
from vtc07.carrier.messages import (
    ACK_MESSAGE,
    BREAK_MESSAGE,
    NAK_MESSAGE,
    ErrorMessage,
    IDRequest,
    ReadCommand,
    WriteCommand,
    close,
    parse_data,
)
from vtc07.carrier.server import Server, same_address
from vtc07.carrier.states import SERVER, ServerInput, ServerState
from vtc07.carrier.status import ErrorCode

SIGN_ON = IDRequest(PAN).to_chars()
READ_PAN = ReadCommand("0010").to_chars()
BAD = READ_PAN[:-1] + bytes([READ_PAN[-1] ^ 1])


@pytest.fixture
def bench(electricity: Companion) -> ServerBench:
    return ServerBench(electricity)


@pytest.fixture
def connected(bench: ServerBench) -> ServerBench:
    assert bench.say(SIGN_ON).startswith(b"/VTC3")
    return bench


def error(code: str) -> bytes:
    return ErrorMessage(code).to_chars()


# --- Idle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chars",
    [
        READ_PAN,
        BREAK_MESSAGE,
        NAK_MESSAGE,
        ACK_MESSAGE,
        b"\x00" * 100,
        IDRequest("600727000000000009").to_chars(),
        b"/?1\xff1!\r\n",
        b"/?" + b"1" * 40 + b"!\r\n",
        b"/?" + PAN.encode() + b"!\n",
        b"garbage \xff\x03\x03\x02",
    ],
)
def test_idle_anything_but_a_clean_id_request_for_this_meter_is_silence(
    bench: ServerBench, chars: bytes
) -> None:
    assert bench.say(chars, 5000) == b""
    assert not bench.server.connected
    assert bench.events == []
    assert bench.say(SIGN_ON).startswith(b"/VTC3")  # and harms nothing


@pytest.mark.parametrize("address", [PAN, "11111111115", "", "0" + PAN, "000011111111115"])
def test_idle_id_request_for_this_meter(bench: ServerBench, address: str) -> None:
    assert bench.say(IDRequest(address).to_chars()) == b"/VTC3000000000000\r\n"
    assert bench.server.connected
    assert Connected() in bench.events


def test_addresses_leading_zeros_case_and_spaces(electricity: Companion) -> None:
    assert same_address("000010203", "10203")
    assert same_address("010203", "0000010203")
    assert same_address("0", "00000000000")
    assert not same_address("102030", "10203")
    assert not same_address("aB", "ab")
    assert not same_address("1 ", "1")
    with pytest.raises(ValueError, match="empty"):
        Server(electricity, [PAN, ""])


# --- Connected ------------------------------------------------------------------------------------


def test_connected_id_request_again_is_answered_and_the_error_count_is_zero(
    connected: ServerBench,
) -> None:
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(SIGN_ON).startswith(b"/VTC3")
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.server.connected


def test_connected_id_request_for_another_is_silence_and_idle(connected: ServerBench) -> None:
    assert connected.say(IDRequest("600727000000000009").to_chars(), 3000) == b""
    assert connected.end is End.OTHER_METER
    assert connected.say(READ_PAN) == b""


@pytest.mark.parametrize(
    "chars",
    [
        BAD,
        READ_PAN.replace(b"0010", b"00\xff0"),
        READ_PAN[:-1] + b"\xff",
        close(b"\x01W1\x020031(" + b"x" * 181 + b")"),
    ],
    ids=["bad BCC", "damaged character", "damaged BCC", "overlong"],
)
def test_connected_damaged_message_nak_and_the_third_in_succession_is_idle(
    connected: ServerBench, chars: bytes
) -> None:
    assert connected.say(chars) == NAK_MESSAGE
    assert connected.say(chars) == NAK_MESSAGE
    assert connected.say(READ_PAN) == close(f"\x020010({PAN})".encode())
    assert connected.say(chars) == NAK_MESSAGE
    assert connected.say(chars) == NAK_MESSAGE
    assert connected.say(chars, 3000) == b""
    assert connected.end is End.ERRORS
    assert connected.say(READ_PAN) == b""


def test_connected_incomplete_message_is_discarded_after_1500_ms_and_counted(
    connected: ServerBench,
) -> None:
    assert connected.say(READ_PAN[:-1], 1499) == b""
    assert connected.say(READ_PAN[-1:]) != b""  # just in time
    assert connected.say(READ_PAN[:-1], 1500) == b""
    assert connected.say(READ_PAN[-1:], 1500) == b""  # one stray character
    assert connected.say(b"\x01R1", 1500) == b""
    assert connected.say(BAD, 3000) == b""  # the third error
    assert connected.end is End.ERRORS


def test_connected_an_incomplete_message_can_be_the_third_error(connected: ServerBench) -> None:
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(BAD) == NAK_MESSAGE
    connected.hear(READ_PAN[:5])
    connected.advance(1499)
    assert connected.server.connected
    connected.advance(1)
    assert connected.end is End.ERRORS


def test_a_message_cut_off_by_a_new_beginning_is_no_error(connected: ServerBench) -> None:
    for _ in range(5):
        assert connected.say(READ_PAN[:5] + READ_PAN).startswith(b"\x020010(")
        assert connected.say(READ_PAN[:5] + SIGN_ON).startswith(b"/VTC3")


def test_connected_stray_characters_and_ack_are_ignored_and_not_counted(
    connected: ServerBench,
) -> None:
    for chars in (b"\x06", b"xyz", b"\xff", b"\x00\x00", b"\x02\x03A", b"/", b"\x06\x06") * 3:
        assert connected.say(chars, 2000) == b""
    assert connected.say(READ_PAN) != b""


@pytest.mark.parametrize(
    "chars", [b"/?\xff!\r\n", b"/?" + b"1" * 40 + b"!\r\n", b"/?1*2!\r\n", b"/?1\r\n"]
)
def test_connected_damaged_malformed_or_overlong_id_request_is_silence_and_one_error(
    connected: ServerBench, chars: bytes
) -> None:
    assert connected.say(chars) == b""
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.server.connected
    assert connected.say(chars, 3000) == b""
    assert connected.end is End.ERRORS


def test_connected_nak_gives_the_last_message_again_three_times(connected: ServerBench) -> None:
    writes: list[WriteRequested | TokenEntered] = []

    def execute(request: WriteRequested | TokenEntered) -> Done:
        writes.append(request)
        return Done()

    connected.write_reply = execute
    command = WriteCommand("0030", "00000064").to_chars()
    assert connected.say(command) == ACK_MESSAGE
    assert [connected.say(NAK_MESSAGE) for _ in range(5)] == [ACK_MESSAGE] * 3 + [b""] * 2
    assert len(writes) == 1  # executed once
    read = connected.say(READ_PAN)
    connected.registers["meterPAN"] = ""
    assert connected.say(NAK_MESSAGE) == read  # the same characters, not a new reading
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(NAK_MESSAGE) == NAK_MESSAGE  # the server's own NAK is a message too


def test_nak_leaves_the_error_count_alone(connected: ServerBench) -> None:
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(BAD) == NAK_MESSAGE
    assert connected.say(NAK_MESSAGE) == NAK_MESSAGE
    assert connected.say(BAD, 3000) == b""
    assert connected.end is End.ERRORS


def test_connected_break_is_silence_and_idle(connected: ServerBench) -> None:
    assert connected.say(BREAK_MESSAGE, 3000) == b""
    assert connected.end is End.BREAK
    assert connected.say(NAK_MESSAGE) == b""


def test_connected_inactivity_counts_from_the_last_character_sent(electricity: Companion) -> None:
    bench = ServerBench(electricity, character_ns=10 * MS)
    bench.say(SIGN_ON)  # at 1000 ms; answered from 1200 ms with 19 characters: until 1390 ms
    assert bench.server.connected
    bench.advance(120_000 - 10 - 1)
    assert bench.server.connected
    bench.advance(1)
    assert bench.end is End.INACTIVITY


def test_no_bcc_place_outlives_the_session(connected: ServerBench) -> None:
    connected.advance(119_500)
    assert connected.say(READ_PAN[:-1], 1000) == b""  # ETX, then inactivity ends the session
    assert connected.end is End.INACTIVITY
    assert connected.say(IDRequest("").to_chars()).startswith(b"/VTC3")


def test_inactivity_is_put_off_by_correct_messages_and_obeyed_naks_only(
    connected: ServerBench,
) -> None:
    connected.advance(119_000)
    assert connected.say(NAK_MESSAGE) != b""
    connected.advance(119_000)
    for _ in range(3):
        connected.say(NAK_MESSAGE)
    connected.say(NAK_MESSAGE)  # the fourth is not obeyed, stray characters are nothing
    connected.say(b"stray")
    assert connected.server.connected
    connected.advance(119_000)
    assert connected.end is End.INACTIVITY


def test_link_closed_is_idle_at_once(connected: ServerBench) -> None:
    connected.hear(READ_PAN[:4])
    connected.server.connection_lost(connected.now_ns)
    connected.advance(10)
    assert connected.end is End.LINK
    assert connected.say(READ_PAN[4:] + READ_PAN) == b""


# --- reaction time --------------------------------------------------------------------------------


def test_the_answer_comes_after_the_reaction_time(connected: ServerBench) -> None:
    asked = connected.now_ns // MS
    connected.say(READ_PAN)
    assert connected.sent[-1][0] == asked + 200


def test_an_answer_that_the_host_gives_too_late_is_not_sent(electricity: Companion) -> None:
    for delay, answered in ((1500, True), (1501, False)):
        bench = ServerBench(electricity, host_delay_ms=delay)
        assert (bench.say(SIGN_ON, 3000) != b"") is answered


def test_what_arrives_before_the_answer_is_out_is_not_heard(connected: ServerBench) -> None:
    connected.hear(READ_PAN)
    connected.hear(BREAK_MESSAGE)
    connected.advance(400)
    assert connected.server.connected


CHARACTER_NS = 4_166_667


def test_what_arrives_before_the_last_character_of_an_answer_is_not_heard(
    electricity: Companion,
) -> None:
    bench = ServerBench(electricity, character_ns=CHARACTER_NS)
    answer = bench.say(SIGN_ON, 200)
    lasts_ms = -(-len(answer) * CHARACTER_NS // MS)
    assert bench.say(READ_PAN, lasts_ms - 1) == b""
    bench.advance(400)
    assert len(bench.sent) == 1  # no answer to it waits behind the first one
    bench.hear(BREAK_MESSAGE)
    assert not bench.server.connected


def test_an_answer_that_a_closed_link_cut_off_keeps_nobody_waiting(electricity: Companion) -> None:
    bench = ServerBench(electricity, character_ns=1000 * MS)
    assert bench.say(SIGN_ON, 200) != b""
    bench.server.connection_lost(bench.now_ns)
    assert bench.say(SIGN_ON) != b""


# --- reads ----------------------------------------------------------------------------------------


def test_a_read_skips_what_may_not_be_read_and_stops_at_the_end(connected: ServerBench) -> None:
    message = parse_data(connected.say(ReadCommand("000B", "03").to_chars()))
    assert message is not None
    assert [s.address for s in message.data_sets] == ["000B", "000C", "0010"]  # type: ignore[union-attr]
    assert connected.say(ReadCommand("0163", "FF").to_chars()) == close(b"\x020163()")


def test_a_long_read_gives_the_longest_prefix_that_fits(connected: ServerBench) -> None:
    connected.registers |= {f"tokenLog.{i}": "x" * 50 for i in range(1, 51)}
    chars = connected.say(ReadCommand("0080", "32").to_chars())
    assert len(chars) <= 1024
    assert chars.count(b"(") == 17  # 17 lines of 56 and 16 CR LF are 984; another would be 1042
    assert connected.say(ReadCommand("0091", "01").to_chars()).count(b"(") == 1


@given(start=st.integers(0, 0x170), count=st.integers(0, 255), length=st.integers(0, 60))
def test_any_read_is_a_whole_message_of_consecutive_registers(
    electricity: Companion, start: int, count: int, length: int
) -> None:
    bench = ServerBench(electricity)
    bench.registers |= {f"tokenLog.{i}": "x" * length for i in range(1, 51)}
    bench.say(SIGN_ON)
    chars = bench.say(ReadCommand(f"{start:04x}", f"{count:02x}").to_chars())
    register = electricity.table.find(f"{start:04X}")
    if register is None:
        assert chars == error("ER03")
    elif register.read_level is None:
        assert chars == error("ER04")
    elif count == 0:
        assert chars == error("ER05")
    else:
        message = parse_data(chars)
        expected = electricity.table.readable_from(register, count)
        found = [s.address for s in message.data_sets]  # type: ignore[union-attr]
        assert found == [r.address for r in expected[: len(found)]]
        assert found
        assert len(chars) <= 1024


# --- writes and errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (close(b"\x01R2\x020004()"), "ER01"),
        (close(b"\x01P1\x02(00000000)"), "ER01"),
        (close(b"\x01"), "ER01"),
        (close(b"\x01R1\x020004"), "ER02"),
        (close(b"\x01B0\x02()"), "ER02"),
        (WriteCommand("0030", "00001388*Wh").to_chars(), "ER02"),
        (ReadCommand("00FF").to_chars(), "ER03"),
        (WriteCommand("00FF", "*").to_chars(), "ER02"),
        (WriteCommand("00FF", "1").to_chars(), "ER03"),
        (ReadCommand("000F", "zz").to_chars(), "ER04"),
        (WriteCommand("0020", "nonsense").to_chars(), "ER04"),
        (ReadCommand("0004", "00").to_chars(), "ER05"),
        (ReadCommand("0004", "4").to_chars(), "ER05"),
        (WriteCommand("0030", "1388").to_chars(), "ER05"),
        (WriteCommand("0030", "0000138G").to_chars(), "ER05"),
        (WriteCommand("0031", "x" * 33).to_chars(), "ER05"),
        (WriteCommand("0031", "a/b").to_chars(), "ER05"),
        (WriteCommand("0031", "x" * 150).to_chars(), "ER05"),
    ],
)
def test_errors_in_their_order_and_an_error_changes_nothing(
    connected: ServerBench, command: bytes, code: str
) -> None:
    before = dict(connected.registers)
    assert connected.say(command) == error(code)
    assert connected.registers == before
    assert connected.server.connected


def test_a_write_reaches_the_host_as_a_value(connected: ServerBench) -> None:
    assert connected.say(WriteCommand("0030", "ffffFFFF").to_chars()) == ACK_MESSAGE
    assert connected.registers["lowCreditThreshold"] == 0xFFFFFFFF
    assert connected.say(WriteCommand("0031", "Shed 4, left").to_chars()) == ACK_MESSAGE
    assert connected.registers["installationReference"] == "Shed 4, left"


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_refusal_of_the_host_is_its_error_message(
    connected: ServerBench, electricity: Companion, code: ErrorCode
) -> None:
    connected.write_reply = lambda _: Refused(code)
    answer = connected.say(WriteCommand("0030", "00000000").to_chars())
    assert answer == error(electricity.errors[code])


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("56493153725450313471", "56493153725450313471"),
        ("73786976294838206463", "73786976294838206463"),
        ("73786976294838206464", None),
        ("99999999999999999999", None),
        ("5649315372545031347", None),
        ("", None),
        ("5649315372545031347A", None),
        ("x" * 150, None),
    ],
)
def test_a_token_entry_reaches_the_host_even_where_it_is_none(
    connected: ServerBench, text: str, token: str | None
) -> None:
    """The host judges: ER07 and ER06 come before ER05."""
    seen: list[WriteRequested | TokenEntered] = []

    def refuse(request: WriteRequested | TokenEntered) -> Refused:
        seen.append(request)
        return Refused(ErrorCode.VALUE_REFUSED)

    connected.write_reply = refuse
    assert connected.say(WriteCommand("000F", text).to_chars()) == error("ER05")
    (entered,) = seen
    assert isinstance(entered, TokenEntered)
    assert entered.token == token
    if token:
        assert token not in repr(entered)


# --- the host's side ------------------------------------------------------------------------------


def test_every_request_is_answered_once_by_a_fitting_reply(electricity: Companion) -> None:
    server = Server(electricity, [PAN])
    server.receive(SIGN_ON, 0)
    assert server.next_event() == Connected()
    with pytest.raises(ValueError, match="no request 7"):
        server.answer(7, Done(), 0)
    with pytest.raises(ValueError, match="no answer"):
        server.answer(1, Done(), 0)
    with pytest.raises(ValueError, match="4 values"):
        server.answer(1, Values((1,)), 0)
    server.answer(1, Values((1, 0, 1, 3)), 0)
    server.answer(1, Values((1, 0, 1, 9)), 0)  # once answered, it is answered
    assert server.bytes_to_send(200 * MS) == b"/VTC3010000010003\r\n"


def test_an_answer_to_a_session_that_ended_goes_nowhere(electricity: Companion) -> None:
    server = Server(electricity, [PAN])
    server.receive(SIGN_ON, 0)
    server.connection_lost(1)
    server.answer(1, Values((1, 0, 1, 3)), 2)
    assert server.bytes_to_send(200 * MS) == b""
    assert server.next_timer() is None


def test_an_answer_that_waits_when_the_link_closes_goes_nowhere(connected: ServerBench) -> None:
    connected.hear(READ_PAN)
    connected.server.connection_lost(connected.now_ns)
    sent = len(connected.sent)
    connected.advance(400)
    assert len(connected.sent) == sent


def test_the_table_is_total() -> None:
    for state in ServerState:
        assert set(SERVER[state]) == set(ServerInput)


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 130_000)), max_size=30))
def test_garbage_never_raises_and_never_reaches_the_host_as_a_write(
    electricity: Companion, pieces: list[tuple[bytes, int]]
) -> None:
    bench = ServerBench(electricity)
    bench.say(SIGN_ON)
    for chars, pause in pieces:
        bench.say(chars, pause)
    writes = [e for e in bench.events if isinstance(e, WriteRequested | TokenEntered)]
    joined = b"".join(chars for chars, _ in pieces)
    assert len(writes) <= joined.count(b"\x01W1\x02")
    bench.say(b"", 200_000)
    assert not bench.server.connected
    assert bench.say(SIGN_ON).startswith(b"/VTC3")


def test_wake_up_is_heard_as_nothing(bench: ServerBench) -> None:
    assert bench.say(bytes(528), 1600) == b""
    assert bench.say(SIGN_ON).startswith(b"/VTC3")
    assert bench.say(bytes(528), 1600) == b""  # nor does it disturb a session
    assert bench.say(READ_PAN) != b""


def test_a_profile_lets_a_message_stop_for_longer(electricity: Companion) -> None:
    bench = ServerBench(replace(electricity, timing=electricity.timing.stretched(4)))
    bench.say(SIGN_ON)
    assert bench.say(READ_PAN[:6], 5999) == b""
    assert bench.say(READ_PAN[6:]) == close(f"\x020010({PAN})".encode())

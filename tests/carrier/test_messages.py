"""Messages: checked frames, and properties of building and parsing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtc07.carrier.messages import (
    BREAK_MESSAGE,
    BreakCommand,
    DataMessage,
    DataSet,
    ErrorMessage,
    IDRequest,
    IDResponse,
    MalformedCommand,
    ReadCommand,
    UndefinedCommand,
    WriteCommand,
    bcc_is_good,
    build_data,
    close,
    parse_command,
    parse_data,
    parse_id_request,
    parse_id_response,
    sets_that_fit,
)

TEXT = st.text(
    st.sampled_from([chr(c) for c in range(0x20, 0x7F) if chr(c) not in "()*/!"]), max_size=40
)
ADDRESS = st.text(st.sampled_from("0123456789ABCDEFabcdef."), min_size=1, max_size=16)


def test_checked_frames_have_the_published_bcc() -> None:
    assert ReadCommand("0004", "04").to_chars()[-1] == 0x63
    assert WriteCommand("000F", "56493153725450313471").to_chars()[-1] == 0x18
    sets = tuple(
        DataSet(a, v)
        for a, v in (("0004", "10"), ("0005", "00000000"), ("0006", ""), ("0007", "00"))
    )
    assert DataMessage(sets).to_chars()[-1] == 0x02
    sets = tuple(
        DataSet(a, v)
        for a, v in (
            ("0004", "01"),
            ("0005", "00000001"),
            ("0006", "56493153725450313471"),
            ("0007", "01"),
        )
    )
    assert DataMessage(sets).to_chars()[-1] == 0x0A
    assert ErrorMessage("ER07").to_chars() == b"\x02(ER07)\x03\x12"
    assert bytes.fromhex("0142300371") == BREAK_MESSAGE
    assert bcc_is_good(BREAK_MESSAGE)


@given(st.text(st.sampled_from("0123456789ABCxyz "), max_size=32))
def test_id_request_round_trip(address: str) -> None:
    assert parse_id_request(IDRequest(address).to_chars()) == IDRequest(address)


def test_what_is_no_id_request() -> None:
    for chars in (
        b"/?!\r",
        b"/?!\n",
        b"/?12-3!\r\n",
        b"/?" + b"1" * 33 + b"!\r\n",
        b"/?1!2!\r\n",
        b"/?1!\r\n ",
    ):
        assert parse_id_request(chars) is None, chars


@given(st.text(st.sampled_from("0123456789ABCDEF\\@. "), max_size=64))
def test_id_response_round_trip(identification: str) -> None:
    response = IDResponse("VTc", "3", identification)
    assert parse_id_response(response.to_chars()) == response


@given(ADDRESS, TEXT)
def test_commands_round_trip(address: str, value: str) -> None:
    read, write = ReadCommand(address, value), WriteCommand(address, value)
    assert parse_command(read.to_chars()) == read
    assert parse_command(write.to_chars()) == write
    assert bcc_is_good(read.to_chars())


def test_count_is_empty_or_two_hexadecimal_digits_and_never_zero() -> None:
    numbers = {t: ReadCommand("0004", t).number for t in ("", "01", "0b", "FF", "00", "1", "001")}
    assert numbers == {"": 1, "01": 1, "0b": 11, "FF": 255, "00": None, "1": None, "001": None}


def test_commands_that_are_malformed_or_undefined() -> None:
    malformed = [
        b"\x01R1\x020004",
        b"\x01R1",
        b"\x01R1\x02",
        b"\x01R1\x02(04)",
        b"\x01R1X\x020004()",
        b"\x01W1\x020030(00001388*Wh)",
        b"\x01W1\x020030(00001388)0032(01)",
        b"\x01W1\x020030(0000\x001388)",
        b"\x01W1\x020030(0000(1388)",
        b"\x01B0\x02",
        b"\x01B0\x02()",
        b"\x01B0 ",
    ]
    for body in malformed:
        assert isinstance(parse_command(close(body)), MalformedCommand), body
    for body in (b"\x01R2\x020004()", b"\x01", b"\x01R", b"\x01r1\x020004()", b"\x01\xff\xff\x02"):
        assert isinstance(parse_command(close(body)), UndefinedCommand), body
    assert isinstance(parse_command(close(b"\x01B0")), BreakCommand)


@given(st.lists(st.tuples(ADDRESS, TEXT, st.none() | st.sampled_from(["Wh", "s"])), min_size=1))
def test_data_is_the_longest_prefix_that_fits_and_no_line_is_too_long(
    parts: list[tuple[str, str, str | None]],
) -> None:
    sets = [DataSet(*part) for part in parts]
    chars = build_data([str(s) for s in sets])
    assert len(chars) <= 1024
    assert bcc_is_good(chars)
    parsed = parse_data(chars)
    assert isinstance(parsed, DataMessage)
    count = len(parsed.data_sets)
    assert parsed.data_sets == tuple(sets[:count])
    for line in chars[1:-2].split(b"\r\n"):
        assert len(line) <= 78 or line.count(b"(") == 1
    if count < len(sets):
        # One more would not have fitted, laid out by hand: on the last line or on a new one.
        last = chars[1:-2].rsplit(b"\r\n", 1)[-1]
        more = len(str(sets[count]))
        assert len(chars) + more + (2 if len(last) + more > 78 else 0) > 1024
    assert sets_that_fit([len(str(s)) for s in sets]) == (count, len(chars))


@given(TEXT.filter(lambda t: len(t) <= 32))
def test_error_round_trip(text: str) -> None:
    assert parse_data(ErrorMessage(text).to_chars()) == ErrorMessage(text)


@given(st.binary(max_size=200))
def test_parsers_take_anything(noise: bytes) -> None:
    """Whatever the characters are, a parser answers, and what it finds says what was there."""
    message = parse_data(close(b"\x02" + noise))
    if isinstance(message, DataMessage):
        rebuilt = b"".join(str(s).encode() for s in message.data_sets)
        assert rebuilt == noise.replace(b"\r\n", b"")
    command = parse_command(close(b"\x01" + noise))
    if isinstance(command, ReadCommand | WriteCommand):
        assert command.to_chars() == close(b"\x01" + noise)
    request = parse_id_request(noise)
    assert request is None or request.to_chars() == noise
    response = parse_id_response(noise)
    assert response is None or response.to_chars() == noise

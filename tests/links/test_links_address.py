from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtc07.links.address import (
    Address,
    AddressError,
    InnerAddress,
    PtyAddress,
    RFC2217Address,
    SerialAddress,
    SimulatedAddress,
    TCPAddress,
    parse,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://127.0.0.1:4059", TCPAddress("127.0.0.1", 4059)),
        ("TCP://meter-7.example:1/", TCPAddress("meter-7.example", 1)),
        ("tcp://[::1]:4059", TCPAddress("::1", 4059)),
        ("tcp://[fe80::1%eth0]:65535", TCPAddress("fe80::1%eth0", 65535)),
        (" /dev/ttyUSB0 ", SerialAddress("/dev/ttyUSB0")),
        ("/dev/serial/by-id/usb-head", SerialAddress("/dev/serial/by-id/usb-head")),
        ("/tmp/head", SerialAddress("/tmp/head")),
        ("com3", SerialAddress("COM3")),
        ("COM120", SerialAddress("COM120")),
        ("rfc2217://10.0.0.7:2217", RFC2217Address("10.0.0.7", 2217)),
        ("RFC2217://[fe80::1%eth0]:7/", RFC2217Address("fe80::1%eth0", 7)),
        ("pty:/tmp/meter", PtyAddress("/tmp/meter")),
        ("pty:a folder/meter", PtyAddress("a folder/meter")),
        ("sim:meter.db", SimulatedAddress("meter.db")),
        ("sim:./a folder/x", SimulatedAddress("./a folder/x")),
        ("inner:electricity-3", InnerAddress("electricity-3")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse(text) == address
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "meter",
        "127.0.0.1:4059",
        "tcp://127.0.0.1",
        "tcp://:4059",
        "tcp://::1:4059",
        "tcp://host:port",
        "tcp://host:65536",
        "tcp://host:" + "9" * 5000,
        "tcp://a..b:1",
        "tcp://" + "a" * 64 + ":1",
        "rfc2217://" + "é" * 80 + ".example:1",
        "tcp://" + "a." * 200 + "b:1",
        "tcp://host:40 59",
        "tcp://host:4059/path",
        "tcp://user@host:4059",
        "inner:",
        "inner:a b",
        "inner:a-",
        "/dev/",
        "COM0",
        "COM",
        "sim:",
        "udp://host:1",
        "rfc2217://host",
        "rfc2217://host:0",
        "rfc2217://host:65536",
        "rfc2217:host:1",
        "tcp:host:1",
        "pty:",
        "pty",
    ],
)
def test_wrong_addresses_are_one_sentence_that_says_what_would_be_right(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert ":" in sentence
    assert any(form in sentence for form in ("://", "sim:", "pty:", "65535"))


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        address = parse(text)
    except AddressError:
        return
    assert parse(str(address)) == address

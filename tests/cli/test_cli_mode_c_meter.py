"""A meter of mode C by the command line: made with a password, served over TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_bench import PAN, contents, done, here, new_meter, one_sentence, secret_file, served, vtc07

from vtc07.carrier.exchange.messages import CommandMessage, check_is_good

__all__ = ["here"]

PASSWORD = "Vq7-Kx 93"

#: A meter that answers fast, for tests in real time.
FAST = """
extends = "electricity-mode-c"
[identity]
flag = "VTm"
[timing]
fast_reaction_ms = 1
[meter]
execution_ms = 5
[mode_c.password]
failures = 1
"""


class Probe:
    """A client that knows nothing but characters."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, chars: bytes, end: bytes, more: int = 0) -> bytes:
        """Send characters; return what comes up to ``end`` and so many characters more."""
        self._connection.sendall(chars)
        heard = b""
        while end not in heard or len(heard) < heard.index(end) + len(end) + more:
            part = self._connection.recv(4096)
            assert part, heard
            heard += part
        return heard

    def sign_on(self, option: bytes) -> bytes:
        assert self.say(b"/?!\r\n", b"\r\n").startswith(b"/VTm505000401")
        return self.say(option, b"\x03", 1)

    def command(self, code: str, data: str, end: bytes = b"\x03", more: int = 1) -> bytes:
        return self.say(CommandMessage(code, data).to_chars(), end, more)


@contextmanager
def probe(address: str) -> Iterator[Probe]:
    """Connect to a served meter."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Probe(connection)


def test_a_meter_with_a_password(here: Path) -> None:
    secret_file(here / "pw", PASSWORD)
    made = done(
        "meter", "new", "m.meter", "--companion", "electricity-mode-c", "--password-file", "pw"
    )
    assert "password" in made.out
    assert "set" in made.out
    document = done(
        "meter", "new", "n.meter", "--companion", "electricity-mode-c", "--password-file", "-",
        "--json", typed=PASSWORD + "\r\n",
    )  # fmt: skip
    assert document.json["password"] is True
    assert document.json["companion"] == "electricity-mode-c"
    shown = done("meter", "show", "m.meter")
    for result in (made, document, shown):
        assert PASSWORD not in result.everything
    (here / "pw").unlink()
    assert not any(PASSWORD.encode() in content for content in contents(here).values())


def test_a_meter_of_mode_c_without_one_is_told_of(here: Path) -> None:
    made = done("meter", "new", "m.meter", "--companion", "electricity-mode-c")
    assert "--password-file" in made.err
    made = done("meter", "new", "n.meter", "--json")
    assert "--password-file" not in made.err
    assert made.json["password"] is False


def test_a_password_file_for_everyone_is_warned_of(here: Path) -> None:
    (here / "pw").write_text(PASSWORD)
    (here / "pw").chmod(0o644)
    made = done(
        "meter", "new", "m.meter", "--companion", "electricity-mode-c", "--password-file", "pw"
    )
    assert "chmod 600 pw" in made.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no password file"),
        (b"\n", "no password file"),
        (b"Vq7-Kx\n93\n", "no password file"),
        (b"Vq7-Kx\x0093", "no password file"),
        ("Vq7-Kx93ä".encode(), "no password file"),
        (b"Vq7-Kx93" * 1000, "no password file"),
        (b"Vq7-Kx93" * 5, "1 to 32 characters"),
        (b"Vq7-Kx(93", "1 to 32 characters"),
        (b"Vq7-Kx*93", "1 to 32 characters"),
    ],
)
def test_what_is_no_password_is_refused_and_not_repeated(
    here: Path, content: bytes, said: str
) -> None:
    (here / "pw").write_bytes(content)
    (here / "pw").chmod(0o600)
    result = vtc07(
        "meter", "new", "m.meter", "--companion", "electricity-mode-c", "--password-file", "pw"
    )
    assert result.code == 2
    assert said in one_sentence(result.err)
    assert "Vq7-Kx" not in result.everything
    assert [path.name for path in here.iterdir()] == ["pw"]


def test_a_password_file_that_is_not_there(here: Path) -> None:
    result = vtc07(
        "meter", "new", "m.meter", "--companion", "electricity-mode-c", "--password-file", "pw"
    )
    assert result.code == 2
    assert "the password" in one_sentence(result.err)


def test_a_direct_meter_knows_no_password(here: Path) -> None:
    secret_file(here / "pw", PASSWORD)
    result = vtc07("meter", "new", "m.meter", "--password-file", "pw")
    assert result.code == 2
    assert "--password-file" in one_sentence(result.err)
    assert not (here / "m.meter").exists()


def test_a_meter_of_mode_c_is_served_over_tcp(here: Path) -> None:
    (here / "fast.toml").write_text(FAST)
    secret_file(here / "pw", PASSWORD)
    new_meter("m.meter", "--companion", "fast.toml", "--password-file", "pw")
    token = done("token", "issue", "credit", "5.0", "--test-key", "--json").json["token"]
    with served("m.meter", "--trace", "trace.jsonl") as meter:
        with probe(meter.address) as client:
            readout = client.sign_on(b"\x06050\r\n")
            assert check_is_good(readout)
            assert b"\r\n1.8.0(0*Wh)\r\n" in readout
        with probe(meter.address) as client:
            assert client.sign_on(b"\x06051\r\n") == b"\x01P0\x02()\x03\x60"
            assert client.command("W1", "0032(1)").startswith(b"\x02(ER04)")
            assert client.command("P1", f"({PASSWORD})", b"\x06", 0) == b"\x06"
            assert client.command("W1", "0032(1)", b"\x06", 0) == b"\x06"
            assert client.command("W1", f"000F({token})", b"\x06", 0) == b"\x06"
            while b"0004(16)" in (answer := client.command("R1", "0004(4)")):
                pass
            assert answer.startswith(f"\x020004(1)0005(1)0006({token})0007(1)\x03".encode())
        with probe(meter.address) as client:
            client.sign_on(b"\x06051\r\n")
            assert client.command("P1", "(Vq7-Kx 94)") == b"\x01B0\x03q"
            client.sign_on(b"\x06051\r\n")  # which works in the delay
            assert client.command("P1", f"({PASSWORD})") == b"\x01B0\x03q"
        code, err = meter.stop()
    assert code == 0
    assert "Accept" in err
    assert "after wrong passwords none is compared for 60 s" in err
    shown = done("meter", "show", "m.meter")
    assert "password 60" in shown.out
    written = (here / "trace.jsonl").read_text()
    for said in (err, written, shown.everything):
        assert PASSWORD not in said
        assert PASSWORD.encode().hex() not in said.lower().replace(" ", "")


def test_what_is_left_of_a_meter_of_mode_c_is_served(here: Path) -> None:
    (here / "fast.toml").write_text(FAST)
    new_meter("m.meter", "--companion", "fast.toml", "--pan", PAN, "--test-key")
    content = bytearray((here / "m.meter").read_bytes())
    at = content.index(b'{"balance"')
    content[at + 2] ^= 1
    (here / "m.meter").write_bytes(content)
    with served("m.meter") as meter:
        with probe(meter.address) as client:
            assert client.say(b"/?!\r\n", b"\r\n") == b"/VTm5050004010041\r\n"
            readout = client.say(b"\x06050\r\n", b"\x03", 1)
            assert readout.startswith(f"\x020.0.0({PAN})\r\n".encode())
            assert b"F.F(0041)" in readout
        assert meter.stop()[0] == 2


def test_the_companion_is_listed_shown_and_good(here: Path) -> None:
    listed = done("companion", "list", "--json").json["companions"]
    assert {c["name"]: c["sign_on"] for c in listed}["electricity-mode-c"] == "mode-c"
    assert "good" in done("companion", "check", "electricity-mode-c").out
    shown = done("companion", "show", "electricity-mode-c").out
    for said in (
        "300, 600, 1200, 2400, 4800, 9600 Bd",
        "opens level 2",
        "0.0.0, C.1.0",
        "1.8.0",
        "rw (w: 2)",
        "(000F, 19.40.9)",
    ):
        assert said in shown
    document = done("companion", "show", "electricity-mode-c", "--json").json
    assert document["mode_c"]["password"]["opens"] == 2
    assert document["mode_c"]["readout"][0] == "meterPAN"
    assert document["mode_c"]["compatibility"]["check"] == "xor"
    assert [level["gate"] for level in document["access"]] == ["none", "password"]
    registers = {register["name"]: register for register in document["registers"]}
    assert registers["totalConsumption"]["alias"] == "1.8.0"
    assert registers["lowCreditThreshold"]["write_level"] == 2
    assert registers["lowCreditThreshold"]["access"] == "rw"
    assert registers["tokenEntry"]["read_level"] is None
    direct = done("companion", "show", "electricity")
    assert "alias" not in direct.out
    assert done("companion", "show", "electricity", "--json").json["mode_c"] is None


def test_deviations_are_shown(here: Path) -> None:
    (here / "own.toml").write_text(
        'extends = "electricity-mode-c"\n[compatibility]\ncheck = "sum"\nlf_line_ends = true\n'
    )
    assert "check sum, lf_line_ends" in done("companion", "show", "./own.toml").out


def test_a_companion_that_is_wrong_is_told_with_line_and_key(here: Path) -> None:
    (here / "own.toml").write_text('extends = "electricity-mode-c"\n[mode_c]\nspeeds = [9600]\n')
    result = vtc07("companion", "check", "own.toml")
    assert result.code == 2
    assert "own.toml, line 3: mode_c.speeds: 300 is missing" in result.out

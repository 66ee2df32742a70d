"""Secrets: none in any output, whatever is done; prompts at a real terminal do not show them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_bench import (
    DECODER_KEY,
    FAST,
    OTHER_VENDING_KEY,
    PAN,
    PROGRAM,
    SHORT_VENDING_KEY,
    VENDING_KEY,
    Result,
    credit,
    done,
    here,
    secret_file,
    served,
    vtc07,
)

from vtc07.cli.failure import without_keys
from vtc07.tokens import DKGA, EA, KRN, KT, SGC, TI, BaseDate, MeterPAN, VendingKey
from vtc07.tokens import derive_decoder_key as derive

__all__ = ["here"]

STORE_KEY = "6B" * 32


def _material(vending_key: str, dkga: DKGA, krn: int, ea: EA) -> bytes:
    return derive(
        dkga, VendingKey.from_hex(vending_key), MeterPAN(PAN), KT.DUTK, SGC("111222"), TI("01"),
        KRN(krn), BaseDate.Y2014, ea,
    ).material  # fmt: skip


def _shapes(material: bytes) -> list[str]:
    """Return how a key, or half of one, might be written."""
    parts = [material, *(material[at : at + 8] for at in range(0, len(material) - 7, 8))]
    shapes: list[str] = []
    for part in parts:
        text = part.hex()
        pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
        shapes += [text, " ".join(pairs), ":".join(pairs), str(int.from_bytes(part, "big"))]
        shapes += [repr(part), str(list(part))]
    words = [material[at : at + 4] for at in range(0, len(material), 4)]
    return [*shapes, *(str(int.from_bytes(word, "big")) for word in words)]


@pytest.mark.parametrize("ea", [EA.STA, EA.MISTY1])
def test_no_key_in_any_output_of_a_whole_workflow(here: Path, ea: EA) -> None:
    (here / "fast.toml").write_text(FAST)
    secret_file(here / "old.hex", VENDING_KEY)
    secret_file(here / "new.hex", OTHER_VENDING_KEY)
    secret_file(here / "store.key", STORE_KEY)
    key = ("--vending-key-file", "old.hex", "--pan", PAN, "--ea", ea.code)
    store = ("--store-key-file", "store.key")
    outputs: list[Result] = []

    def run(*arguments: str) -> Result:
        for extra in ((), ("--json",)):
            outputs.append(vtc07(*arguments, *extra))
        return outputs[-1]

    new = ("meter", "new", "m.meter", "--companion", "fast.toml", *key, "--sgc", "111222", *store)
    outputs.append(vtc07(*new))
    run(*new)  # it exists
    run("token", "issue", "credit", "5.0", *key, "--sgc", "111222")
    run("token", "issue", "credit", "5.0", *key, "--sgc", "111222", "--dkga", "02")
    change = run(
        "token", "keychange", *key, "--from-sgc", "111222", "--to-vending-key-file", "new.hex",
        "--to-krn", "2",
    )  # fmt: skip
    token = credit("5.0", *key, "--sgc", "111222")
    sections = [section["token"] for section in change.json["tokens"]]
    run("token", "decode", token, *sections, *key, "--sgc", "111222")
    run("meter", "enter", "m.meter", token, *store)
    run("send", "sim:m.meter", *sections, *store, "--trace", "t1.jsonl")
    run("meter", "show", "m.meter", *store)
    run("meter", "show", "m.meter")  # without the key
    run("read", "sim:m.meter", "--all", *store)
    with served("m.meter", *store, "--trace", "t2.jsonl") as meter:
        run("identify", meter.address)
        run("read", meter.address, "--companion", "fast.toml", "--all")
        run("send", meter.address, token, "--companion", "fast.toml")
        _, err = meter.stop()
    everything = "".join(result.everything for result in outputs) + err
    for name in ("t1.jsonl", "t2.jsonl"):
        if (here / name).exists():
            everything += (here / name).read_text()
    journal = b"".join(p.read_bytes() for p in (here / "state").rglob("*") if p.is_file())
    assert journal.startswith(b"SQLite format 3")
    everything += journal.decode("latin-1")
    store_bytes = (here / "m.meter").read_bytes()
    lowered = everything.lower()
    keys = [bytes.fromhex(k) for k in (VENDING_KEY, OTHER_VENDING_KEY, STORE_KEY)]
    keys += [
        _material(VENDING_KEY, DKGA.DKGA04, 1, ea),
        _material(OTHER_VENDING_KEY, DKGA.DKGA04, 2, ea),
    ]
    assert "accept" in lowered  # the workflow went its way
    assert "set1stsectiondecoderkey" in lowered
    for material in keys:
        assert material not in store_bytes
        assert material not in journal
        for shape in _shapes(material):
            assert shape.lower() not in lowered


def test_what_has_the_shape_of_a_key_is_not_repeated() -> None:
    for key in (SHORT_VENDING_KEY, DECODER_KEY, "0123456789ABCDEF" * 2, VENDING_KEY):
        assert without_keys(f"no such option: {key!r}.") == (
            "no such option: '(hexadecimal digits, not shown)'."
        )
    for kept in ("12345678901234567890", PAN, "600727", "tcp://127.0.0.1:4059"):
        assert without_keys(f"about {kept} this") == f"about {kept} this"


_AT_A_TERMINAL = """
import os, sys
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)  # a session's first terminal becomes its own
os.dup2(terminal, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_key_typed_at_a_terminal_is_not_shown(here: Path) -> None:
    arguments = [
        *("token", "issue", "credit", "5.0", "--pan", PAN, "--sgc", "111222"),
        *("--at", "2026-03-01T12:00", "--rnd", "7"),
    ]
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_A_TERMINAL, os.ttyname(slave), *PROGRAM[1:], *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = os.read(master, 100)  # the prompt: from then on nothing is echoed
    os.write(master, VENDING_KEY.encode() + b"\n")
    out, err = process.communicate()
    os.set_blocking(master, False)
    os.close(slave)
    try:
        while more := os.read(master, 1000):
            shown += more
    except OSError:
        pass  # all of it was read
    os.close(master)
    assert process.returncode == 0, err
    assert b"Vending key" in shown + err.encode()
    assert VENDING_KEY.encode() not in shown
    assert VENDING_KEY not in out + err
    secret_file(here / "vk.hex", VENDING_KEY)
    expected = done(*arguments, "--vending-key-file", "vk.hex")
    assert out == expected.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_nothing_moves_while_a_password_is_typed(here: Path) -> None:
    secret_file(here / "pw", "Vq7-Kx 93")
    options = ("--companion", "electricity-mode-c", "--password-file", "pw")
    done("meter", "new", "m.meter", *options)
    master, slave = os.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _AT_A_TERMINAL, os.ttyname(slave), *PROGRAM[1:]),
            *("write", "sim:m.meter", "installationReference=Flat 7"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
        env=os.environ | {"TERM": "vt100"},
    )
    shown = b""
    while b"Enter alone: none): " not in shown:
        shown += os.read(master, 4096)
    os.write(master, b"Vq7-Kx 93\n")
    out, _ = process.communicate()
    os.close(slave)
    os.close(master)
    assert process.returncode == 0
    assert b"written and read back" in out
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"Connecting")  # the cursor is there again


@pytest.mark.parametrize("length", [15, 16, 31, 32, 33, 39, 40, 41, 63, 64, 65])
@pytest.mark.parametrize("prefix", ["", "0x"])
@pytest.mark.parametrize(
    "command",
    [
        ("meter", "show", "{}"),
        ("read", "sim:{}"),
        ("token", "issue", "credit", "{}", "--test-key"),
        ("companion", "show", "{}"),
        ("token", "issue", "credit", "1", "--vending-key-file", "{}"),
        ("token", "issue", "credit", "1", "--decoder-key-file", "{}"),
        ("meter", "show", "x", "--store-key-file", "{}"),
    ],
)
def test_what_may_be_a_key_typed_as_an_argument_is_never_repeated(
    here: Path, command: tuple[str, ...], prefix: str, length: int
) -> None:
    typed = ("0F1E2D3C4B5A69788796A5B4C3D2E1F0" * 3)[:length]
    result = vtc07(*(word.format(prefix + typed) for word in command))
    assert result.code == 2
    assert typed not in result.err + result.out


def test_what_is_no_key_is_shown() -> None:
    for text in (
        "MeterPAN 600727000000000009",
        "token 56493153725450313471 or 5649 3153 7254 5031 3471",
        "(its SHA-256 is " + "0123456789abcdef" * 4 + ")",
        "/srv/0123456789abcdef0123/a.meter cannot be opened",
        "20260301 and 2026-03-01",
    ):
        assert without_keys(text) == text

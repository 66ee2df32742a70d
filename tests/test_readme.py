"""The README's examples do what they say."""

from __future__ import annotations

import re
import shlex
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from vtc07.carrier.companion_file import load_companion
from vtc07.cli.main import main
from vtc07.links import blocking
from vtc07.links.address import TCPAddress
from vtc07.meter import MemoryStore, Meter, MeterServer, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    RND,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    TransferCredit,
    encode,
)

README = Path(__file__).resolve().parents[1] / "README.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def console(after: str) -> list[tuple[list[str], str]]:
    """Return the commands of the console block behind a heading, each with what it prints."""
    text = README.read_text(encoding="utf-8").split(f"## {after}\n", 1)[1]
    block = re.findall(r"```console\n(.*?)```", text, re.DOTALL)[0]
    steps: list[tuple[list[str], str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append((shlex.split(line[2:], comments=True), ""))
        else:
            steps[-1] = (steps[-1][0], steps[-1][1] + line + "\n")
    return steps


def test_what_is_to_be_typed_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    tried = 0
    for words, shown in console("Try it"):
        if words[0] != "vtc07":
            continue
        result = CliRunner().invoke(main, words[1:])
        if shown:
            assert result.stdout == shown, " ".join(words)
            tried += 1
    assert tried >= 4


def run(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_a_token_in_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run(examples()[0])
    assert re.fullmatch(r"(\d{4} ){4}\d{4}\n", capsys.readouterr().out)


def test_a_delivery_to_a_served_meter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    companion = load_companion("electricity")
    key = DecoderKey.from_hex(EA.MISTY1, "00112233445566778899aabbccddeeff")
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    pan = MeterPAN("600727000000000009")
    state = manufacture(companion, pan, key, attributes, TID(0))
    token = encode(TransferCredit(Service.ELECTRICITY, RND(5), TID(6_000_000), 250), key)

    port = blocking.TCPPort(TCPAddress("127.0.0.1", 0))
    meter = Meter(companion, MemoryStore(state), now_ns=0, execution_ns=0)
    driver = blocking.ServerDriver(MeterServer(companion, meter), port)
    serving = threading.Thread(target=driver.serve)
    serving.start()
    try:
        code = examples()[1].replace('"127.0.0.1", 4059', f'"127.0.0.1", {port.address.port}')
        run(re.sub(r'TokenToSend\("\d{20}"\)', f'TokenToSend("{token.digits}")', code))
    finally:
        driver.stop()
        serving.join()
    assert capsys.readouterr().out == "delivered: Accept\n"
    assert meter.state.account.balance == 25_000
    assert token.digits.encode() in (tmp_path / "deliveries.journal").read_bytes()

"""Sessions of our client with our meter on a simulated line: what every corpus begins with.

No randomness and no clock: the same characters each time. The keys are tests' keys.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import perform, wait
from vtc07.carrier.events import EnterToken, Read, ReadSnapshot
from vtc07.carrier.registers import Register
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.hhu.writing import write
from vtc07.links.simulated import DROPPED, SimulatedLine
from vtc07.meter import MemoryStore, Meter, MeterServer, MeterState, Rules, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    TransferCredit,
    encode,
)
from vtc07.trace.message import TraceMessage
from vtc07.trace.recorder import Recorder

PAN = "600727111111111153"
MADE = 5_000_000
KEYS = {ea: DecoderKey(ea, bytes(range(1, ea.key_bytes + 1))) for ea in EA}
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
_SERVED = ("electricity", "water", "time")


def new_meter(companion: Companion, ea: EA = EA.MISTY1) -> MeterState:
    """Return a meter fresh from the factory."""
    return manufacture(companion, MeterPAN(PAN), KEYS[ea], ATTRIBUTES, TID(MADE))


def sessions() -> dict[str, list[TraceMessage]]:
    """Return the messages of sessions by name: sound lines and faulty ones."""
    found = {name: _session(load_companion(name), fault=0) for name in _SERVED}
    for fault in (1, 3):
        found[f"electricity-faults-{fault}"] = _session(load_companion("electricity"), fault=fault)
    return found


def _session(companion: Companion, *, fault: int) -> list[TraceMessage]:
    """Run a session; with ``fault`` one character of 1499 is hit."""
    meter = Meter(companion, MemoryStore(new_meter(companion)), now_ns=0, execution_ns=S)
    messages: list[TraceMessage] = []
    recorder = Recorder(messages.append, start_ns=0)

    def hit(_sender: str, char: int, index: int, _now: int) -> int:
        if not fault or index % 1499 != 200 * fault:
            return char
        return (0xFF, DROPPED, char ^ 3)[index % 3]

    line = SimulatedLine(
        Client(companion),
        MeterServer(companion, meter),
        fault=hit,
        observers=[recorder.character],
    )
    line.run(_procedure(companion))
    recorder.finish()
    return messages


def _procedure(companion: Companion) -> Generator[Any, Any, None]:
    table = companion.table
    session = Session(companion, address=PAN)
    service = Rules.of(companion).service
    credit = encode(TransferCredit(service, 5, MADE + 60, 100), KEYS[EA.MISTY1]).digits
    yield from session.identify()
    yield from read(session, _registers(companion))
    threshold, reference = table.named("lowCreditThreshold"), table.named("installationReference")
    yield from write(session, [(threshold, 1000), (reference, "Flat 7")], verify=True)
    tokens = [TokenToSend(credit), TokenToSend(credit[:-1] + "7")]
    yield from send(session, MemoryJournal(), tokens, wall_clock=_wall_clock)
    yield from perform(EnterToken("0" * 20))
    yield from perform(ReadSnapshot())
    yield from wait(2 * S)
    yield from perform(Read(table.named("tokenEntry")))
    yield from session.sign_off()


def _registers(companion: Companion) -> list[Register]:
    logs = [r for r in companion.table if "." in r.name and not r.name.endswith((".1", ".2"))]
    return [r for r in companion.table if r.read_level == 0 and r not in logs]


def _wall_clock() -> datetime:
    return datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

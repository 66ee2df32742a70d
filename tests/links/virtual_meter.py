"""A whole virtual meter to be served at a real port, and a session of a client with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import Procedure, perform
from vtc07.carrier.events import Break, ClientEvent, Identified, Identify, Read, RegistersRead
from vtc07.links import blocking
from vtc07.links.link import Link, LinkUnavailable, Port
from vtc07.meter import MemoryStore, Meter, MeterServer, manufacture
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
)

MS = 1_000_000
GUARD_S = 60
PAN = "600727000000000009"


def quick_companion(reaction_ms: int = 1) -> Companion:
    """The shipped one, with reaction times that let a test over a real port be quick."""
    companion = load_companion("electricity")
    reaction_ns = reaction_ms * MS
    timing = replace(companion.timing, reaction_ns=reaction_ns, fast_reaction_ns=reaction_ns)
    return replace(companion, timing=timing)


def virtual_meter(companion: Companion, *, character_ns: int = 0) -> MeterServer:
    """Return a meter that was made just now."""
    key = DecoderKey.from_hex(EA.MISTY1, "00112233445566778899aabbccddeeff")
    attributes = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014)
    made = datetime(2026, 1, 1, tzinfo=UTC)
    state = manufacture(companion, MeterPAN(PAN), key, attributes, made)
    meter = Meter(companion, MemoryStore(state), now_ns=0)
    return MeterServer(companion, meter, character_ns=character_ns)


@contextlib.contextmanager
def serving(driver: blocking.ServerDriver) -> Iterator[list[LinkUnavailable]]:
    """Serve in a thread; what `serve` raised is in the list afterwards."""
    raised: list[LinkUnavailable] = []

    def serve() -> None:
        try:
            driver.serve()
        except LinkUnavailable as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield raised
    finally:
        driver.stop()
        thread.join(GUARD_S)
        assert not thread.is_alive()


def served(port: Port, companion: Companion) -> blocking.ServerDriver:
    """Return what serves a new meter at a port."""
    meter = virtual_meter(companion, character_ns=port.character_ns)
    return blocking.ServerDriver(meter, port)


def session(companion: Companion) -> Procedure[list[ClientEvent]]:
    """Greet a meter, read a register of it, and take leave."""
    register = companion.table.named("lockoutRemaining")
    return [
        (yield from perform(Identify())),
        (yield from perform(Read(register))),
        (yield from perform(Break())),
    ]


def have_a_session(
    open_link: Callable[[], Link], companion: Companion, *, character_ns: int = 0
) -> None:
    """Run `session` over a new link, and hold what it found against the meter."""
    core = Client(companion, character_ns=character_ns)
    with blocking.ClientDriver(core, open_link) as client:
        identified, read, _ = client.run(session(companion))
    assert isinstance(identified, Identified), identified
    assert isinstance(read, RegistersRead), read
    assert read.values[0].value == 0

"""Meters in the conditions that a support desk hears of, and what a diagnosis says of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hhu_bench import KEY, PAN, MeterLine

from vtc07.carrier.companion import Companion, S
from vtc07.hhu.diagnosis.facts import Code, Finding, Receipt
from vtc07.hhu.diagnosis.run import Diagnosis, diagnose
from vtc07.hhu.journal.deliveries import Delivery
from vtc07.hhu.session import Session
from vtc07.meter import Load, Meter, MeterServer, MeterState, manufacture
from vtc07.tokens import (
    KEN,
    KRN,
    KT,
    SGC,
    TCT,
    TI,
    TID,
    BaseDate,
    DecoderKey,
    KeyAttributes,
    MeterPAN,
    Service,
    Token,
    TransferCredit,
    encode,
)

#: The day on which everything is diagnosed.
TODAY = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
#: When the bench's meters were made, and tokens are issued, in minutes of base date 14.
MADE = TID.of(datetime(2025, 6, 1, 8, 0, tzinfo=UTC), BaseDate.Y2014)
TODAYS_TID = TID.of(TODAY, BaseDate.Y2014)
ATTRIBUTES = KeyAttributes(KT.DUTK, SGC("123456"), TI("01"), KRN(2), KEN(255), BaseDate.Y2014)
FITTING = Receipt(meter=PAN, sgc="123456", krn=2, kt=2, ti="01")
NOWHERE = DecoderKey(KEY.ea, bytes(range(100, 116)))


def made(
    companion: Companion,
    *,
    key: DecoderKey = KEY,
    pan: str = PAN,
    at: TID | datetime = MADE,
    phases: int = 1,
    **changes: Any,
) -> MeterState:
    """Manufacture a meter; ``changes`` are attributes of its key."""
    attributes = replace(ATTRIBUTES, **changes)
    return manufacture(companion, MeterPAN(pan), key, attributes, at, phases=phases)


class Patient:
    """A meter on a line, its supply, and a technician who asks what is wrong with it."""

    def __init__(self, companion: Companion, state: MeterState | None = None, **made_as: Any):
        self.bench = MeterLine(companion, state=state or made(companion, **made_as))
        self.companion = companion

    @property
    def state(self) -> MeterState:
        return self.bench.meter.state

    def take(self, *tokens: Token | str, key: DecoderKey = KEY, pause_s: int = 2) -> list[str]:
        """Have tokens entered at the port's own carrier; returns their digits."""
        digits = [t if isinstance(t, str) else encode(t, key).digits for t in tokens]
        for token in digits:
            self.bench.meter.enter(token, TCT.VIRTUAL, self.bench.line.now_ns)
            self.bench.line.idle(pause_s * S)
        return digits

    def load(self, load: Load) -> None:
        """Hang a load on it; it is switched off for a moment."""
        bench = self.bench
        bench.meter.power_off(bench.line.now_ns)
        bench.line.idle(S)
        meter = Meter(self.companion, bench.store, now_ns=bench.line.now_ns, load=load)
        bench.meter = meter
        bench.line.server = MeterServer(self.companion, meter, character_ns=bench.character_ns)

    def asked(
        self,
        token: str | None = None,
        receipt: Receipt | None = None,
        *,
        deliveries: Iterable[Delivery] = (),
        today: datetime = TODAY,
        quiet: bool = True,
    ) -> Diagnosis:
        """Diagnose it; nothing in it may change by that. ``quiet``: nobody else does anything."""
        before = self.state
        receipt = replace(receipt or Receipt(), token=token)
        diagnosis = self.bench.run(
            diagnose(
                Session(self.bench.companion),
                receipt,
                wall_clock=lambda: today,
                deliveries=lambda: deliveries,
            )
        )
        after = self.state
        assert after.tokens_executed == before.tokens_executed or not quiet
        assert after.events_counted == before.events_counted or after.powered_s > before.powered_s
        return diagnosis


def found(diagnosis: Diagnosis, code: Code) -> Finding:
    """Return the one finding of this code."""
    (finding,) = [f for f in diagnosis.findings if f.code is code]
    return finding


def codes(diagnosis: Diagnosis) -> set[Code]:
    """Return the codes of all findings."""
    return {finding.code for finding in diagnosis.findings}


def credit(
    amount: int = 100, *, tid: int = TODAYS_TID, service: Service = Service.ELECTRICITY
) -> TransferCredit:
    """A credit token; ``amount`` in tenths of the service's unit."""
    return TransferCredit(service, 5, TID(tid), amount)

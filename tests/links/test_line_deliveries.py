"""Tokens over a simulated line that does what real ones do: speeds, noise, echo, collisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, Parity, SignOn
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, NoLink, Outcome, Unresolved
from vtc07.hhu.session import Session
from vtc07.links.link import Sender
from vtc07.links.noise import Noise
from vtc07.links.simulated import SimulatedLine
from vtc07.links.waveform import format_of
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

S = 1_000_000_000
PAN = MeterPAN("600727000000000009")
KEY = DecoderKey(EA.MISTY1, bytes(range(16)))
COMPANIONS = ["electricity", "electricity-mode-c"]


class Pair:
    """A client, a payment meter, and the line between them."""

    def __init__(self, companion: Companion, **options: Any) -> None:
        attributes = KeyAttributes(
            KT.DUTK, SGC("123456"), TI("01"), KRN(1), KEN(255), BaseDate.Y2014
        )
        state = manufacture(companion, PAN, KEY, attributes, TID(5_000_000))
        self.companion = companion
        self.meter = Meter(companion, MemoryStore(state), now_ns=0)
        mode_c = companion.sign_on is SignOn.MODE_C
        pace = companion.link.character_ns
        self.line = SimulatedLine(
            (ModeCClient if mode_c else Client)(companion, character_ns=pace),
            MeterServer(companion, self.meter, character_ns=pace),
            speed=companion.link.speed,
            **options,
        )

    def send(self, count: int) -> Sequence[Outcome]:
        """Send tokens of 1 kWh each and sign off."""
        session = Session(self.companion, meter_pan=PAN.digits)
        tokens = [
            encode(TransferCredit(Service.ELECTRICITY, RND(5), TID(6_000_000 + n), 10), KEY)
            for n in range(count)
        ]
        report = self.line.run(
            send(
                session,
                MemoryJournal(),
                [TokenToSend(token.digits, has_tid=True) for token in tokens],
                wall_clock=lambda: datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
            )
        )
        self.line.run(session.sign_off())
        return report.outcomes

    @property
    def balance(self) -> int:
        return self.meter.state.account.balance


@pytest.mark.parametrize("speed", [300, 1200, 19200])
def test_tokensgo_over_a_line_of_any_speed(speed: int) -> None:
    companion = load_companion("electricity")
    pair = Pair(replace(companion, link=replace(companion.link, speed=speed)))
    outcomes = pair.send(2)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    assert pair.balance == 2000


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_client_at_the_wrong_speed_reaches_nobody_and_harms_nobody(name: str) -> None:
    pair = Pair(load_companion(name), server_speed=1200)
    assert [type(outcome) for outcome in pair.send(1)] == [NoLink]
    assert pair.balance == 0
    assert pair.line.speed("server") == 1200


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_client_without_parity_reaches_no_meter_that_checks_it(name: str) -> None:
    pair = Pair(load_companion(name), client_format=format_of(Parity.NONE))
    assert [type(outcome) for outcome in pair.send(1)] == [NoLink]
    assert pair.balance == 0


@pytest.mark.parametrize("name", COMPANIONS)
def test_nobody_speaks_into_another_s_words(name: str) -> None:
    pair = Pair(load_companion(name), collisions=True)
    outcomes = pair.send(2)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]


@pytest.mark.parametrize("name", COMPANIONS)
@pytest.mark.parametrize("rate", [0.0002, 0.001, 0.002])
def test_what_is_reported_over_a_noisy_line_is_true(name: str, rate: float) -> None:
    delivered = 0
    for seed in range(5):
        pair = Pair(load_companion(name), noise=Noise(rate, seed))
        outcomes = pair.send(2)
        sure = sum(isinstance(outcome, Delivered) for outcome in outcomes)
        unsure = sum(isinstance(outcome, Unresolved) for outcome in outcomes)
        assert sure * 1000 <= pair.balance <= (sure + unsure) * 1000, (seed, outcomes)
        delivered += sure
    if rate < 0.001:
        assert delivered == 10


def test_a_session_of_mode_c_changes_its_speed_at_both_ends_and_back() -> None:
    speeds: list[tuple[int, int]] = []
    pair = Pair(load_companion("electricity-mode-c"))

    def note(_who: Sender, _sent: int, _arrived: int, _now: int) -> None:
        speeds.append((pair.line.speed("client"), pair.line.speed("server")))

    pair.line.observers = (note,)
    assert [type(outcome) for outcome in pair.send(1)] == [Delivered]
    pair.line.idle(5 * S)
    assert speeds[0] == (300, 300)
    assert speeds.count((9600, 9600)) > 150
    assert pair.line.speed("client") == pair.line.speed("server") == 300

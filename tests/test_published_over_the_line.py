"""Published tokens, delivered by a hand-held unit over a line into meters with the test keys.

Each vector of `published.json` (EA07 and EA11) gets a meter of its own, manufactured with the
published decoder key, and must give the result and the effect that its fields say; the fields are
read here without the project's token layer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vtc07.carrier.client import Client
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.registers import Value
from vtc07.carrier.status import TokenStatus
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.outcome import Delivered, Refused
from vtc07.hhu.reading import read
from vtc07.hhu.session import Session
from vtc07.links.simulated import SimulatedLine
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
    StaTables,
    TransferCredit,
    encode,
    load_tables,
)

SERVICES = ("electricity", "water", "gas", "time")
UNITS = {"electricity": 100, "water": 100, "gas": 100, "time": 6}  # base units in 0.1
BASE_DATES = {93: BaseDate.Y1993, 14: BaseDate.Y2014, 35: BaseDate.Y2035}
TEST_PAN = "600727000000000009"

Vector = Mapping[str, Any]


def amount(field16: int) -> int:
    """Decode Amount as the standard's table of offsets says, in 0.1 units or W."""
    exponent, mantissa = field16 >> 14, field16 & 0x3FFF
    return int((0, 16384, 180224, 1818624)[exponent] + mantissa * 10**exponent)


@dataclass
class Bench:
    """A meter of its own for one vector, and a hand-held unit connected to it."""

    line: SimulatedLine
    session: Session
    journal: MemoryJournal
    attributes: KeyAttributes

    def send(self, *tokens: str) -> list[TokenStatus]:
        report = self.line.run(
            send(
                self.session,
                self.journal,
                [TokenToSend(token) for token in tokens],
                wall_clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
        found = []
        for outcome in report.outcomes:
            assert isinstance(outcome, Delivered | Refused), outcome
            found.append(outcome.status)
        return found

    def read(self, *names: str) -> tuple[Value, ...]:
        table = self.session.companion.table
        wanted = [table.named(name) for name in names]
        return tuple(found.value for found in self.line.run(read(self.session, wanted)).values)


def bench(service: str, vector: Vector, tables: StaTables, key: str) -> Bench:
    companion = load_companion(service)
    pan = MeterPAN(vector.get("meter_pan") or vector.get("pan") or TEST_PAN)
    of_key = vector.get("old", vector)
    attributes = KeyAttributes(
        KT(vector.get("kt", 2)),
        SGC(of_key.get("sgc", "201457")),
        TI(of_key.get("ti", "01")),
        KRN(of_key.get("krn", 1)),
        KEN(vector.get("ken", 255)),
        BASE_DATES[of_key.get("bdt", 93)],
    )
    ea = EA(vector.get("ea", 11))
    decoder_key = DecoderKey.from_hex(ea, key, tables)
    state = manufacture(companion, pan, decoder_key, attributes, TID(0))
    meter = Meter(companion, MemoryStore(state), now_ns=0)
    line = SimulatedLine(Client(companion), MeterServer(companion, meter), speed=9600)
    return Bench(line, Session(companion, address=str(pan)), MemoryJournal(), attributes)


def published(shared: Path) -> Iterator[tuple[str, Vector]]:
    document = json.loads((shared / "vectors" / "published.json").read_text())
    for part in document["sets"]:
        if part["name"].startswith("STS 531"):
            for number, vector in enumerate(part["vectors"]):
                yield f"{part['name'][:20]} {number} {vector.get('id', '')}", vector


@pytest.fixture(scope="module")
def tables(shared: Path) -> StaTables:
    return load_tables((shared / "data" / "sta_tables.json").read_bytes())


def judge_credit(vector: Vector, sub: int, value16: int, tables: StaTables) -> str:
    key = vector["decoder_key"]
    if sub >= 4:  # currency is out of the carrier's scope
        meter = bench("electricity", vector, tables, key)
        assert meter.send(vector["token"]) == [TokenStatus.FUNCTION_ERROR]
        assert meter.read("creditBalance", "totalCreditAccepted") == (0, 0)
        return "currency"
    service = SERVICES[sub]
    meter = bench(service, vector, tables, key)
    worth = amount(value16) * UNITS[service]
    assert meter.send(vector["token"]) == [TokenStatus.ACCEPT]
    credited, switch, newest = meter.read("totalCreditAccepted", "loadSwitch", "acceptedTID.1")
    assert credited == worth
    assert switch == (worth > 0)
    if "tid" in vector:
        assert newest == vector["tid"]
    assert meter.send(vector["token"]) == [TokenStatus.USED_ERROR]
    assert meter.read("totalCreditAccepted") == (worth,)
    other = bench(SERVICES[(sub + 1) % 4], vector, tables, key)
    assert other.send(vector["token"]) == [TokenStatus.FUNCTION_ERROR]
    assert other.read("totalCreditAccepted") == (0,)
    return f"credit of {service}"


def judge_management(vector: Vector, sub: int, value16: int, tables: StaTables) -> str:
    meter = bench("electricity", vector, tables, vector["decoder_key"])
    own = TransferCredit(Service.ELECTRICITY, RND(5), TID(2**24 - 1), 500)
    if vector.get("ken", 255) == 255:
        key = DecoderKey.from_hex(EA(vector["ea"]), vector["decoder_key"], tables)
        assert meter.send(encode(own, key).digits) == [TokenStatus.ACCEPT]
    (status,) = meter.send(vector["token"])
    limits = meter.read("maximumPowerLimit", "maximumPhasePowerUnbalanceLimit")
    (credit,) = meter.read("creditBalance")
    match sub:
        case 0:
            assert (status, limits) == (TokenStatus.ACCEPT, (amount(value16), 0))
        case 1 if value16 in (0, 0xFFFF):
            assert (status, credit) == (TokenStatus.ACCEPT, 0)
        case 1:
            undefined = value16 > 7
            expected = TokenStatus.RANGE_ERROR if undefined else TokenStatus.FUNCTION_ERROR
            assert (status, credit) == (expected, 50_000)
        case 5:
            assert status is TokenStatus.ACCEPT
        case 6:
            assert (status, limits) == (TokenStatus.ACCEPT, (0, amount(value16)))
        case _:
            assert status is TokenStatus.FUNCTION_ERROR
    return f"management {sub}"


SECTIONS = {
    3: TokenStatus.FIRST_KCT,
    4: TokenStatus.SECOND_KCT,
    8: TokenStatus.THIRD_KCT,
    9: TokenStatus.FOURTH_KCT,
}


def judge_section(vector: Vector, sub: int, tables: StaTables) -> str:
    """A section by itself is staged, and changes nothing."""
    meter = bench("electricity", vector, tables, vector["decoder_key"])
    before = meter.read("SGC", "KRN", "KT", "TI", "KEN")
    assert meter.send(vector["token"]) == [SECTIONS[sub]]
    assert meter.read("SGC", "KRN", "KT", "TI", "KEN") == before
    (server_status,) = meter.read("serverStatus")
    assert int(server_status) & 0x10  # key change pending
    return f"section {sub}"


def judge_key_change(vector: Vector, tables: StaTables) -> str:
    """The set in reverse order: everything changes with the last token, and the new key works."""
    meter = bench("electricity", vector, tables, vector["old_key"])
    tokens = vector["tokens"]
    subs = {2: (3, 4), 3: (3, 4, 8), 4: (3, 4, 8, 9)}[len(tokens)]
    results = meter.send(*reversed(tokens))
    expected = [SECTIONS[sub] for sub in reversed(subs)]
    assert results == [*expected[:-1], TokenStatus.ACCEPT]
    new = vector["new"]
    carries_sgc = len(tokens) > 2
    sgc = new["sgc"] if carries_sgc else vector["old"]["sgc"]
    found = meter.read("SGC", "KRN", "TI", "KEN", "baseDate")
    assert found == (sgc, new["krn"], new["ti"], new["ken"], str(new["bdt"]))
    key = DecoderKey.from_hex(EA(vector["ea"]), vector["new_key"], tables)
    token = encode(TransferCredit(Service.ELECTRICITY, RND(5), TID(1000), 7), key)
    assert meter.send(token.digits) == [TokenStatus.ACCEPT]
    assert meter.read("creditBalance") == (700,)
    return f"key change of {len(tokens)}"


def judge(vector: Vector, tables: StaTables) -> str:
    if vector.get("kind") == "kct_set":
        return judge_key_change(vector, tables)
    token_class, sub = vector["cls"], vector["sub"]
    if token_class == 1:
        meter = bench("electricity", {}, tables, "00112233445566778899aabbccddeeff")
        expected = TokenStatus.FUNCTION_ERROR if sub == 2 else TokenStatus.ACCEPT
        assert meter.send(vector["token"]) == [expected]
        return f"class 1 sub {sub}"
    value16 = vector.get("value16")
    if value16 is None:
        value16 = int(vector["data44"], 16) & 0xFFFF
    if token_class == 0:
        return judge_credit(vector, sub, value16, tables)
    if sub in SECTIONS:
        return judge_section(vector, sub, tables)
    return judge_management(vector, sub, value16, tables)


def test_every_published_token_has_its_result_and_its_effect(
    shared: Path, tables: StaTables
) -> None:
    judged: Counter[str] = Counter()
    vectors = list(published(shared))
    wrong = []
    for name, vector in vectors:
        try:
            judged[judge(vector, tables)] += 1
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)
    assert judged.total() == len(vectors) > 300
    for kind in ("credit", "currency", "management", "section", "key change", "class 1"):
        assert sum(n for name, n in judged.items() if name.startswith(kind)) > 0, kind

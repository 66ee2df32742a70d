"""Whatever a meter tells and whatever is typed, a diagnosis ends in whole sentences."""

from __future__ import annotations

from datetime import UTC, datetime

from hhu_bench import PAN, ScriptedMeter, without
from hypothesis import given, settings
from hypothesis import strategies as st

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.registers import Register, Value
from vtc07.hhu.diagnosis.document import document_of, entry_of
from vtc07.hhu.diagnosis.facts import Receipt
from vtc07.hhu.diagnosis.run import diagnose
from vtc07.hhu.resolution import Snapshot
from vtc07.hhu.session import Session
from vtc07.hhu.texts import names_in

ELECTRICITY = load_companion("electricity")
TOKENS = ["1" * 20, "0" * 20, "36893488147419103232", "12345678901234567890", ""]
kinds = st.sampled_from(
    ["", "0.0", "0.1", "0.5", "0.9", "1.0", "2.1", "2.3", "2.4", "2.8", "2.9", "2.12", "3.0"]
)
printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="()*/!")
log_entries = st.one_of(
    st.just(""),
    st.text(printable, max_size=40),
    st.builds(
        lambda sequence, token, tid, kind, value, status: (
            f"{sequence},{token},{tid},{kind},{value},{status}"
        ),
        st.integers(0, 2**33),
        st.sampled_from(TOKENS[:4]),
        st.one_of(st.just(""), st.integers(0, 99_999_999)),
        kinds,
        st.one_of(st.just(""), st.integers(0, 2**60)),
        st.integers(0, 30),
    ),
)
names = st.sampled_from(["token", "lockout", "keyChange", "tamper", "switchOpen", "password", "x"])
event_entries = st.one_of(
    st.just(""),
    st.builds(
        lambda time, name, detail: f"{time},{name},{detail}",
        st.integers(0, 5000),
        names,
        st.one_of(st.just(""), st.integers(0, 2**32 - 1)),
    ),
)
texts = st.one_of(
    st.sampled_from(["93", "14", "35", "11", "123456", "01", PAN, "", "x"]),
    st.text(printable, max_size=18),
)


def _value(register: Register) -> st.SearchStrategy[Value]:
    if register.data_type.is_number:
        return st.one_of(
            st.integers(0, min(20, register.data_type.maximum)),
            st.integers(register.data_type.minimum, register.data_type.maximum),
        )
    if register.name.startswith("tokenLog"):
        return log_entries
    if register.name.startswith("eventLog"):
        return event_entries
    if register.name == "lastToken":
        return st.sampled_from(TOKENS)
    size = register.data_type.size
    return texts.map(lambda text: text[:size])


@st.composite
def tellings(draw: st.DrawFn) -> dict[str, Value]:
    return {
        register.name: draw(_value(register))
        for register in ELECTRICITY.table
        if register.name.partition(".")[2] in ("", *map(str, range(1, 7)))
    }


clocks = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with its zone
receipts = st.builds(
    Receipt,
    meter=st.none() | texts,
    sgc=st.none() | texts,
    krn=st.none() | st.integers(0, 12),
    kt=st.none() | st.integers(0, 5),
    ti=st.none() | texts,
    issued=st.none() | st.datetimes(timezones=st.just(UTC)),
    base_date=st.none() | st.sampled_from(["93", "14", "35"]),
    token=st.none() | st.sampled_from(TOKENS) | st.text(max_size=25),
)


@settings(max_examples=40)
@given(
    tellings(),
    receipts,
    clocks,
    st.sets(
        st.sampled_from(
            [
                "serverStatus",
                "tokenLog",
                "eventLog",
                "acceptedTID",
                "creditBalance",
                "KEN",
                "baseDate",
            ]
        )
    ),
)
def test_any_meter_and_any_receipt(
    told: dict[str, Value], receipt: Receipt, now: datetime, lacking: set[str]
) -> None:
    companion = without(
        ELECTRICITY, *(r.name for r in ELECTRICITY.table if r.name.partition(".")[0] in lacking)
    )
    bench = ScriptedMeter(companion)
    bench.registers.update(told)
    bench.registers["meterPAN"] = PAN
    bench.snapshots.append(Snapshot(0, 0, "", 0))
    diagnosis = bench.run(diagnose(Session(companion), receipt, wall_clock=lambda: now))
    assert diagnosis.of_meter
    for finding in diagnosis.findings:
        for sentence in (finding.what, finding.advice):
            assert sentence is None or names_in(sentence.template) <= dict(sentence.values).keys()
    document = document_of(diagnosis, mask=True)
    entry = entry_of(diagnosis, now)
    shown = str(document["findings"]) + str(entry.members)
    if diagnosis.token is not None:
        assert diagnosis.token not in shown

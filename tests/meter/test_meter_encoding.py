"""What a commit writes: the difference between two states is that of their whole encodings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench_meter import MeterBench, credit, new_meter
from bench_store import ELECTRICITY, KEY
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vtc07.carrier.status import TokenStatus
from vtc07.carrier.token_entry import Lockout
from vtc07.meter import MeterState
from vtc07.meter.encoding import decode, encode, encode_changes
from vtc07.meter.logs import Event, EventName, TokenLogEntry
from vtc07.meter.state import Account, LastToken, LoadSwitch, Settings, Staging
from vtc07.meter.store_contents import CHECK, Contents, Name, Row, named, named_changes
from vtc07.tokens import (
    EA,
    KRN,
    KT,
    DecoderKey,
    Set1stSectionDecoderKey,
    Set3rdSectionDecoderKey,
    StaTables,
)

NUMBERS = st.integers(0, 2**63)
SOME = st.one_of(st.none(), NUMBERS)
STATUSES = st.sampled_from(TokenStatus)
DIGITS = st.text("0123456789", min_size=20, max_size=20)
TABLES = StaTables(tuple(range(16)), tuple(reversed(range(16))), tuple(range(63, -1, -1)))
SECTIONS = st.builds(
    lambda low, both: (
        Set1stSectionDecoderKey(1, 2, False, True, 2, low),
        *((Set3rdSectionDecoderKey(0x123, low),) if both else ()),
    ),
    NUMBERS.map(lambda number: number % 2**32),
    st.booleans(),
)


@st.composite
def token_logs(draw: st.DrawFn) -> tuple[TokenLogEntry, ...]:
    newest, kept = draw(st.integers(0, 60)), draw(st.integers(0, 8))
    return tuple(
        TokenLogEntry(number, draw(DIGITS), draw(SOME), draw(st.none()), 5, draw(STATUSES))
        for number in range(newest, max(0, newest - kept), -1)
    )


@st.composite
def event_logs(draw: st.DrawFn) -> tuple[Event, ...]:
    newest, kept = draw(st.integers(0, 60)), draw(st.integers(0, 8))
    return tuple(
        Event(number, draw(NUMBERS), draw(st.sampled_from(EventName)), draw(SOME))
        for number in range(newest, max(0, newest - kept), -1)
    )


PARTS: dict[str, st.SearchStrategy[Any]] = {
    "key": st.one_of(
        st.builds(DecoderKey, st.just(EA.MISTY1), st.binary(min_size=16, max_size=16)),
        st.just(DecoderKey(EA.STA, bytes(8), TABLES)),
    ),
    "tids": st.lists(NUMBERS, min_size=1, max_size=5).map(tuple),
    "settings": st.builds(Settings, NUMBERS, st.text(max_size=5), st.integers(0, 1)),
    "account": st.builds(Account, st.integers(), NUMBERS, NUMBERS, NUMBERS),
    "switch": st.builds(LoadSwitch, st.booleans(), NUMBERS, NUMBERS, NUMBERS, SOME, SOME),
    "staging": st.one_of(st.none(), st.builds(Staging, SECTIONS, NUMBERS)),
    "virtual_lockout": st.builds(Lockout, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
    "keypad_lockout": st.builds(Lockout, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
    "last": st.builds(LastToken, DIGITS, STATUSES, STATUSES, STATUSES, STATUSES),
    "tokens_executed": NUMBERS,
    "last_test": SOME,
    "powered_ns": NUMBERS,
    "powered": st.booleans(),
    "power_fails": NUMBERS,
    "events_counted": NUMBERS,
    "token_log": token_logs(),
    "event_log": event_logs(),
}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[MeterState, MeterState]:
    """Return two states; some parts are the same objects, some equal, some different."""
    made = new_meter()
    before = replace(made, **{part: draw(values) for part, values in PARTS.items()})
    parts = draw(st.sets(st.sampled_from(sorted(PARTS))))
    after = replace(before, **{part: draw(PARTS[part]) for part in parts})
    if draw(st.booleans()):
        plate = replace(made.nameplate, device_address="7")
        attributes = replace(made.attributes, kt=KT.DDTK, krn=KRN(7))
        after = replace(after, nameplate=plate, attributes=attributes)
    new = draw(st.integers(0, 10))
    if new and before.event_log and draw(st.booleans()):  # a ring that went on
        newest = before.event_log[0].number
        head = (Event(newest + n, n, EventName.TOKEN, n) for n in range(new, 0, -1))
        kept = draw(st.integers(0, 10))
        after = replace(after, event_log=(*head, *before.event_log)[:kept])
    return before, after


def assert_same(before: MeterState, after: MeterState) -> None:
    contents = Contents.first(named(encode(before), ELECTRICITY), KEY)
    changes = named_changes(encode_changes(before, after))
    following, put, gone = contents.followed_by(changes, KEY)

    table: dict[Name, Row] = {**contents.rows, CHECK: contents.check}
    for name in gone:
        del table[name]
    table |= {(row[0], row[1]): row for row in put}
    read = Contents.read(list(table.values()), KEY)  # every authenticator, and the check
    whole = named(encode(after), ELECTRICITY)
    assert read.clear == following.clear == whole
    assert read.number == following.number == 2
    changed = {name for name in whole if contents.clear.get(name) != whole[name]}
    assert {(row[0], row[1]) for row in put} == {*changed, CHECK}
    assert set(gone) == contents.clear.keys() - whole.keys()

    back, restored = contents.changes_since(following)
    table |= {(row[0], row[1]): row for row in back}
    for name in restored:
        del table[name]
    assert Contents.read(list(table.values()), KEY).clear == contents.clear


@given(pairs())
@settings(max_examples=300)
@example((new_meter(), new_meter()))
def test_a_difference_is_that_of_the_whole_encodings(pair: tuple[MeterState, MeterState]) -> None:
    assert_same(*pair)


def test_the_differences_of_a_life_are_small() -> None:
    bench = MeterBench()
    for number in range(1, 121):
        before = bench.meter.committed
        bench.enter(credit(number, 1))
        after = bench.meter.committed
        assert_same(before, after)
        changes = named_changes(encode_changes(before, after))
        assert len(changes) < 20
        assert decode(encode(after)) == after

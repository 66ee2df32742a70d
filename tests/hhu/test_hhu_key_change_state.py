"""What is told of a key change is true: compared with what a real meter holds, whatever went on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hhu_bench import credit, without
from hypothesis import example, given, settings
from hypothesis import strategies as st
from key_change_bench import (
    FOUR,
    KEY,
    NEW,
    NEW_KEY,
    NEW_SHORT_KEY,
    OTHER_NEW_KEY,
    SHORT_KEY,
    MeterLine,
    ask,
    deliver,
    made_with,
)

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.hhu.key_change.state import KeyChangeStage, KeyChangeState
from vtc07.hhu.outcome import Meaning
from vtc07.meter import MeterState
from vtc07.tokens import EA, KRN, SGC, TCT, DecoderKey, key_change_set
from vtc07.tokens.keychange import key_change_sections

OTHERS = replace(NEW, krn=KRN(3), sgc=SGC("654321"))


@dataclass(frozen=True)
class Case:
    """A set, another one for the same meter, and what the first says to it."""

    key: DecoderKey
    new: DecoderKey
    other_new: DecoderKey
    three: bool = False

    @property
    def ours(self) -> list[str]:
        tokens = key_change_set(self.key, self.new, NEW, ro=False, three_kct=self.three)
        return [token.digits for token in tokens]

    @property
    def other(self) -> list[str]:
        three = self.three
        tokens = key_change_set(self.key, self.other_new, OTHERS, ro=False, three_kct=three)
        return [token.digits for token in tokens]

    def truly_held(self, state: MeterState) -> tuple[bool, ...]:
        staged = () if state.staging is None else state.staging.sections
        sections = key_change_sections(self.new, NEW, ro=False, three_kct=self.three)
        return tuple(section in staged for section in sections)

    def changed(self, state: MeterState) -> bool:
        """Say whether the meter's key is that of our set, whole."""
        with_sgc = len(self.ours) > 2
        return state.key == self.new and (not with_sgc or state.attributes.sgc == NEW.sgc)

    def mixed(self, state: MeterState) -> bool:
        if state.key in (self.key, self.other_new):
            return state.key == self.other_new and state.attributes.sgc == NEW.sgc and self.three
        return not self.changed(state)


LONG = Case(KEY, NEW_KEY, OTHER_NEW_KEY)
TWO = Case(SHORT_KEY, NEW_SHORT_KEY, DecoderKey(EA.STA, bytes(range(16, 24))))
THREE = replace(TWO, three=True)
HOLDING = (KeyChangeStage.PENDING, KeyChangeStage.ANOTHER_SET)
WRONG = f"{int(FOUR[0]) ^ 1 << 40:020d}"


def _lacking(companion: Companion, lacking: str | None) -> Companion:
    """Return the companion of a meter without these registers."""
    names = [r.name for r in companion.table if lacking and r.name.startswith(lacking)]
    kept = tuple(r for r in companion.identification if r.name not in names)
    return replace(without(companion, *names), identification=kept)


def assert_true(case: Case, told: KeyChangeState, bench: MeterLine, *, in_doubt: bool) -> None:
    """Compare what was told a moment ago with the meter.

    ``in_doubt``: something came so close to the end of the time for which sections are held that
    whole seconds do not tell on which side; another set is then taken to be there.
    """
    live = bench.meter.state
    held = case.truly_held(live)
    strange = live.staging is not None and len(live.staging.sections) > sum(held)
    if told.next_place is not None:
        assert not held[told.next_place] or told.held[told.next_place] is None
        # Where the other set is complete, ours may be for the key that it brought.
        assert live.key == case.key or told.stage is KeyChangeStage.NOT_BEGUN
        assert not strange, "a mixture of two sets would be a key that nobody knows"
    if told.expires_in_s is not None:
        assert live.staging is not None
        least, most = told.expires_in_s
        left_ns = live.staging.deadline_ns - live.powered_ns
        # What is told is of the time at which it was read, a few seconds ago at most.
        assert left_ns <= most * S
        assert left_ns >= (least - 30) * S
    if told.stage is KeyChangeStage.COMPLETE:
        assert case.changed(live)
    if told.stage is KeyChangeStage.MIXED:
        assert case.mixed(live)
    if told.stage is KeyChangeStage.ANOTHER_SET:
        assert strange or in_doubt
    if live.key == case.other_new:  # with an SGC of ours perhaps: it needs none of ours
        assert told.stage not in (KeyChangeStage.COMPLETE, KeyChangeStage.PENDING)
    elif case.mixed(live):
        assert told.stage is KeyChangeStage.MIXED
    if any(held) and not strange and not in_doubt:
        assert told.stage in (KeyChangeStage.PENDING, KeyChangeStage.REFUSED)


pause = st.sampled_from([2, 10, 200, 590, 598, 599, 600, 601, 602, 700])
#: what is entered: a place in our set, in the other one, a wrong token (0) or a credit token (1)
whose = st.tuples(st.sampled_from("ooosw"), st.integers(0, 3))
doings = st.lists(st.tuples(whose, pause, st.booleans()), max_size=9)


def _quickly(*entered: str) -> list[tuple[tuple[str, int], int, bool]]:
    return [((what[0], int(what[1])), 2, False) for what in entered]


@example(LONG, [(("o", 0), 599, False), (("o", 1), 599, False), (("o", 3), 2, True)], None)
@example(LONG, [(("o", 0), 600, False), (("o", 1), 2, False)], None)
@example(LONG, [(("o", 0), 300, False)], "serverStatus")
@example(LONG, [(("o", 0), 602, False), (("w", 1), 2, False)], "serverStatus")
@example(LONG, _quickly("s3", "o0", "o1"), None)
@example(LONG, _quickly("s0", "o0"), None)
@example(LONG, _quickly("o2", "s0", "s1", "s2", "s3"), None)
@example(LONG, _quickly("o0", "o3", "s1", "o2"), None)
@example(LONG, _quickly("o0", "o1", "s2", "s3"), None)
@example(TWO, _quickly("o0", "s1"), None)
@example(THREE, _quickly("s2", "o0", "o1"), None)
@example(THREE, _quickly("o2", "s0", "s1"), None)
@example(LONG, _quickly("w0"), None)
@settings(max_examples=60)
@given(
    st.sampled_from((LONG, TWO, THREE)),
    doings,
    st.sampled_from([None, "eventLog", "serverStatus", "tokenLog"]),
)
def test_whatever_was_entered_before_what_is_told_is_true(
    case: Case, before: list[tuple[tuple[str, int], int, bool]], lacking: str | None
) -> None:
    companion = _lacking(load_companion("electricity"), lacking)
    bench = MeterLine(companion, state=made_with(companion, case.key))
    ours = case.ours
    sets = {"o": ours, "s": case.other, "w": [WRONG, credit(1)]}
    for (which, place), seconds, power in before:
        entered = sets[which][place % len(sets[which])]
        bench.meter.enter(entered, TCT.NUMERIC, bench.line.now_ns)  # refused in a lockout
        bench.line.idle(seconds * S)
        if power:
            bench.power_fail()
    executed = bench.state.tokens_executed
    told = ask(bench, ours)
    assert bench.state.tokens_executed == executed, "asking enters nothing"
    for said, truth in zip(told.held, case.truly_held(bench.meter.state), strict=True):
        assert said is None or said == truth
    if lacking is None:
        in_doubt = any(599 <= seconds <= 601 for _, seconds, _ in before)
        assert_true(case, told, bench, in_doubt=in_doubt)
    live = bench.meter.state
    held, locked = case.truly_held(live), live.virtual_lockout.locked
    left_ns = 600 * S if live.staging is None else live.staging.deadline_ns - live.powered_ns
    report = deliver(bench, ours)
    new = bench.state.tokens_executed - executed
    if lacking == "tokenLog" and case.changed(live):
        assert new <= 1, "nothing tells that it was complete before"
        return
    assert (report.meaning is Meaning.DONE) == case.changed(bench.state)
    assert new == len(report.entered)
    assert bench.state.key in (live.key, case.new), "never a mixture"
    expired = told.stage in HOLDING and live.staging is None
    if left_ns < 60 * S or expired:
        return  # what is held is forgotten while the rest is entered, or just before
    may_begin = told.next_place is not None and live.key == case.key and not locked
    if may_begin:
        assert report.meaning is Meaning.DONE
        if None not in told.held:
            assert set(report.entered) == {place for place, h in enumerate(held) if not h}
    elif live.key == case.key or told.stage is KeyChangeStage.COMPLETE:
        assert not new
    else:
        assert new <= 1, "the first refusal ends it"

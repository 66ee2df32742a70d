"""The shared scenarios and rejections, delivered by a hand-held unit over a line.

Every step of `meter_scenarios.json` and every case of `negative.json` that can stand on a line. A
step's status is the first word of its ``expect``; what it says besides, and what other vectors
say of the same tokens, is read back through registers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from scene import Flag, Scene, Waits

from meter_cases import Case, cases, content, manufactured
from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.messages import WriteCommand, close
from vtc07.hhu.delivery import TokenToSend
from vtc07.links.link import Sender
from vtc07.meter import MeterState
from vtc07.tokens import (
    DRN,
    CheckDigitError,
    MeterPAN,
    MfrCode,
)

TOKEN_LIKE = re.compile(r"\d{15,}")

#: Whatever only a token that is accepted may change.
EFFECTS = (
    *("SGC", "KRN", "KT", "TI", "KEN", "baseDate", "creditBalance", "totalCreditAccepted"),
    *("maximumPowerLimit", "maximumPhasePowerUnbalanceLimit", "tamperStatus"),
    *(f"acceptedTID.{n}" for n in range(1, 51)),
)
#: Whatever the sign-on, a token is the same token.
COMPANIONS = ("electricity", "electricity-mode-c")
STAGED = {"1stKCT": 3, "2ndKCT": 4, "3rdKCT": 8, "4thKCT": 9}


def wire_cases() -> list[Any]:
    """Return the cases of `negative.json` that are tokens; the others are check digits."""
    return [
        case
        for case in cases("negative.json", "cases")
        if case.values[0] is None or "drn" not in case.values[0]
    ]


@cache
def key_change_sets() -> dict[str, list[Case]]:
    """Return the key change sets of all vectors by each of their tokens."""
    found: dict[str, list[Case]] = {}
    vectors = [v for part in content("published.json")["sets"] for v in part["vectors"]]
    for vector in [*vectors, *content("generated.json")["vectors"]]:
        if vector.get("kind") == "kct_set":
            for token in vector["tokens"]:
                found.setdefault(token, []).append(vector)
    return found


def first_word(expect: str) -> str:
    return expect.split(maxsplit=1)[0]


class Judge:
    """Delivers tokens to one meter and compares each result and its effect."""

    def __init__(self, state: MeterState, companion: str = "electricity") -> None:
        self.scene = Scene(state=state, companion=load_companion(companion))
        self.sequence = 0
        self.staged: dict[int, str] = {}

    def deliver(self, token: str, expect: str, tid: int | None = None) -> None:
        scene, status = self.scene, first_word(expect)
        before = scene.read(*EFFECTS)
        assert scene.send([token]) == [status]
        self.sequence += 1
        after = scene.read(*EFFECTS)
        said = scene.read("tokenSequence", "lastToken", "tokenStatus", "lastTokenStatus")
        assert list(said.values())[:2] == [self.sequence, token]
        assert said["tokenStatus"] == said["lastTokenStatus"]
        sequence, logged, logged_tid, kind, value, number = str(
            scene.read("tokenLog.1")["tokenLog.1"]
        ).split(",")
        assert (int(sequence), logged, int(number)) == (self.sequence, token, said["tokenStatus"])
        if tid is not None:
            assert int(logged_tid) == tid
        if status in STAGED:
            self.staged[STAGED[status]] = token
            Flag("key change pending", is_set=True).play(scene)
        if status != "Accept":
            assert after == before
            return
        token_class, _, subclass = kind.partition(".")
        changed = {name: after[name] for name in EFFECTS if after[name] != before[name]}
        if token_class == "1":
            assert changed == {}
        elif token_class == "2" and subclass in ("3", "4", "8", "9"):
            self.key_changed(expect, token, before, after)
        else:
            assert sorted(map(int, self.tids(after))) == sorted(
                [*sorted(map(int, self.tids(before)))[1:], int(logged_tid)]
            )
            for name in ("creditBalance", "totalCreditAccepted"):
                credited = int(value) if token_class == "0" else 0
                assert int(after[name]) - int(before[name]) == credited
            if (token_class, subclass) == ("2", "0"):
                assert after["maximumPowerLimit"] == int(value) > 0

    def key_changed(self, expect: str, token: str, before: Case, after: Case) -> None:
        """Compare the key's attributes with what the vectors say of this set, if they know it."""
        Flag("key change pending", is_set=False).play(self.scene)
        tokens = {*self.staged.values(), token}
        self.staged.clear()
        attributes = ("SGC", "KRN", "KT", "TI", "KEN", "baseDate")
        for vector in key_change_sets().get(token, []):
            if set(vector["tokens"]) == tokens:
                old, new = vector["old"], vector["new"]
                sgc = new["sgc"] if len(tokens) > 2 else old["sgc"]
                expected = (sgc, new["krn"], vector["kt"], new["ti"], new["ken"], str(new["bdt"]))
                assert tuple(after[name] for name in attributes) == expected
        for name in ("creditBalance", "totalCreditAccepted"):
            assert after[name] == before[name]
        assert self.tids(after) == self.tids(before)  # none of these rolls over

    @staticmethod
    def tids(registers: Case) -> list[Any]:
        return [value for name, value in registers.items() if name.startswith("acceptedTID")]


@pytest.mark.parametrize("companion", COMPANIONS)
@pytest.mark.parametrize("scenario", cases("meter_scenarios.json", "scenarios"))
def test_scenario(scenario: Case, companion: str) -> None:
    judge = Judge(manufactured(scenario["meter"]), companion)
    played = 0
    for number, step in enumerate(scenario["steps"]):
        try:
            if "wait_s" in step:
                assert "token" not in step
                Waits(step["wait_s"]).play(judge.scene)
                assert step["expect"] == "staging cleared"
                Flag("key change pending", is_set=False).play(judge.scene)
                judge.staged.clear()
            else:
                judge.deliver(step["token"], step["expect"], step.get("tid"))
        except AssertionError as error:
            error.add_note(f"in step {number}: {step}")
            raise
        played += 1
    assert played == len(scenario["steps"])


@pytest.mark.parametrize("companion", COMPANIONS)
@pytest.mark.parametrize("case", wire_cases())
def test_rejection(case: Case, companion: str) -> None:
    if "meter_pan" not in case:  # class 1: any meter, of this manufacturer
        drn = DRN.of(MfrCode(case.get("meter_mfr", "12")), "34567890")
        case = content("negative.json")["cases"][0] | case
        case |= {"meter_pan": MeterPAN.from_drn(drn).digits}
    judge = Judge(manufactured(case), companion)
    if case["expect"].startswith("refused at the carrier: ER05"):
        refused_at_the_carrier(judge.scene, case["token"])
        return
    tokens = case.get("tokens") or [case["token"]]
    results = case.get("results")
    if results is None:
        results = ["1stKCT", case["expect"]] if len(tokens) > 1 else [case["expect"]]
    for token, result in zip(tokens, results, strict=True):
        judge.deliver(token, result)
    registers = judge.scene.read(*EFFECTS)
    if (credited := re.search(r"([\d.]+) kWh", case["desc"])) is not None:
        assert registers["creditBalance"] == round(float(credited[1]) * 1000)
    if (change := re.search(r"KT (\d) -> (\d)", case["desc"])) is not None:
        assert registers["KT"] == int(change[2] if case["expect"] == "Accept" else change[1])
        Flag("default key", is_set=registers["KT"] == 1).play(judge.scene)


def refused_at_the_carrier(scene: Scene, digits: str) -> None:
    """The hand-held unit does not send it; what somebody else sends is refused, uncounted."""
    with pytest.raises(ValueError, match="token"):
        TokenToSend(digits)
    named = ("tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus", "tokenLog.1")
    before = scene.read(*named, *EFFECTS)
    heard = bytearray()

    def hear(sender: Sender, sent: int, _arrived: int, _now: int) -> None:
        if sender == "server":
            heard.append(sent)

    scene.line.observers = (hear,)
    for _ in range(6):  # one more than a lockout takes
        scene.line.idle(S // 4)  # the reaction time
        heard.clear()
        entry = scene.companion.token_entry.register.address
        scene.line.inject("client", WriteCommand(entry, digits).to_chars())
        scene.line.idle(S)
        assert bytes(heard) == close(b"\x02(ER05)")
    assert scene.read(*named, *EFFECTS) == before
    Flag("lockout", is_set=False).play(scene)


def tokens_in(value: Any) -> Iterator[str]:
    """Return everything in a vector that may be a token, wherever it stands."""
    match value:
        case dict():
            for name, member in value.items():
                if name not in ("meter_pan", "decoder_key", "vk"):
                    yield from tokens_in(member)
        case list():
            for member in value:
                yield from tokens_in(member)
        case str() if TOKEN_LIKE.fullmatch(value):
            yield value


def test_none_is_left_out(shared: Path) -> None:
    """All tokens of both files stand where the tests above take them from."""
    scenarios = [case.values[0] for case in cases("meter_scenarios.json", "scenarios")]
    steps = [step for scenario in scenarios for step in scenario["steps"]]
    assert all(("token" in step) != ("wait_s" in step) for step in steps)
    assert [step["token"] for step in steps if "token" in step] == list(
        tokens_in(content("meter_scenarios.json"))
    )
    assert len(scenarios) == len({scenario["name"] for scenario in scenarios})
    rejections = [case.values[0] for case in wire_cases()]
    taken = [t for case in rejections for t in case.get("tokens") or [case["token"]]]
    assert taken == list(tokens_in(content("negative.json")))
    everything = content("negative.json")["cases"]
    left = {case["id"] for case in everything} - {case["id"] for case in rejections}
    assert left == {"N34", "N35"}
    for case in everything:
        if case["id"] in left:
            with pytest.raises(CheckDigitError):
                DRN(case["drn"])

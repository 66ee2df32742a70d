"""A diagnosis of a meter, each finding by a real meter in that very condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from diagnosis_bench import NOWHERE, TODAYS_TID, Patient, codes, credit, found
from hhu_bench import KEY, new_meter, without
from key_change_bench import FOUR

from vtc07.carrier.client import Client
from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.mode_c_client import ModeCClient
from vtc07.hhu.diagnosis.facts import Certainty, Code, Receipt, Weight
from vtc07.hhu.diagnosis.meter import span
from vtc07.hhu.session import NoLink, Session, SignOnRefused
from vtc07.hhu.writing import write
from vtc07.meter import Changes, ConstantLoad, MemoryStore, OutOfOrderServer
from vtc07.tokens import (
    KEN,
    KT,
    TCT,
    TID,
    BaseDate,
    ClearTamperCondition,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    encode,
)


def test_a_meter_with_credit_has_nothing_wrong(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit())
    diagnosis = patient.asked()
    assert codes(diagnosis) == {Code.NOTHING_WRONG}
    assert diagnosis.findings[0].weight is Weight.GOOD
    told = {value.register.name: value.value for value in diagnosis.examined.registers}
    assert told["SGC"] == "123456"
    assert told["creditBalance"] == 10_000
    assert told["baseDate"] == "14"


def test_a_meter_that_is_not_as_its_companion_says(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit())
    patient.bench.companion = replace(electricity, flag="XYZ")
    finding = found(patient.asked(), Code.OTHER_COMPANION)
    assert "FLAG letters are VTC" in str(finding.what)


def test_a_register_that_the_meter_refuses_to_tell(electricity: Companion) -> None:
    table, name = electricity.table, "serverStatus"
    silent = tuple(replace(r, read_level=None) if r.name == name else r for r in table)
    patient = Patient(replace(electricity, table=replace(table, registers=silent)))
    patient.take(credit())
    patient.bench.companion = electricity
    character_ns = patient.bench.character_ns
    patient.bench.line.client = Client(electricity, character_ns=character_ns)
    finding = found(patient.asked(), Code.REFUSED_READ)
    assert "tell serverStatus (access denied)" in str(finding.what)


def test_no_credit_and_the_supply_off_for_it(electricity: Companion) -> None:
    diagnosis = Patient(electricity).asked()
    assert codes(diagnosis) == {Code.SWITCH_OPEN, Code.NO_CREDIT}
    assert "credit" in str(found(diagnosis, Code.SWITCH_OPEN).what)


def test_credit_that_is_low(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(10))
    threshold = electricity.table.named("lowCreditThreshold")
    patient.bench.run(write(Session(electricity), [(threshold, 1000)]))
    finding = found(patient.asked(), Code.LOW_CREDIT)
    assert finding.weight is Weight.NOTICE
    assert "1.000 kWh left" in str(finding.what)


def test_tampering(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit())
    patient.bench.meter.tamper(0b101, _now(patient))
    patient.bench.line.idle(70 * S)
    patient.take("0" * 20)
    diagnosis = patient.asked()
    finding = found(diagnosis, Code.TAMPER)
    assert "0005" in str(finding.what)
    assert "1 min 10 s ago" in str(finding.what)
    assert "tampering" in str(found(diagnosis, Code.SWITCH_OPEN).what)
    patient.take(ClearTamperCondition(5, TID(TODAYS_TID + 1)))
    patient.take(credit(tid=TODAYS_TID + 2))
    assert codes(patient.asked()) == {Code.NOTHING_WRONG}


def test_more_power_than_is_allowed(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(10_000), SetMaximumPowerLimit(5, TID(TODAYS_TID + 1), 1000))
    patient.load(ConstantLoad((2000,)))
    patient.bench.line.idle(S)
    diagnosis = patient.asked()
    finding = found(diagnosis, Code.POWER_LIMIT)
    assert "1000 W" in str(finding.what)
    assert "30 s after it went off" in str(finding.advice)
    assert "more power" in str(found(diagnosis, Code.SWITCH_OPEN).what)


def test_phases_that_are_loaded_unevenly(electricity: Companion) -> None:
    patient = Patient(electricity, phases=3)
    patient.take(credit(10_000), SetMaximumPhasePowerUnbalanceLimit(5, TID(TODAYS_TID + 1), 500))
    patient.load(ConstantLoad((2000, 100, 100)))
    patient.bench.line.idle(S)
    diagnosis = patient.asked()
    assert "500 W" in str(found(diagnosis, Code.UNBALANCE_LIMIT).what)
    assert "unevenly" in str(found(diagnosis, Code.SWITCH_OPEN).what)


# --- lockouts -------------------------------------------------------------------------------------


def test_a_lockout_and_how_long_it_lasts(electricity: Companion) -> None:
    patient = Patient(electricity)
    for place in range(4):
        patient.take(credit(tid=TODAYS_TID + place), key=NOWHERE)
    near = found(patient.asked(), Code.LOCKOUT_NEAR)
    assert "4 wrong tokens" in str(near.what)
    assert near.certainty is Certainty.LIKELY
    patient.take(credit(tid=TODAYS_TID + 4), key=NOWHERE)
    finding = found(patient.asked(), Code.LOCKOUT)
    assert "58 s more" in str(finding.what) or "57 s more" in str(finding.what)
    assert "up to 1 h" in str(finding.advice)
    patient.bench.line.idle(60 * S)
    assert Code.LOCKOUT not in codes(patient.asked())
    patient.take(credit(tid=TODAYS_TID + 9))
    assert codes(patient.asked()) == {Code.NOTHING_WRONG}


def test_a_lockout_of_the_keypad(electricity: Companion) -> None:
    patient = Patient(electricity)
    for place in range(5):
        patient.bench.meter.enter(f"{place:020d}", TCT.NUMERIC, _now(patient))
        patient.bench.line.idle(2 * S)
    diagnosis = patient.asked()
    assert Code.LOCKOUT not in codes(diagnosis)
    assert "this port is open" in str(found(diagnosis, Code.KEYPAD_LOCKOUT).advice)


def test_a_line_that_breaks_off(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.bench.line.schedule(3 * S, patient.bench.line.unplug)
    with pytest.raises(NoLink):
        patient.asked()
    patient.bench.line.plug()
    assert codes(patient.asked()) == {Code.SWITCH_OPEN, Code.NO_CREDIT}


def test_a_token_at_the_keypad_meanwhile(electricity: Companion) -> None:
    """What is told is of one time, though a token is executed while the logs are read."""
    patient = Patient(electricity)
    (token,) = patient.take(credit())
    for half_seconds in range(1, 14, 2):
        later = credit(tid=TODAYS_TID + half_seconds)
        digits = encode(later, KEY).digits
        at_ns = _now(patient) + half_seconds * S // 2
        patient.bench.line.schedule(at_ns, partial(patient.bench.keypad, digits))
        diagnosis = patient.asked(token, quiet=False)
        assert diagnosis.examined.tokens is not None
        newest = diagnosis.examined.tokens.entries[0]
        assert newest.sequence == diagnosis.examined.number("tokenSequence")
        assert newest.token == diagnosis.examined.text("lastToken")
        patient.bench.line.idle(10 * S)


def test_a_delay_after_wrong_passwords() -> None:
    companion = load_companion("electricity-mode-c")
    patient = Patient(companion, new_meter(companion, password="right"))
    character_ns = patient.bench.character_ns
    for _ in range(3):
        patient.bench.line.client = ModeCClient(
            companion, character_ns=character_ns, password="wrong"
        )
        with pytest.raises(SignOnRefused):
            patient.bench.run(Session(companion).identify())
    patient.bench.line.client = ModeCClient(companion, character_ns=character_ns)
    assert "refuses every one" in str(found(patient.asked(), Code.PASSWORD_DELAY).what)


# --- key and dates --------------------------------------------------------------------------------


def test_a_default_key(electricity: Companion) -> None:
    patient = Patient(electricity, kt=KT.DDTK)
    assert found(patient.asked(), Code.DEFAULT_KEY).weight is Weight.PROBLEM


def test_an_initial_key(electricity: Companion) -> None:
    patient = Patient(electricity, kt=KT.DITK)
    assert found(patient.asked(), Code.INITIAL_KEY).weight is Weight.NOTICE


def test_a_key_that_expires_or_has() -> None:
    companion = load_companion("electricity")
    ken = TODAYS_TID >> 16
    patient = Patient(companion, ken=KEN(ken))
    last = TID((ken + 1) << 16).issued_at(BaseDate.Y2014)
    soon = found(patient.asked(today=last - timedelta(days=3)), Code.KEY_EXPIRES_SOON)
    assert f"{last:%Y-%m-%d}" in str(soon.what)
    assert Code.KEY_EXPIRED in codes(patient.asked(today=last))
    long_before = codes(patient.asked(today=last - timedelta(days=200)))
    assert not {Code.KEY_EXPIRED, Code.KEY_EXPIRES_SOON} & long_before


def test_a_base_date_that_ended_or_will() -> None:
    companion = load_companion("electricity")
    patient = Patient(companion, base_date=BaseDate.Y1993, at=datetime(2020, 1, 1, tzinfo=UTC))
    ended = found(patient.asked(), Code.BASE_DATE_ENDED)
    assert "2024-11-24" in str(ended.what)
    before = datetime(2024, 11, 1, tzinfo=UTC)
    assert Code.BASE_DATE_ENDS_SOON in codes(patient.asked(today=before))
    assert Code.BASE_DATE_ENDED not in codes(Patient(companion).asked())


def test_a_key_change_that_is_not_complete(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(), *FOUR[:2])
    finding = found(patient.asked(), Code.KEY_CHANGE_PENDING)
    assert "2 sections" in str(finding.what)
    assert "10 min" in str(finding.what)
    assert finding.certainty is Certainty.CERTAIN
    patient.bench.line.idle(601 * S)
    assert codes(patient.asked()) == {Code.NOTHING_WRONG}


# --- a meter that is out of order -----------------------------------------------------------------


def test_a_meter_that_cannot_store(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit())

    patient.bench.store = WornOut(patient.bench.store.state)
    patient.bench.power_fail()
    patient.bench.meter.enter("1" * 20, TCT.VIRTUAL, _now(patient))
    patient.bench.line.idle(3 * S)
    assert "switch it off and on" in str(found(patient.asked(), Code.STORE_FAULT).advice)


def test_a_meter_whose_store_is_damaged(electricity: Companion) -> None:
    patient = Patient(electricity)
    nameplate = patient.state.nameplate
    patient.bench.line.server = OutOfOrderServer(electricity, nameplate)
    diagnosis = patient.asked("1" * 20, Receipt(sgc="654321"))
    assert Code.OUT_OF_ORDER in codes(diagnosis)
    assert Code.NOT_SEEN not in codes(diagnosis)
    assert {v.register.name for v in diagnosis.examined.registers} >= {"meterPAN", "DRN"}


def test_a_token_that_is_being_executed(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.bench.execution_ns = 60 * S
    patient.bench.power_fail()
    patient.bench.meter.enter("1" * 20, TCT.VIRTUAL, _now(patient))
    diagnosis = patient.asked()
    assert Code.EXECUTING in codes(diagnosis)


# --- other meters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["water", "gas", "time", "electricity-mode-c"])
def test_meters_of_other_services(name: str) -> None:
    companion = load_companion(name)
    diagnosis = Patient(companion).asked()
    assert codes(diagnosis) == {Code.SWITCH_OPEN, Code.NO_CREDIT}


@pytest.mark.parametrize(
    "lacking",
    [
        "serverStatus", "lockoutRemaining", "creditBalance", "loadSwitch", "disconnectReason",
        "tamperStatus", "KT", "KEN", "baseDate", "tokenLog", "eventLog", "acceptedTID", "SGC",
        "lastToken", "MfrCode", "DRN",
    ],
)  # fmt: skip
def test_a_meter_that_lacks_registers_is_diagnosed_all_the_same(
    electricity: Companion, lacking: str
) -> None:
    companion = lacking_registers(electricity, lacking)
    patient = Patient(companion, kt=KT.DDTK)
    patient.take(credit())
    diagnosis = patient.asked()
    expected = {Code.SWITCH_OPEN, Code.NO_CREDIT, Code.DEFAULT_KEY}
    if lacking != "lastToken":
        expected |= {Code.CREDIT_UNDER_DEFAULT_KEY}
    assert codes(diagnosis) == expected


def test_a_meter_that_tells_hardly_anything(electricity: Companion) -> None:
    told = {"tableID", "FOIN", "protocolVersion", "tokenEntry", "meterPAN", "tokenStatus"}
    names = {r.name.partition(".")[0] for r in electricity.table} - told
    companion = lacking_registers(electricity, *names)
    patient = Patient(companion)
    diagnosis = patient.asked("1" * 20)
    assert codes(diagnosis) == {Code.NOT_SEEN, Code.NOTHING_WRONG}
    assert found(diagnosis, Code.NOT_SEEN).certainty is Certainty.LIKELY


def test_spans_of_time() -> None:
    assert [span(s) for s in (0, 59, 60, 65, 3600, 3725, 90_000)] == [
        "0 s", "59 s", "1 min", "1 min 5 s", "1 h", "1 h 2 min", "1 d 1 h",
    ]  # fmt: skip


class WornOut(MemoryStore):
    """A store that takes nothing any more."""

    def commit(self, changes: Changes) -> None:
        raise OSError("no disk any more")


def lacking_registers(companion: Companion, *names: str) -> Companion:
    """Return the companion of a meter without these registers, series of them whole."""
    gone = [r.name for r in companion.table if r.name.partition(".")[0] in names]
    kept = tuple(r for r in companion.identification if r.name not in gone)
    return replace(without(companion, *gone), identification=kept)


def _now(patient: Patient) -> int:
    return patient.bench.line.now_ns

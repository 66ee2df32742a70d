"""Why a token was refused, each explanation by a real meter that refused it for that reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from diagnosis_bench import (
    FITTING,
    MADE,
    NOWHERE,
    TODAY,
    TODAYS_TID,
    Patient,
    codes,
    credit,
    found,
)
from hhu_bench import KEY, PAN, wall_clock
from key_change_bench import FOUR, NEW_KEY
from key_change_bench import SHORT_KEY as SHORT

from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.status import StatusValues, TokenStatus
from vtc07.hhu.delivery import TokenToSend, send
from vtc07.hhu.diagnosis.facts import Certainty, Code, Receipt, Weight
from vtc07.hhu.journal.deliveries import MemoryJournal
from vtc07.hhu.session import Session
from vtc07.meter.state import Account
from vtc07.tokens import (
    DKGA,
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TI,
    TID,
    BaseDate,
    Block,
    ClearCredit,
    DecoderKey,
    ExtendedRead,
    InitiateMeterTest,
    MeterPAN,
    Service,
    Set1stSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetTariffRate,
    TokenData,
    TransferCurrency,
    VendingKey,
    derive_decoder_key,
    encode,
    seal,
)
from vtc07.tokens.crc import crc

TID2 = TID(TODAYS_TID + 2)
OTHER_PAN = "000001000000000082"


def _undefined(subclass: int, data44: int) -> str:
    """A token of class 2 that nobody would issue."""
    return seal(Block.of(2, subclass, data44), KEY).digits


def _why(patient: Patient, *receipt: Receipt) -> set[Code]:
    """Return what is said of the newest token, with nothing said of the meter."""
    return {finding.code for finding in patient.asked(None, *receipt).of_token}


# --- taken ----------------------------------------------------------------------------------------


def test_an_accepted_token(electricity: Companion) -> None:
    patient = Patient(electricity)
    (token,) = patient.take(credit(150))
    diagnosis = patient.asked(token)
    finding = found(diagnosis, Code.ACCEPTED)
    assert finding.weight is Weight.GOOD
    assert "15.000 kWh" in str(finding.what)
    spaced = " ".join(token[at : at + 4] for at in range(0, 20, 4))
    assert Code.ACCEPTED in codes(patient.asked(spaced))


def test_sections_of_a_key_change(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(*FOUR[:2])
    assert Code.SECTION_HELD in codes(patient.asked(FOUR[0]))
    patient.bench.line.idle(601 * S)
    forgotten = found(patient.asked(FOUR[0]), Code.SECTION_FORGOTTEN)
    assert "all tokens of the set again" in str(forgotten.advice)
    patient.take(*FOUR)
    for token in (FOUR[0], FOUR[3]):
        assert found(patient.asked(token), Code.KEY_CHANGE_DONE).weight is Weight.GOOD
    patient.take(FOUR[1])  # once more, under the new key: it does not decrypt
    diagnosis = patient.asked()
    assert diagnosis.entry is not None
    assert diagnosis.entry.status == 13
    assert {f.code for f in diagnosis.of_token} == {Code.KEY_CHANGE_DONE}


# --- by the TID -----------------------------------------------------------------------------------


def test_used_before(electricity: Companion) -> None:
    patient = Patient(electricity)
    (token,) = patient.take(credit())
    patient.bench.line.idle(100 * S)
    patient.take(token)
    finding = found(patient.asked(), Code.USED)
    assert "as token 1, at least 1 min 41 s ago" in str(finding.what)
    assert finding.certainty is Certainty.CERTAIN


def test_used_longer_ago_than_the_log_reaches(electricity: Companion) -> None:
    patient = Patient(electricity)
    (token,) = patient.take(credit(1))
    patient.take(*(InitiateMeterTest(1, 0) for _ in range(50)))
    patient.take(token)
    finding = found(patient.asked(), Code.USED)
    assert "does not reach back" in str(finding.what)
    assert finding.certainty is Certainty.CERTAIN  # its TID is in the store


def test_another_token_of_the_same_minute(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(100), credit(200))
    finding = found(patient.asked(), Code.SAME_MINUTE)
    assert "as token 1" in str(finding.what)


def test_the_minute_in_which_the_meter_was_made(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(tid=MADE))
    assert "was made with" in str(found(patient.asked(), Code.USED).what)


def test_too_old(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(tid=MADE - 1440))
    finding = found(patient.asked(), Code.TOO_OLD)
    assert "is of 2025-05-31 08:00 UTC" in str(finding.what)
    assert "none of before 2025-06-01 08:00 UTC" in str(finding.what)
    assert finding.certainty is Certainty.CERTAIN


def test_a_base_date_that_was_not_rolled_over(electricity: Companion) -> None:
    patient = Patient(electricity, base_date=BaseDate.Y1993, at=datetime(2020, 1, 1, tzinfo=UTC))
    issued = TODAY - timedelta(days=1)
    (token,) = patient.take(credit(tid=TID.of(issued, BaseDate.Y2014)))
    likely = patient.asked()
    finding = found(likely, Code.BASE_DATE_NOT_ROLLED)
    assert finding.certainty is Certainty.LIKELY
    assert "2026-02-28 12:30 UTC if its time is counted from base date 14" in str(finding.what)
    assert found(likely, Code.TOO_OLD).certainty is Certainty.POSSIBLE
    assert Code.BASE_DATE_ENDED in codes(likely)
    certain = patient.asked(token, Receipt(issued=issued))
    assert found(certain, Code.BASE_DATE_NOT_ROLLED).certainty is Certainty.CERTAIN
    assert Code.TOO_OLD not in codes(certain)
    really_old = patient.asked(token, Receipt(issued=issued - timedelta(days=7670)))
    assert Code.BASE_DATE_NOT_ROLLED not in codes(really_old)
    assert found(really_old, Code.TOO_OLD).certainty is Certainty.CERTAIN


def test_after_the_key_expired(electricity: Companion) -> None:
    ken = (TODAYS_TID >> 16) - 1
    patient = Patient(electricity, ken=KEN(ken))
    patient.take(credit())
    finding = found(patient.asked(), Code.TOKEN_AFTER_KEY_EXPIRY)
    assert "2026-03-01 12:30 UTC" in str(finding.what)
    assert f"KEN {ken}" in str(finding.what)


def test_credit_under_a_default_key(electricity: Companion) -> None:
    patient = Patient(electricity, kt=KT.DDTK)
    patient.take(credit())
    assert codes(patient.asked()) >= {Code.CREDIT_UNDER_DEFAULT_KEY, Code.DEFAULT_KEY}


# --- by what it holds -----------------------------------------------------------------------------


def _nearly_full(companion: Companion) -> Patient:
    patient = Patient(companion)
    state = patient.bench.store.state
    balance = 9_999_999_900 - 5_000
    account = Account(balance=balance, accepted=balance)
    patient.bench.store.state = replace(state, account=account)
    patient.bench.power_fail()
    return patient


def test_more_credit_than_the_meter_holds(electricity: Companion) -> None:
    patient = _nearly_full(electricity)
    patient.take(credit(100))
    finding = found(patient.asked(), Code.OVERFLOW)
    assert "is for 10.000 kWh" in str(finding.what)
    assert "can hold 5.000 kWh more" in str(finding.what)
    assert "no more than 9999989.900 kWh is left" in str(finding.advice)
    patient.take(ClearCredit(5, TID2, 0))
    (token,) = [encode(credit(100), KEY).digits]
    again = found(patient.asked(token), Code.ROOM_AGAIN)
    assert again.certainty is Certainty.LIKELY, "the meter's own maximum may be lower"
    patient.take(token)
    assert Code.ACCEPTED in codes(patient.asked(token))


def test_a_meter_that_holds_less_than_others_of_its_kind(electricity: Companion) -> None:
    assert electricity.meter is not None
    patient = Patient(replace(electricity, meter=replace(electricity.meter, credit_maximum=5_000)))
    patient.take(credit(100))
    patient.bench.companion = electricity
    result = patient.asked()
    assert Code.ROOM_AGAIN not in codes(result)
    assert str(found(result, Code.OVERFLOW).what) == "the meter cannot hold so much credit"


@pytest.mark.parametrize(
    ("token", "code", "words"),
    [
        (credit(service=Service.WATER), Code.OTHER_SERVICE, "water, and this is a meter for elec"),
        (credit(service=Service.TIME), Code.OTHER_SERVICE, "connection time"),
        (TransferCurrency(Service.ELECTRICITY, TODAYS_TID, 100_000), Code.CURRENCY, "in money"),
        (ClearCredit(5, TODAYS_TID, 2), Code.OTHER_SERVICE, "register 2"),
        (SetTariffRate(5, TODAYS_TID, 1), Code.NOT_SERVED, "class 2.2"),
        (ExtendedRead(1 << 30), Code.NOT_SERVED, "class 1.2"),
        (_undefined(1, TODAYS_TID << 16 | 9), Code.RANGE, "credit register that does not exist"),
        (_undefined(5, TODAYS_TID << 16 | 1), Code.FORMAT, "to be zero"),
        (_undefined(3, 0xF02 << 32), Code.RANGE, "not 1 to 9"),
        (_undefined(4, 0xF64 << 32), Code.RANGE, "above 99"),
        (Set1stSectionDecoderKey(15, 3, False, False, 3, 0), Code.KEY_TYPE, "DUTK, DDTK"),
    ],
)
def test_tokens_that_are_not_for_such_a_meter(
    electricity: Companion, token: Any, code: Code, words: str
) -> None:
    patient = Patient(electricity)
    patient.take(token)
    diagnosis = patient.asked()
    assert {f.code for f in diagnosis.of_token} == {code}
    assert words in str(found(diagnosis, code).what)


def test_a_key_change_that_rolls_over_from_the_last_base_date(electricity: Companion) -> None:
    made = datetime(2035, 6, 1, tzinfo=UTC)
    patient = Patient(electricity, base_date=BaseDate.Y2035, at=made)
    patient.take(Set1stSectionDecoderKey(15, 3, True, False, 2, 0))
    assert "from the last base date (35)" in str(found(patient.asked(), Code.RANGE).what)


def test_a_key_change_with_a_supply_group_that_cannot_be(electricity: Companion) -> None:
    patient = Patient(electricity)
    wrong = encode(Set4thSectionDecoderKey(0xFFF, 0), KEY).digits
    patient.take(*FOUR[:3], wrong)
    assert "above 999999" in str(found(patient.asked(), Code.RANGE).what)


def test_a_section_for_another_algorithm(electricity: Companion) -> None:
    patient = Patient(electricity, key=SHORT)
    patient.take(Set4thSectionDecoderKey(0, 0), key=SHORT)
    assert "EA 07" in str(found(patient.asked(), Code.NOT_SERVED).what)


def test_a_token_of_class_3(electricity: Companion) -> None:
    patient = Patient(electricity)
    token = TokenData.assemble(3, 1 << 60).digits
    assert Code.RESERVED_CLASS in codes(patient.asked(token))  # before it is tried
    patient.take(token)
    assert _why(patient) == {Code.RESERVED_CLASS}


def test_a_test_token_for_another_makers_meters(electricity: Companion) -> None:
    patient = Patient(electricity)
    for token in (InitiateMeterTest(1, 12), InitiateMeterTest(1, 1234, four_digit_mfr_code=True)):
        before = codes(patient.asked(encode(token, None).digits))
        assert before >= {Code.NOT_SEEN, Code.OTHER_MAKER}
        patient.take(encode(token, None).digits)
        finding = found(patient.asked(), Code.OTHER_MAKER)
        assert f"manufacturer {token.mfr_code}; this one is of 11" in str(finding.what)
    own = encode(InitiateMeterTest(1, 11), None).digits
    assert {f.code for f in patient.asked(own).of_token} == {Code.NOT_SEEN}


def test_a_test_token_with_a_wrong_digit(electricity: Companion) -> None:
    patient = Patient(electricity)
    token = TokenData.assemble(1, 1 << 16 | crc(1, 0, 1) ^ 4).digits
    assert found(patient.asked(token), Code.MISTYPED).certainty is Certainty.CERTAIN
    patient.take(token)
    assert _why(patient) == {Code.MISTYPED}


# --- what does not decrypt ------------------------------------------------------------------------


def _slipped(token: str) -> str:
    """A token with one of its last digits wrong, so that its class is the same."""
    return f"{token[:17]}{(int(token[17]) + 1) % 10}{token[18:]}"


def test_a_wrong_digit_beside_the_right_token(electricity: Companion) -> None:
    patient = Patient(electricity)
    right = encode(credit(), KEY).digits
    patient.take(_slipped(right), right)
    diagnosis = patient.asked(_slipped(right))
    finding = found(diagnosis, Code.MISTYPED)
    assert "digit 18" in str(finding.what)
    assert finding.certainty is Certainty.LIKELY


def test_a_wrong_digit_that_makes_it_a_token_of_another_class(electricity: Companion) -> None:
    patient = Patient(electricity)
    (right,) = patient.take(credit())
    classes = set()
    for place, digit in ((p, d) for p in range(20) for d in "0123456789" if d != right[p]):
        slipped = right[:place] + digit + right[place + 1 :]
        if int(slipped) >= 1 << 66:
            continue
        classes.add(TokenData.from_digits(slipped).token_class)
        if place % 5 == 0:
            patient.asked(slipped)
    assert classes == {0, 1, 2, 3}


def test_two_digits_swapped_and_not_tried_yet(electricity: Companion) -> None:
    patient = Patient(electricity)
    (right,) = patient.take(credit())
    place = next(p for p in range(1, 19) if right[p] != right[p + 1])
    swapped = right[:place] + right[place + 1] + right[place] + right[place + 2 :]
    what = str(found(patient.asked(swapped), Code.MISTYPED).what)
    assert f"digits {place + 1} and {place + 2}" in what


def _with_wrong_key(companion: Companion) -> Patient:
    """A meter whose key is not the one that its tokens are issued for, after two of them."""
    patient = Patient(companion)
    patient.take(credit(), credit(tid=TID2), key=NOWHERE)
    return patient


@pytest.mark.parametrize(
    ("receipt", "code", "words"),
    [
        (Receipt(sgc="654321"), Code.WRONG_SGC, "for SGC 654321; the meter's is 123456"),
        (Receipt(ti="02"), Code.WRONG_TI, "for TI 02; the meter's is 01"),
        (Receipt(krn=1), Code.OLD_KEY_REVISION, "of revision 2, a later one"),
        (Receipt(krn=3), Code.NEW_KEY_REVISION, "still of revision 2"),
        (Receipt(kt=1), Code.WRONG_KEY_TYPE, "DDTK; the meter's is a DUTK"),
        (Receipt(base_date="93"), Code.WRONG_BASE_DATE, "from base date 93; the meter from 14"),
        (Receipt(meter=OTHER_PAN), Code.OTHER_METER, f"for meter {OTHER_PAN}"),
        (Receipt(meter="00000000008"), Code.OTHER_METER, "this is meter 11111111115"),
    ],
)
def test_a_receipt_that_differs_from_the_meter(
    electricity: Companion, receipt: Receipt, code: Code, words: str
) -> None:
    patient = _with_wrong_key(electricity)
    diagnosis = patient.asked(None, receipt)
    finding = found(diagnosis, code)
    assert words in str(finding.what)
    assert finding.certainty is Certainty.CERTAIN
    assert Code.WRONG_TOKEN_OR_KEY not in codes(diagnosis)
    without_token = Patient(electricity).asked(None, receipt)
    assert found(without_token, code) == finding


VENDING = VendingKey(bytes(range(20)))
OF_METER: dict[str, Any] = {
    "meter_pan": MeterPAN(PAN),
    "kt": KT.DUTK,
    "sgc": SGC("123456"),
    "ti": TI("01"),
    "krn": KRN(2),
    "base_date": BaseDate.Y2014,
}


@pytest.mark.parametrize(
    ("issued", "receipt", "code"),
    [
        ({"sgc": SGC("654321")}, Receipt(sgc="654321"), Code.WRONG_SGC),
        ({"ti": TI("02")}, Receipt(ti="02"), Code.WRONG_TI),
        ({"krn": KRN(1)}, Receipt(krn=1), Code.OLD_KEY_REVISION),
        ({"krn": KRN(3)}, Receipt(krn=3), Code.NEW_KEY_REVISION),
        ({"kt": KT.DDTK}, Receipt(kt=1), Code.WRONG_KEY_TYPE),
        ({"base_date": BaseDate.Y1993}, Receipt(base_date="93"), Code.WRONG_BASE_DATE),
        ({"meter_pan": MeterPAN(OTHER_PAN)}, Receipt(meter=OTHER_PAN), Code.OTHER_METER),
    ],
)
def test_tokens_of_one_vending_key_under_another_decoder_key(
    electricity: Companion, issued: dict[str, Any], receipt: Receipt, code: Code
) -> None:
    """Each of these makes it another key, so the meter says CRCError; the receipt tells why."""

    def derived(**attributes: Any) -> DecoderKey:
        return derive_decoder_key(DKGA.DKGA04, VENDING, ea=EA.MISTY1, **OF_METER | attributes)

    own = derived()
    patient = Patient(electricity, key=own)
    patient.take(credit(), key=own)
    assert patient.state.account.balance == 10_000
    (refused,) = patient.take(credit(tid=TID2), key=derived(**issued))
    diagnosis = patient.asked(None, receipt)
    assert diagnosis.token == refused
    assert diagnosis.entry is not None
    assert diagnosis.entry.status == 13
    assert [f.code for f in diagnosis.of_token] == [code, Code.KEY_WORKS]


def test_a_receipt_with_the_meter_number_mistyped(electricity: Companion) -> None:
    swapped = Receipt(meter=PAN[:16] + PAN[17] + PAN[16])
    finding = found(_with_wrong_key(electricity).asked(None, swapped), Code.OTHER_METER)
    assert "once more" in str(finding.advice)


def test_a_receipt_that_fits_leaves_a_wrong_digit(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(_slipped(encode(credit(), KEY).digits))
    diagnosis = patient.asked(None, FITTING)
    assert found(diagnosis, Code.MISTYPED).certainty is Certainty.LIKELY
    assert Code.RECEIPT_FITS in codes(diagnosis)
    drn = replace(FITTING, meter=PAN[6:17])
    assert Code.RECEIPT_FITS in codes(patient.asked(None, drn))


def test_without_a_receipt_it_stays_open(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(_slipped(encode(credit(), KEY).digits))
    finding = found(patient.asked(), Code.WRONG_TOKEN_OR_KEY)
    assert finding.certainty is Certainty.POSSIBLE
    assert f"meterPAN {PAN}, SGC 123456, TI 01, KRN 2, KT 2" in str(finding.what)


def test_a_key_that_has_read_other_tokens(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit())
    patient.take(credit(tid=TID2), key=NOWHERE)
    assert Code.KEY_WORKS in codes(patient.asked())


def test_a_key_that_has_read_none(electricity: Companion) -> None:
    """After a key change of which the vending system knows nothing, nothing is read any more."""
    patient = Patient(electricity)
    (before,) = patient.take(credit())
    patient.take(*FOUR)
    assert patient.state.key == NEW_KEY
    patient.take(credit(tid=TID2), credit(tid=TID(TID2 + 1)))
    diagnosis = patient.asked()
    finding = found(diagnosis, Code.NO_TOKEN_UNDER_KEY)
    assert finding.certainty is Certainty.LIKELY
    assert "2 different tokens" in str(finding.what)
    assert "the key came as token 5" in str(finding.what)
    assert Code.KEY_WORKS not in codes(diagnosis)
    assert Code.OLD_KEY_REVISION in codes(patient.asked(None, Receipt(krn=1)))
    patient.take(before)
    assert "has changed since" in str(found(patient.asked(before), Code.USED).what)


def test_a_token_that_was_refused_before_the_key_changed(electricity: Companion) -> None:
    patient = Patient(electricity)
    (old,) = patient.take(credit(tid=MADE - 1))
    patient.take(*FOUR)
    assert codes(patient.asked(old)) >= {Code.TOO_OLD, Code.KEY_CHANGED_SINCE}


def test_a_token_that_was_tried_before_its_key_came(electricity: Companion) -> None:
    patient = Patient(electricity)
    (early,) = patient.take(credit(), key=NEW_KEY)
    assert Code.NEW_KEY_REVISION in codes(patient.asked(early, Receipt(krn=3)))
    patient.take(*FOUR)
    diagnosis = patient.asked(early)
    assert {f.code for f in diagnosis.of_token} == {Code.KEY_CHANGED_SINCE}
    assert "enter it again" in str(found(diagnosis, Code.KEY_CHANGED_SINCE).advice)
    patient.take(early)
    assert Code.ACCEPTED in codes(patient.asked(early))


def test_a_receipt_of_a_token_that_the_key_has_read(electricity: Companion) -> None:
    patient = Patient(electricity)
    (token,) = patient.take(credit())
    diagnosis = patient.asked(token, Receipt(sgc="654321", krn=1))
    finding = found(diagnosis, Code.RECEIPT_DIFFERS)
    assert "wrong-sgc, old-key-revision" in str(finding.what)
    assert finding.weight is Weight.NOTICE


# --- a token that was not entered yet -------------------------------------------------------------


def test_what_is_no_token(electricity: Companion) -> None:
    patient = Patient(electricity)
    for typed in ("1" * 19, "9" * 20, "hello", "1" * 21, ""):
        diagnosis = patient.asked(typed)
        assert found(diagnosis, Code.NOT_A_TOKEN).certainty is Certainty.CERTAIN
        assert diagnosis.token is None


def test_what_a_receipt_foretells(electricity: Companion) -> None:
    ken = TODAYS_TID >> 16
    patient = Patient(electricity, ken=KEN(ken))
    patient.take(credit())
    token = encode(credit(200), KEY).digits

    def foretold(issued: datetime) -> set[Code]:
        return {f.code for f in patient.asked(token, Receipt(issued=issued)).of_token}

    made = MADE.issued_at(BaseDate.Y2014)
    assert foretold(TODAY + timedelta(minutes=5)) == {Code.NOT_SEEN}
    assert foretold(TODAY) == {Code.NOT_SEEN, Code.SAME_MINUTE}
    assert foretold(made - timedelta(minutes=1)) == {Code.NOT_SEEN, Code.TOO_OLD}
    late = TID((ken + 1) << 16).issued_at(BaseDate.Y2014)
    assert foretold(late) == {Code.NOT_SEEN, Code.TOKEN_AFTER_KEY_EXPIRY}
    assert foretold(late - timedelta(minutes=1)) == {Code.NOT_SEEN}
    assert foretold(datetime(2046, 1, 1, tzinfo=UTC)) == {Code.NOT_SEEN, Code.BASE_DATE_NOT_ROLLED}


def test_a_token_that_has_never_been_entered(electricity: Companion) -> None:
    patient = Patient(electricity, kt=KT.DDTK)
    token = encode(credit(), KEY).digits
    diagnosis = patient.asked(token, replace(FITTING, kt=1))
    assert found(diagnosis, Code.NOT_SEEN).certainty is Certainty.CERTAIN
    assert codes(diagnosis) >= {Code.CREDIT_UNDER_DEFAULT_KEY, Code.RECEIPT_FITS}
    patient.take(*(InitiateMeterTest(1, 0) for _ in range(51)))
    unsure = found(patient.asked(token), Code.NOT_SEEN)
    assert unsure.certainty is Certainty.LIKELY
    assert "newest 50" in str(unsure.what)


# --- a journal, other meters ----------------------------------------------------------------------


def test_what_the_journal_knows(electricity: Companion) -> None:
    journal = MemoryJournal()
    other = Patient(electricity, pan=OTHER_PAN)
    token = encode(credit(), KEY).digits
    sending = send(Session(electricity), journal, [TokenToSend(token)], wall_clock=wall_clock)
    other.bench.run(sending)
    mine = Patient(electricity, key=NOWHERE)
    mine.take(token)
    (delivery,) = journal.deliveries()
    elsewhere = mine.asked(token, deliveries=journal.deliveries())
    finding = found(elsewhere, Code.OTHER_METER)
    assert f"delivery {delivery.number} to meter {OTHER_PAN}, 2026-03-01" in str(finding.what)
    here = other.asked(token, deliveries=journal.deliveries())
    assert "delivered: Accept" in str(found(here, Code.IN_JOURNAL).what)
    journal.open_delivery(PAN, token, None, TODAY)
    still_open = mine.asked(token, deliveries=journal.deliveries())
    assert "no result" in str(found(still_open, Code.IN_JOURNAL).what)
    slipped = mine.asked(_slipped(token), deliveries=journal.deliveries())
    assert Code.MISTYPED not in codes(slipped), "what another meter took is not for this one"


@pytest.mark.parametrize("name", ["water", "gas", "time", "electricity-mode-c"])
def test_tokens_of_other_services(name: str) -> None:
    companion = load_companion(name)
    assert companion.meter is not None
    own = Service[companion.meter.service.upper()]
    patient = Patient(companion)
    (token,) = patient.take(credit(service=own))
    assert Code.ACCEPTED in codes(patient.asked(token))
    wrong = Service.WATER if own is not Service.WATER else Service.GAS
    patient.take(credit(service=wrong, tid=TID2))
    said = str(found(patient.asked(), Code.OTHER_SERVICE).what)
    assert f"credit for {wrong.name.lower()}" in said
    patient.take(token)
    assert _why(patient) == {Code.USED}


@pytest.mark.parametrize(
    ("token", "key", "code", "certainty"),
    [
        (credit(tid=MADE - 1), KEY, Code.TOO_OLD, Certainty.CERTAIN),
        (credit(tid=MADE), KEY, Code.USED, Certainty.LIKELY),
        (credit(service=Service.GAS), KEY, Code.NOT_SERVED, Certainty.LIKELY),
        (credit(), NOWHERE, Code.WRONG_TOKEN_OR_KEY, Certainty.POSSIBLE),
        (credit(), KEY, Code.ACCEPTED, Certainty.CERTAIN),
    ],
)
def test_a_meter_without_logs(
    electricity: Companion, token: Any, key: Any, code: Code, certainty: Certainty
) -> None:
    from test_hhu_diagnosis_meter import lacking_registers

    companion = lacking_registers(electricity, "tokenLog", "eventLog", "acceptedTID")
    patient = Patient(companion)
    (digits,) = patient.take(token, key=key)
    finding = found(patient.asked(digits), code)
    assert finding.certainty is certainty


def test_a_result_that_the_companion_does_not_name(electricity: Companion) -> None:
    patient = Patient(electricity)
    patient.take(credit(), key=NOWHERE)
    numbers = dict(electricity.token_entry.status.numbers)
    numbers[TokenStatus.CRC_ERROR] = 99
    entry = replace(electricity.token_entry, status=StatusValues(numbers))
    patient.bench.companion = replace(electricity, token_entry=entry)
    diagnosis = patient.asked(encode(credit(), NOWHERE).digits)
    assert "number 13" in str(found(diagnosis, Code.UNKNOWN_RESULT).what)

"""Tokens and their effects or exact refusals, with keys of our own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_meter import ATTRIBUTES, MADE, MeterBench, credit, new_meter

from vtc07.carrier.companion import S
from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.meter import MeterState
from vtc07.tokens import (
    EA,
    KEN,
    KRN,
    KT,
    SGC,
    TCT,
    TI,
    BaseDate,
    Block,
    ClearCredit,
    ClearTamperCondition,
    DecoderKey,
    ExtendedRead,
    ExtendedTokenSet,
    InitiateMeterTest,
    KeyChangeSection,
    Service,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    Token,
    TokenData,
    TransferCurrency,
    key_change_sections,
    key_change_set,
    seal,
)

ACCEPT = TokenStatus.ACCEPT
NEW_KEYS = {
    EA.MISTY1: bytes(range(0x91, 0xA1)),
    EA.STA: bytes.fromhex("c94b10f72e8d3a56"),
    EA.DEA: bytes.fromhex("c94b10f72e8d3a56"),
}
NEW = replace(ATTRIBUTES, sgc=SGC("600422"), ti=TI("08"), krn=KRN(4), ken=KEN(250))


def new_key(ea: EA) -> DecoderKey:
    return DecoderKey(ea, NEW_KEYS[ea])


def reserved(token_class: int, subclass: int, key: DecoderKey) -> TokenData:
    return seal(Block.of(token_class, subclass, (MADE + 1) << 16), key)


def results(bench: MeterBench) -> tuple[int, int, int]:
    names = ("authenticationResult", "validationResult", "tokenResult")
    one, two, three = (bench.number(name) for name in names)
    return one, two, three


# --- class 0 -----------------------------------------------------------------------------------


def test_credit_is_booked_in_base_units_and_the_switch_closes() -> None:
    bench = MeterBench()
    assert bench.number("serverStatus") == 3
    assert bench.enter(credit(1, 125)) is ACCEPT
    assert bench.number("creditBalance") == 12_500
    assert bench.number("totalCreditAccepted") == 12_500
    assert bench.number("serverStatus") == 0
    assert bench.number("loadSwitch") == 1
    assert bench.number("acceptedTID.1") == MADE + 1
    assert bench.number("acceptedTID.2") == MADE
    assert results(bench) == (1, 1, 1)


@pytest.mark.parametrize(
    ("companion", "service", "unit"),
    [
        ("water", Service.WATER, 100),
        ("gas", Service.GAS, 100),
        ("time", Service.TIME, 6),
    ],
)
def test_each_service_takes_its_own_credit_only(
    companion: str, service: Service, unit: int
) -> None:
    bench = MeterBench(companion=companion)
    for tid, other in enumerate(Service, 1):
        own = other is service
        expected = ACCEPT if own else TokenStatus.FUNCTION_ERROR
        assert bench.enter(credit(tid, 30, other)) is expected
        register = ClearCredit(1, MADE + tid + 50, int(other))
        assert bench.enter(register) is expected
    assert bench.number("totalCreditAccepted") == 30 * unit
    limit = SetMaximumPowerLimit(0, MADE + 200, 500)
    assert bench.enter(limit) is TokenStatus.FUNCTION_ERROR
    unbalance = SetMaximumPhasePowerUnbalanceLimit(0, MADE + 201, 500)
    assert bench.enter(unbalance) is TokenStatus.FUNCTION_ERROR


def test_a_credit_that_would_overflow_is_refused_whole() -> None:
    bench = MeterBench()
    state = bench.meter.state
    almost = replace(state.account, balance=9_999_999_900 - 1_200)
    bench = MeterBench(replace(state, account=almost))
    assert bench.enter(credit(1, 13)) is TokenStatus.OVERFLOW_ERROR
    assert results(bench) == (1, 1, 4)
    assert bench.meter.state.account == almost
    assert MADE + 1 not in bench.meter.state.tids
    assert bench.enter(credit(1, 12)) is ACCEPT
    assert bench.number("creditBalance") == 9_999_999_900


@pytest.mark.parametrize("service", Service)
def test_money_is_not_served(service: Service) -> None:
    bench = MeterBench()
    token = TransferCurrency(service, MADE + 1, 100_000)
    assert bench.enter(token) is TokenStatus.FUNCTION_ERROR
    assert results(bench) == (1, 1, 8)


def test_validation_comes_before_the_service() -> None:
    bench = MeterBench(new_meter(kt=KT.DDTK))
    assert bench.number("serverStatus") == 0x83
    money = TransferCurrency(Service.ELECTRICITY, MADE + 1, 100_000)
    assert bench.enter(money) is TokenStatus.DDTK_ERROR
    assert bench.enter(credit(1, 5, Service.WATER)) is TokenStatus.DDTK_ERROR
    assert bench.enter(credit(1, 5)) is TokenStatus.DDTK_ERROR
    assert results(bench) == (1, 12, 0)
    assert bench.enter(credit(0, 5)) is TokenStatus.USED_ERROR
    assert bench.enter(credit(-1, 5)) is TokenStatus.OLD_ERROR
    expiring = MeterBench(new_meter(kt=KT.DDTK, ken=KEN(MADE >> 16)))
    late = credit(65536, 5)
    assert expiring.enter(late) is TokenStatus.KEY_EXPIRED_ERROR
    limit = SetMaximumPowerLimit(0, MADE + 65536, 9)
    assert expiring.enter(limit) is TokenStatus.KEY_EXPIRED_ERROR
    assert expiring.enter(replace(limit, tid=MADE + 1)) is ACCEPT


def test_credit_under_an_initial_key() -> None:
    bench = MeterBench(new_meter(kt=KT.DITK))
    assert bench.enter(credit(1, 5)) is ACCEPT
    assert bench.number("serverStatus") == 0


def test_tids_of_refused_tokens_are_not_stored() -> None:
    bench = MeterBench()
    before = bench.meter.state.tids
    for token in (
        credit(3, 5, Service.GAS),
        ClearCredit(0, MADE + 4, 9),
        ClearTamperCondition(0, MADE + 5, 1),
        SetTariffRate(0, MADE + 6, 1),
    ):
        assert not bench.enter(token).taken
    assert bench.meter.state.tids == before


# --- class 1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mfr_code", "four_digits", "expected"),
    [
        (0, False, ACCEPT),
        (0, True, ACCEPT),
        (31, False, ACCEPT),
        (31, True, ACCEPT),
        (32, False, TokenStatus.MFR_CODE_ERROR),
        (31 + 256, True, TokenStatus.MFR_CODE_ERROR),
    ],
)
def test_meter_test(mfr_code: int, four_digits: bool, expected: TokenStatus) -> None:
    bench = MeterBench()
    token = InitiateMeterTest.of_tests([1, 16], mfr_code=mfr_code, four_digit_mfr_code=four_digits)
    before = bench.meter.state
    assert bench.enter(token) is expected
    after = bench.meter.state
    assert after.tids == before.tids
    assert after.last_test == (token.control if expected is ACCEPT else None)
    assert results(bench) == ((1, 1, 1) if expected is ACCEPT else (14, 0, 0))


def test_other_subclasses_of_class_1() -> None:
    bench = MeterBench()
    assert bench.enter(ExtendedRead(1 << 30)) is TokenStatus.FUNCTION_ERROR
    for subclass in range(3, 16):
        token = reserved(1, subclass, bench.meter.state.key)
        assert bench.enter(token) is TokenStatus.FUNCTION_ERROR
        assert results(bench) == (1, 1, 8)


# --- class 2 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "expected"),
    [
        (0, ACCEPT),
        (0xFFFF, ACCEPT),
        *((register, TokenStatus.FUNCTION_ERROR) for register in range(1, 8)),
        (8, TokenStatus.RANGE_ERROR),
        (0xFFFE, TokenStatus.RANGE_ERROR),
    ],
)
def test_clear_credit(register: int, expected: TokenStatus) -> None:
    bench = MeterBench()
    bench.enter(credit(1, 5))
    assert bench.enter(ClearCredit(0, MADE + 2, register)) is expected
    cleared = expected is ACCEPT
    assert bench.number("creditBalance") == (0 if cleared else 500)
    assert bench.number("serverStatus") == (3 if cleared else 0)
    assert bench.number("totalCreditAccepted") == 500
    assert (MADE + 2 in bench.meter.state.tids) is cleared


def test_clear_credit_clears_a_debt_too() -> None:
    state = new_meter()
    bench = MeterBench(replace(state, account=replace(state.account, balance=-7)))
    assert bench.enter(ClearCredit(0, MADE + 1, 0)) is ACCEPT
    assert bench.number("creditBalance") == 0


def test_limits_are_set_in_watts() -> None:
    bench = MeterBench()
    assert bench.enter(SetMaximumPowerLimit(0, MADE + 1, 16_390)) is ACCEPT
    assert bench.number("maximumPowerLimit") == 16_394  # rounded up by the token
    unbalance = SetMaximumPhasePowerUnbalanceLimit(0, MADE + 2, 77)
    assert bench.enter(unbalance) is ACCEPT
    assert bench.number("maximumPhasePowerUnbalanceLimit") == 77


def test_tamper_is_cleared_by_a_token_with_an_empty_pad() -> None:
    bench = MeterBench()
    bench.enter(credit(1, 5))
    bench.meter.tamper(4, bench.now_ns)
    bench.work()
    assert bench.number("serverStatus") == 5
    assert bench.number("disconnectReason") == 2
    padded = ClearTamperCondition(0, MADE + 2, 0x8000)
    assert bench.enter(padded) is TokenStatus.FORMAT_ERROR
    assert bench.number("tamperStatus") == 4
    assert bench.enter(ClearTamperCondition(0, MADE + 2)) is ACCEPT
    assert bench.number("serverStatus") == 0


@pytest.mark.parametrize(
    "token",
    [
        SetTariffRate(0, MADE + 1, 3),
        SetWaterMeterFactor(0, MADE + 1, 3),
        ExtendedTokenSet(0, MADE + 1, 3, 3),
    ],
)
def test_what_is_reserved_in_class_2(
    token: SetTariffRate | SetWaterMeterFactor | ExtendedTokenSet,
) -> None:
    bench = MeterBench()
    assert bench.enter(token) is TokenStatus.FUNCTION_ERROR
    old = replace(token, tid=MADE - 1)
    assert bench.enter(old) is TokenStatus.OLD_ERROR


@pytest.mark.parametrize(("token_class", "first"), [(0, 8), (2, 11)])
def test_subclasses_without_a_layout_are_not_validated(token_class: int, first: int) -> None:
    bench = MeterBench(new_meter(kt=KT.DDTK))
    key = bench.meter.state.key
    for subclass in range(first, 16):
        for data44 in (0, (1 << 44) - 1):
            token = seal(Block.of(token_class, subclass, data44), key)
            assert bench.enter(token) is TokenStatus.FUNCTION_ERROR
            assert results(bench) == (1, 1, 8)


def test_class_3_is_not_decrypted() -> None:
    bench = MeterBench()
    for block in (0, 0x0123456789ABCDEF, (1 << 64) - 1):
        assert bench.enter(TokenData.assemble(3, block)) is TokenStatus.FUNCTION_ERROR
        assert results(bench) == (0, 0, 8)
    assert bench.meter.state.virtual_lockout.failures == 0


# --- key change --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ea", "three_kct"), [(EA.STA, False), (EA.STA, True), (EA.DEA, True), (EA.MISTY1, False)]
)
def test_key_change_in_any_order(ea: EA, three_kct: bool) -> None:
    names = {3: "1stKCT", 4: "2ndKCT", 8: "3rdKCT", 9: "4thKCT"}
    sections = key_change_sections(new_key(ea), NEW, ro=False, three_kct=three_kct)
    orders: list[list[KeyChangeSection]] = [list(sections), list(reversed(sections))]
    orders += [list(sections[1:] + sections[:1])]
    for order in orders:
        bench = MeterBench(new_meter(ea=ea))
        bench.enter(credit(1, 5))
        before = bench.meter.state
        ends_early = ea is not EA.MISTY1 and not three_kct
        for section in order[:-1]:
            assert bench.enter(section) is TokenStatus(names[section.subclass])
            assert bench.number("serverStatus") == 0x10
            now = bench.meter.state
            assert (now.key, now.attributes) == (before.key, before.attributes)
        assert bench.enter(order[-1]) is ACCEPT
        after = bench.meter.state
        sgc = ATTRIBUTES.sgc if ends_early else NEW.sgc
        assert after.attributes == replace(NEW, sgc=sgc)
        assert after.key == new_key(ea)
        assert after.staging is None
        assert after.tids == before.tids
        assert after.account.balance == 500
        # Under the new key credit is taken, under the old one it is noise.
        assert bench.enter(credit(2, 5)) is ACCEPT
        other = MeterBench(before)
        assert bench.enter(other.digits(credit(3, 5))) is TokenStatus.CRC_ERROR


def _first(**changes: int) -> Set1stSectionDecoderKey:
    values = {"kenho": 15, "krn": 4, "ro": 0, "three_kct": 0, "kt": 2, "nkho": 0xC94B10F7}
    values |= changes
    return Set1stSectionDecoderKey(
        values["kenho"],
        values["krn"],
        bool(values["ro"]),
        bool(values["three_kct"]),
        values["kt"],
        values["nkho"],
    )


SECOND = Set2ndSectionDecoderKey(10, 8, 0x2E8D3A56)


@pytest.mark.parametrize("krn", [0, *range(10, 16)])
def test_krn_out_of_range(krn: int) -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    assert bench.enter(_first(krn=krn, kt=3)) is TokenStatus.RANGE_ERROR
    assert bench.meter.state.staging is None


@pytest.mark.parametrize("ti", [100, 255])
def test_ti_out_of_range_leaves_staging(ti: int) -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    assert bench.enter(_first()) is TokenStatus.FIRST_KCT
    staged = bench.meter.state.staging
    assert bench.enter(replace(SECOND, ti=ti)) is TokenStatus.RANGE_ERROR
    assert bench.meter.state.staging == staged
    assert bench.enter(SECOND) is ACCEPT


@pytest.mark.parametrize(
    ("old", "allowed"),
    [(KT.DITK, {0, 1, 2}), (KT.DDTK, {1, 2}), (KT.DUTK, {1, 2})],
)
def test_key_types(old: KT, allowed: set[int]) -> None:
    for new in range(4):
        bench = MeterBench(new_meter(ea=EA.STA, kt=old))
        expected = TokenStatus.FIRST_KCT if new in allowed else TokenStatus.KEY_TYPE_ERROR
        assert bench.enter(_first(kt=new)) is expected
        if new in allowed:
            assert bench.enter(SECOND) is ACCEPT
            assert bench.number("KT") == new
        else:
            assert bench.meter.state.staging is None


def test_sgc_out_of_range_is_judged_in_the_completing_section() -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    beyond = Set3rdSectionDecoderKey(1_000_000 >> 12, (1_000_000 & 0xFFF) << 20)
    assert beyond.sgc24 == 1_000_000
    assert bench.enter(beyond) is TokenStatus.THIRD_KCT
    assert bench.enter(_first(three_kct=1)) is TokenStatus.FIRST_KCT
    staged = bench.meter.state.staging
    assert bench.enter(SECOND) is TokenStatus.RANGE_ERROR
    assert bench.meter.state.staging == staged
    # A good section in its place does not complete the set, the one refused then does.
    good = Set3rdSectionDecoderKey.with_sgc(NEW.sgc)
    assert bench.enter(good) is TokenStatus.THIRD_KCT
    assert bench.enter(SECOND) is ACCEPT
    assert bench.read("SGC") == NEW.sgc.digits
    eleven = MeterBench()
    _, second, third, fourth = key_change_sections(new_key(EA.MISTY1), NEW, ro=False)
    assert isinstance(fourth, Set4thSectionDecoderKey)
    assert eleven.enter(replace(fourth, sgcho=0xFFF)) is TokenStatus.FOURTH_KCT
    assert eleven.enter(second) is TokenStatus.SECOND_KCT
    assert eleven.enter(third) is TokenStatus.THIRD_KCT
    assert eleven.enter(_first()) is TokenStatus.RANGE_ERROR


def test_without_3kct_a_staged_third_section_is_dropped() -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    third = Set3rdSectionDecoderKey.with_sgc(NEW.sgc)
    assert bench.enter(third) is TokenStatus.THIRD_KCT
    assert bench.enter(_first(three_kct=0)) is TokenStatus.FIRST_KCT
    assert bench.enter(SECOND) is ACCEPT
    assert bench.read("SGC") == ATTRIBUTES.sgc.digits
    assert bench.meter.state.staging is None


def test_3kct_means_nothing_under_ea11() -> None:
    bench = MeterBench()
    first, *others = key_change_sections(new_key(EA.MISTY1), NEW, ro=False)
    assert isinstance(first, Set1stSectionDecoderKey)
    bench.enter(replace(first, three_kct=True))
    assert [bench.enter(section) for section in others][-1] is ACCEPT
    assert bench.meter.state.key == new_key(EA.MISTY1)


@pytest.mark.parametrize("ea", [EA.STA, EA.DEA])
def test_64_bit_meters_have_no_fourth_section(ea: EA) -> None:
    bench = MeterBench(new_meter(ea=ea))
    assert bench.enter(Set4thSectionDecoderKey(1, 1)) is TokenStatus.FUNCTION_ERROR
    assert bench.meter.state.staging is None


def test_the_pad_of_an_sgc_section_must_be_empty() -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    padded = Set3rdSectionDecoderKey(0x092, 0x12300001)
    assert bench.enter(padded) is TokenStatus.FORMAT_ERROR
    assert bench.meter.state.staging is None


@pytest.mark.parametrize(
    ("old", "new"), [(BaseDate.Y1993, BaseDate.Y2014), (BaseDate.Y2014, BaseDate.Y2035)]
)
def test_roll_over(old: BaseDate, new: BaseDate) -> None:
    bench = MeterBench(new_meter(base_date=old))
    bench.enter(credit(9, 77))
    tokens = key_change_set(bench.meter.state.key, new_key(EA.MISTY1), NEW, ro=True)
    assert [bench.enter(token) for token in tokens][-1] is ACCEPT
    assert bench.read("baseDate") == new.code
    assert bench.meter.state.tids == (0,) * 50
    assert bench.number("creditBalance") == 7_700
    assert bench.enter(credit(-MADE + 1, 5)) is ACCEPT
    assert bench.enter(credit(-MADE, 5)) is TokenStatus.USED_ERROR


def test_no_base_date_follows_2035() -> None:
    bench = MeterBench(new_meter(base_date=BaseDate.Y2035))
    assert bench.enter(_first(ro=1, kt=3)) is TokenStatus.RANGE_ERROR
    assert bench.meter.state.staging is None
    assert bench.enter(_first(ro=0)) is TokenStatus.FIRST_KCT


def test_staging_is_forgotten_ten_minutes_after_the_last_section() -> None:
    bench = MeterBench(new_meter(ea=EA.STA))
    assert bench.enter(_first(three_kct=1)) is TokenStatus.FIRST_KCT
    bench.sleep(599)
    assert bench.enter(SECOND) is TokenStatus.SECOND_KCT
    bench.sleep(599)
    assert bench.number("serverStatus") == 0x13
    assert bench.enter(credit(1, 5)) is ACCEPT  # other tokens leave staging alone
    assert bench.enter("00000000000000000000") is TokenStatus.CRC_ERROR
    bench.sleep(0.999)
    assert bench.meter.state.staging is not None
    bench.sleep(0.001)
    assert bench.number("serverStatus") == 0
    assert bench.enter(_first(three_kct=1)) is TokenStatus.FIRST_KCT


# --- what every token leaves behind --------------------------------------------------------------


def test_token_log() -> None:
    bench = MeterBench()
    key = bench.meter.state.key
    tokens: list[tuple[Token | TokenData, str]] = [
        (credit(1, 125), f"{MADE + 1},0.0,12500,1"),
        (credit(1, 3), f"{MADE + 1},0.0,300,10"),
        (credit(2, 3, Service.WATER), f"{MADE + 2},0.1,,8"),
        (TransferCurrency(Service.TIME, MADE + 2, 100), f"{MADE + 2},0.7,,8"),
        (reserved(0, 9, key), ",0.9,,8"),
        (InitiateMeterTest.of_tests([1, 3]), ",1.0,5,1"),
        (InitiateMeterTest.of_tests([0]), f",1.0,{2**36 - 1},1"),
        (ExtendedRead(5), ",1.2,,8"),
        (InitiateMeterTest.of_tests([1], mfr_code=99), ",,,14"),
        (SetMaximumPowerLimit(0, MADE + 3, 9_000), f"{MADE + 3},2.0,9000,1"),
        (ClearCredit(0, MADE + 4, 65535), f"{MADE + 4},2.1,65535,1"),
        (ClearTamperCondition(0, MADE + 5), f"{MADE + 5},2.5,,1"),
        (ExtendedTokenSet(0, MADE + 6, 1, 1), f"{MADE + 6},2.10,,8"),
        (SECOND, ",2.4,,3"),
        (reserved(2, 15, key), ",2.15,,8"),
        (TokenData.assemble(3, 77), ",,,8"),
        (TokenData(1), ",,,13"),
    ]
    expected = []
    for number, (token, rest) in enumerate(tokens, 1):
        digits = bench.digits(token)
        bench.enter(token)
        expected.append(f"{number},{digits},{rest}")
    assert [bench.read(f"tokenLog.{n}") for n in range(1, 18)] == expected[::-1]
    assert bench.read("tokenLog.18") == ""
    assert bench.number("tokenSequence") == 17


def test_the_logs_are_rings_and_the_sequence_wraps() -> None:
    state = replace(new_meter(), tokens_executed=2**32 - 2)
    bench = MeterBench(state)
    for tid in range(1, 62):
        assert bench.enter(credit(tid, 1)) is ACCEPT
    assert bench.number("tokenSequence") == 59
    assert str(bench.read("tokenLog.1")).startswith("59,")
    assert str(bench.read("tokenLog.50")).startswith("10,")
    assert len(bench.meter.state.token_log) == 50
    assert len(bench.meter.state.event_log) <= 100
    wrapped = MeterBench(state)
    for tid in (1, 2):
        wrapped.enter(credit(tid, 1))
    assert wrapped.number("tokenSequence") == 0
    assert str(wrapped.read("tokenLog.1")).startswith("0,")
    assert str(wrapped.read("tokenLog.2")).startswith(f"{2**32 - 1},")


def test_the_tid_store_is_a_window_of_fifty() -> None:
    bench = MeterBench()
    for tid in range(2, 102, 2):
        assert bench.enter(credit(tid, 1)) is ACCEPT
    assert bench.meter.state.tids == tuple(range(MADE + 100, MADE, -2))
    assert bench.enter(credit(1, 1)) is TokenStatus.OLD_ERROR
    assert bench.enter(credit(3, 1)) is ACCEPT
    assert bench.number("acceptedTID.50") == MADE + 3
    assert bench.enter(credit(2, 1)) is TokenStatus.OLD_ERROR


def test_events() -> None:
    bench = MeterBench()
    bench.enter(credit(1, 5))
    bench.enter(ClearCredit(0, MADE + 2, 0))
    tokens = key_change_set(bench.meter.state.key, new_key(EA.MISTY1), NEW, ro=False)
    for token in tokens:
        bench.enter(token)
    assert bench.events_logged() == [
        "manufactured,",
        "powerUp,",
        "token,1",
        "switchClosed,",
        "token,2",
        "switchOpen,1",
        "token,3",
        "token,4",
        "token,5",
        "keyChange,4",
        "token,6",
    ]


# --- lockout -----------------------------------------------------------------------------------

NOISE = "00000000000000000000"


def _fail(bench: MeterBench, times: int, carrier: TCT = TCT.VIRTUAL) -> None:
    for _ in range(times):
        assert bench.enter(NOISE, carrier) is TokenStatus.CRC_ERROR


def test_lockout_doubles_up_to_an_hour() -> None:
    bench = MeterBench()
    _fail(bench, 5)
    lengths = []
    for _ in range(8):
        lengths.append(bench.number("lockoutRemaining"))
        assert bench.number("serverStatus") & 8
        assert bench.offer(credit(1, 5)) is ErrorCode.TOKEN_LOCKOUT
        assert bench.read("tokenStatus") == 15
        bench.sleep(lengths[-1] - 1)
        assert bench.number("lockoutRemaining") == 1
        assert bench.offer(NOISE) is ErrorCode.TOKEN_LOCKOUT
        bench.sleep(1)
        assert bench.number("lockoutRemaining") == 0
        assert bench.read("tokenStatus") == 13
        _fail(bench, 1)
        assert bench.read("tokenStatus") == 13  # its own result until the next entry is refused
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_only_an_accepted_encrypted_token_clears_the_count() -> None:
    bench = MeterBench()
    _fail(bench, 4)
    for token in (InitiateMeterTest.of_tests([0]), credit(0, 5), credit(1, 5, Service.GAS)):
        bench.enter(token)
        assert bench.meter.state.virtual_lockout.failures == 4
    assert bench.enter(SECOND) is TokenStatus.SECOND_KCT
    assert bench.meter.state.virtual_lockout.failures == 0
    _fail(bench, 4)
    assert bench.enter(InitiateMeterTest(1, 99)) is TokenStatus.MFR_CODE_ERROR
    assert bench.meter.state.virtual_lockout.locked
    assert bench.meter.state.staging is not None
    assert "lockout,60" in bench.events_logged()


def test_each_carrier_has_its_own_lockout() -> None:
    bench = MeterBench()
    _fail(bench, 5, TCT.NUMERIC)
    assert bench.number("serverStatus") == 3
    assert bench.number("lockoutRemaining") == 0
    assert bench.offer(credit(1, 5), TCT.NUMERIC) is ErrorCode.TOKEN_LOCKOUT
    assert bench.read("tokenStatus") == 13
    _fail(bench, 4)
    bench.sleep(60)
    assert bench.enter(credit(1, 5), TCT.NUMERIC) is ACCEPT
    assert bench.meter.state.keypad_lockout.failures == 0
    assert bench.meter.state.virtual_lockout.failures == 4
    _fail(bench, 1)
    assert bench.number("serverStatus") == 8


def test_a_lockout_survives_a_loss_of_power() -> None:
    bench = MeterBench()
    _fail(bench, 5)
    bench.sleep(25)
    bench.power_up()  # what was not committed, at most 10 s, is lost
    assert 35 <= bench.number("lockoutRemaining") <= 45
    assert bench.read("tokenStatus") == 13
    assert bench.offer(NOISE) is ErrorCode.TOKEN_LOCKOUT
    bench.work()
    bench.power_up()
    assert bench.read("tokenStatus") == 15  # an entry was refused before power failed
    bench.sleep(60)
    assert bench.read("tokenStatus") == 13
    bench.power_up()
    state: MeterState = bench.meter.state
    assert state.power_fails == 3
    assert state.powered_ns >= 20 * S

"""Execution of a token: what a MeterApplicationProcess does with TokenData (IEC 62055-41 7.3).

Class bits, decryption, AuthenticationResult, ValidationResult, execution, TokenResult, in this
order. Everything is pure: a token leads from one state to the next, and the caller makes that
durable before anyone sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vtc07.carrier.status import TokenStatus
from vtc07.meter import key_change
from vtc07.meter.logs import EventName, TokenLogEntry
from vtc07.meter.rules import Rules
from vtc07.meter.state import LastToken, MeterState
from vtc07.tokens import (
    CLEAR_ALL_REGISTERS,
    KT,
    TCT,
    Block,
    ClearCredit,
    ClearTamperCondition,
    InitiateMeterTest,
    NotSupported,
    Set1stSectionDecoderKey,
    Set2ndSectionDecoderKey,
    Set3rdSectionDecoderKey,
    Set4thSectionDecoderKey,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    Token,
    TokenData,
    TransferCredit,
    interpret,
    open_token,
)

_GOOD = TokenStatus.ACCEPT
_RESERVED_CLASS = 3
_CREDIT_REGISTERS = 8  # 0 to 3 the services, 4 to 7 the same in currency


@dataclass(frozen=True, slots=True)
class _Judgement:
    """A token's results, what its log entry tells, and the state it leads to."""

    state: MeterState
    authentication: TokenStatus = TokenStatus.NONE
    validation: TokenStatus = TokenStatus.NONE
    result: TokenStatus = TokenStatus.NONE
    tid: int | None = None
    kind: str | None = None
    value: int | None = None

    @property
    def status(self) -> TokenStatus:
        """The first result that failed, or the TokenResult."""
        for found in (self.authentication, self.validation):
            if found not in (_GOOD, TokenStatus.NONE):
                return found
        return self.result


def execute(state: MeterState, token: str, carrier: TCT, rules: Rules) -> MeterState:
    """Execute a token that a carrier delivered and return the meter's next state.

    ``token``: 20 digits of at most 66 bits, DigitsError otherwise (a carrier refuses such a
    value before). ``carrier``: TCT.VIRTUAL, or TCT.NUMERIC for the keypad. The results are in
    the ``last`` of the new state; TID, log entry, sequence and lockout are all part of it. The
    load switch is not: `accounting.settle` lets it follow.
    """
    data = TokenData.from_digits(token)
    judged = _judge(state, data, rules)
    status = judged.status
    before = state.lockout(carrier)
    lockout = before.after(status, data.token_class, rules.lockout)
    number = state.tokens_executed + 1
    entry = TokenLogEntry(number, data.digits, judged.tid, judged.kind, judged.value, status)
    after = replace(
        judged.state,
        last=LastToken(
            data.digits, status, judged.authentication, judged.validation, judged.result
        ),
        tokens_executed=number,
        token_log=(entry, *state.token_log)[: rules.token_log_size],
    ).with_lockout(carrier, lockout)
    after = after.with_event(rules, EventName.TOKEN, entry.sequence)
    if lockout.locked and not before.locked:
        after = after.with_event(rules, EventName.LOCKOUT, lockout.last_lock_s)
    return after


def _judge(state: MeterState, data: TokenData, rules: Rules) -> _Judgement:
    if data.token_class == _RESERVED_CLASS:
        return _Judgement(state, result=TokenStatus.FUNCTION_ERROR)
    block = open_token(data, state.key)
    authentication = _authenticate(block, state)
    if authentication is not _GOOD:
        return _Judgement(state, authentication)
    kind = f"{block.token_class}.{block.subclass}"
    try:
        token = interpret(block)
    except NotSupported:
        # Reserved and proprietary subclasses have no layout to validate.
        return _Judgement(state, _GOOD, _GOOD, TokenStatus.FUNCTION_ERROR, kind=kind)
    tid = _tid(token)
    value = _value(token, rules)
    validation = _GOOD if tid is None else _validate(state, block.token_class, tid)
    if validation is not _GOOD:
        return _Judgement(state, _GOOD, validation, tid=tid, kind=kind, value=value)
    after, result = _effect(state, token, rules)
    if result is TokenStatus.ACCEPT and tid is not None:
        after = _with_tid(after, tid, rules)
    return _Judgement(after, _GOOD, _GOOD, result, tid, kind, value)


def _authenticate(block: Block, state: MeterState) -> TokenStatus:
    if not block.authentic:
        return TokenStatus.CRC_ERROR
    if block.token_class == 1 and block.subclass in (0, 1):
        code = block.data44 & (0xFFFF if block.subclass else 0xFF)
        if code not in (0, state.nameplate.meter_pan.drn.mfr_code.number):
            return TokenStatus.MFR_CODE_ERROR
    return _GOOD


def _tid(token: Token) -> int | None:
    """Return the TID of a token that has one: classes 0 and 2 but not key change sections."""
    tid = getattr(token, "tid", None)
    return None if tid is None else int(tid)


def _value(token: Token, rules: Rules) -> int | None:
    match token:
        case TransferCredit(service=service, amount=amount) if service is rules.service:
            return amount * rules.policy.credit_unit
        case SetMaximumPowerLimit(watts=watts) | SetMaximumPhasePowerUnbalanceLimit(watts=watts):
            return watts
        case ClearCredit(register=register):
            return register
        case InitiateMeterTest(control=control):
            return control
        case _:
            return None


def _validate(state: MeterState, token_class: int, tid: int) -> TokenStatus:
    if tid < state.tids[-1]:
        return TokenStatus.OLD_ERROR
    if tid in state.tids:
        return TokenStatus.USED_ERROR
    if state.attributes.ken.expired_for(tid):
        return TokenStatus.KEY_EXPIRED_ERROR
    if token_class == 0 and state.attributes.kt is KT.DDTK:
        return TokenStatus.DDTK_ERROR
    return _GOOD


def _with_tid(state: MeterState, tid: int, rules: Rules) -> MeterState:
    tids = sorted((*state.tids, tid), reverse=True)[: rules.policy.tid_store_size]
    return replace(state, tids=tuple(tids))


def _effect(state: MeterState, token: Token, rules: Rules) -> tuple[MeterState, TokenStatus]:
    """Return the state after the token's effect and its TokenResult."""
    match token:
        case TransferCredit():
            return _credit(state, token, rules)
        case InitiateMeterTest(control=control):
            return replace(state, last_test=control), TokenStatus.ACCEPT
        case SetMaximumPowerLimit(watts=watts) if rules.power_limit_served:
            switch = replace(state.switch, maximum_power=watts)
            return replace(state, switch=switch), TokenStatus.ACCEPT
        case SetMaximumPhasePowerUnbalanceLimit(watts=watts) if rules.unbalance_limit_served:
            switch = replace(state.switch, maximum_unbalance=watts)
            return replace(state, switch=switch), TokenStatus.ACCEPT
        case ClearCredit(register=register):
            return _clear_credit(state, register, rules)
        case ClearTamperCondition(pad=pad):
            if pad:
                return state, TokenStatus.FORMAT_ERROR
            return replace(state, switch=replace(state.switch, tamper=0)), TokenStatus.ACCEPT
        case (
            Set1stSectionDecoderKey()
            | Set2ndSectionDecoderKey()
            | Set3rdSectionDecoderKey()
            | Set4thSectionDecoderKey()
        ):
            return key_change.take(state, token, rules)
        case _:
            # Currency, extended read and set, tariff rate, water meter factor: not served.
            return state, TokenStatus.FUNCTION_ERROR


def _credit(
    state: MeterState, token: TransferCredit, rules: Rules
) -> tuple[MeterState, TokenStatus]:
    if token.service is not rules.service:
        return state, TokenStatus.FUNCTION_ERROR
    amount = token.amount * rules.policy.credit_unit
    account = state.account
    if account.balance + amount > rules.policy.credit_maximum:
        return state, TokenStatus.OVERFLOW_ERROR
    account = replace(account, balance=account.balance + amount, accepted=account.accepted + amount)
    return replace(state, account=account), TokenStatus.ACCEPT


def _clear_credit(state: MeterState, register: int, rules: Rules) -> tuple[MeterState, TokenStatus]:
    if register >= _CREDIT_REGISTERS and register != CLEAR_ALL_REGISTERS:
        return state, TokenStatus.RANGE_ERROR
    if register not in (rules.service, CLEAR_ALL_REGISTERS):
        return state, TokenStatus.FUNCTION_ERROR
    return replace(state, account=replace(state.account, balance=0)), TokenStatus.ACCEPT

"""A meter that gets any tokens, and what must hold whatever they are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from fuzz_sessions import ATTRIBUTES, KEYS, MADE, new_meter
from vtc07.carrier.companion import S
from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.registers import Register
from vtc07.carrier.status import TokenStatus
from vtc07.meter import ConstantLoad, MeterState, Rules, accounting, application, encoding
from vtc07.meter.readings import Instant, Readings
from vtc07.tokens import (
    CLEAR_ALL_REGISTERS,
    EA,
    KEN,
    KT,
    TCT,
    Block,
    TokenData,
    TransferCredit,
    interpret,
    open_token,
    seal,
)

_EAS = tuple(EA)
_TOKENS = 12


@cache
def _fresh(name: str, ea: EA) -> tuple[MeterState, Rules, Readings]:
    companion = load_companion(name)
    rules = Rules.of(companion)
    return new_meter(companion, ea), rules, Readings(companion, rules)


@cache
def _shown_registers(name: str) -> tuple[Register, ...]:
    companion = load_companion(name)
    seen = [r for r in companion.table if r != companion.token_entry.register]
    return tuple(r for r in seen if "." not in r.name or r.name.endswith((".1", ".50")))


class MeterTrial:
    """One meter, and tokens that the input makes: 8 bytes each.

    The first byte of each says how it comes about: with a fresh TID or with arbitrary fields, as
    arbitrary digits, under which key, from which carrier; or that time passes.
    """

    def __init__(self, data: bytes) -> None:
        first = data[0] if data else 0
        self.name = ("electricity", "water", "gas", "time")[first & 3]
        self.ea = _EAS[(first >> 2) % 3]
        self.state, self.rules, self.readings = _fresh(self.name, self.ea)
        if first & 0x80:
            attributes = replace(ATTRIBUTES, ken=KEN(77), kt=KT(first >> 4 & 1))
            self.state = replace(self.state, attributes=attributes)
        if first & 0x40:  # nearly full, and opened by somebody
            maximum = self.rules.policy.credit_maximum
            account = replace(self.state.account, balance=maximum - 5000, accepted=maximum)
            switch = replace(self.state.switch, tamper=1, maximum_unbalance=800)
            self.state = replace(self.state, account=account, switch=switch)
        self.load = ConstantLoad((1_200, 300, 0) if self.name == "electricity" else (1_200,))
        self.data = data[1:]
        self.accepted: list[str] = []

    def run(self) -> None:
        """Let the meter execute all of them."""
        for at in range(0, min(len(self.data), 8 * _TOKENS), 8):
            self._step(self.data[at : at + 8].ljust(8, b"\0"))
        self._check_shown()

    def _step(self, data: bytes) -> None:
        how, fields = data[0], int.from_bytes(data[1:], "big")
        if how & 7 == 7:
            self._pass_time(fields % (20_000 * S))
            return
        if how & 7 == 6:
            token = TokenData(fields << 10 & (1 << 66) - 1).digits
        elif how & 7 == 5 and self.accepted:
            token = self.accepted[fields % len(self.accepted)]
        else:
            token = self._made(how, fields)
        before = self.state
        after = self._execute(token, TCT.NUMERIC if how & 8 else TCT.VIRTUAL)
        self._check(before, token)
        if after.last.status is TokenStatus.ACCEPT:
            # Never twice: at once again it is used, old or expired; what has no TID may repeat.
            block = open_token(TokenData.from_digits(token), before.key)
            self.accepted.append(token)
            if block.has_tid:
                again = application.execute(after, token, TCT.VIRTUAL, self.rules)
                assert again.last.status is not TokenStatus.ACCEPT, "a token is applied twice"
                assert again.account == after.account
        self.state = accounting.settle(after, self.load, self.rules)
        assert accounting.settle(self.state, self.load, self.rules) == self.state

    def _made(self, how: int, fields: int) -> str:
        token_class, subclass, data44 = fields >> 48 & 3, fields >> 44 & 15, fields & (1 << 44) - 1
        if how & 7 == 0:
            token_class, subclass = 0, int(self.rules.service)
        if how & 7 <= 2 and not (token_class == 2 and subclass in (3, 4, 8, 9)):
            tid = MADE + (data44 >> 16 & 0xFFF) - 64
            data44 = data44 & 0xF << 40 | tid << 16 | data44 & 0xFFFF
        key = KEYS[self.ea] if how & 16 else self.state.key
        if token_class == 3:
            return TokenData.assemble(3, fields & (1 << 64) - 1).digits
        return seal(Block.of(token_class, subclass, data44), key).digits

    def _execute(self, token: str, carrier: TCT) -> MeterState:
        before = self.state
        after = self.state = application.execute(before, token, carrier, self.rules)
        other = TCT.VIRTUAL if carrier is TCT.NUMERIC else TCT.NUMERIC
        assert after.lockout(other) == before.lockout(other)
        lockout = after.lockout(carrier)
        failed = after.last.status in (TokenStatus.CRC_ERROR, TokenStatus.MFR_CODE_ERROR)
        assert lockout.failures in (
            (before.lockout(carrier).failures + 1,)
            if failed
            else (
                0,
                before.lockout(carrier).failures,
            )
        )
        assert not failed or lockout.locked == (lockout.failures >= self.rules.lockout.failures)
        return after

    def _check(self, before: MeterState, token: str) -> None:
        after, policy = self.state, self.rules.policy
        status = after.last.status
        assert after.last.token == token
        assert status.is_result
        assert after.tokens_executed == before.tokens_executed + 1
        assert after.token_sequence == (before.token_sequence + 1) % 2**32
        assert after.token_log[0].number == after.tokens_executed
        assert after.token_log[1:] == before.token_log[: len(after.token_log) - 1]
        assert len(after.tids) == policy.tid_store_size
        assert list(after.tids) == sorted(after.tids, reverse=True)
        assert 0 <= after.account.balance <= max(policy.credit_maximum, before.account.balance)
        same_key = (after.key, after.attributes) == (before.key, before.attributes)
        if status is not TokenStatus.ACCEPT:
            assert after.account == before.account, "a refused token changes the credit"
            assert after.switch == before.switch
            assert after.tids == before.tids
            assert same_key
            assert status.taken or after.staging == before.staging
            return
        block = open_token(TokenData.from_digits(token), before.key)
        assert block.authentic
        meaning = interpret(block)
        added = after.account.balance - before.account.balance
        assert after.account.accepted - before.account.accepted == max(0, added)
        if isinstance(meaning, TransferCredit):
            assert meaning.service is self.rules.service
            assert added == meaning.amount * policy.credit_unit
        elif added:
            assert added == -before.account.balance
            assert (block.token_class, block.subclass) == (2, 1)
            assert block.value16 in (int(self.rules.service), CLEAR_ALL_REGISTERS)
        if block.has_tid:
            tid = block.tid
            assert tid not in before.tids
            assert tid >= before.tids[-1]
            size = policy.tid_store_size
            assert after.tids == tuple(sorted((*before.tids, tid), reverse=True)[:size])
            assert not before.attributes.ken.expired_for(tid)
        assert same_key or block.is_key_change
        if block.is_key_change:
            assert after.staging is None

    def _pass_time(self, duration_ns: int) -> None:
        before = self.state
        end = before.powered_ns + duration_ns
        after = accounting.advance(before, end, self.load, self.rules)
        half = accounting.advance(
            before, before.powered_ns + duration_ns // 2, self.load, self.rules
        )
        assert accounting.advance(half, end, self.load, self.rules) == after
        gone = before.account.balance - after.account.balance
        assert gone == after.account.consumed - before.account.consumed >= 0
        self.state = after

    def _check_shown(self) -> None:
        """Everything about the meter can be stored, read back and shown, and no key is."""
        state = self.state
        assert encoding.decode(encoding.encode(state)) == state
        instant = Instant(state, self.load, state.last.status, store_fault=False)
        for register in _shown_registers(self.name):
            register.encode(self.readings.value(register, instant))
        assert state.key.material.hex() not in repr(state).lower()

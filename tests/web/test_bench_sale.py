"""The point of sale: what it issues is what the meter takes or refuses, and no key is shown."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from bench_meters import ISSUED_AT, ByHand

from vtc07.tokens import TID, BaseDate, InitiateMeterTest, TokenData, TransferCredit, decode
from vtc07.web.bench.bench import KINDS, BenchRefused, Kind
from vtc07.web.bench.keyring import Keyring


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_meter_says_to_each_token_what_was_promised(kind: Kind) -> None:
    with ByHand(kind) as it:
        it.buy("key-change")
        offers = [offer.name for offer in it.sale.offers]
        ours = {"credit", "clear-credit", "clear-tamper", "key-change", "test-display"}
        ours |= {"wrong-meter", "mistyped", "old", "old-key", "tariff"}
        ours |= {"power-limit"} if kind.flow_unit == "W" else set()
        ours |= {"unbalance"} if kind.phases > 1 else set()
        assert set(offers) == ours
        for name in offers:
            made = it.buy(name)
            assert made.training == (set(made.results) <= {"CRCError", "OldError", "FunctionError"})
        assert [each.number for each in it.sale.issued] == list(range(1, len(offers) + 2))
        assert it.issued == len(offers) + 1


def test_credit_is_what_was_asked_for_or_the_next_that_a_token_can_hold() -> None:
    with ByHand("water") as it:
        assert str(it.buy("credit", amount="0,5").what) == "Credit of 0.5 m3"
        assert it.panel.credit == 500
        assert str(it.buy("credit", amount=" 1638.5 ").what) == "Credit of 1639.4 m3"
        assert it.panel.credit == 500 + 1_639_400
        it.buy("clear-credit")
        assert it.panel.credit == 0


@pytest.mark.parametrize("amount", ["", "0", "-1", "1.25", "1e3", "9999999", "ten", "1 0"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with ByHand() as it:
        with pytest.raises(BenchRefused, match="is no amount"):
            it.sale.issue("credit", {"amount": amount})
        assert it.sale.issued == ()


def test_what_is_no_number_or_not_for_sale_is_refused() -> None:
    with ByHand() as it:
        for what, fields in (
            ("power-limit", {"watts": "99999999"}),
            ("power-limit", {"watts": "much"}),
            ("test-display", {"test": "19"}),
        ):
            with pytest.raises(BenchRefused, match="whole number from 0 to"):
                it.sale.issue(what, fields)
        for what in ("unbalance", "old-key", "free-power"):
            with pytest.raises(BenchRefused, match="not for sale here"):
                it.sale.issue(what, {})


def test_no_tid_is_given_twice_within_a_minute_nor_ever() -> None:
    with ByHand() as it:
        minutes = [_minute(it, name) for name in ("credit", "clear-tamper", "old", "mistyped")]
        it.buy("key-change")
        minutes += [_minute(it, "credit") for _ in range(3)]
        assert len(set(minutes)) == len(minutes)
        assert minutes[0] == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
        assert minutes[-1] == datetime(2026, 11, 23, 9, 35, tzinfo=UTC)
        assert minutes[2] == minutes[0] - timedelta(days=365)
        assert _minute(it, "old") == minutes[2] + timedelta(minutes=1)
        # An hour later it is the true minute again.
        it.at += timedelta(hours=1)
        assert _minute(it, "credit") == datetime(2026, 11, 23, 10, 30, tzinfo=UTC)


def _minute(it: ByHand, what: str) -> datetime:
    """Return the minute that a token is of, whatever becomes of its digits."""
    before = set(it.sale._taken)
    it.sale.issue(what, {})
    (taken,) = it.sale._taken - before
    return TID(taken).issued_at(BaseDate.Y2014)


def test_sales_of_several_threads_at_once_have_different_tids() -> None:
    with ByHand() as it:
        threads = [
            threading.Thread(target=lambda: [it.sale.issue("credit", {}) for _ in range(5)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tokens = [token for issued in it.sale.issued for token in issued.tokens]
        opened = [_credit(it, token).tid for token in tokens]
        assert len(set(opened)) == 20


def _credit(it: ByHand, digits: str) -> TransferCredit:
    token = decode(TokenData.from_digits(digits), it.sale.keys.key)
    assert isinstance(token, TransferCredit)
    return token


def test_a_test_token_is_for_every_meter() -> None:
    with ByHand() as it:
        made = it.sale.issue("test-display", {"test": "7"})
        token = decode(TokenData.from_digits(made.tokens[0]), None)
        assert token == InitiateMeterTest.of_tests([7])


def test_after_a_key_change_tokens_are_of_the_new_key() -> None:
    with ByHand() as it:
        (before,) = it.sale.issue("credit", {"amount": "1"}).tokens
        change = it.sale.issue("key-change", {})
        assert str(change.what) == "Key change to KRN 2"
        (after,) = it.sale.issue("credit", {"amount": "2"}).tokens
        assert it.enter(after) == "CRCError"
        assert it.panel.staged == 0
        assert [it.enter(token) for token in change.tokens[:3]] == list(change.results[:3])
        assert it.panel.staged == 3
        assert it.enter(change.tokens[3]) == "Accept"
        assert (it.panel.staged, it.panel.key) == (0, "SGC 999000 TI 01 KRN 2 KEN 255")
        assert it.enter(after) == "Accept"
        assert it.enter(before) == "CRCError"


def test_staged_sections_are_forgotten_in_time() -> None:
    with ByHand() as it:
        change = it.sale.issue("key-change", {})
        it.enter(change.tokens[0])
        it.act(lambda: it.works.set_time(600))
        it.let_pass(1.1)
        assert it.panel.staged == 0
        it.act(lambda: it.works.set_time(1))
        assert [it.enter(token) for token in change.tokens] == list(change.results)


def test_after_the_ninth_revision_comes_the_first() -> None:
    with ByHand() as it:
        for number in (*range(2, 10), 1, 2):
            it.buy("key-change")
            assert it.panel.key is not None
            assert f"KRN {number} " in it.panel.key
        it.buy("credit")


def test_no_key_is_shown_anywhere() -> None:
    keys = Keyring()
    keys.change()
    with ByHand() as it:
        it.buy("key-change")
        shown = "".join(
            repr(each)
            for each in (
                keys, keys.__dict__, it.sale, it.sale.__dict__, it.sale.keys.__dict__, it.works,
                it.works.__dict__, it.panel, it.sale.issued,
            )
        ).upper()  # fmt: skip
        for ring in (keys, it.sale.keys):
            now, before = ring._now, ring._before
            assert before is not None
            for secret in (now.vending, now.decoder, before.vending, before.decoder):
                assert secret.material.hex().upper() not in shown
                assert repr(secret.material).upper() not in shown
        tokens = [token for issued in it.sale.issued for token in issued.tokens]
        assert not [token for token in tokens if token in shown]


def test_two_meters_have_nothing_in_common() -> None:
    one, two = Keyring(), Keyring()
    assert one.meter_pan != two.meter_pan
    assert one.key != two.key
    assert one.of_another_meter() != one.key
    assert one.old_key is None
    assert TID.of(ISSUED_AT, BaseDate.Y2014) > 0

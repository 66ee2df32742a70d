"""What is said of a token while it is typed, before anything is sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtc07.screens.token_entry import (
    Check,
    Sighting,
    Standing,
    Tokens,
    check,
    digits_of,
    regrouped,
    tokens_among,
    tokens_in,
)
from vtc07.tokens import (
    MAXIMUM_TOKENDATA,
    Block,
    InitiateMeterTest,
    TokenData,
    encode,
    seal,
)
from vtc07.trace.values import grouped

DIGITS = st.text("0123456789", max_size=20)


def token_of_class(token_class: int) -> str:
    return TokenData.assemble(token_class, 1234567890123456789 & ~(3 << 27)).digits


def said_of(found: Check) -> str:
    return " ".join(map(str, found.lines))


@given(DIGITS, st.data())
def test_grouping_keeps_digits_and_the_place_of_the_cursor(
    digits: str, data: st.DataObject
) -> None:
    behind = data.draw(st.integers(0, len(digits)))
    spaced = "".join(d + data.draw(st.sampled_from(("", " "))) for d in digits)
    cursor = next(at for at in range(len(spaced) + 1) if len(digits_of(spaced[:at])) == behind)
    text, place = regrouped(spaced, cursor)
    assert digits_of(text) == digits
    assert text == grouped(digits)
    assert len(digits_of(text[:place])) == behind


@given(DIGITS)
def test_typing_digit_by_digit_always_adds_at_the_end(digits: str) -> None:
    text, cursor = "", 0
    for digit in digits:
        text, cursor = regrouped(text[:cursor] + digit + text[cursor:], cursor + 1)
    assert digits_of(text) == digits
    assert cursor == len(text)


def test_what_is_missing_is_counted() -> None:
    assert check("").standing is Standing.EMPTY
    found = check("1234 5678 9012 3456 789")
    assert found.standing is Standing.INCOMPLETE
    assert said_of(found) == "1 digit is missing"
    assert said_of(check("12")) == "18 digits are missing"


def test_the_largest_token_can_be_one_and_the_next_cannot() -> None:
    assert check(str(MAXIMUM_TOKENDATA)).standing is not Standing.INCOMPLETE
    assert "as large as this" not in said_of(check(str(MAXIMUM_TOKENDATA)))
    assert check(str(MAXIMUM_TOKENDATA + 1)).standing is Standing.WRONG
    # It is told as soon as no further digit can make it right.
    assert check("737").standing is Standing.INCOMPLETE
    assert check("738").standing is Standing.WRONG


def test_classes_are_told_apart() -> None:
    for token_class, words in ((0, "credit"), (2, "management"), (3, "no meter takes")):
        found = check(token_of_class(token_class))
        assert f"Class {token_class}" in said_of(found)
        assert words in said_of(found)
        assert found.standing.sendable == (token_class != 3)


def test_a_wrong_digit_of_a_class_1_token_is_found_at_once() -> None:
    right = encode(
        InitiateMeterTest(1, 1, four_digit_mfr_code=False),
        None,
    ).digits
    assert check(right).standing is Standing.GOOD
    wrong = 0
    for place in range(20):
        for digit in "0123456789":
            changed = right[:place] + digit + right[place + 1 :]
            if changed == right or int(changed) > MAXIMUM_TOKENDATA:
                continue
            if TokenData.from_digits(changed).token_class == 1:
                wrong += 1
                assert check(changed).standing is Standing.WRONG, changed
    assert wrong > 20
    reserved = seal(Block.of(1, 9, 5), None).digits
    assert check(reserved).standing is Standing.DOUBTFUL


def test_the_same_token_twice_is_told() -> None:
    token = token_of_class(0)
    assert check(token, [token]).standing is Standing.WRONG
    tokens = Tokens()
    assert tokens.take(token)
    assert not tokens.take(grouped(token))
    assert not tokens.take("1234")
    assert tokens.digits == [token]
    assert tokens.give_back() == grouped(token)
    assert tokens.give_back() == ""
    assert token not in repr(Tokens([token]))


def test_what_the_journal_knows_is_said_and_does_not_forbid() -> None:
    token = token_of_class(0)
    sightings = {
        "this meter took it on 2026-03-01": Sighting(
            7, "600727000000000009", True, "2026-03-01", "delivered: Accept", True
        ),
        "is open": Sighting(7, "600727000000000009", True, "2026-03-01", None, False),
        "another meter, 600727000000000009": Sighting(
            7, "600727000000000009", False, "2026-03-01", "delivered: Accept", True
        ),
        "refused: CRCError": Sighting(
            7, "600727000000000009", True, "2026-03-01", "refused: CRCError", False
        ),
    }
    for words, sighting in sightings.items():
        found = check(token, sightings=[sighting])
        assert words in said_of(found)
        assert "7" in said_of(found)
        assert found.standing is Standing.DOUBTFUL
        assert found.standing.sendable


def test_pasted_text_is_taken_for_tokens_or_for_nothing() -> None:
    one, two = token_of_class(0), token_of_class(2)
    assert tokens_in(f"{grouped(one)}\n{two}\r\n") == (one, two)
    assert tokens_in(f"{one}; {two}") == (one, two)
    assert tokens_in(one[:19]) is None
    assert tokens_in(f"token {one}") is None
    assert tokens_in("") is None


def test_tokens_are_found_among_other_words_where_nothing_else_can_be_meant() -> None:
    one, two = token_of_class(0), token_of_class(2)
    assert tokens_among(f"{one}{two}") == (one, two)
    assert tokens_among(f"1: {grouped(one)}\n2: {two}\nkWh 25") == (one, two)
    assert tokens_among(f"Token {grouped(one).replace(' ', '-')}. Thank you") == (one,)
    for text in (
        "",
        f"meter 6007 {grouped(one)}",
        f"{grouped(one)} 25 kWh",
        f"a{one}1",
        f"token {one[:19]}",
        f"token {one[:10]}\n{one[10:]}",
    ):
        assert tokens_among(text) == ()

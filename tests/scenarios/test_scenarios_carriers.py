"""Two carriers on one meter, hurried clients, and credit at its limit: over the line.

Every token here was made by this project with a key of its own.
"""

from __future__ import annotations

import pytest
from scene import (
    ACK_SENT,
    ENTRY_BEGINS,
    MADE,
    Enters,
    Flag,
    Key,
    Keypad,
    Logged,
    PowerFails,
    Remembers,
    Scene,
    Sends,
    SendsSet,
    Shows,
    Step,
    Waits,
    clear_credit,
    credit,
    play,
    wrong,
)

KEY = Key("two carriers")
OURS, THEIRS = credit(KEY, MADE + 1, 100), credit(KEY, MADE + 2, 50)

RACES: dict[str, list[Step]] = {
    "the keypad while the line's token is executed": [
        Sends(OURS, "Accept", at=ACK_SENT, meanwhile=Keypad(THEIRS, "ER07")),
        Shows(creditBalance=10_000, tokenSequence=1, lastToken=OURS),
        Keypad(THEIRS, "Accept"),
        Shows(creditBalance=15_000, tokenSequence=2, lastToken=THEIRS),
    ],
    "the line while the keypad's token is executed: the hand-held unit waits": [
        Sends(OURS, "Accept", at=ENTRY_BEGINS, meanwhile=Keypad(THEIRS, "Accept"), writes=2),
        Shows(creditBalance=15_000, tokenSequence=2, lastToken=OURS),
        Logged(OURS, ("Accept",)),
        Logged(THEIRS, ("Accept",)),
    ],
    "the same token, first on the keypad": [
        Sends(OURS, "Accept", at=ENTRY_BEGINS, meanwhile=Keypad(OURS, "Accept"), writes=1),
        Shows(creditBalance=10_000, tokenSequence=1),
        Logged(OURS, ("Accept",)),
    ],
    "the same token, first on the line": [
        Sends(OURS, "Accept", at=ACK_SENT, meanwhile=Keypad(OURS, "ER07"), writes=1),
        Shows(creditBalance=10_000, tokenSequence=1),
        Logged(OURS, ("Accept",)),
    ],
    "the same token on the keypad afterwards": [
        Sends(OURS, "Accept"),
        Keypad(OURS, "UsedError"),
        Shows(creditBalance=10_000, tokenStatus=10, lastTokenStatus=10),
        Logged(OURS, ("Accept", "UsedError")),
    ],
    "the same token on the keypad before": [
        Keypad(OURS, "Accept"),
        Sends(OURS, "UsedError"),
        Shows(creditBalance=10_000),
        Logged(OURS, ("Accept", "UsedError")),
    ],
    "a mistyped token on the keypad meanwhile": [
        Sends(OURS, "Accept", at=ENTRY_BEGINS, meanwhile=Keypad(wrong(OURS), "CRCError"), writes=2),
        Shows(creditBalance=10_000, tokenSequence=2),
        Logged(OURS, ("Accept",)),
    ],
    "power fails on the keypad's token": [
        Keypad(THEIRS, "Accept"),
        PowerFails(),
        Sends(OURS, "Accept"),
        Sends(THEIRS, "UsedError"),
        Shows(creditBalance=15_000, tokenSequence=3, powerFailCount=1),
    ],
}


@pytest.mark.parametrize("name", RACES)
def test_keypad_and_line(name: str) -> None:
    play(Scene(KEY), RACES[name])


@pytest.mark.parametrize("same", [True, False], ids=["the same token", "another token"])
def test_the_longest_execution_is_waited_for(same: bool) -> None:
    """The meter executes a keypad token for just under the 5 s that the protocol allows."""
    meanwhile = Keypad(OURS if same else THEIRS, "Accept")
    steps: list[Step] = [
        Sends(OURS, "Accept", at=ENTRY_BEGINS, meanwhile=meanwhile, writes=2 if same else 3),
        Shows(creditBalance=10_000 if same else 15_000),
        Logged(OURS, ("Accept",)),
    ]
    play(Scene(KEY, execution_s=4.9), steps)


def test_the_same_token_on_the_keypad_between_snapshot_and_entry() -> None:
    """It is executed when the entry arrives: our own is refused as used, and still delivered."""
    steps = [
        Sends(OURS, "Accept", at=ENTRY_BEGINS, meanwhile=Keypad(OURS, "Accept")),
        Shows(creditBalance=10_000, lastTokenStatus=10),
        Logged(OURS, ("Accept", "UsedError")),
    ]
    play(Scene(KEY, execution_s=0.001), steps)


# --- entries that do not wait -------------------------------------------------------------------

FIRST, SECOND, THIRD = (credit(KEY, MADE + minute, 100) for minute in (11, 12, 13))


def test_a_second_entry_while_the_first_is_executed_is_refused_and_not_queued() -> None:
    steps = [
        Enters((FIRST, SECOND, FIRST), ("ACK", "ER07", "ER07")),
        # 16, and all else is of the token before.
        Shows(tokenStatus=16, tokenSequence=0, lastToken="", lastTokenStatus=0, tokenResult=0),
        Shows(creditBalance=0),
        Waits(5),
        Shows(tokenStatus=1, tokenSequence=1, lastToken=FIRST, lastTokenStatus=1, tokenResult=1),
        Waits(30),
        Shows(tokenSequence=1, creditBalance=10_000),
        Logged(SECOND, ()),
        Remembers(MADE + 12, is_there=False),
        # It is as good as before.
        Sends(SECOND, "Accept"),
        Shows(creditBalance=20_000, tokenSequence=2),
    ]
    play(Scene(KEY, execution_s=5), steps)


def test_a_second_entry_leaves_a_refusal_standing() -> None:
    steps = [
        Enters((wrong(FIRST), FIRST), ("ACK", "ER07")),
        Waits(5),
        Shows(tokenStatus=13, tokenSequence=1, lastToken=wrong(FIRST), creditBalance=0),
        Logged(FIRST, ()),
    ]
    play(Scene(KEY, execution_s=5), steps)


def test_what_is_no_token_is_refused_as_executing_first() -> None:
    """ER07 comes before ER05, and a keypad gets the same answer."""
    steps = [
        Enters((FIRST, "73786976294838206463"), ("ACK", "ER07")),
        Keypad(SECOND, "ER07"),
        Waits(5),
        Shows(tokenStatus=1, tokenSequence=1, lastToken=FIRST),
    ]
    play(Scene(KEY, execution_s=5), steps)


def test_the_next_hand_held_unit_waits_for_what_a_hurried_one_has_entered() -> None:
    steps = [
        Enters((FIRST,), ("ACK",)),
        Sends(SECOND, "Accept"),
        Shows(creditBalance=20_000, tokenSequence=2, lastToken=SECOND),
        Enters((THIRD,), ("ACK",)),
        Sends(THIRD, "UsedError"),
        Logged(THIRD, ("Accept", "UsedError")),
    ]
    play(Scene(KEY, execution_s=5), steps)


def test_power_fails_during_an_execution_and_the_token_is_as_good_as_before() -> None:
    steps = [
        Enters((FIRST,), ("ACK",)),
        PowerFails(off_s=60),
        Shows(tokenStatus=0, tokenSequence=0, lastToken="", creditBalance=0),
        Sends(FIRST, "Accept"),
        Logged(FIRST, ("Accept",)),
    ]
    play(Scene(KEY, execution_s=5), steps)


def test_each_carrier_has_a_lockout_of_its_own() -> None:
    steps: list[Step] = [
        *(Sends(wrong(FIRST), "CRCError") for _ in range(5)),
        Flag("lockout", is_set=True),
        Sends(FIRST, "ER06"),
        Shows(tokenStatus=15, lastTokenStatus=13, tokenSequence=5),
        Keypad(SECOND, "Accept"),
        Sends(FIRST, "ER06"),
        Shows(tokenStatus=15, lastTokenStatus=1),
        Waits(60),
        Shows(tokenStatus=1, lockoutRemaining=0),
        Sends(FIRST, "Accept"),
        Shows(creditBalance=20_000),
    ]
    play(Scene(KEY), steps)


# --- credit at its limit ------------------------------------------------------------------------

MOST = 18_201_624  # the largest amount of a token, in 0.1 kWh
LIMIT = 9_999_999_900  # Wh, of the companion
FULL = 5 * MOST * 100
OVER, AFTERWARDS = credit(KEY, MADE + 29, MOST), credit(KEY, MADE + 31, 1)


def _filled() -> list[Step]:
    return [Sends(credit(KEY, MADE + 20 + n, MOST), "Accept") for n in range(5)]


def test_a_credit_that_would_overflow_is_refused_whole_and_is_as_good_as_before() -> None:
    steps: list[Step] = [
        *_filled(),
        Sends(OVER, "OverflowError"),
        Shows(creditBalance=FULL, totalCreditAccepted=FULL, tokenResult=4, validationResult=1),
        Remembers(MADE + 29, is_there=False),
        Sends(OVER, "OverflowError"),
        Sends(clear_credit(KEY, MADE + 30), "Accept"),
        Shows(creditBalance=0, totalCreditAccepted=FULL),
        Sends(OVER, "Accept"),
        Remembers(MADE + 29),
        Shows(creditBalance=MOST * 100, totalCreditAccepted=FULL + MOST * 100),
        Sends(OVER, "UsedError"),
        Logged(OVER, ("OverflowError", "OverflowError", "Accept", "UsedError")),
    ]
    play(Scene(KEY), steps)


def test_the_meter_holds_exactly_its_maximum() -> None:
    left = (LIMIT - FULL) // 100
    rest = left - 1_818_624  # large amounts come in steps of 1000
    steps: list[Step] = [
        *_filled(),
        Sends(credit(KEY, MADE + 40, left - rest % 1000), "Accept"),
        Sends(credit(KEY, MADE + 41, rest % 1000 + 1), "OverflowError"),
        Sends(credit(KEY, MADE + 42, rest % 1000), "Accept"),
        Shows(creditBalance=LIMIT),
        Sends(AFTERWARDS, "OverflowError"),
        SendsSet((clear_credit(KEY, MADE + 43), AFTERWARDS), ("Accept", "Accept")),
        Shows(creditBalance=100),
    ]
    play(Scene(KEY), steps)

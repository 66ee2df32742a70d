"""Key changes over the line: key types, sets in any order, timeouts, roll over, expiry.

Every token here was made by this project with keys of its own.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from scene import (
    MADE,
    Flag,
    Key,
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
    key_change,
    play,
    shows_key,
    token,
)

from vtc07.tokens import EA, KT, BaseDate, Set4thSectionDecoderKey

STAGED = ("1stKCT", "2ndKCT", "3rdKCT", "4thKCT")
SET = ("1stKCT", "2ndKCT", "3rdKCT", "Accept")  # of a 128-bit key, in the order of issue

INITIAL = Key("initial", KT.DITK)
DEFAULT = Key("default", KT.DDTK, sgc="600412", ti="02", krn=2)
UNIQUE = Key("unique", KT.DUTK, sgc="600413", ti="03", krn=3)
ANOTHER = Key("another", KT.DUTK, sgc="600414", ti="04", krn=4)
NEWER = MADE + 1  # the first TID that the meter takes

# --- from the factory to the customer -----------------------------------------------------------

TO_DUTK = key_change(INITIAL, UNIQUE)
TO_DDTK = key_change(INITIAL, DEFAULT)
DDTK_TO_DUTK = key_change(DEFAULT, UNIQUE)
DUTK_TO_DDTK = key_change(UNIQUE, DEFAULT)
CREDIT_BY_DEFAULT = credit(DEFAULT, NEWER, 100)

SCENARIOS: dict[str, tuple[Key, list[Step]]] = {
    "initial key to unique key": (
        INITIAL,
        [
            Sends(credit(INITIAL, NEWER, 100), "Accept"),
            SendsSet(TO_DUTK, SET),
            shows_key(UNIQUE),
            Sends(credit(INITIAL, NEWER + 1, 100), "CRCError"),
            Sends(credit(UNIQUE, NEWER, 200), "UsedError"),
            Sends(credit(UNIQUE, NEWER + 2, 200), "Accept"),
            Shows(creditBalance=30_000),
        ],
    ),
    "initial key to default key, which manages but gives no credit, to unique key": (
        INITIAL,
        [
            Sends(credit(INITIAL, NEWER, 100), "Accept"),
            SendsSet(TO_DDTK, SET),
            shows_key(DEFAULT),
            Flag("default key", is_set=True),
            Sends(credit(DEFAULT, NEWER + 1, 100), "DDTKError"),
            Remembers(NEWER + 1, is_there=False),
            Shows(creditBalance=10_000, totalCreditAccepted=10_000),
            Sends(clear_credit(DEFAULT, NEWER + 2), "Accept"),
            Remembers(NEWER + 2),
            Shows(creditBalance=0, totalCreditAccepted=10_000, loadSwitch=0),
            SendsSet(DDTK_TO_DUTK, SET),
            shows_key(UNIQUE),
            Flag("default key", is_set=False),
            Sends(credit(UNIQUE, NEWER + 1, 100), "Accept"),
            Shows(creditBalance=10_000, totalCreditAccepted=20_000, loadSwitch=1),
        ],
    ),
    "a credit refused under the default key stays refused after the key has changed": (
        DEFAULT,
        [
            Sends(CREDIT_BY_DEFAULT, "DDTKError"),
            SendsSet(DDTK_TO_DUTK, SET),
            Sends(CREDIT_BY_DEFAULT, "CRCError"),
            Shows(creditBalance=0, totalCreditAccepted=0),
            Logged(CREDIT_BY_DEFAULT, ("DDTKError", "CRCError")),
        ],
    ),
    "a unique key goes back to the default key": (
        UNIQUE,
        [
            SendsSet(DUTK_TO_DDTK, SET),
            shows_key(DEFAULT),
            Sends(CREDIT_BY_DEFAULT, "DDTKError"),
        ],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_key_types_in_use(name: str) -> None:
    key, steps = SCENARIOS[name]
    play(Scene(key), steps)


MAY_BECOME = {
    KT.DITK: {KT.DITK, KT.DDTK, KT.DUTK},
    KT.DDTK: {KT.DDTK, KT.DUTK},
    KT.DUTK: {KT.DUTK, KT.DDTK},
}


@pytest.mark.parametrize("new", KT)
@pytest.mark.parametrize("old", MAY_BECOME)
def test_every_change_of_key_type(old: KT, new: KT) -> None:
    before = Key("before", old)
    after = Key("after", new, sgc="600499", ti="09", krn=9)
    tokens = key_change(before, after)
    if new in MAY_BECOME[old]:
        play(Scene(before), [SendsSet(tokens, SET), shows_key(after)])
        return
    right = replace(after, kt=KT.DUTK)
    steps: list[Step] = [
        SendsSet(tokens, ("KeyTypeError", "not sent", "not sent", "not sent")),
        Flag("key change pending", is_set=False),
        # Somebody goes on all the same: the others are staged, and nothing changes.
        SendsSet(tokens[1:], STAGED[1:]),
        Sends(tokens[0], "KeyTypeError"),
        Flag("key change pending", is_set=True),
        shows_key(before),
        # The refused section has left what is staged alone: the right one completes the set.
        Sends(key_change(before, right)[0], "Accept"),
        shows_key(right),
    ]
    play(Scene(before), steps)


@pytest.mark.parametrize("krn", [0, 10, 15])
def test_an_undefined_krn_is_judged_before_the_key_type(krn: int) -> None:
    (first, *_) = key_change(UNIQUE, replace(ANOTHER, kt=KT.DITK), krn=krn)
    play(Scene(UNIQUE), [Sends(first, "RangeError"), Flag("key change pending", is_set=False)])


# --- sets: any order, repeated sections ---------------------------------------------------------

SHORT, SHORT_NEW = Key("short", ea=EA.STA), Key("short, new", ea=EA.STA, sgc="600499", krn=2)
SETS = {
    "128 bits": (UNIQUE, ANOTHER, key_change(UNIQUE, ANOTHER)),
    "64 bits": (SHORT, replace(SHORT_NEW, sgc=SHORT.sgc), key_change(SHORT, SHORT_NEW)),
    "64 bits and SGC": (SHORT, SHORT_NEW, key_change(SHORT, SHORT_NEW, three_kct=True)),
}


@pytest.mark.parametrize("kind", SETS)
def test_a_set_in_any_order(kind: str) -> None:
    old, new, tokens = SETS[kind]
    for order in permutations(range(len(tokens))):
        *begin, last = order
        steps = [
            SendsSet(tuple(tokens[n] for n in begin), tuple(STAGED[n] for n in begin)),
            shows_key(old),
            Flag("key change pending", is_set=True),
            Sends(tokens[last], "Accept"),
            shows_key(new),
            Flag("key change pending", is_set=False),
            Sends(credit(old, NEWER, 100), "CRCError"),
            Sends(credit(new, NEWER, 100), "Accept"),
            Shows(creditBalance=10_000),
        ]
        play(Scene(old), steps)


def test_sections_repeated() -> None:
    first, second, third, fourth = key_change(UNIQUE, ANOTHER)
    steps = [
        SendsSet((first, first, third, first), ("1stKCT", "1stKCT", "3rdKCT", "1stKCT")),
        SendsSet((third, second, second), ("3rdKCT", "2ndKCT", "2ndKCT")),
        shows_key(UNIQUE),
        Sends(fourth, "Accept"),
        shows_key(ANOTHER),
        # Under the new key the sections mean nothing any more.
        Sends(fourth, "CRCError"),
        Flag("key change pending", is_set=False),
    ]
    play(Scene(UNIQUE), steps)


def test_a_repeated_section_takes_the_place_of_the_staged_one() -> None:
    abandoned = key_change(SHORT, Key("abandoned", ea=EA.STA, krn=7))
    first, second = key_change(SHORT, SHORT_NEW)
    steps = [
        Sends(abandoned[0], "1stKCT"),
        Sends(first, "1stKCT"),
        Sends(second, "Accept"),
        shows_key(replace(SHORT_NEW, sgc=SHORT.sgc)),
        Sends(credit(SHORT_NEW, NEWER, 100), "Accept"),
    ]
    play(Scene(SHORT), steps)


def test_other_tokens_in_between_leave_the_staged_sections_alone() -> None:
    first, second = key_change(SHORT, SHORT_NEW)
    steps = [
        Sends(first, "1stKCT"),
        Sends(credit(SHORT, NEWER, 100), "Accept"),
        Sends(credit(SHORT, NEWER, 100), "UsedError"),
        Sends(credit(SHORT_NEW, NEWER + 1, 100), "CRCError"),
        Flag("key change pending", is_set=True),
        Sends(second, "Accept"),
        Sends(credit(SHORT_NEW, NEWER + 1, 100), "Accept"),
        Shows(creditBalance=20_000),
    ]
    play(Scene(SHORT), steps)


def test_the_fourth_section_is_not_for_a_meter_with_64_bits() -> None:
    fourth = token(SHORT, Set4thSectionDecoderKey(0, 0))
    steps = [
        Sends(fourth, "FunctionError"),
        Flag("key change pending", is_set=False),
        SendsSet(key_change(SHORT, SHORT_NEW), ("1stKCT", "Accept")),
    ]
    play(Scene(SHORT), steps)


# --- staging in time ----------------------------------------------------------------------------

STAGING: dict[str, list[Step]] = {
    "the rest comes in time": [
        Waits(590),
        Flag("key change pending", is_set=True),
        SendsSet(TO_DUTK[2:], ("3rdKCT", "Accept")),
        shows_key(UNIQUE),
    ],
    "the rest comes too late": [
        Waits(590),
        Flag("key change pending", is_set=True),
        Waits(10),
        Flag("key change pending", is_set=False),
        SendsSet(TO_DUTK[2:], ("3rdKCT", "4thKCT")),
        shows_key(INITIAL),
        SendsSet(TO_DUTK[:2], ("1stKCT", "Accept")),
        shows_key(UNIQUE),
    ],
    "each section that is taken begins the time anew": [
        Waits(590),
        Sends(TO_DUTK[2], "3rdKCT"),
        Waits(590),
        Sends(TO_DUTK[3], "Accept"),
    ],
    "a section that is refused does not": [
        Waits(590),
        Sends(key_change(INITIAL, replace(UNIQUE, kt=KT.DCTK))[0], "KeyTypeError"),
        Waits(10),
        Flag("key change pending", is_set=False),
    ],
    "an hour without power does not count": [
        Waits(300),
        PowerFails(off_s=3600),
        Shows(powerFailCount=1),
        Waits(280),
        Flag("key change pending", is_set=True),
        SendsSet(TO_DUTK[2:], ("3rdKCT", "Accept")),
        shows_key(UNIQUE),
    ],
    # Powered time is durable every 10 s, so a loss of power can give as much time back.
    "time before the power failed does count": [
        Waits(300),
        PowerFails(off_s=3600),
        Waits(310),
        Flag("key change pending", is_set=False),
        SendsSet(TO_DUTK[2:], ("3rdKCT", "4thKCT")),
        shows_key(INITIAL),
    ],
    "two power failures": [
        Waits(200),
        PowerFails(off_s=86_400),
        Sends(TO_DUTK[2], "3rdKCT"),
        PowerFails(off_s=86_400),
        Waits(580),
        Sends(TO_DUTK[3], "Accept"),
        Shows(powerFailCount=2),
        shows_key(UNIQUE),
    ],
}


@pytest.mark.parametrize("name", STAGING)
def test_staged_sections_wait_600_s_of_powered_time(name: str) -> None:
    begun = SendsSet(TO_DUTK[:2], ("1stKCT", "2ndKCT"))
    play(Scene(INITIAL), [begun, *STAGING[name]])


# --- the roll over of the base date -------------------------------------------------------------

Y1993 = Key("of 1993", base_date=BaseDate.Y1993)
Y2014 = Key("of 2014", base_date=BaseDate.Y2014, ti="14")
Y2035 = Key("of 2035", base_date=BaseDate.Y2035, ti="35")
Y2056 = Key("of 2056", base_date=BaseDate.Y2035, ti="56")
USED_1993 = credit(Y1993, NEWER, 100)
KEPT_1993 = credit(Y1993, NEWER + 7, 100)


def test_a_roll_over_empties_the_tid_store_and_moves_the_base_date_on() -> None:
    steps = [
        Sends(USED_1993, "Accept"),
        SendsSet(key_change(Y1993, Y2014, ro=True), SET),
        shows_key(Y2014),
        Remembers(NEWER, is_there=False),
        Shows(**{"acceptedTID.1": 0, "acceptedTID.50": 0}),
        Shows(creditBalance=10_000, totalCreditAccepted=10_000),
        # Tokens of the old base date are tokens of the old key.
        Sends(USED_1993, "CRCError"),
        Sends(KEPT_1993, "CRCError"),
        # Its minutes count anew: small ones are new, and so are those that were used before.
        Sends(credit(Y2014, 1, 100), "Accept"),
        Sends(credit(Y2014, 1, 100), "UsedError"),
        Sends(credit(Y2014, NEWER, 100), "Accept"),
        Sends(credit(Y2014, 0, 100), "UsedError"),  # 0 is what an empty store holds
        Shows(creditBalance=30_000),
        SendsSet(key_change(Y2014, Y2035, ro=True), SET),
        shows_key(Y2035),
        Remembers(1, is_there=False),
        Sends(credit(Y2035, 1, 100), "Accept"),
        Shows(creditBalance=40_000),
    ]
    play(Scene(Y1993), steps)


def test_without_a_roll_over_the_tid_store_stays() -> None:
    new = replace(Y2014, base_date=BaseDate.Y1993)
    steps = [
        Sends(USED_1993, "Accept"),
        SendsSet(key_change(Y1993, new), SET),
        shows_key(new),
        Remembers(NEWER),
        Sends(credit(new, 1, 100), "OldError"),
        Sends(credit(new, NEWER, 100), "UsedError"),
        Sends(credit(new, NEWER + 7, 100), "Accept"),
    ]
    play(Scene(Y1993), steps)


def test_after_the_last_base_date_there_is_none_to_roll_over_to() -> None:
    used = credit(Y2035, NEWER, 100)
    rolling = key_change(Y2035, Y2056, ro=True)
    steps = [
        Sends(used, "Accept"),
        SendsSet(rolling, ("RangeError", "not sent", "not sent", "not sent")),
        SendsSet(rolling[1:], ("2ndKCT", "3rdKCT", "4thKCT")),
        Sends(rolling[0], "RangeError"),
        shows_key(Y2035),
        Sends(used, "UsedError"),
        Remembers(NEWER),
        # The same change without a roll over is a change like any other.
        Sends(key_change(Y2035, Y2056)[0], "Accept"),
        shows_key(Y2056),
        Remembers(NEWER),
        Shows(creditBalance=10_000),
    ]
    play(Scene(Y2035), steps)


# --- expiry of the key --------------------------------------------------------------------------


def test_a_key_expires_for_tids_above_its_ken() -> None:
    ken = 0x60
    expiring = Key("expiring", ken=ken)
    lasting = Key("lasting", krn=2, ken=255)
    last = (ken + 1 << 16) - 1
    steps = [
        Sends(credit(expiring, last, 100), "Accept"),
        Sends(credit(expiring, last + 1, 100), "KeyExpiredError"),
        Sends(clear_credit(expiring, last + 1), "KeyExpiredError"),
        Remembers(last + 1, is_there=False),
        Shows(creditBalance=10_000),
        # Sections carry no TID, so an expired key can still be changed.
        SendsSet(key_change(expiring, lasting), SET),
        shows_key(lasting),
        Sends(credit(lasting, last + 1, 100), "Accept"),
        Sends(credit(lasting, 2**24 - 1, 100), "Accept"),
        Shows(creditBalance=30_000),
    ]
    play(Scene(expiring), steps)


def test_a_key_change_can_bring_an_expiry() -> None:
    expiring = replace(ANOTHER, ken=0x60)
    steps = [
        Sends(credit(UNIQUE, 0x610000, 100), "Accept"),
        SendsSet(key_change(UNIQUE, expiring), SET),
        shows_key(expiring),
        Sends(credit(expiring, 0x610001, 100), "KeyExpiredError"),
        Sends(credit(expiring, 0x60FFFF, 100), "Accept"),
        Shows(creditBalance=20_000),
    ]
    play(Scene(UNIQUE), steps)

"""Which registers a user means: names, numbers, ranges, series."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from vtc07.carrier.companion import Companion
from vtc07.carrier.registers import Register, Value, ValueRefused


class SelectionError(Exception):
    """A word means no register, or a value that its register cannot hold: a sentence for people."""


_RANGE = re.compile(r"([0-9A-Fa-f]+)(?:-|\.\.)([0-9A-Fa-f]+)")
_SHORT = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,4})")
_SERIES = re.compile(r"(.+)\.[0-9]+")
_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]*))?")

#: What `vtc07 read` without registers shows, as far as the companion has it.
OVERVIEW = (
    "meterPAN",
    "DRN",
    "EA",
    "SGC",
    "KRN",
    "KT",
    "TI",
    "KEN",
    "baseDate",
    "softwareVersion",
    "creditBalance",
    "totalConsumption",
    "totalCreditAccepted",
    "activePower",
    "flowRate",
    "loadSwitch",
    "disconnectReason",
    "maximumPowerLimit",
    "maximumPhasePowerUnbalanceLimit",
    "tamperStatus",
    "serverStatus",
    "tokenStatus",
    "tokenSequence",
    "lastToken",
    "lastTokenStatus",
    "lockoutRemaining",
)


def readable(companion: Companion) -> tuple[Register, ...]:
    """Return the registers that anybody may read."""
    return tuple(r for r in companion.table if r.read_level == 0)


def overview(companion: Companion) -> tuple[Register, ...]:
    """Return the registers of the overview; of a companion without any of them, the first ones."""
    table = companion.table
    known = [table.named(name) for name in OVERVIEW if table.has(name)]
    return tuple(r for r in known if r.read_level == 0) or readable(companion)[:20]


def select(companion: Companion, words: Iterable[str]) -> tuple[Register, ...]:
    """Return the readable registers that words mean, in the order of the words, each once.

    A word is a name, a registerID, a range of registerIDs (``0010-001A``), or the name of a
    series (``tokenLog``). SelectionError for one that means nothing, with what may have been meant.
    """
    found: dict[Register, None] = {}
    for word in words:
        single = find(companion, word)
        if single is not None:
            if single.read_level is None:
                advice = " (vtc07 send enters tokens)" if single.data_type.size == 20 else ""
                raise SelectionError(f"{single.name} ({single.address}) cannot be read{advice}")
            found[single] = None
            continue
        several = _series(companion, word) or _range(companion, word)
        if not several:
            raise unknown(companion, word)
        found.update(dict.fromkeys(several))
    return tuple(found)


def find(companion: Companion, word: str) -> Register | None:
    """Return the register of a name, in any case, or of a registerID, or None."""
    table = companion.table
    if table.has(word):
        return table.named(word)
    if (by_address := table.find(word)) is not None:
        return by_address
    if (match := _SHORT.fullmatch(word)) and table.registers:
        return table.find(match[1].zfill(len(table.registers[0].address)))
    return next((r for r in table if r.name.lower() == word.lower()), None)


def unknown(companion: Companion, word: str) -> SelectionError:
    """Build the error for a word that means no register."""
    names = dict.fromkeys(base_name(r) for r in companion.table)
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), folded, 2, 0.55)
    if close:
        hint = "did you mean " + " or ".join(folded[name] for name in close) + "?"
    else:
        hint = f"vtc07 companion show {companion.name} lists them all"
    return SelectionError(f"no register {word!r} in companion {companion.name}: {hint}")


def base_name(register: Register) -> str:
    """Return a register's name, or that of the series it is one of."""
    match = _SERIES.fullmatch(register.name)
    return match[1] if match else register.name


def _series(companion: Companion, word: str) -> tuple[Register, ...]:
    return tuple(
        r
        for r in readable(companion)
        if r.name != base_name(r) and base_name(r).lower() == word.lower()
    )


def _range(companion: Companion, word: str) -> tuple[Register, ...]:
    match = _RANGE.fullmatch(word)
    if match is None:
        return ()
    first, last = int(match[1], 16), int(match[2], 16)
    if first > last:
        raise SelectionError(
            f"the range {word!r} ends before it begins; write {match[2]}-{match[1]}"
        )
    found = tuple(
        r
        for r in readable(companion)
        if re.fullmatch(r"[0-9A-Fa-f]+", r.address) and first <= int(r.address, 16) <= last
    )
    if not found:
        raise SelectionError(
            f"no register of companion {companion.name} lies in the range {word!r}"
        )
    return found


def assignment(companion: Companion, word: str) -> tuple[Register, Value]:
    """Return the register and the value of ``REGISTER=VALUE``.

    Numbers are decimal, in the register's unit. SelectionError where the register is not known or
    cannot hold the value. One that the companion says cannot be written is the meter's to refuse.
    """
    name, equals, text = word.partition("=")
    if not equals:
        raise SelectionError(
            f"{word!r} says no value: write REGISTER=VALUE, as in lowCreditThreshold=500"
        )
    register = find(companion, name)
    if register is None:
        raise unknown(companion, name)
    if register == companion.token_entry.register:
        raise SelectionError(f"{register.name} takes tokens: use vtc07 send")
    try:
        value: Value = _number(register, text) if register.data_type.is_number else text
        register.encode(value)
    except ValueRefused as refused:
        raise SelectionError(f"{register.name} cannot be {text!r}: {refused}") from None
    return register, value


def writable(companion: Companion) -> tuple[Register, ...]:
    """Return the ordinary registers that can be written at some level."""
    entry = companion.token_entry.register
    return tuple(r for r in companion.table if r.write_level is not None and r != entry)


def _number(register: Register, text: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > 40:
        unit = f", in {register.unit}" if register.unit else ""
        raise ValueRefused(f"a decimal number is wanted{unit}")
    fraction = (match[3] or "").rstrip("0")
    places = max(0, -register.scaler)
    if len(fraction) > places:
        raise ValueRefused(f"at most {places} decimal places are possible")
    number = int(match[2] + fraction.ljust(places, "0"))
    number = -number if match[1] == "-" else number
    if register.scaler > 0:
        number, rest = divmod(number, 10**register.scaler)
        if rest:
            raise ValueRefused(f"a multiple of {10**register.scaler} is wanted")
    return number

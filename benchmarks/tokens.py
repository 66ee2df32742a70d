"""How many tokens a second the scalar path encodes, beside a naive bit-by-bit reference.

Run `python benchmarks/tokens.py [--tokens N] [--repeats N]`. Both ways are measured in turn in
the same run, on the same tokens and keys, and their results are compared digit by digit.

The reference below does what the standard's figures show, one bit or one nibble at a time. It
shares no code with the package but the published tables; the property tests use it, too.
"""

from __future__ import annotations

import argparse
import platform
import random
import time
from collections.abc import Callable, Sequence

from vtc07.tokens import (
    EA,
    SAMPLE_TABLES,
    DecoderKey,
    Service,
    StaTables,
    TokenData,
    TransferCredit,
    decode,
    encode,
)
from vtc07.tokens.ciphers.misty1 import S7, S9

# --- The naive reference -----------------------------------------------------------------------


def bits_of(number: int, width: int) -> list[int]:
    """Return the bits of a number, the most significant first."""
    return [number >> place & 1 for place in range(width - 1, -1, -1)]


def number_of(bits: Sequence[int]) -> int:
    """Return the number that bits stand for, the most significant first."""
    number = 0
    for bit in bits:
        number = number * 2 + bit
    return number


def naive_amount(units: int) -> int:
    """Return the first field, in ascending order of exponent, that is not below the amount."""
    for exponent in range(4):
        offset = sum(16384 * int("1" + "0" * (n - 1)) for n in range(1, exponent + 1))
        step = int("1" + "0" * exponent)
        if offset + 16383 * step >= units:
            mantissa = max(0, -(-(units - offset) // step))
            return exponent << 14 | mantissa
    raise ValueError(units)


def naive_crc(word50: int) -> int:
    """Shift 50 bits, padded to 56, through the register, each byte from its low end."""
    register = [1] * 16  # low end first
    bits = bits_of(word50, 56)
    for start in range(0, 56, 8):
        for bit in reversed(bits[start : start + 8]):
            feedback = bit ^ register[0]
            register = [*register[1:], 0]
            if feedback:
                for tap in (0, 13, 15):
                    register[tap] ^= 1
    value = number_of(register[::-1])
    return (value & 0xFF) << 8 | value >> 8


def naive_sta(key: int, block: int, tables: StaTables, *, backwards: bool = False) -> int:
    """Run sixteen rounds over a list of 64 bits, bit 0 the least significant."""
    key_bits = bits_of(key, 64)[::-1]
    key_bits = [1 - bit for bit in key_bits]
    key_bits = key_bits[12:] + key_bits[:12]
    keys = [key_bits[64 - turn :] + key_bits[: 64 - turn] for turn in range(16)]
    state = bits_of(block, 64)[::-1]
    for turn in reversed(range(16)) if backwards else range(16):
        if not backwards:
            state = _naive_substitution(state, keys[turn], tables.sub1, tables.sub2)
            moved = [0] * 64
            for source in range(64):
                moved[tables.perm[source]] = state[source]
            state = moved
        else:
            state = [state[tables.perm[source]] for source in range(64)]
            inverse = [
                [table.index(entry) for entry in range(16)] for table in (tables.sub1, tables.sub2)
            ]
            state = _naive_substitution(state, keys[turn], *inverse)
    return number_of(state[::-1])


def _naive_substitution(
    state: list[int], key_bits: list[int], table1: Sequence[int], table2: Sequence[int]
) -> list[int]:
    result: list[int] = []
    for nibble in range(16):
        value = number_of(state[4 * nibble : 4 * nibble + 4][::-1])
        table = table2 if key_bits[4 * nibble + 3] else table1
        result += bits_of(table[value], 4)[::-1]
    return result


def naive_fi(word: int, subkey: int) -> int:
    """Return FI of RFC 2994: 9 and 7 bits through S9, S7, the subkey, S9."""
    nine, seven = word >> 7, word & 0x7F
    nine = S9[nine] ^ seven
    seven = S7[seven] ^ nine & 0x7F
    seven ^= subkey >> 9
    nine ^= subkey & 0x1FF
    nine = S9[nine] ^ seven
    return seven << 9 | nine


def _naive_fo(left: int, right: int, i: int, plain: list[int], mixed: list[int]) -> tuple[int, int]:
    left = naive_fi(left ^ plain[i], mixed[(i + 5) % 8]) ^ right
    right = naive_fi(right ^ plain[(i + 2) % 8], mixed[(i + 1) % 8]) ^ left
    left = naive_fi(left ^ plain[(i + 7) % 8], mixed[(i + 3) % 8]) ^ right
    return right ^ plain[(i + 4) % 8], left


def _naive_fl(left: int, right: int, i: int, plain: list[int], mixed: list[int]) -> tuple[int, int]:
    both = (
        (plain[i // 2], mixed[(i // 2 + 6) % 8])
        if i % 2 == 0
        else (mixed[(i // 2 + 2) % 8], plain[(i // 2 + 4) % 8])
    )
    right ^= left & both[0]
    return left ^ (right | both[1]), right


def naive_misty1(key: int, block: int) -> int:
    """Encrypt by RFC 2994, the key schedule made anew for every block."""
    plain = [key >> 112 - 16 * i & 0xFFFF for i in range(8)]
    mixed = [naive_fi(plain[i], plain[(i + 1) % 8]) for i in range(8)]
    even = (block >> 48, block >> 32 & 0xFFFF)
    odd = (block >> 16 & 0xFFFF, block & 0xFFFF)
    for i in range(8):
        if i % 2 == 0:
            even = _naive_fl(*even, i, plain, mixed)
            odd = _naive_fl(*odd, i + 1, plain, mixed)
            left, right = _naive_fo(*even, i, plain, mixed)
            odd = (odd[0] ^ left, odd[1] ^ right)
        else:
            left, right = _naive_fo(*odd, i, plain, mixed)
            even = (even[0] ^ left, even[1] ^ right)
    even = _naive_fl(*even, 8, plain, mixed)
    odd = _naive_fl(*odd, 9, plain, mixed)
    return odd[0] << 48 | odd[1] << 32 | even[0] << 16 | even[1]


def naive_transposition(token_class: int, block: int) -> int:
    """Move bits 28 and 27 of the block to 65 and 64 and put the class in their place."""
    bits = [0, 0, *bits_of(block, 64)]
    bits[0], bits[1] = bits[65 - 28], bits[65 - 27]
    bits[65 - 28], bits[65 - 27] = token_class >> 1, token_class & 1
    return number_of(bits)


def naive_digits(value66: int) -> str:
    """Divide by ten, twenty times."""
    digits = ""
    for _ in range(20):
        value66, digit = divmod(value66, 10)
        digits = str(digit) + digits
    return digits


def naive_credit(token: TransferCredit, key: int, ea: EA, tables: StaTables = SAMPLE_TABLES) -> str:
    """Encode a credit token from its fields to its digits."""
    data44 = token.rnd << 40 | token.tid << 16 | naive_amount(token.amount)
    word50 = token.service << 44 | data44
    block = word50 << 16 | naive_crc(word50)
    cipher = naive_sta(key, block, tables) if ea is EA.STA else naive_misty1(key, block)
    return naive_digits(naive_transposition(0, cipher))


# --- The measurement -----------------------------------------------------------------------------

GOALS = {EA.STA: 60_000, EA.MISTY1: 80_000}


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds that a call takes."""
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e9


def report(
    ea: EA, key: DecoderKey, fields: list[tuple[Service, int, int, int]], repeats: int
) -> None:
    """Measure one algorithm and print what was measured."""
    number = int.from_bytes(key.material, "big")
    tokens = [TransferCredit(*each) for each in fields]
    few = tokens[: max(50, len(tokens) // 100)]
    first = seconds(lambda: encode(tokens[0], key).digits)
    fast = [encode(token, key).digits for token in few]
    if fast != [naive_credit(token, number, ea) for token in few]:
        raise SystemExit(f"EA{ea.code}: the fast path and the reference disagree")

    def full() -> None:
        for token in tokens:
            encode(token, key).digits  # noqa: B018  the digits are the work

    def with_dataclass() -> None:
        for service, rnd, tid, amount in fields:
            encode(TransferCredit(service, rnd, tid, amount), key).digits  # noqa: B018  as above

    def naive() -> None:
        for token in few:
            naive_credit(token, number, ea)

    sealed = [encode(token, key).digits for token in tokens]

    def back() -> None:
        for digits in sealed:
            decode(TokenData.from_digits(digits), key)

    rates: dict[str, list[float]] = {}
    for _ in range(repeats):  # in turn, so that a slow moment of the machine meets all of them
        for name, work, count in (
            ("encode(token, key).digits", full, len(tokens)),
            ("the same, dataclass built first", with_dataclass, len(tokens)),
            ("decode from 20 digits", back, len(tokens)),
            ("naive reference, encode", naive, len(few)),
        ):
            rates.setdefault(name, []).append(count / seconds(work))
    slow = max(rates["naive reference, encode"])
    print(
        f"EA{ea.code} {ea.name}: goal {GOALS[ea]:,} full encodes a second; "
        f"first encode with the tables built: {first * 1000:.0f} ms"
    )
    for name, measured in rates.items():
        ordered = sorted(measured)
        print(
            f"  {name:34} best {ordered[-1]:>9,.0f}/s  median {ordered[len(ordered) // 2]:>9,.0f}/s"
            f"  {ordered[-1] / slow:>6.1f} x naive"
        )


def main() -> None:
    """Measure EA07 under the sample tables and EA11."""
    parser = argparse.ArgumentParser(description="Tokens encoded and decoded a second.")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    chance = random.Random(62055)
    fields = [
        (
            Service(chance.randrange(4)),
            chance.randrange(16),
            chance.randrange(1 << 24),
            chance.choice((chance.randrange(16_384), chance.randrange(18_201_625))),
        )
        for _ in range(options.tokens)
    ]
    print(
        f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}; "
        f"{options.tokens:,} random credit tokens, {options.repeats} turns, one core, one process"
    )
    print(
        "Full encode: amount, CRC, cipher, transposition and 20 digits, under a key prepared "
        "before.\nReference: bit by bit (MISTY1 step by step, as RFC 2994 prints it), with a key "
        "schedule for\nevery token; measured on one token in a hundred."
    )
    for ea in (EA.STA, EA.MISTY1):
        report(ea, DecoderKey(ea, chance.randbytes(ea.key_bytes)), fields, options.repeats)
    print(
        "Limits: wall clock of one run on a machine that may do other work (best shows what it "
        "can do,\nmedian what it did); tables warm in the cache; no I/O, no key derivation, no "
        "secure module.\nRatios compare lines of this run only."
    )


if __name__ == "__main__":
    main()

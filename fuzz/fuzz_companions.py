"""Companion files: any text is a companion that serves, or problems with lines that exist.

An input is one or more files, a form feed between them; the first may extend the others by `file1`
and so on, the shipped companions, and `small`, one with few registers.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import cache
from importlib import resources

from fuzz_sessions import ATTRIBUTES, KEYS, MADE, PAN
from vtc07.carrier import companion_file, companion_keys, toml_lines
from vtc07.carrier.companion import Companion, S
from vtc07.carrier.companion_file import (
    CompanionError,
    check,
    companion_by_identity,
    parse_companion,
    shipped_companions,
)
from vtc07.carrier.companion_registers import Registers
from vtc07.carrier.companion_tree import Node, Problem
from vtc07.carrier.messages import ReadCommand
from vtc07.carrier.registers import Kind, Value
from vtc07.carrier.status import TokenStatus
from vtc07.cli import companion as cli
from vtc07.meter import CompanionUnfit, MemoryStore, Meter, MeterServer, Rules, manufacture
from vtc07.meter.application import execute
from vtc07.meter.readings import WRITABLE
from vtc07.tokens import (
    EA,
    MAXIMUM_AMOUNT,
    TCT,
    TID,
    InitiateMeterTest,
    MeterPAN,
    TransferCredit,
    encode,
)

LONGEST = 10000
_SOURCE = "fuzz.toml"
_SEPARATOR = "\f"
_NO_LINE = "nested too deeply"
_KEPT = {  # what the small companion keeps of the table
    "tableID", "FOIN", "protocolVersion", "serverStatus", "tokenStatus", "tokenSequence",
    "lastToken", "lastTokenStatus", "tokenEntry", "lockoutRemaining", "meterPAN", "creditBalance",
    "lowCreditThreshold", "installationReference", "softwareVersion", "acceptedTID", "tokenLog",
}  # fmt: skip


@cache
def shipped() -> dict[str, str]:
    """Return the texts of the shipped companions and of the small one."""
    folder = resources.files("vtc07.carrier").joinpath("companions")
    texts = {n: folder.joinpath(f"{n}.toml").read_text("utf-8") for n in shipped_companions()}
    head, *registers = texts["electricity"].split("[[register]]\n")
    kept = [r for r in registers if re.search(r'name = "(\w+)"', r)[1] in _KEPT]  # type: ignore[index]
    return texts | {"small": "[[register]]\n".join([head, *kept])}


def one(data: bytes) -> None:
    """Try one input."""
    files = data.decode("utf-8", "replace").split(_SEPARATOR)
    known = shipped() | {f"file{place}": text for place, text in enumerate(files[1:], 1)}

    def resolve(name: str, _said_in: str) -> tuple[str, str]:
        if name not in known:
            raise LookupError(f"there is no companion {name!r}")
        return f"{name}.toml", known[name]

    problems = check(files[0], _SOURCE, resolve)
    try:
        companion = parse_companion(files[0], _SOURCE, resolve)
    except CompanionError as error:
        told = list(error.problems)
        assert told == problems
        assert problems, "refused, and nothing is said"
        for problem in problems:
            _check_problem(
                problem, {_SOURCE: files[0]} | {f"{n}.toml": t for n, t in known.items()}
            )
        return
    assert not problems
    _check_companion(companion)


def _check_problem(problem: Problem, texts: dict[str, str]) -> None:
    text = texts[problem.source].replace("\r\n", "\n")
    assert problem.message
    lines = text.count("\n") + 1
    assert 1 <= problem.line <= lines or (problem.line == 0 and _NO_LINE in problem.message)
    assert str(problem).startswith(problem.source)
    assert len(str(problem)) <= 1000 + 4 * len(text)
    key = re.search(r"(?:^|\.)([a-z_]+)$", problem.key)
    if key and problem.line and "is missing" not in problem.message and "\\" not in text:
        said = text.split("\n")[problem.line - 1]
        assert key[1] in said, "a problem stands on another line than its key"


# --- an accepted companion serves ---------------------------------------------------------------


def _check_companion(companion: Companion) -> None:
    table = companion.table
    assert len(table) > 0
    for place, register in enumerate(table):
        assert table.find(register.address.lower()) == register
        assert table.find(register.address.upper()) == register
        assert table.named(register.name) == register
        assert table.place(register) == place
        values: tuple[Value, ...] = ("",)
        if register.data_type.is_number:
            values = (register.data_type.minimum, register.data_type.maximum)
        elif register.data_type.kind is Kind.TEXT:
            values = ("", "x" * register.data_type.size)
        for value in values:
            text = register.encode(value)
            assert register.decode(text) == value
            assert len(text) <= register.longest
            data_set = len(register.address) + 2 + len(text)
            assert data_set + 3 <= companion.limits.data_message
            if register.write_level is not None:
                assert data_set + 6 <= companion.limits.command
    assert companion.token_entry.register in table
    assert all(register in table for register in companion.identification)
    statuses = companion.token_entry.status
    assert all(statuses.status(statuses.number(status)) is status for status in TokenStatus)
    timing = companion.timing
    assert 0 < companion.reaction_ns < timing.longest_reaction_ns < timing.repeat_ns
    assert 4 * timing.inter_character_ns <= 3 * timing.repeat_ns
    assert min(timing.attempts, timing.token_writes, companion.limits.errors) >= 1
    assert min(timing.naks, timing.reconnects, companion.limits.repeats) >= 0
    for factor in companion.profiles.values():
        assert timing.stretched(factor).repeat_ns == factor * timing.repeat_ns
    for code, text in companion.errors.items():
        assert companion.error_of(text) is code
    identity = {"tableID": table.table_id, "FOIN": table.foin}
    said = "".join(r.encode(identity.get(r.name, 0)) for r in companion.identification)
    assert companion_by_identity(companion.flag, said, [companion]) is companion
    document = json.dumps({**cli._summary(companion), **cli._details(companion)})
    assert json.loads(document)["register_count"] == len(table) >= len(cli._series(companion))
    _check_meter(companion)


def _check_meter(companion: Companion) -> None:
    """Make a meter by it and read all of that over the line, as far as the companion is for one."""
    try:
        rules = Rules.of(companion)
    except CompanionUnfit:
        assert companion.meter is None
        return
    state = manufacture(companion, MeterPAN(PAN), KEYS[EA.MISTY1], ATTRIBUTES, TID(MADE))
    for token in _tokens(rules):
        state = execute(state, token, TCT.VIRTUAL, rules)
    assert len(state.tids) == rules.policy.tid_store_size
    try:
        meter = Meter(companion, MemoryStore(state), now_ns=0, execution_ns=0)
    except CompanionUnfit:
        return
    server = MeterServer(companion, meter)
    at = _ask(server, b"/?!\r\n", companion, 0)
    if companion.mode_c is not None:  # Z = 0: nothing of this path has a speed
        at = _ask(server, b"\x06001\r\n", companion, at, within=S)
    for register in companion.table:
        if register.read_level == 0:
            at = _ask(server, ReadCommand(register.address).to_chars(), companion, at)
    for register in companion.table:
        assert (
            register.write_level is None
            or register.name in WRITABLE
            or (register == companion.token_entry.register)
        )


def _tokens(rules: Rules) -> tuple[str, ...]:
    """Return tokens whose log entries are long."""
    key = KEYS[EA.MISTY1]
    test = InitiateMeterTest(2**36 - 1)
    credit = TransferCredit(rules.service, 5, MADE + 60, MAXIMUM_AMOUNT)
    return encode(test, key).digits, encode(credit, key).digits


def _ask(
    server: MeterServer, chars: bytes, companion: Companion, at: int, within: int = 100 * S
) -> int:
    at += within
    server.receive(chars, at)
    while (job := server.next_work()) is not None:
        job()
        server.work_done(None, at)
    answer = server.bytes_to_send(at + companion.reaction_ns)
    assert answer.startswith((b"/", b"\x01P0", b"\x02")), "a register is not read"
    assert not answer.startswith(b"\x02("), "a register is refused"
    return at


# --- mutation by structure ------------------------------------------------------------------------

_VALUES = (
    "0", "1", "-1", "2", "3", "4", "8", "16", "20", "64", "128", "255", "256", "1024", "65535",
    "4294967296", "9223372036854775807", "9223372036854775808", "1e3", "1.5", "nan", "inf",
    "0x10", "0b1", "1_0", "true", "false", '""', '"r"', '"w"', '"rw"', '"u8"', '"u16"', '"s62"',
    '"text 1"', '"text 20"', '"text 128"', '"token"', '"hex"', '"decimal"', '"token-hex"',
    '"literal"', '"hexadecimal"', '"small"', '"electricity"', '"water"', '"file1"', '"VTx"',
    '"mode-c"', '"direct"', '"password"', '"0004"', '"00ff"', '"Wh"', '"l"', '"a.b"', "'''\nx'''",
    '"""\\\n  x"""', '"\\u0000"', '"\\u00e9"', "[]", "{}", '["tableID"]', '["0004", "0005"]',
    "[4, 5]", "[[1], [2]]", "{ a = 1, b = { c = 2 } }", "2024-02-29", "07:30:00",
    "2024-02-29T07:30:00+02:00", "[\n1,\n# x\n2,\n]", "0x" + "f" * 5000, "1" * 5000,
)  # fmt: skip


@cache
def _lines() -> tuple[str, ...]:
    lines = {line for text in shipped().values() for line in text.split("\n") if line.strip()}
    return tuple(sorted(line for line in lines if not line.startswith("#")))


@cache
def _blocks() -> tuple[str, ...]:
    return tuple(
        sorted({block for text in shipped().values() for block in re.split(r"\n(?=\[)", text)})
    )


def mutate(data: bytes, longest: int, seed: int, fallback: Callable[[bytes, int], bytes]) -> bytes:
    """Change lines, keys, values and tables, seldom single characters."""
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return fallback(data, longest)
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        key, equals, value = lines[at].partition("=")
        match chance.randrange(12):
            case 0 | 1 | 2 | 3 if equals:
                lines[at] = f"{key}= {chance.choice(_VALUES)}"
            case 4 if equals:
                other = chance.choice(_lines()).partition("=")
                lines[at] = f"{other[0]}={value}" if other[1] else f"x.{key}={value}"
            case 5 if len(lines) > 1:
                del lines[at]
            case 6:
                lines.insert(at, chance.choice(lines))
            case 7:
                lines.insert(at, chance.choice(_lines()))
            case 8:
                lines[at:at] = chance.choice(_blocks()).split("\n")
            case 9:
                other_at = chance.randrange(len(lines))
                lines[at], lines[other_at] = lines[other_at], lines[at]
            case 10:
                lines[at:at] = ["[[register]]", f'address = "{chance.randrange(64):04X}"']
                lines[at + 2 : at + 2] = [chance.choice(_lines()) for _ in range(3)]
            case 11 if chance.random() < 0.1:
                lines.insert(at, _SEPARATOR)
            case _:
                lines[at] = lines[at] + chance.choice((" # x", "\r", " ", "\t", "]", '"', ","))
    return "\n".join(lines).encode("utf-8", "replace")[:longest]


# --- seeds, words, defects ------------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Return the shipped companions, parts of them, and what derives from them."""
    found = {name: text.encode() for name, text in shipped().items()}
    for place, block in enumerate(_blocks()):
        for base in ("small", "electricity") if place % 8 == 0 else ("small",):
            found[f"{base}-{place}"] = f'extends = "{base}"\n\n{block}'.encode()
    small = 'extends = "small"\n'
    found |= {
        "remove": (small + '[table]\nremove = ["0030", "0031"]\n').encode(),
        "remove-unknown": (small + '[table]\nremove = ["7777"]\n').encode(),
        "types": (small + '[[register]]\naddress = "0030"\ntype = "s32"\n').encode(),
        "literal": (small + '[table]\naddresses = "literal"\n').encode(),
        "decimal": (small + '[table]\nencoding = "decimal"\n').encode(),
        "text-numbers": (small + '[table]\nencoding = "text"\n').encode(),
        "token-hex": (small + '[token_entry]\nencoding = "token-hex"\n').encode(),
        "chain": f'extends = "file1"\n{_SEPARATOR}\nextends = "small"\n'.encode(),
        "circle": f'extends = "file1"\n{_SEPARATOR}\nextends = "file1"\n'.encode(),
        "profiles": (small + "[profiles]\nslow = 7\n").encode(),
        "narrow": (small + '[[register]]\naddress = "0005"\ntype = "text 10"\n').encode(),
        "short-log": (small + '[[register]]\naddress = "0080"\ntype = "text 59"\n').encode(),
        "no-factor": (small + "[profiles]\nslow = 0\n").encode(),
        "long-text": (small + f'[meter]\nsoftware_version = "{"x" * 99}"\n').encode(),
        "other-maker": (small + "[meter]\nserved = false\n").encode(),
        "large-number": (small + "[limits]\nline = 0x" + "f" * 5000 + "\n").encode(),
        "deep-key": (".".join(["a"] * 3000) + " = 1\n").encode(),
        "deep-list": ("a = " + "[" * 2000 + "]" * 2000).encode(),
        "deep-table": ("a = " + "{b=" * 160 + "1" + "}" * 160).encode(),
        "long-chain": _SEPARATOR.join(f'extends = "file{n}"\n' for n in range(1, 12)).encode(),
        "not-toml": b"[companion\n",
        "line": b"extends = 7\n",
    }
    return found


def words() -> tuple[bytes, ...]:
    """Return keys and values."""
    return (
        b"[[register]]\n",
        b'extends = "small"\n',
        b'address = "0004"\n',
        b"\n[table]\n",
        b'"""',
        b"= ",
    )


def _lines_are_one_off() -> None:
    def broken(text: str) -> dict[toml_lines.Path, int]:
        return {path: line + 7 for path, line in locate(text).items()}

    locate = toml_lines.locate
    companion_file.locate = broken  # type: ignore[attr-defined]


def _anything_fits_a_register() -> None:
    Registers.must_hold = staticmethod(lambda *_: None)  # type: ignore[assignment,method-assign]


def _ranges_are_not_checked() -> None:
    def broken(
        self: companion_keys.Keys, key: str, low: int, high: int, default: int | None = None
    ) -> int:
        return integer(self, key, min(low, -low), max(high, 2**60), default)

    integer = companion_keys.Keys.integer
    companion_keys.Keys.integer = broken  # type: ignore[method-assign]


def _one_problem_is_enough() -> None:
    def broken(base: Node, over: Node, problems: list[Problem]) -> Node:
        del base.children["limits"]
        return derive(base, over, problems)

    derive = companion_file.derive  # type: ignore[attr-defined]
    companion_file.derive = broken  # type: ignore[attr-defined]


PLANTS: dict[str, Callable[[], None]] = {
    "lines are wrong": _lines_are_one_off,
    "values need not fit their registers": _anything_fits_a_register,
    "ranges are not checked": _ranges_are_not_checked,
    "deriving crashes": _one_problem_is_enough,
}

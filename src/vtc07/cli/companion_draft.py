"""A companion file made of what a meter answered: a draft that a person goes on with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vtc07.carrier.companion_file import check, load_companion, parse_companion
from vtc07.carrier.exchange.blocks import ReadoutBlock, Row, Value
from vtc07.carrier.exchange.events import MeterIdentity
from vtc07.carrier.exchange.obis import meaning_of
from vtc07.carrier.exchange.settings import (
    STANDARD,
    START_SPEED,
    CheckCharacter,
    Compatibility,
    Mode,
    mode_and_speed,
)
from vtc07.cli.exchange_connection import printable

_BASE: Final = "electricity-mode-c"
_DIRECT_BASE: Final = "electricity"
_SOURCE: Final = "draft.toml"
_LITERAL = re.compile(r"[ \"-'*-.0-~]{1,16}")
_UNIT = re.compile(r"[ \"-'+-.0-~]{1,16}")
_TEXT = re.compile(r"[ \"-'+-.0-~]{0,128}")
_NUMBER = re.compile(r"(-?)([0-9]{1,19})(?:\.([0-9]{1,18}))?")
_LONGEST_NUMBER: Final = 18  # digits that 63 bits surely hold
_LONGEST_COUNT: Final = 9  # digits without a unit; more are rather a name
_LONGEST_IN_READOUT: Final = 32
_SMALLEST_TEXT: Final = 16
_WIDTHS: Final = (32, 64)  # decimal numbers have no width on the line: there is no harm in room
#: Names for what has a known meaning (`meaning_of`); the rest has a name made of the address.
_KNOWN: Final[Mapping[str, str]] = {
    "F.F": "errorRegister",
    "0.0.0": "deviceAddress",
    "0.0": "deviceAddress",
    "C.1.0": "serialNumber",
    "C.1": "serialNumber",
    "0.2.0": "firmware",
    "0.9.1": "meterTime",
    "0.9.2": "meterDate",
    "0.1.0": "resets",
    "C.7.0": "powerFailures",
    "1.6.0": "maximumDemand",
    "1.7.0": "powerImport",
    "2.7.0": "powerExport",
    "1.8.0": "energyImport",
    "1.8.1": "energyImportT1",
    "1.8.2": "energyImportT2",
    "2.8.0": "energyExport",
    "2.8.1": "energyExportT1",
    "2.8.2": "energyExportT2",
    "32.7.0": "voltageL1",
    "52.7.0": "voltageL2",
    "72.7.0": "voltageL3",
    "31.7.0": "currentL1",
    "51.7.0": "currentL2",
    "71.7.0": "currentL3",
}
#: Of these, what holds digits that are no number.
_NAMES: Final = frozenset({"errorRegister", "deviceAddress", "serialNumber", "firmware"})


@dataclass(frozen=True, slots=True)
class Tried:
    """What a read of one address came to in programming mode.

    ``code``: R1 or R5. ``error``: the text of the error message, None for an answer.
    """

    code: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a meter answered. ``programming``: it entered programming mode.

    ``operand``: P0's value there. ``tried``: by address; empty where nothing was read.
    """

    identity: MeterIdentity
    block: ReadoutBlock
    compatibility: Compatibility = STANDARD
    programming: bool = False
    operand: str = ""
    tried: Mapping[str, Tried] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectFindings:
    """What a direct port answered. ``numbers``: tableID, FOIN and the like, by name.

    ``answered``: names of registers that could be read; ``refused``: those that could not, and
    why.
    """

    flag: str
    baud_identification: str
    identification: str
    numbers: Mapping[str, int]
    answered: Sequence[str]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """The file's text, and what is to be said of it."""

    text: str
    registers: int
    guessed: tuple[str, ...]
    decide: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Guess:
    """A register's type, encoding and the rest of its entry, and why."""

    type: str
    why: str
    unit: str = ""
    scaler: int = 0
    longest: int = _LONGEST_IN_READOUT


def draft(findings: Findings) -> Draft:
    """Draft the companion of a meter that is read in mode C."""
    identity, compat = findings.identity, findings.compatibility
    mode, speed = mode_and_speed(identity.baud_identification)
    decide = [
        "tokens: the register that they are written to, if any; nothing was written to find out",
        "access: which registers may be written, and what opens them",
    ]
    guessed = ["types and units: by one value each, as the comments say"]
    if mode is not Mode.C:
        decide.append(
            f"sign-on: the meter is of mode {mode.value}, which a companion cannot describe; "
            "vtc07 readout reads it all the same"
        )
    if not findings.programming:
        decide.append(
            "programming mode: the meter did not enter it, so no register was read singly"
        )
    national = any(tried.code == "R5" and tried.error is None for tried in findings.tried.values())
    if national:
        guessed.append("commands: the meter answers R5, so that W5 is what it may be written with")
    flag = _flag(identity.flag)
    if flag != identity.flag:
        decide.append(
            f"flag: the meter says {identity.flag}, which are no FLAG letters of this form"
        )
    entries, left_out = _registers(findings)
    z = identity.baud_identification if mode is Mode.C else "0"
    speeds = sorted({START_SPEED, speed if mode is Mode.C else START_SPEED})
    lines = [
        *_head(guessed, decide),
        f'extends = "{_BASE}" # times, limits and errors are from there: check them, too',
        "",
        "[companion]",
        f"title = {_quoted(f'Draft: {identity.flag} {identity.identification}')}",
        f"source = {_quoted('what a meter answered to vtc07 companion probe')}",
        "registered = false # DECIDE: true where FLAG letters, FOIN and tableID are registered",
        "",
        "[identity]",
        f'flag = "{flag}"',
        f'baud_identification = "{z}"',
        "table_id = 0 # DECIDE: numbers of your own for this table; the meter says none",
        "foin = 0",
        "identification = [] # not looked at: whatever a meter of this kind says is taken",
        "",
        "[mode_c]",
        f"speeds = {speeds}",
        f"mode_e = {_toml_bool(identity.has_mode_e)}",
        *(['read = "R5"', 'write = "W5" # guessed, never tried'] if national else []),
        *_compatibility(compat),
        "",
        "[limits]",
        "registers = 1 # one a read: in which order the meter has them is not known",
        "",
        "[readout]",
        "registers = [",
        *(f'    "{entry.name}",' for entry in entries if entry.guess.longest <= 32),
        "]",
        "",
        "[meter]",
        "served = false # another maker's meter: this project's meter does not play it",
        "",
        "[table]",
        'addresses = "literal"',
        'encoding = "decimal"',
        f"remove = {_remove(_BASE)} # what the extended file has",
        "",
        "[token_entry]",
        'register = "tokenEntry"',
        "",
        "[[register]]",
        f'address = "{_unused(entries)}" # DECIDE: a placeholder, no address of the meter',
        'name = "tokenEntry"',
        'type = "token"',
        'access = "w"',
        'meaning = "where tokens are written to"',
    ]
    for entry in entries:
        lines += entry.lines()
    if left_out:
        lines += ["", "# Left out:", *(f"# {_comment(why)}" for why in left_out)]
    return _checked("\n".join(lines) + "\n", len(entries), guessed, decide)


@dataclass(frozen=True, slots=True)
class _Entry:
    address: str
    name: str
    meaning: str
    guess: _Guess
    seen: str
    tried: Tried | None

    def lines(self) -> list[str]:
        """Return the register's entry."""
        how = "only in the readout so far"
        if self.tried is not None:
            answer = "answers" if self.tried.error is None else f"is answered {self.tried.error}"
            how = f"{self.tried.code} {answer}"
        numbers = []
        if self.guess.unit:
            numbers.append(f"unit = {_quoted(self.guess.unit)}")
        if self.guess.scaler:
            numbers.append(f"scaler = {self.guess.scaler}")
        return [
            "",
            f"# seen: {_comment(self.seen)}; {_comment(how)}",
            "[[register]]",
            f"address = {_quoted(self.address)}",
            f'name = "{self.name}"',
            f'type = "{self.guess.type}" # guessed: {self.guess.why}',
            *numbers,
            'access = "r"',
            f"meaning = {_quoted(self.meaning)}",
        ]


def _registers(findings: Findings) -> tuple[list[_Entry], list[str]]:
    """Return an entry for each address that can be one, and what was left out and why."""
    entries: list[_Entry] = []
    left_out: list[str] = []
    names = {"tokenEntry"}
    addresses: set[str] = set()
    for row in findings.block.rows:
        value = row.values[0]
        why = _unfit(row, value, addresses)
        if why is not None:
            left_out.append(f"{row.address or 'a value'}: {why}")
            continue
        addresses.add(row.address.upper())
        name, meaning = _name(row.address, value.unit, names)
        names.add(name)
        if len(row.all_values) > 1:
            meaning += ", the first of several values"
        seen = " ".join(f"({value})" for value in row.all_values)
        entries.append(
            _Entry(
                row.address,
                name,
                meaning,
                _guess(value, name),
                seen,
                findings.tried.get(row.address),
            )
        )
    return entries, left_out


def _unfit(row: Row, value: Value, addresses: set[str]) -> str | None:
    if row.history is not None:
        return "a stored value"
    if row.profile is not None:
        return "a load profile"
    if not _LITERAL.fullmatch(row.address) or row.address != row.address.strip():
        return "no address of 1 to 16 characters without ( ) / !"
    if row.address.upper() in addresses:
        return "an address that was there before"
    if value.joined or not _TEXT.fullmatch(value.value):
        return "its value has a form that no register has"
    return None


def _guess(value: Value, name: str) -> _Guess:
    """Guess a register's type by one value of it, and by what its address is known to hold."""
    text = value.value
    unit = value.unit or ""
    match = _NUMBER.fullmatch(text)
    digits = 0 if match is None else len(match[2]) + len(match[3] or "")
    bare = match is not None and not unit and not match[3]
    padded = bare and len(text) > 1 and text.startswith("0")
    is_name = padded or (bare and digits > _LONGEST_COUNT) or name in _NAMES
    if match is None or digits > _LONGEST_NUMBER or is_name:
        why = "a number in name only" if match is not None else "this value is no number"
        size = max(len(text), _SMALLEST_TEXT)
        return _Guess(f"text {size}", why, longest=size)
    if unit and not _UNIT.fullmatch(unit):
        unit = ""
    signed = bool(match[1])
    bits = (10**digits - 1).bit_length() + signed
    width = next(width for width in _WIDTHS if bits <= width)
    why = f"{digits} digits" + (", a sign" if signed else "")
    return _Guess(f"{'s' if signed else 'u'}{width}", why, unit, -len(match[3] or ""))


def _name(address: str, unit: str | None, taken: set[str]) -> tuple[str, str]:
    """Return a name of its own for an address, and what it means as far as that is known."""
    meaning = meaning_of(address, unit)
    short = re.sub(r"^[01]-\d+:", "", address)
    short = re.sub(r"\*255$", "", short)
    name = _KNOWN.get(short, "") if meaning is not None else ""
    if not name or name in taken:
        name = "r_" + re.sub(r"[^0-9A-Za-z]+", "_", address).strip("_")
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique, meaning or f"{address}: DECIDE what it means"


def _compatibility(compat: Compatibility) -> list[str]:
    flags = ("no_readout_bcc", "decimal_comma", "lf_line_ends", "crlf_before_etx",
             "address_not_echoed")  # fmt: skip
    said = [f"{flag} = true" for flag in flags if getattr(compat, flag)]
    if compat.check is not CheckCharacter.XOR:
        said.insert(0, f'check = "{compat.check.value}"')
    return ["", "[compatibility] # guessed: by what the meter sent", *said] if said else []


# --- a direct port --------------------------------------------------------------------------------

#: Registers that other parts of the file name: they stay, whether or not they answered.
_KEPT: Final = frozenset({"tokenEntry"})


def draft_direct(findings: DirectFindings) -> Draft:
    """Draft the companion of a meter with a direct VTC07 port."""
    base = load_companion(_DIRECT_BASE)
    guessed = ["registers: those of the shipped companion electricity, as far as they answered"]
    decide = [
        "registers of your own, and those that are more than the shipped companion's",
        "access: which registers may be written",
        "token_entry: what the numbers of tokenStatus mean",
    ]
    flag = _flag(findings.flag)
    z = findings.baud_identification
    z = z if re.fullmatch(r"[ \"-.0-~]", z) else "3"
    table_id = findings.numbers.get("tableID", base.table.table_id)
    foin = findings.numbers.get("FOIN", base.table.foin)
    version = findings.numbers.get("protocolVersion", base.protocol_version)
    absent = [r.address for r in base.table if r.name in findings.refused and r.name not in _KEPT]
    parts = [register.name for register in base.identification]
    whole = all(name in findings.answered for name in parts)
    title = f"Draft: {findings.flag} {findings.identification}"
    lines = [
        *_head(guessed, decide),
        f'extends = "{_DIRECT_BASE}" # times, limits and errors are from there: check them, too',
        "",
        "[companion]",
        f"title = {_quoted(title)}",
        f"source = {_quoted('what a meter answered to vtc07 companion probe')}",
        "registered = false # DECIDE: true where FLAG letters, FOIN and tableID are registered",
        "",
        "[identity]",
        f'flag = "{flag}"',
        f"baud_identification = {_quoted(z)}",
        f"table_id = {table_id}" + ("" if "tableID" in findings.numbers else " # DECIDE"),
        f"foin = {foin}" + ("" if "FOIN" in findings.numbers else " # DECIDE"),
        f"protocol_version = {version}",
        *([] if whole else ["identification = [] # DECIDE: what it is made of"]),
        f"# seen: {_comment(findings.identification)}",
        "",
        "[meter]",
        "served = false # another maker's meter: this project's meter does not play it",
    ]
    reasons = [f"{_comment(name)}: {_comment(why)}" for name, why in findings.refused.items()]
    comments = ["", "# Did not answer, and so are not there:", *(f"# {why}" for why in reasons)]
    removing = ["", "[table]", f"remove = {json.dumps(absent)}", *comments] if absent else []
    text = "\n".join([*lines, *removing]) + "\n"
    if check(text, _SOURCE):  # other parts name some of them: a person has to decide which
        decide.append("registers that did not answer, and that other parts of the file name")
        text = "\n".join([*lines, *comments]) + "\n"
    return _checked(text, len(findings.answered), guessed, decide)


# --- text -----------------------------------------------------------------------------------------


def _checked(text: str, registers: int, guessed: Sequence[str], decide: Sequence[str]) -> Draft:
    parse_companion(text, _SOURCE)  # a draft that is none would be a defect of ours
    return Draft(text, registers, tuple(guessed), tuple(decide))


def _head(guessed: Iterable[str], decide: Iterable[str]) -> list[str]:
    return [
        "# A draft of vtc07 companion probe: nothing in it is certain. docs/companion.md explains",
        "# every key; vtc07 companion check tells whether the file is still one.",
        "#",
        "# Guessed:",
        *(f"# - {_comment(line)}" for line in guessed),
        "# DECIDE, for nobody else can:",
        *(f"# - {_comment(line)}" for line in decide),
        "",
    ]


def _remove(base: str) -> str:
    """Return the addresses of all that a shipped companion has, a series by its first."""
    table = load_companion(base).table
    firsts = [r.address for r in table if "." not in r.name or r.name.endswith(".1")]
    return json.dumps(firsts)


def _unused(entries: Sequence[_Entry]) -> str:
    taken = {entry.address.upper() for entry in entries}
    names = ("TOKEN", *(f"TOKEN.{number}" for number in range(1, len(entries) + 2)))
    return next(name for name in names if name not in taken)


def _flag(flag: str) -> str:
    return flag[:2].upper() + flag[2:]


def _toml_bool(value: bool) -> str:  # noqa: FBT001 - the one thing that it is about
    return "true" if value else "false"


def _quoted(text: str) -> str:
    """Return a TOML string of printable characters."""
    return json.dumps(printable(text))


def _comment(text: str) -> str:
    return printable(text)

"""The registers of a companion file: `[table]` and every `[[register]]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vtc07.carrier.companion_keys import Keys, meant
from vtc07.carrier.companion_tree import Node, Problem
from vtc07.carrier.registers import DataType, Encoding, Kind, Register, ValueRefused

LONGEST_ADDRESS = 16  # IEC 62056-21 6.5
LONGEST_UNIT = 16  # IEC 62056-21 6.5
LONGEST_SERIES = 1000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_LITERAL = re.compile(r"[ -~]{1,16}")
_UNIT = re.compile(r"[ -~]{0,16}")
_ACCESS = {"r": (True, False), "w": (False, True), "rw": (True, True)}
_ENCODINGS = {
    Kind.TEXT: (Encoding.TEXT,),
    Kind.TOKEN: (Encoding.TOKEN, Encoding.TOKEN_HEX),
    Kind.UNSIGNED: (Encoding.HEX, Encoding.DECIMAL),
    Kind.SIGNED: (Encoding.HEX, Encoding.DECIMAL),
}


@dataclass(frozen=True, slots=True)
class _Table:
    """What `[table]` and others say of every register; ``width`` None: literal addresses."""

    width: int | None
    encodings: Mapping[Kind, Encoding]
    levels: frozenset[int]
    aliases: bool
    decimal_comma: bool


@dataclass(slots=True)
class Registers:
    """The registers read, in the table's order, and where each stands in the file."""

    registers: list[Register] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)  # by name
    problems: list[Problem] = field(default_factory=list)
    broken: set[str | None] = field(default_factory=set)  # names; None: one without a name
    complete: bool = True

    def find(self, name: str) -> Register | None:
        """Return the register of a name, or None."""
        return next((r for r in self.registers if r.name == name), None)

    def unknown(self, name: str) -> str:
        """Return the sentence for a name that is none."""
        hint = meant(name, (register.name for register in self.registers))
        return f"there is no register {name!r}, {hint}the name of one is wanted"

    def surely_missing(self, name: str) -> bool:
        """Say whether no register, not even one with a problem, can have this name."""
        return (
            self.find(name) is None
            and None not in self.broken
            and name.partition(".")[0] not in self.broken
        )

    def named(self, keys: Keys, key: str, names: list[str]) -> dict[int, Register]:
        """Return the registers of a list of names by their place in it; report unknown ones."""
        found: dict[int, Register] = {}
        for index, name in enumerate(names):
            register = self.find(name)
            if register is None:
                if self.surely_missing(name):
                    keys.element_problem(key, index, self.unknown(name))
            elif register in found.values():
                keys.element_problem(key, index, f"{name} stands in the list already")
            else:
                found[index] = register
        return found

    @staticmethod
    def must_hold(keys: Keys, key: str, value: int | str, register: Register) -> None:
        """Report a key whose value the register cannot hold."""
        try:
            register.data_type.check(value)
        except ValueRefused as error:
            keys.problem(key, f"the register {register.name} cannot hold it: {error}")


def read_registers(
    root: Keys,
    token_encoding: Encoding,
    levels: set[int],
    problems: list[Problem],
    *,
    aliases: bool,
    decimal_comma: bool,
) -> Registers:
    """Read `[table]` and `[[register]]`; ``levels`` are the access levels that exist.

    ``aliases``: whether registers may have one. ``decimal_comma``: how decimal values are written.
    """
    before = len(problems)
    table = replace(
        _table(root, token_encoding, levels), aliases=aliases, decimal_comma=decimal_comma
    )
    found = Registers(problems=problems)
    addresses: dict[str, tuple[str, Node]] = {}
    for index, node in enumerate(root.tables("register")):
        series = _series(node, index, table, problems)
        if not series:
            name = node.children.get("name")
            found.broken.add(str(name.value) if name is not None else None)
        for register in series:
            _add(found, addresses, register, node)
    if table.width is not None:
        found.registers.sort(key=lambda r: r.address)
    found.complete = len(problems) == before
    return found


def _table(root: Keys, token_encoding: Encoding, levels: set[int]) -> _Table:
    keys = root.table("table")
    width: int | None = None
    encoding = Encoding.HEX
    if keys is not None:
        if _addresses(keys) == "hexadecimal":
            width = keys.integer("address_width", 1, LONGEST_ADDRESS)
        else:  # one that a base may have left behind is without effect
            keys.integer("address_width", 1, LONGEST_ADDRESS, 1)
        encoding = keys.choice("encoding", Encoding)
        if keys.good("encoding") and encoding not in (Encoding.HEX, Encoding.DECIMAL):
            keys.problem(
                "encoding", f"{encoding.value} is not for numbers, hex or decimal is wanted"
            )
            encoding = Encoding.HEX  # one mistake is no mistake of every register
        keys.finish()
    encodings = {
        Kind.TEXT: Encoding.TEXT,
        Kind.TOKEN: token_encoding,
        Kind.UNSIGNED: encoding,
        Kind.SIGNED: encoding,
    }
    return _Table(width, encodings, frozenset(levels), aliases=False, decimal_comma=False)


def _addresses(table: Keys) -> str:
    wanted = "hexadecimal or literal"
    said = table.text("addresses", wanted)
    if table.good("addresses") and said not in ("hexadecimal", "literal"):
        hint = meant(said, ("hexadecimal", "literal"))
        table.problem("addresses", f"{said!r} is not known, {hint}{wanted} is wanted")
    return said if table.good("addresses") else "literal"


def _add(
    found: Registers, addresses: dict[str, tuple[str, Node]], register: Register, node: Node
) -> None:
    at = f"register[{node.children['address'].value}]"
    for key, address in (("address", register.address), ("alias", register.alias)):
        if address is None:
            continue
        belongs, other = addresses.setdefault(address.upper(), (key, node))
        if other is not node or belongs != key:
            found.problems.append(
                node.children[key].problem(
                    f"{at}.{key}",
                    f"the address {address} belongs to {other.children['name'].value} "
                    f"({other.source}, line {other.line}): every register needs one of its own",
                )
            )
            return
    other = found.nodes.setdefault(register.name, node)
    if other is not node:
        found.problems.append(
            node.children["name"].problem(
                f"{at}.name",
                f"the name {register.name} is that of the register in {other.source}, "
                f"line {other.line}: every register needs one of its own",
            )
        )
        return
    found.registers.append(register)


def _series(node: Node, index: int, table: _Table, problems: list[Problem]) -> list[Register]:
    """Read one `[[register]]` and return the registers that it stands for: none if it is wrong."""
    before = len(problems)
    said = node.children.get("address")
    label = said.value if said is not None and isinstance(said.value, str) else f"#{index + 1}"
    keys = Keys(node, f"register[{label}]", problems)
    address = _address(keys, table.width)
    name = keys.text("name", "a name such as creditBalance")
    if keys.good("name") and not _NAME.fullmatch(name):
        keys.problem(
            "name", f"{name!r} is no name: a letter, then letters, digits and _ are wanted"
        )
    data_type = _data_type(keys)
    encoding = _encoding(keys, data_type, table.encodings)
    unit, scaler = _unit(keys, data_type)
    read_level, write_level = _access(keys, table.levels)
    meaning = keys.text("meaning", "what the value means")
    if keys.good("meaning") and not meaning:
        keys.problem("meaning", "it is empty, what the value means is wanted")
    alias = _alias(keys, table)
    count = keys.integer("count", 1, LONGEST_SERIES, 1)
    if keys.has("count") and keys.good("address") and not _HEX.fullmatch(address):
        keys.problem("count", f"a series needs a hexadecimal first address, not {address}")
    elif count > 1 and keys.good("count", "address") and _beyond(address, count):
        keys.problem(
            "count", f"{count} registers from {address} on need more than {len(address)} digits"
        )
    if alias and keys.has("count") and keys.good("alias"):
        keys.problem("alias", "a series has no alias: each of its registers would need another")
    keys.finish()
    if len(problems) > before:
        return []
    return [
        Register(
            address=f"{int(address, 16) + place:0{len(address)}X}" if count > 1 else address,
            name=f"{name}.{place + 1}" if keys.has("count") else name,
            data_type=data_type,
            encoding=encoding,
            meaning=meaning,
            unit=unit,
            scaler=scaler,
            read_level=read_level,
            write_level=write_level,
            alias=alias or None,
            decimal_comma=table.decimal_comma,
        )
        for place in range(count)
    ]


def _beyond(address: str, count: int) -> bool:
    return (int(address, 16) + count - 1).bit_length() > 4 * len(address)


def _address(keys: Keys, width: int | None) -> str:
    if width is None:
        wanted = f"1 to {LONGEST_ADDRESS} printable characters without ( ) / !"
    else:
        wanted = f"{width} hexadecimal digits"
    address = keys.text("address", wanted)
    if not keys.good("address"):
        return address
    if width is None:
        fits = _is_literal(address)
    else:
        fits = len(address) == width and bool(_HEX.fullmatch(address))
    if not fits:
        keys.problem("address", f"{address!r} is no address of this table: {wanted} are wanted")
    return address if width is None else address.upper()


def _is_literal(address: str) -> bool:
    return bool(_LITERAL.fullmatch(address)) and not set("()/!") & set(address)


def _alias(keys: Keys, table: _Table) -> str:
    wanted = f"1 to {LONGEST_ADDRESS} printable characters without ( ) / !"
    alias = keys.text("alias", wanted, "")
    if not alias or not keys.good("alias"):
        return ""
    if not _is_literal(alias):
        keys.problem("alias", f"{alias!r} is no address: {wanted} are wanted")
    elif not table.aliases:
        keys.problem("alias", 'only mode C has aliases: sign_on.mode is not "mode-c"')
    return alias


def _data_type(keys: Keys) -> DataType:
    text = keys.text("type", 'a type such as "u16", "s64", "text 18" or "token"')
    if keys.good("type"):
        try:
            return DataType.parse(text)
        except ValueError as error:
            keys.problem("type", str(error))
    return DataType(Kind.UNSIGNED, 8)


def _encoding(keys: Keys, data_type: DataType, defaults: Mapping[Kind, Encoding]) -> Encoding:
    default = defaults[data_type.kind]
    encoding = keys.choice("encoding", Encoding, default)
    fitting = _ENCODINGS[data_type.kind]
    if keys.good("encoding", "type") and encoding not in fitting:
        names = " or ".join(e.value for e in fitting)
        keys.problem("encoding", f"{encoding.value} does not fit {data_type}, {names} is wanted")
    return encoding


def _unit(keys: Keys, data_type: DataType) -> tuple[str | None, int]:
    unit = keys.text("unit", "a unit, or nothing for none", "")
    if keys.good("unit"):
        if not _UNIT.fullmatch(unit) or set("()*/!") & set(unit):
            keys.problem(
                "unit",
                f"{unit!r} cannot stand in a data set: at most {LONGEST_UNIT} printable characters "
                "without ( ) * / ! are wanted",
            )
        elif unit and keys.good("type") and not data_type.is_number:
            keys.problem("unit", f"{data_type} has no unit: only numbers have")
    scaler = keys.integer("scaler", -18, 18, 0)
    if scaler and keys.good("scaler", "type") and not data_type.is_number:
        keys.problem("scaler", f"{data_type} has no scaler: only numbers have")
    return unit or None, scaler


def _access(keys: Keys, levels: frozenset[int]) -> tuple[int | None, int | None]:
    access = keys.text("access", "r, w or rw")
    if keys.good("access") and access not in _ACCESS:
        keys.problem("access", f"{access!r} is not known, r, w or rw is wanted")
    readable, writable = _ACCESS.get(access, (True, True))
    found: list[int | None] = []
    for key, possible in (("read_level", readable), ("write_level", writable)):
        level = keys.integer(key, 0, 9, 0)
        found.append(level if possible else None)
        if not keys.good(key, "access"):
            continue
        if keys.has(key) and not possible:
            keys.problem(key, f"access is {access}, so that this level says nothing")
        elif possible and levels and level not in levels and (level or keys.has(key)):
            # (That there is no level 0 at all has been said once, not at every register.)
            known = ", ".join(str(known) for known in sorted(levels))
            keys.problem(key, f"there is no access level {level}: [[access]] has {known}")
    return found[0], found[1]

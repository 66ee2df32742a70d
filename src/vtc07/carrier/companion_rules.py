"""What a companion must say: every rule that a file is judged by (docs/companion.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from vtc07.carrier.companion import (
    MS,
    AccessLevel,
    Companion,
    Gate,
    LinkSettings,
    MessageLimits,
    Parity,
    Preset,
    S,
    SignOn,
    Timing,
)
from vtc07.carrier.companion_keys import LONGEST_TIME_MS, Keys
from vtc07.carrier.companion_mode_c import judge_link_speed, read_compatibility, read_mode_c
from vtc07.carrier.companion_policy import (
    read_lockout,
    read_meter,
    read_token_encoding,
    read_token_entry,
)
from vtc07.carrier.companion_registers import Registers, read_registers
from vtc07.carrier.companion_tree import Node, Problem
from vtc07.carrier.exchange.settings import MODE_C_SPEEDS
from vtc07.carrier.registers import (
    DataType,
    Kind,
    Register,
    RegisterTable,
    ValueRefused,
)
from vtc07.carrier.status import ErrorCode

IDENTIFICATION_SENT = 16  # IEC 62056-21 6.3: the greatest length of an identification
MODE_E_ESCAPE = "\\2"  # what announces mode E, a part of it
READOUT_VALUE = 32  # IEC 62056-21 6.5: the greatest length of a value in a readout
SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
_LARGEST_FACTOR = 60
_PROFILE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_FLAG = re.compile(r"[A-Z]{2}[A-Za-z]")
_LINES = {"on": True, "off": False, "leave": None}


def judge(tree: Node, name: str, problems: list[Problem]) -> Companion | None:
    """Return the companion that a merged tree describes; None where there is any problem."""
    root = Keys(tree, "", problems)
    root.text("extends", default="")  # followed when the file was read
    title, source, registered = _head(root)
    sign_on = _sign_on(root)
    link, presets = _link(root, sign_on)
    timing, limits, errors = _timing(root), _limits(root), _errors(root)
    profiles = _profiles(root)
    access = _access(root, sign_on)
    entry = root.table("token_entry")
    encoding = read_token_encoding(entry)
    mode_c, timing = read_mode_c(root, sign_on, access, timing)
    compatibility = read_compatibility(root, sign_on)
    registers = read_registers(
        root,
        encoding,
        {a.level for a in access},
        problems,
        aliases=sign_on is SignOn.MODE_C,
        decimal_comma=compatibility.decimal_comma,
    )
    rule, timing = read_token_entry(entry, encoding, registers, timing)
    lockout = read_lockout(root, registers)
    meter = read_meter(root, registers, timing)
    served = meter is not None
    readout = _readout(root, sign_on, registers, served=served)
    own_escape = mode_c is not None and mode_c.mode_e
    sent = IDENTIFICATION_SENT - (len(MODE_E_ESCAPE) if own_escape else 0)
    identity = _identity(root, sign_on, registers, sent if served else limits.identification)
    _sizes(root, registers, limits)
    root.finish()
    if problems or rule is None or identity is None:
        return None
    flag, z, table_id, foin, version, identification = identity
    return Companion(
        name=name,
        title=title,
        source=source,
        registered=registered,
        flag=flag,
        baud_identification=z,
        identification=identification,
        link=link,
        presets=presets,
        sign_on=sign_on,
        timing=timing,
        profiles=profiles,
        limits=limits,
        errors=errors,
        token_entry=rule,
        lockout=lockout,
        access=access,
        table=RegisterTable(table_id, foin, registers.registers),
        protocol_version=version,
        readout=readout,
        meter=meter,
        mode_c=mode_c,
        compatibility=compatibility,
    )


def _head(root: Keys) -> tuple[str, str, bool]:
    keys = root.table("companion")
    if keys is None:
        return "", "", False
    title, source = keys.text("title"), keys.text("source")
    for key, text in (("title", title), ("source", source)):
        if keys.good(key) and not text.strip():
            keys.problem(key, "it is empty, a sentence for people is wanted")
    registered = keys.boolean("registered")
    keys.finish()
    return title, source, registered


def _sign_on(root: Keys) -> SignOn:
    keys = root.table("sign_on")
    if keys is None:
        return SignOn.DIRECT
    mode = keys.choice("mode", SignOn)
    keys.finish()
    return mode


def _link(root: Keys, sign_on: SignOn) -> tuple[LinkSettings, Mapping[Preset, LinkSettings]]:
    unknown = LinkSettings(Preset.OPTICAL, SPEEDS[0], Parity.UART)
    keys = root.table("link")
    if keys is None:
        return unknown, {}
    chosen = keys.choice("preset", Preset)
    presets = {}
    for preset in Preset:
        table = keys.table(preset.value)
        if table is None:
            continue
        speed = table.integer("speed", SPEEDS[0], SPEEDS[-1])
        if table.good("speed") and speed not in SPEEDS:
            speeds = ", ".join(map(str, SPEEDS))
            table.problem("speed", f"{speed} Bd is no usual speed, one of {speeds} is wanted")
        presets[preset] = LinkSettings(
            preset=preset,
            speed=speed,
            parity=table.choice("parity", Parity),
            echo=table.boolean("echo"),
            rts=_control_line(table, "rts"),
            dtr=_control_line(table, "dtr"),
        )
        judge_link_speed(table, presets[preset], sign_on)
        table.finish()
    keys.finish()
    return presets.get(chosen, unknown), MappingProxyType(presets)


def _control_line(table: Keys, key: str) -> bool | None:
    said = table.text(key, "on, off or leave")
    if table.good(key) and said not in _LINES:
        table.problem(key, f"{said!r} is not known, on, off or leave is wanted")
    return _LINES.get(said)


def _timing(root: Keys) -> Timing:
    keys = root.table("timing")
    if keys is None:
        return Timing()
    values = {
        key: keys.integer(key, 1, LONGEST_TIME_MS)
        for key in (
            "reaction_ms",
            "fast_reaction_ms",
            "longest_reaction_ms",
            "inter_character_ms",
            "repeat_ms",
            "reconnect_pause_ms",
            "wake_up_ms",
            "wake_up_pause_ms",
        )
    }
    timing = Timing(
        reaction_ns=values["reaction_ms"] * MS,
        fast_reaction_ns=values["fast_reaction_ms"] * MS,
        longest_reaction_ns=values["longest_reaction_ms"] * MS,
        inter_character_ns=values["inter_character_ms"] * MS,
        repeat_ns=values["repeat_ms"] * MS,
        inactivity_ns=keys.integer("inactivity_s", 1, 3600) * S,
        attempts=keys.integer("attempts", 1, 20),
        naks=keys.integer("naks", 0, 20),
        reconnects=keys.integer("reconnects", 0, 20),
        reconnect_pause_ns=values["reconnect_pause_ms"] * MS,
        wake_up_ns=values["wake_up_ms"] * MS,
        wake_up_pause_ns=values["wake_up_pause_ms"] * MS,
    )
    keys.at_least(values, "reaction_ms", "fast_reaction_ms")
    keys.at_least(values, "longest_reaction_ms", "reaction_ms", above=True)
    keys.at_least(values, "repeat_ms", "longest_reaction_ms", above=True)
    if keys.good("inter_character_ms", "repeat_ms") and (
        4 * values["inter_character_ms"] > 3 * values["repeat_ms"]
    ):
        keys.problem(
            "inter_character_ms",
            f"{values['inter_character_ms']} is above three quarters of repeat_ms, at most "
            f"{3 * values['repeat_ms'] // 4} is wanted: a repeat must not meet a message that the "
            "meter still waits for",
        )
    if keys.good("inactivity_s", "repeat_ms") and timing.inactivity_ns <= timing.repeat_ns:
        keys.problem(
            "inactivity_s",
            f"a meter Idle after {timing.inactivity_ns // S} s misses the client's repeat after "
            f"{values['repeat_ms']} ms, a longer time is wanted",
        )
    keys.finish()
    return timing


def _profiles(root: Keys) -> dict[str, int]:
    """Read `[profiles]`, whose keys are names of the file's own choice."""
    keys = root.table("profiles", optional=True)
    if keys is None:
        return {}
    found: dict[str, int] = {}
    for name in keys.node.children:
        found[name] = keys.integer(name, 1, _LARGEST_FACTOR)
        if not _PROFILE.fullmatch(name):
            keys.problem(name, f"{name!r} is no name of a profile, letters, digits, - are wanted")
    return found


def _limits(root: Keys) -> MessageLimits:
    keys = root.table("limits")
    if keys is None:
        return MessageLimits()
    limits = MessageLimits(
        data_message=keys.integer("data_message", 32, 65536),
        command=keys.integer("command", 32, 65536),
        line=keys.integer("line", 16, 65536),
        identification=keys.integer("identification", IDENTIFICATION_SENT, 1024),
        errors=keys.integer("errors", 1, 20),
        repeats=keys.integer("repeats", 0, 20),
        registers=keys.integer("registers", 1, 255, default=255),
    )
    keys.finish()
    return limits


def _errors(root: Keys) -> Mapping[ErrorCode, str]:
    keys = root.table("errors")
    if keys is None:
        return {}
    texts: dict[ErrorCode, str] = {}
    text_type = DataType(Kind.TEXT, 32)  # IEC 62056-21 6.3: an error message's text
    for code in ErrorCode:
        key = code.name.lower()
        text = keys.text(key, "an error text such as ER01")
        if not keys.good(key):
            continue
        try:
            text_type.check(text)
        except ValueRefused as error:
            keys.problem(key, f"{text!r} cannot be sent: {error}")
            continue
        if not text:
            keys.problem(key, "it is empty, an error text such as ER01 is wanted")
        elif text in texts.values():
            keys.problem(key, f"{text!r} is the text of another error: each needs its own")
        texts[code] = text
    keys.finish()
    return MappingProxyType(texts)


def _access(root: Keys, sign_on: SignOn) -> tuple[AccessLevel, ...]:
    levels: dict[int, AccessLevel] = {}
    for index, node in enumerate(root.tables("access")):
        keys = root.element(node, f"access[{index}]")
        level = AccessLevel(
            keys.integer("level", 0, 9), keys.choice("gate", Gate), keys.text("meaning")
        )
        if keys.good("level", "gate"):
            if level.level in levels:
                keys.problem("level", f"level {level.level} stands here twice, once is wanted")
            elif sign_on is SignOn.DIRECT and (level.level, level.gate) != (0, Gate.NONE):
                keys.problem(
                    "level" if level.level else "gate",
                    'without mode C nothing opens a level: only level 0 with gate "none" is wanted',
                )
            elif (level.level == 0) != (level.gate is Gate.NONE):
                keys.problem("gate", 'level 0, and only this one, has the gate "none"')
        keys.finish()
        levels.setdefault(level.level, level)
    if levels and 0 not in levels:
        root.problem("access", "level 0 is missing: it is what everybody has")
    return tuple(levels[level] for level in sorted(levels))


def _readout(
    root: Keys, sign_on: SignOn, registers: Registers, *, served: bool
) -> tuple[Register, ...]:
    keys = root.table("readout")
    if keys is None:
        return ()
    names = keys.texts("registers", "a list of register names")
    found = registers.named(keys, "registers", names)
    for index, register in found.items():
        if register.read_level != 0:
            keys.element_problem(
                "registers", index, f"{register.name} cannot be read by everybody, at level 0"
            )
        elif served and register.longest > READOUT_VALUE:
            keys.element_problem(
                "registers",
                index,
                f"{register.name} can have {register.longest} characters, in a readout "
                f"{READOUT_VALUE} are possible",
            )
    if names and sign_on is SignOn.DIRECT:
        keys.problem("registers", "without mode C there is no readout, an empty list is wanted")
    keys.finish()
    return tuple(found.values())


def _identity(
    root: Keys, sign_on: SignOn, registers: Registers, longest: int
) -> tuple[str, str, int, int, int, tuple[Register, ...]] | None:
    keys = root.table("identity")
    if keys is None:
        return None
    flag = keys.text("flag", "three FLAG letters")
    if keys.good("flag") and not _FLAG.fullmatch(flag):
        keys.problem(
            "flag",
            f"{flag!r} are no FLAG letters: three letters are wanted, the first two upper-case",
        )
    z = keys.text("baud_identification", "one character")
    if keys.good("baud_identification"):
        if sign_on is SignOn.MODE_C and z not in MODE_C_SPEEDS:
            keys.problem("baud_identification", f"{z!r} is no speed of mode C: 0 to 9 is wanted")
        elif len(z) != 1 or not " " <= z <= "~" or z in "/!":
            keys.problem(
                "baud_identification", f"{z!r}: one printable character but / and ! is wanted"
            )
    numbers = {}
    for key, name, high in (
        ("table_id", "tableID", 2**32 - 1),
        ("foin", "FOIN", 2**32 - 1),
        ("protocol_version", "protocolVersion", 2**32 - 1),
    ):
        numbers[key] = keys.integer(key, 0, high)
        register = registers.find(name)
        if keys.good(key) and register is not None and register.data_type.is_number:
            registers.must_hold(keys, key, numbers[key], register)
    names = keys.texts("identification", "a list of register names")
    found = registers.named(keys, "identification", names)
    for index, register in found.items():
        if register.width is None:
            keys.element_problem(
                "identification",
                index,
                f"{register.name} has no fixed width: numbers in hex are wanted",
            )
        elif register.read_level != 0:
            keys.element_problem(
                "identification", index, f"{register.name} cannot be read by everybody, at level 0"
            )
    width = sum(register.width or 0 for register in found.values())
    if keys.good("identification") and width > longest:
        keys.problem("identification", f"{width} characters, at most {longest} can be used")
    keys.finish()
    return (
        flag,
        z,
        numbers["table_id"],
        numbers["foin"],
        numbers["protocol_version"],
        tuple(found.values()),
    )


def _sizes(root: Keys, registers: Registers, limits: MessageLimits) -> None:
    """Refuse limits that no message with the longest register could keep."""
    limits_node: Node | None = root.node.children.get("limits")
    if limits_node is None or not registers.complete:
        return
    keys = root.element(limits_node, "limits")
    for key, limit, writes in (
        ("command", limits.command, True),
        ("data_message", limits.data_message, False),
    ):
        lengths = {
            _longest_message(r, writes=writes): r.name
            for r in registers.registers
            if not writes or r.write_level is not None
        }
        longest = max(lengths, default=0)
        if longest > limit:
            keys.problem(
                key, f"{limit} is too short for {lengths[longest]}, which can need {longest}"
            )


def _longest_message(register: Register, *, writes: bool) -> int:
    address = max(len(register.address), len(register.alias or ""))
    data_set = address + 2 + register.longest
    if writes:
        return data_set + len("\x01W1\x02\x03") + 1
    unit = 1 + len(register.unit) if register.unit else 0
    return data_set + unit + len("\x02\x03") + 1

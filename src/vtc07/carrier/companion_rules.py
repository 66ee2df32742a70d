"""What a companion must say: every rule that a file is judged by (docs/companion.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from vtc07.carrier.companion import (
    MS,
    AccessLevel,
    Companion,
    Gate,
    LinkSettings,
    LockoutPolicy,
    MessageLimits,
    MeterPolicy,
    Parity,
    Preset,
    S,
    SignOn,
    Timing,
    TokenEntryRule,
)
from vtc07.carrier.companion_keys import Keys, meant
from vtc07.carrier.companion_registers import Registers, read_registers
from vtc07.carrier.companion_tree import Node, Problem
from vtc07.carrier.registers import (
    DataType,
    Encoding,
    Kind,
    Register,
    RegisterTable,
    ValueRefused,
)
from vtc07.carrier.status import DEFAULT_STATUS_NUMBERS, ErrorCode, StatusValues, TokenStatus

IDENTIFICATION_SENT = 16  # IEC 62056-21 6.3: the greatest length of an identification
SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
#: The registers of the snapshot, in the order in which a client reads them.
SNAPSHOT = ("tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus")
_FLAG = re.compile(r"[A-Z]{2}[A-Za-z]")
_LINES = {"on": True, "off": False, "leave": None}
_BASE_UNITS = {"electricity": "Wh", "water": "l", "gas": "l", "time": "s"}
_LONG_TIME_MS = 3_600_000
_GIVEN = (TokenStatus.THIRD_KCT, TokenStatus.FOURTH_KCT)


def judge(tree: Node, name: str, problems: list[Problem]) -> Companion | None:
    """Return the companion that a merged tree describes; None where there is any problem."""
    root = Keys(tree, "", problems)
    title, source, registered = _head(root)
    sign_on = _sign_on(root)
    link, presets = _link(root)
    timing, limits, errors = _timing(root), _limits(root), _errors(root)
    access = _access(root, sign_on)
    entry = root.table("token_entry")
    encoding = _token_encoding(entry)
    registers = read_registers(root, encoding, {a.level for a in access}, problems)
    rule, timing = _token_entry(entry, encoding, registers, timing)
    lockout = _lockout(root, registers)
    readout = _readout(root, sign_on, registers)
    meter = _meter(root, registers, timing)
    identity = _identity(root, sign_on, registers, limits, served=meter is not None)
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
        limits=limits,
        errors=errors,
        token_entry=rule,
        lockout=lockout,
        access=access,
        table=RegisterTable(table_id, foin, registers.registers),
        protocol_version=version,
        readout=readout,
        meter=meter,
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


def _link(root: Keys) -> tuple[LinkSettings, Mapping[Preset, LinkSettings]]:
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
        table.finish()
    keys.finish()
    return presets.get(chosen, unknown), presets


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
        key: keys.integer(key, 1, _LONG_TIME_MS)
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
    _at_least(keys, values, "reaction_ms", "fast_reaction_ms")
    _at_least(keys, values, "longest_reaction_ms", "reaction_ms", above=True)
    _at_least(keys, values, "repeat_ms", "longest_reaction_ms", above=True)
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


def _at_least(
    keys: Keys, values: Mapping[str, int], key: str, other: str, *, above: bool = False
) -> None:
    if keys.good(key, other) and values[key] < values[other] + above:
        relation = "above" if above else "at or above"
        keys.problem(key, f"{values[key]} must be {relation} {other}, which is {values[other]}")


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
    return texts


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
                    "level",
                    'without mode C nothing opens a level: only level 0 with gate "none" is wanted',
                )
            elif (level.level == 0) != (level.gate is Gate.NONE):
                keys.problem("gate", 'level 0, and only this one, has the gate "none"')
        keys.finish()
        levels.setdefault(level.level, level)
    if levels and 0 not in levels:
        root.problem("access", "level 0 is missing: it is what everybody has")
    return tuple(levels[level] for level in sorted(levels))


def _token_encoding(entry: Keys | None) -> Encoding:
    if entry is None:
        return Encoding.TOKEN
    encoding = entry.choice("encoding", Encoding)
    if entry.good("encoding") and encoding not in (Encoding.TOKEN, Encoding.TOKEN_HEX):
        entry.problem("encoding", f"{encoding.value} is no token, token or token-hex is wanted")
    return encoding if entry.good("encoding") else Encoding.TOKEN


def _token_entry(
    keys: Keys | None, encoding: Encoding, registers: Registers, timing: Timing
) -> tuple[TokenEntryRule | None, Timing]:
    if keys is None:
        return None, timing
    values = {
        key: keys.integer(key, 1, _LONG_TIME_MS)
        for key in ("execution_limit_ms", "poll_ms", "poll_limit_ms")
    }
    writes = keys.integer("writes", 1, 20)
    _at_least(keys, values, "poll_limit_ms", "execution_limit_ms")
    _at_least(keys, values, "poll_limit_ms", "poll_ms")
    if keys.good("poll_ms") and values["poll_ms"] * MS < timing.reaction_ns:
        keys.problem(
            "poll_ms",
            f"{values['poll_ms']} must be at or above timing.reaction_ms, which is "
            f"{timing.reaction_ns // MS}",
        )
    register = _entry_register(keys, encoding, registers)
    counts = _snapshot_counts(keys, registers)
    status = _status(keys, registers)
    keys.finish()
    new_timing = replace(
        timing,
        poll_ns=values["poll_ms"] * MS,
        execution_limit_ns=values["execution_limit_ms"] * MS,
        poll_limit_ns=values["poll_limit_ms"] * MS,
        token_writes=writes,
    )
    if register is None or status is None:
        return None, new_timing
    return TokenEntryRule(register, register.encoding, status, counts), new_timing


def _entry_register(keys: Keys, encoding: Encoding, registers: Registers) -> Register | None:
    name = keys.text("register", "the name of the token-entry register")
    if not keys.good("register") or not registers.complete:
        return None
    register = registers.find(name)
    if register is None:
        keys.problem("register", registers.unknown(name))
    elif register.data_type.kind is not Kind.TOKEN:
        keys.problem("register", f"{name} is of type {register.data_type}, token is wanted")
    elif register.write_level is None:
        keys.problem("register", f"{name} cannot be written, access w or rw is wanted")
    elif register.encoding is not encoding and keys.good("encoding"):
        keys.problem(
            "encoding",
            f"{encoding.value} is not the encoding of {name}, which is {register.encoding.value}",
        )
    return register


def _snapshot_counts(keys: Keys, registers: Registers) -> tuple[int, ...]:
    wanted = "a list of different counts such as [4, 5, 6, 7, 8, 9]"
    counts = keys.integers("snapshot_counts", wanted)
    if not keys.good("snapshot_counts"):
        return ()
    if len(set(counts)) != len(counts) or not counts:
        keys.problem("snapshot_counts", f"{counts} is no {wanted[2:]}: a late answer must show")
    most = 255
    if registers.complete and (first := registers.find(SNAPSHOT[0])) is not None:
        table = RegisterTable(0, 0, registers.registers)
        following = table.readable_from(first, most)
        if tuple(r.name for r in following[: len(SNAPSHOT)]) != SNAPSHOT:
            if all(name in registers.nodes for name in SNAPSHOT):
                keys.problem(
                    "snapshot_counts",
                    f"the readable registers {', '.join(SNAPSHOT)} must follow each other in the "
                    "table, so that one message reads them",
                )
            return tuple(counts)
        most = len(following)
    for index, count in enumerate(counts):
        if not len(SNAPSHOT) <= count <= most:
            keys.element_problem(
                "snapshot_counts",
                index,
                f"{count} is out of range, {len(SNAPSHOT)} to {most} is wanted: the snapshot has "
                f"{len(SNAPSHOT)} registers, and {most} can be read from its start on",
            )
    return tuple(counts)


def _status(entry: Keys, registers: Registers) -> StatusValues | None:
    keys = entry.table("status")
    if keys is None:
        return None
    register = registers.find(SNAPSHOT[0]) if registers.complete else None
    numeric = register is not None and register.data_type.is_number
    highest = min(255, register.data_type.maximum) if register is not None and numeric else 255
    numbers: dict[TokenStatus, int] = {}
    for status in TokenStatus:
        default = None if status in _GIVEN else DEFAULT_STATUS_NUMBERS[status]
        numbers[status] = keys.integer(status.value, 0, highest, default)
    users: dict[int, TokenStatus] = {}
    for status, number in numbers.items():
        if not keys.good(status.value):
            continue
        other = users.setdefault(number, status)
        if other is status:
            continue
        # Blame the one that the file says, not the one that holds by itself.
        blamed, kept = (status, other) if keys.has(status.value) else (other, status)
        free = next(n for n in range(17, 256) if n not in numbers.values())
        keys.problem(
            blamed.value,
            f"{number} is the number of {kept.value!r} already, another is wanted, such as {free}",
        )
    keys.finish()
    return StatusValues(numbers) if keys.good(*(s.value for s in TokenStatus)) else None


def _lockout(root: Keys, registers: Registers) -> LockoutPolicy:
    keys = root.table("lockout")
    if keys is None:
        return LockoutPolicy()
    values = {
        "failures": keys.integer("failures", 1, 255),
        "first_s": keys.integer("first_s", 1, 86400),
        "longest_s": keys.integer("longest_s", 1, 86400),
        "commit_interval_s": keys.integer("commit_interval_s", 1, 3600),
    }
    _at_least(keys, values, "longest_s", "first_s")
    _at_least(keys, values, "first_s", "commit_interval_s")
    register = registers.find("lockoutRemaining") if registers.complete else None
    if register is not None and keys.good("longest_s"):
        _fits(keys, "longest_s", values["longest_s"], register)
    keys.finish()
    return LockoutPolicy(**values)


def _fits(keys: Keys, key: str, value: int | str, register: Register) -> None:
    try:
        register.data_type.check(value)
    except ValueRefused as error:
        keys.problem(key, f"the register {register.name} cannot hold it: {error}")


def _readout(root: Keys, sign_on: SignOn, registers: Registers) -> tuple[Register, ...]:
    keys = root.table("readout")
    if keys is None:
        return ()
    names = keys.texts("registers", "a list of register names")
    found = _named(keys, "registers", names, registers)
    for index, register in found.items():
        if register.read_level != 0:
            keys.element_problem(
                "registers", index, f"{register.name} cannot be read by everybody, at level 0"
            )
    if names and sign_on is SignOn.DIRECT:
        keys.problem("registers", "without mode C there is no readout, an empty list is wanted")
    keys.finish()
    return tuple(found.values())


def _named(keys: Keys, key: str, names: list[str], registers: Registers) -> dict[int, Register]:
    """Return the registers of a list of names by their place in it."""
    found: dict[int, Register] = {}
    if not registers.complete:
        return found
    for index, name in enumerate(names):
        register = registers.find(name)
        if register is None:
            keys.element_problem(key, index, registers.unknown(name))
        elif register in found.values():
            keys.element_problem(key, index, f"{name} stands in the list already")
        else:
            found[index] = register
    return found


def _identity(
    root: Keys, sign_on: SignOn, registers: Registers, limits: MessageLimits, *, served: bool
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
        if sign_on is SignOn.MODE_C and z not in tuple("0123456"):
            keys.problem("baud_identification", f"{z!r} is no speed of mode C: 0 to 6 is wanted")
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
        register = registers.find(name) if registers.complete else None
        if keys.good(key) and register is not None and register.data_type.is_number:
            _fits(keys, key, numbers[key], register)
    names = keys.texts("identification", "a list of register names")
    found = _named(keys, "identification", names, registers)
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
    longest = IDENTIFICATION_SENT if served else limits.identification
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


def _meter(root: Keys, registers: Registers, timing: Timing) -> MeterPolicy | None:
    keys = root.table("meter", optional=True)
    if keys is None:
        return None
    if not keys.boolean("served") and keys.good("served"):
        return None
    service = keys.text("service", f"one of {', '.join(_BASE_UNITS)}")
    if keys.good("service") and service not in _BASE_UNITS:
        keys.problem(
            "service",
            f"{service!r} is not known, {meant(service, _BASE_UNITS)}"
            f"one of {', '.join(_BASE_UNITS)} is wanted",
        )
    base_unit = keys.text("base_unit", "Wh, l or s")
    if keys.good("service", "base_unit") and base_unit != _BASE_UNITS[service]:
        keys.problem("base_unit", f"{base_unit!r}: {service} counts in {_BASE_UNITS[service]}")
    policy = MeterPolicy(
        service=service,
        base_unit=base_unit,
        credit_unit=keys.integer("credit_unit", 1, 10**9),
        credit_maximum=keys.integer("credit_maximum", 1, 2**63 - 1),
        tid_store_size=keys.integer("tid_store_size", 1, 255),
        key_change_timeout_s=keys.integer("key_change_timeout_s", 1, 86400),
        execution_ms=keys.integer("execution_ms", 0, _LONG_TIME_MS),
        trip_delay_s=keys.integer("trip_delay_s", 0, 86400),
        commit_interval_s=keys.integer("commit_interval_s", 1, 3600),
        commit_consumption=keys.integer("commit_consumption", 1, 10**9),
        software_version=keys.text("software_version"),
        low_credit_threshold=keys.integer("low_credit_threshold", 0, 2**63 - 1),
        low_credit_alarm_enabled=keys.integer("low_credit_alarm_enabled", 0, 1),
        installation_reference=keys.text("installation_reference"),
    )
    if keys.good("execution_ms") and policy.execution_ms * MS >= timing.execution_limit_ns:
        keys.problem(
            "execution_ms",
            f"{policy.execution_ms} must be below token_entry.execution_limit_ms, which is "
            f"{timing.execution_limit_ns // MS}",
        )
    if registers.complete:
        _meter_and_registers(keys, policy, registers)
    keys.finish()
    return policy


def _meter_and_registers(keys: Keys, policy: MeterPolicy, registers: Registers) -> None:
    for key, name in (
        ("credit_maximum", "creditBalance"),
        ("software_version", "softwareVersion"),
        ("low_credit_threshold", "lowCreditThreshold"),
        ("low_credit_alarm_enabled", "lowCreditAlarmEnabled"),
        ("installation_reference", "installationReference"),
    ):
        register = registers.find(name)
        if register is not None and keys.good(key):
            _fits(keys, key, getattr(policy, key), register)
    for name in ("creditBalance", "totalConsumption", "totalCreditAccepted", "lowCreditThreshold"):
        register = registers.find(name)
        if register is not None and keys.good("base_unit") and register.unit != policy.base_unit:
            keys.problem(
                "base_unit",
                f"{policy.base_unit} is not the unit of the register {name}, which is "
                f"{register.unit or 'none'}",
            )
    log = sum(1 for r in registers.registers if r.name.startswith("acceptedTID."))
    if log and keys.good("tid_store_size") and log != policy.tid_store_size:
        keys.problem(
            "tid_store_size",
            f"{policy.tid_store_size} is not the number of acceptedTID registers, which is {log}: "
            "they show the store",
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
    data_set = len(register.address) + 2 + register.longest
    if writes:
        return data_set + len("\x01W1\x02\x03") + 1
    unit = 1 + len(register.unit) if register.unit else 0
    return data_set + unit + len("\x02\x03") + 1

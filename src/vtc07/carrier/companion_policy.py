"""What a companion says of tokens, the lockout and the meter: their rules (docs/companion.md)."""

from __future__ import annotations

from dataclasses import replace

from vtc07.carrier.companion import MS, LockoutPolicy, MeterPolicy, Timing, TokenEntryRule
from vtc07.carrier.companion_keys import LONGEST_TIME_MS, Keys, meant
from vtc07.carrier.companion_registers import Registers
from vtc07.carrier.registers import Encoding, Kind, Register, RegisterTable
from vtc07.carrier.status import DEFAULT_STATUS_NUMBERS, StatusValues, TokenStatus

#: The registers of the snapshot, in the order in which a client reads them.
SNAPSHOT = ("tokenStatus", "tokenSequence", "lastToken", "lastTokenStatus")
_BASE_UNITS = {"electricity": "Wh", "water": "l", "gas": "l", "time": "s"}
_GIVEN = (TokenStatus.THIRD_KCT, TokenStatus.FOURTH_KCT)


def read_token_encoding(entry: Keys | None) -> Encoding:
    """Return the encoding of tokens that `[token_entry]` names."""
    if entry is None:
        return Encoding.TOKEN
    encoding = entry.choice("encoding", Encoding)
    if entry.good("encoding") and encoding not in (Encoding.TOKEN, Encoding.TOKEN_HEX):
        entry.problem("encoding", f"{encoding.value} is no token, token or token-hex is wanted")
    return encoding if entry.good("encoding") else Encoding.TOKEN


def read_token_entry(
    keys: Keys | None, encoding: Encoding, registers: Registers, timing: Timing
) -> tuple[TokenEntryRule | None, Timing]:
    """Read `[token_entry]`; its times are added to ``timing``."""
    if keys is None:
        return None, timing
    values = {
        key: keys.integer(key, 1, LONGEST_TIME_MS)
        for key in ("execution_limit_ms", "poll_ms", "poll_limit_ms")
    }
    writes = keys.integer("writes", 1, 20)
    keys.at_least(values, "poll_limit_ms", "execution_limit_ms")
    keys.at_least(values, "poll_limit_ms", "poll_ms")
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
    if not keys.good("register"):
        return None
    register = registers.find(name)
    if register is None:
        if registers.surely_missing(name):
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
    register = registers.find(SNAPSHOT[0])
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


def read_lockout(root: Keys, registers: Registers) -> LockoutPolicy:
    """Read `[lockout]`."""
    keys = root.table("lockout")
    if keys is None:
        return LockoutPolicy()
    values = {
        "failures": keys.integer("failures", 1, 255),
        "first_s": keys.integer("first_s", 1, 86400),
        "longest_s": keys.integer("longest_s", 1, 86400),
        "commit_interval_s": keys.integer("commit_interval_s", 1, 3600),
    }
    keys.at_least(values, "longest_s", "first_s")
    keys.at_least(values, "first_s", "commit_interval_s")
    register = registers.find("lockoutRemaining")
    if register is not None and keys.good("longest_s"):
        registers.must_hold(keys, "longest_s", values["longest_s"], register)
    keys.finish()
    return LockoutPolicy(**values)


def read_meter(root: Keys, registers: Registers, timing: Timing) -> MeterPolicy | None:
    """Read `[meter]`: None where the companion does not describe a meter of ours."""
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
        execution_ms=keys.integer("execution_ms", 0, LONGEST_TIME_MS),
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
            registers.must_hold(keys, key, getattr(policy, key), register)
    for name in ("creditBalance", "totalConsumption", "totalCreditAccepted", "lowCreditThreshold"):
        register = registers.find(name)
        if register is not None and keys.good("base_unit") and register.unit != policy.base_unit:
            keys.problem(
                "base_unit",
                f"{policy.base_unit} is not the unit of the register {name}, which is "
                f"{register.unit or 'none'}",
            )
    log = sum(1 for r in registers.registers if r.name.startswith("acceptedTID."))
    if registers.complete and log and keys.good("tid_store_size") and log != policy.tid_store_size:
        keys.problem(
            "tid_store_size",
            f"{policy.tid_store_size} is not the number of acceptedTID registers, which is {log}: "
            "they show the store",
        )

"""``vtc07 companion``: the companions at hand, and whether a file is one."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from vtc07.carrier.companion import Companion
from vtc07.carrier.companion_file import (
    CompanionError,
    check,
    load_companion,
    shipped_companions,
)
from vtc07.carrier.exchange.settings import STANDARD
from vtc07.carrier.registers import Register
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.lazy import LazyGroup, examples
from vtc07.cli.output import Output, json_option

_MS = 1_000_000


@click.group(
    cls=LazyGroup,
    members={
        "list": (f"{__name__}:list_command", "List the companions of the program."),
        "show": (f"{__name__}:show", "Show what a companion says."),
        "check": (f"{__name__}:check_command", "Check companion files."),
        "probe": ("vtc07.cli.companion_probe:probe", "Draft one from what a meter answers."),
    },
    epilog=examples(
        "vtc07 companion list",
        "vtc07 companion show electricity",
        "vtc07 companion check my-meter.toml",
        "vtc07 companion probe /dev/ttyUSB0 --out my-meter.toml",
    ),
)
def companion() -> None:
    """List, show, check, draft companions: the files that describe registers and policy."""


@companion.command("list", epilog=examples("vtc07 companion list", "vtc07 companion list --json"))
@json_option
@click.pass_obj
def list_command(output: Output) -> None:
    """List the companions that come with the program."""
    found = [load_companion(name) for name in shipped_companions()]
    if output.as_json:
        output.document({"companions": [_summary(each) for each in found]})
        return
    rows = [
        [each.name, each.flag, f"{each.table.table_id}", f"{each.table.foin}",
         each.sign_on.value, f"{len(each.table)}", each.title]
        for each in found
    ]  # fmt: skip
    columns = ["name", "FLAG", ">tableID", ">FOIN", "sign-on", ">registers", "title"]
    output.table(columns, rows)


@companion.command(
    epilog=examples("vtc07 companion show electricity", "vtc07 companion show ./my-meter.toml")
)
@click.argument("name", metavar="NAME|FILE")
@json_option
@click.pass_obj
def show(output: Output, name: str) -> None:
    """Show what a companion says: identity, port, timing, RegisterTable."""
    shown = load_companion(name)
    if output.as_json:
        output.document({**_summary(shown), **_details(shown)})
        return
    link, timing, entry = shown.link, shown.timing, shown.token_entry.register
    rows = [
        ("name", shown.name),
        ("title", shown.title),
        ("source", shown.source),
        ("registered", "yes" if shown.registered else "no: FLAG letters, FOIN and tableID are not"),
        ("FLAG letters", shown.flag),
        ("tableID, FOIN", f"{shown.table.table_id}, {shown.table.foin}"),
        ("protocolVersion", f"{shown.protocol_version}"),
        ("sign-on", shown.sign_on.value),
        ("port", f"{link.preset.value}, {link.speed} Bd, parity {link.parity.value}"
         + (", echo" if link.echo else "")),
        ("reaction", f"{shown.reaction_ns // _MS} to {timing.longest_reaction_ns // _MS} ms"),
        ("repeat", f"after {timing.repeat_ns // _MS} ms, {timing.attempts} attempts"),
        *_mode_c_rows(shown),
        ("token entry", f"{entry.name} ({_addresses(entry)})"),
        ("meter", "another maker's" if shown.meter is None
         else f"{shown.meter.service}, counted in {shown.meter.base_unit}"),
    ]  # fmt: skip
    output.pairs(rows)
    output.line()
    has_aliases = any(register.alias for register in shown.table)
    output.table(
        ["ID", *(["alias"] if has_aliases else []),
         "register", "type", "unit", "access", "meaning"],
        [
            [first.address if first is last else f"{first.address}..{last.address}",
             *([first.alias or ""] if has_aliases else []), name,
             str(first.data_type), first.unit or "", _access(first), first.meaning]
            for name, first, last in _series(shown)
        ],
    )  # fmt: skip


@companion.command("check", epilog=examples("vtc07 companion check my-meter.toml"))
@click.argument("files", nargs=-1, required=True, metavar="NAME|FILE...")
@json_option
@click.pass_obj
def check_command(output: Output, files: tuple[str, ...]) -> None:
    """Check companion files: every problem with file, line and key. Exit code 2 if any is found."""
    documents: list[dict[str, Any]] = []
    for name in files:
        problems = _problems(name)
        documents.append(
            {
                "source": name,
                "good": not problems,
                "problems": [
                    {"source": p.source, "line": p.line, "key": p.key, "message": p.message}
                    for p in problems
                ],
            }
        )
        if not output.as_json:
            for problem in problems:
                output.line(str(problem))
            if not problems:
                output.line(f"{name}: good")
    if output.as_json:
        output.document({"companions": documents})
    count = sum(len(document["problems"]) for document in documents)
    if count:
        raise Failure(f"{count} problem{'s' * (count > 1)} found", ExitCode.USAGE)


def _problems(name: str) -> list[Any]:
    if name in shipped_companions():
        load_companion(name)
        return []
    path = Path(name)
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        try:
            load_companion(path)
        except CompanionError as error:
            return list(error.problems)
        raise
    return list(check(text, name))


def _summary(shown: Companion) -> dict[str, Any]:
    return {
        "name": shown.name,
        "title": shown.title,
        "source": shown.source,
        "registered": shown.registered,
        "flag": shown.flag,
        "table_id": shown.table.table_id,
        "foin": shown.table.foin,
        "protocol_version": shown.protocol_version,
        "sign_on": shown.sign_on.value,
        "register_count": len(shown.table),
        "service": None if shown.meter is None else shown.meter.service,
    }


def _mode_c_rows(shown: Companion) -> list[tuple[str, str]]:
    rule = shown.mode_c
    if rule is None:
        return []
    policy = rule.password
    waits = f"t_t {shown.timing.option_wait_ns // _MS} ms, a faulty one: {rule.option_fault.value}"
    deviations = ", ".join(_deviations(shown)) or "none"
    return [
        ("option select", f"{', '.join(map(str, rule.speeds))} Bd, {waits}"),
        ("identification", "with mode E's \\2" if rule.mode_e else "without mode E's \\2"),
        ("partial blocks", f"of {rule.partial_block} characters"),
        ("password", "opens nothing" if policy is None else
         f"opens level {policy.opens}; {policy.failures} wrong ones: {policy.first_s} s, then "
         f"{policy.growth} times as long, up to {policy.longest_s} s"),
        ("access levels", "; ".join(
            f"{each.level} ({each.gate.value}): {each.meaning}" for each in shown.access)),
        ("readout", ", ".join(r.alias or r.address for r in shown.readout) or "empty"),
        ("deviations", deviations),
    ]  # fmt: skip


def _deviations(shown: Companion) -> list[str]:
    """Return the switches of `[compatibility]` that are not the standard's."""
    compatibility = shown.compatibility
    found = [] if compatibility.check is STANDARD.check else [f"check {compatibility.check.value}"]
    names = (each.name for each in fields(compatibility) if each.name != "check")
    return found + [name for name in names if getattr(compatibility, name)]


def _mode_c_document(shown: Companion) -> dict[str, Any] | None:
    rule = shown.mode_c
    if rule is None:
        return None
    return {
        "option_fault": rule.option_fault.value,
        "speeds": list(rule.speeds),
        "partial_block": rule.partial_block,
        "mode_e": rule.mode_e,
        "password": None if rule.password is None else asdict(rule.password),
        "readout": [register.name for register in shown.readout],
        "compatibility": {
            "check": shown.compatibility.check.value,
            **{
                each.name: getattr(shown.compatibility, each.name)
                for each in fields(shown.compatibility)
                if each.name != "check"
            },
        },
    }


def _details(shown: Companion) -> dict[str, Any]:
    link, timing, entry = shown.link, shown.timing, shown.token_entry
    return {
        "link": {
            "preset": link.preset.value,
            "speed": link.speed,
            "parity": link.parity.value,
            "echo": link.echo,
        },
        "timing_ms": {
            name.removesuffix("_ns"): value // _MS
            for name in timing.__dataclass_fields__
            if name.endswith("_ns") and isinstance(value := getattr(timing, name), int)
        },
        "attempts": timing.attempts,
        "mode_c": _mode_c_document(shown),
        "access": [
            {"level": each.level, "gate": each.gate.value, "meaning": each.meaning}
            for each in shown.access
        ],
        "token_entry": {
            "register": entry.register.name,
            "encoding": entry.encoding.value,
            "status": {status.value: number for status, number in entry.status.numbers.items()},
        },
        "registers": [
            {
                "address": register.address,
                "name": register.name,
                "type": str(register.data_type),
                "encoding": register.encoding.value,
                "unit": register.unit,
                "scaler": register.scaler,
                "alias": register.alias,
                "access": _access(register).partition(" ")[0],
                "read_level": register.read_level,
                "write_level": register.write_level,
                "meaning": register.meaning,
            }
            for register in shown.table
        ],
    }


def _access(register: Register) -> str:
    """Return what may be done, and from which levels on where that is not 0: ``rw (w: 2)``."""
    levels = {"r": register.read_level, "w": register.write_level}
    possible = "".join(letter for letter, level in levels.items() if level is not None)
    from_level = ", ".join(f"{letter}: {level}" for letter, level in levels.items() if level)
    return f"{possible} ({from_level})" if from_level else possible


def _addresses(register: Register) -> str:
    return f"{register.address}, {register.alias}" if register.alias else register.address


def _series(shown: Companion) -> list[tuple[str, Register, Register]]:
    """Return every register, those of one series as one: name, first, last."""
    rows: list[tuple[str, Register, Register]] = []
    for register in shown.table:
        base, dot, place = register.name.rpartition(".")
        if dot and place.isdigit() and place != "1" and rows and rows[-1][1].name == f"{base}.1":
            rows[-1] = (f"{base}.1 to .{place}", rows[-1][1], register)
        else:
            rows.append((register.name, register, register))
    return rows

"""``vtc07 companion``: the companions at hand, and whether a file is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vtc07.carrier.companion import Companion, SignOn
from vtc07.carrier.companion_file import (
    CompanionError,
    check,
    load_companion,
    shipped_companions,
)
from vtc07.carrier.registers import Register
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option

_MS = 1_000_000


@click.group(
    epilog=examples(
        "vtc07 companion list",
        "vtc07 companion show electricity",
        "vtc07 companion check my-meter.toml",
    )
)
def companion() -> None:
    """List, show and check companions: the files that describe a meter's registers and policy."""


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
        ("token entry", f"{entry.name} ({entry.address})"),
        ("meter", "another maker's" if shown.meter is None
         else f"{shown.meter.service}, counted in {shown.meter.base_unit}"),
    ]  # fmt: skip
    output.pairs(rows)
    output.line()
    output.table(
        ["ID", "register", "type", "unit", "access", "meaning"],
        [
            [first.address if first is last else f"{first.address}..{last.address}", name,
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


def require_direct(described: Companion) -> Companion:
    """Return a companion of a direct port; Failure for one whose sign-on is not spoken here."""
    if described.sign_on is not SignOn.DIRECT:
        raise Failure(
            f"the companion {described.name} asks for the sign-on {described.sign_on.value}, which "
            "this version does not speak; only companions with sign_on.mode = "
            f'"{SignOn.DIRECT.value}" can be used'
        )
    return described


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
                "access": _access(register),
                "meaning": register.meaning,
            }
            for register in shown.table
        ],
    }


def _access(register: Register) -> str:
    readable = "" if register.read_level is None else "r"
    return readable + ("" if register.write_level is None else "w")


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

"""``vtc07 meter set``: load, phases, tamper and power of a meter that is being served."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from vtc07.cli import control
from vtc07.cli.control import Power, Request, SetLoad, SetPhase, Show, Tamper
from vtc07.cli.control_port import ask
from vtc07.cli.failure import Failure
from vtc07.cli.lazy import examples
from vtc07.cli.loads import FORMS, MOST_ACCELERATION, absolute
from vtc07.cli.output import Output, json_option

_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_PHASE: Final = re.compile(r"[Ll]?([1-9])", re.ASCII)
_SECONDS: Final = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,3}))?", re.ASCII)
_KINDS: Final = "show, load, phase, tamper or power"

_HELP: Final = """\
Act on a meter that vtc07 meter serve has at a port, and say what it is like afterwards.

\b
show                   nothing is done
load 1500              W, or litres per hour
load 500,0,500         W of each phase
load profile:FILE.csv  lines of seconds,watts (docs/cli.md)
load household:SEED    a household made up from a number
phase L2 1500|off|on   one phase alone; on: as the load asks for
tamper [FLAGS]         by default 1; only a token clears it
power off|on|fail      lost without warning; fail: and back
"""


@click.command(
    "set",
    help=_HELP,
    epilog=examples(
        "vtc07 meter set kitchen.meter show",
        "vtc07 meter set kitchen.meter load 1500",
        "vtc07 meter set kitchen.meter load household:7 --acceleration 60",
        "vtc07 meter set kitchen.meter phase L2 off",
        "vtc07 meter set tcp://127.0.0.1:4059 tamper",
        "vtc07 meter set kitchen.meter power fail --for 2.5",
    ),
)
@click.argument("target", metavar="STORE|ADDRESS")
@click.argument("words", metavar="show|load|phase|tamper|power [WHAT...]", nargs=-1, required=True)
@click.option(
    "--acceleration",
    type=click.IntRange(1, MOST_ACCELERATION),
    help="With load: seconds of consumption in one second.",
)
@click.option(
    "--for", "seconds", metavar="SECONDS", help="With power fail: how long; by default 1."
)
@json_option
@click.pass_obj
def set_(
    output: Output,
    *,
    target: str,
    words: tuple[str, ...],
    acceleration: int | None,
    seconds: str | None,
) -> None:
    """Read the words, ask, and show the answer."""
    request = _request(words, acceleration, seconds)
    state = ask(target, request)
    if output.as_json:
        output.document(state)
    else:
        output.pairs(_rows(state))


def _request(words: tuple[str, ...], acceleration: int | None, seconds: str | None) -> Request:
    kind, *rest = words
    if acceleration is not None and kind != "load":
        raise Failure("--acceleration goes with load alone")
    if seconds is not None and words != ("power", "fail"):
        raise Failure("--for goes with power fail alone")
    match kind, rest:
        case "show", []:
            return Show()
        case "load", [load]:
            return _load(load, acceleration or 1)
        case "load", _:
            raise Failure(f"write one load: {FORMS}")
        case "phase", [phase, what]:
            return _phase(phase, what)
        case "phase", _:
            raise Failure("write a phase and what it takes, as in phase L2 1500, off or on")
        case "tamper", []:
            return Tamper(1)
        case "tamper", [flags]:
            return _tamper(flags)
        case "power", ["on"]:
            return Power(on=True)
        case "power", ["off"]:
            return Power(on=False)
        case "power", ["fail"]:
            return Power(on=False, back_ms=_milliseconds(seconds or "1"))
        case "power", _:
            raise Failure("power is off, on or fail")
    raise Failure(f"{' '.join(words)!r} is nothing to do with a meter: write {_KINDS}")


def _load(words: str, acceleration: int) -> SetLoad:
    words = absolute(words)
    if len(words) > control.LONGEST_TEXT:
        raise Failure("the load is too long to be sent to the meter; shorten the file's name")
    return SetLoad(words, acceleration)


def _phase(phase: str, what: str) -> SetPhase:
    match = _PHASE.fullmatch(phase)
    if match is None:
        raise Failure(f"{phase!r} is no phase: write L1, L2 or L3")
    number = int(match[1])
    if what in ("on", "off"):
        return SetPhase(number, None if what == "on" else 0)
    if not _NUMBER.fullmatch(what):
        raise Failure(f"{what!r} is nothing for a phase to take: write whole watts, off or on")
    return SetPhase(number, int(what))


def _tamper(flags: str) -> Tamper:
    if flags in ("clear", "off", "none", "0"):
        raise Failure(
            "only a token clears a tamper condition: vtc07 token issue clear-tamper makes it"
        )
    if not _NUMBER.fullmatch(flags) or int(flags) > 0xFFFF:
        raise Failure(f"{flags!r} are no tamper flags: write a number from 1 to 65535")
    return Tamper(int(flags))


def _milliseconds(seconds: str) -> int:
    match = _SECONDS.fullmatch(seconds)
    duration = 0 if match is None else int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
    if not 1 <= duration <= control.LONGEST_LOSS_MS:
        raise Failure(f"--for {seconds!r} is no time: write seconds, as in 2.5, up to a week")
    return duration


def _rows(state: dict[str, Any]) -> list[tuple[str, str]]:
    unit = state["unit"]
    load = state["load"] + (f" x{state['acceleration']}" if state["acceleration"] > 1 else "")
    changed = [
        f"L{number} {watts} W"
        for number, watts in enumerate(state["phases_set"], 1)
        if watts != "as the load"
    ]
    load = ", ".join([load, *changed])
    if not state["powered"]:
        returns = state["power_returns_in_ms"]
        when = "" if returns is None else f", back in {returns / 1000:.1f} s"
        return [("meter", state["meter_pan"]), ("power supply", f"lost{when}"), ("load", load)]
    switch = state["load_switch"]
    if switch == "open":
        switch += f" ({state['disconnect_reason']})"
    flows = "W" if unit == "Wh" else "l/h"
    flowing = f"{state['power']} {flows}" if unit != "s" else "no energy: a meter of time"
    if len(state["phases"]) > 1:
        flowing += f" ({', '.join(str(watts) for watts in state['phases'])})"
    rows = [
        ("meter", state["meter_pan"]),
        ("power supply", "on"),
        ("load switch", switch),
        ("load", load),
        ("flowing", flowing),
        ("credit", f"{state['credit']} {unit}"),
        ("consumption", f"{state['consumption']} {unit}"),
        ("tamper", f"flags {state['tamper']}" if state["tamper"] else "none"),
        ("low-credit alarm", "on" if state["low_credit_alarm"] else "off"),
    ]
    if state["store_fault"]:
        rows.append(("store", "at fault: nothing is kept from now on"))
    return rows

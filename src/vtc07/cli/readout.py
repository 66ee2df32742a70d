"""``vtc07 readout``: the data of any IEC 62056-21 meter, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtc07.carrier.exchange.blocks import ReadoutBlock, Row, Value, parse_block
from vtc07.carrier.exchange.events import ExchangeFailed, MeterIdentity, ReadOut, SignOn
from vtc07.carrier.exchange.obis import meaning_of
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility, mode_and_speed
from vtc07.carrier.exchange.telegram import Framing, Telegram, parse_telegrams
from vtc07.cli.exchange_connection import (
    ExchangeConnection,
    ExchangeOptions,
    exchange_options,
    failed,
    identity_document,
    printable,
)
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option

if TYPE_CHECKING:
    from vtc07.carrier.exchange.mode_d import PushTorn

LISTEN_S = 60.0
_STDIN = "-"
_MOST_WARNINGS = 3  # of lines that are no data; a file that is no recording has nothing else


@dataclass(frozen=True, slots=True)
class Shown:
    """One readout. ``check_good``: None where it had no check; ``speed``: Bd, None: not known."""

    identity: MeterIdentity | None
    block: ReadoutBlock
    check_good: bool | None
    pushed: bool = False
    speed: int | None = None


@click.command(
    epilog=examples(
        "vtc07 readout /dev/ttyUSB0",
        "vtc07 readout tcp://192.168.1.20:8000 --csv",
        "vtc07 readout /dev/ttyUSB0 --wake-up normal --decimal-comma --json",
        "vtc07 readout /dev/ttyUSB0 --listen --speed 115200 --parity none",
        "vtc07 readout --from recorded.txt",
    )
)
@exchange_options
@click.option(
    "--listen",
    is_flag=True,
    help="Ask nothing: hear what the meter sends by itself (mode D, P1), at 2400 Bd or --speed.",
)
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="With --listen: how many telegrams.",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Read characters that were recorded, - for stdin, in place of a meter.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values on stdout.")
@json_option
@click.pass_obj
def readout(
    output: Output,
    *,
    exchange: ExchangeOptions,
    listen: bool,
    count: int,
    source: str | None,
    as_csv: bool,
) -> None:
    """Show the data of the meter at ADDRESS, whoever made it.

    For meters with an optical head or a serial port after IEC 62056-21 (IEC 1107), modes A, B and
    C, and with --listen for those that send by themselves. Nothing but the request is said to the
    meter, and nothing is changed in it.
    """
    if as_csv and output.as_json:
        raise Failure("--json and --csv exclude each other; leave one out")
    shown: list[Shown] = []
    try:
        if source is not None:
            if exchange.address is not None or listen:
                raise Failure(
                    "--from reads a file in place of a meter: leave out ADDRESS and --listen"
                )
            place = source
            shown += _recorded(source, exchange.compatibility)
        else:
            with ExchangeConnection(exchange) as connection:
                place = connection.address
                if listen:
                    for each in _heard(output, connection, exchange, count):
                        shown.append(each)  # kept, whatever becomes of the next
                else:
                    shown.append(_asked(connection, exchange))
    finally:  # what came is shown, although a later telegram did not
        if shown:
            _comment(output, shown, recorded=source is not None, options=exchange)
            _tell(output, place, shown, as_csv=as_csv)


def _comment(
    output: Output, shown: list[Shown], *, recorded: bool, options: ExchangeOptions
) -> None:
    """Say what the values do not: what was not understood, and how far they were checked."""
    leftovers = [leftover for each in shown for leftover in each.block.leftovers]
    for leftover in leftovers[:_MOST_WARNINGS]:
        output.warning(f"not understood, {printable(str(leftover))}")
    if (more := len(leftovers) - _MOST_WARNINGS) > 0:
        lines = "1 more line that is" if more == 1 else f"{more} more lines that are"
        output.warning(f"and {lines} no data")
    checks = {each.check_good for each in shown}
    if False in checks:
        output.warning(
            "the check is wrong, and --no-readout-bcc shows the values all the same: one may be "
            "damaged"
        )
    if None not in checks:
        return
    if options.no_readout_bcc:  # there may have been one, which nobody looked at
        why = "taken without a check, as --no-readout-bcc says"
    elif recorded:
        why = "the recording has no check character"
    else:
        why = "the meter sent no check character"
    output.note(f"{why}: the values are as they arrived")


def _tell(output: Output, place: str, shown: list[Shown], *, as_csv: bool) -> None:
    if as_csv:
        output.line(_csv(shown).rstrip("\n"))
    elif output.as_json:
        output.document({"source": place, "telegrams": [_document(each) for each in shown]})
    else:
        for number, each in enumerate(shown):
            if number:
                output.line()
            _show(output, each)


# --- where it comes from --------------------------------------------------------------------------


def _asked(connection: ExchangeConnection, options: ExchangeOptions) -> Shown:
    event = connection.perform(SignOn(options.meter_address, speed=options.highest_speed))
    if isinstance(event, ExchangeFailed):
        raise _no_readout(connection) or failed(event, connection.address)
    assert isinstance(event, ReadOut)
    block = parse_block(event.chars, options.compatibility)
    good = True if event.checked else None
    return Shown(event.identity, block, good, speed=event.speed)


def _no_readout(connection: ExchangeConnection) -> Failure | None:
    """Return the error of a meter with a direct port, which says who it is and no more."""
    from vtc07.carrier.companion import SignOn as PortKind  # noqa: PLC0415 - only for an error
    from vtc07.carrier.companion_file import load_companion, shipped_companions  # noqa: PLC0415

    who = connection.heard
    if who is None:
        return None
    for companion in map(load_companion, shipped_companions()):
        flag = companion.flag.upper() == who.flag.upper()
        same_z = companion.baud_identification == who.baud_identification
        if flag and same_z and companion.sign_on is PortKind.DIRECT:
            return Failure(
                f"{connection.address}: the meter says it is {who.flag} "
                f"{printable(who.identification)!r}, a payment meter with a direct port, and those "
                f"have no readout: ask it with vtc07 identify {connection.address}, and for its "
                f"registers with vtc07 read {connection.address}",
                ExitCode.NO_LINK,
            )
    return None


def _heard(
    output: Output, connection: ExchangeConnection, options: ExchangeOptions, count: int
) -> Iterator[Shown]:
    from vtc07.carrier.exchange.mode_d import NothingPushed, PushTorn  # noqa: PLC0415 - to listen

    timeout = LISTEN_S if options.timeout is None else options.timeout
    heard = 0
    while heard < count:
        event = connection.listen(timeout, options.highest_speed)
        if isinstance(event, NothingPushed):
            if event.link_lost:
                raise Failure(f"{connection.address}: the link was lost", ExitCode.NO_LINK)
            raise Failure(
                f"{connection.address}: no telegram in {timeout:g} s: a meter of mode D sends at "
                "2400 Bd, a P1 port at --speed 115200 or 9600; one that has to be asked wants no "
                "--listen",
                ExitCode.NO_LINK,
            )
        if isinstance(event, PushTorn):
            output.warning(_torn(event))
            continue
        heard += 1
        yield _telegram(event.telegram)


def _torn(event: PushTorn) -> str:
    if not event.chars:
        return f"a telegram was passed over: {event.by.value}"
    return f"a telegram of {len(event.chars)} characters was passed over: {event.by.value}"


def _recorded(source: str, compat: Compatibility) -> list[Shown]:
    chars = sys.stdin.buffer.read() if source == _STDIN else Path(source).read_bytes()
    chars = bytes(char & 0x7F for char in chars)  # bit 7 is the parity's
    found = parse_telegrams(chars, compat)
    if not any(telegram.block.rows for telegram in found):
        whole = any(telegram.identity and telegram.block.ended for telegram in found)
        if not whole:  # an empty one would be a meter's answer all the same
            raise Failure(
                f"{source} holds no telegram with data: one begins with / or with a data block, "
                "whose lines are like 1.8.0(001234.5*kWh)"
            )
    for telegram in found:
        if telegram.check_good is False and not compat.no_readout_bcc:
            raise Failure(_wrong(source, telegram, chars, compat))
    return [_telegram(telegram) for telegram in found]


def _wrong(source: str, telegram: Telegram, chars: bytes, compat: Compatibility) -> str:
    """Say what to do about a wrong check."""
    if telegram.framing is Framing.CHECKED:
        (other,) = set(CheckCharacter) - {compat.check}
        again = parse_telegrams(chars, replace(compat, check=other))
        if all(each.check_good is not False for each in again):
            return (
                f"{source}: the check character is wrong as {compat.check.value} and right as "
                f"{other.value}: add --check {other.value}"
            )
    what = "CRC16" if telegram.framing is Framing.PUSHED_CRC else "check character"
    return (
        f"{source}: the {what} is wrong, so that a value may be: record it again, or see it all "
        "the same with --no-readout-bcc"
    )


def _telegram(telegram: Telegram) -> Shown:
    pushed = telegram.framing in (Framing.PUSHED, Framing.PUSHED_CRC)
    return Shown(telegram.identity, telegram.block, telegram.check_good, pushed)


# --- how it is shown ------------------------------------------------------------------------------


def _mode(shown: Shown) -> str | None:
    if shown.identity is None:
        return None
    return "D" if shown.pushed else mode_and_speed(shown.identity.baud_identification)[0].value


def _check(shown: Shown) -> str:
    return {None: "none", True: "right", False: "wrong"}[shown.check_good]


def _show(output: Output, shown: Shown) -> None:
    if shown.identity is not None:
        speed = [] if shown.speed is None else [("speed", f"{shown.speed} Bd")]
        output.pairs(
            [
                ("FLAG letters", shown.identity.flag),
                ("identification", printable(shown.identity.identification)),
                ("mode", str(_mode(shown))),
                *speed,
                ("check", _check(shown)),
            ]
        )
        output.line()
    rows = [cells for row in shown.block.rows for cells in _cells(row)]
    columns = ["address", "value", "unit", "meaning"]
    if not any(cells[-1] for cells in rows):
        columns, rows = columns[:-1], [cells[:-1] for cells in rows]
    output.table(columns, rows)
    for row in shown.block.rows:
        _show_profile(output, row)


def _cells(row: Row) -> list[list[str]]:
    """Return a row's values, one a line; address and meaning stand at the first."""
    address = printable(row.address)
    if row.profile is not None:
        return [[address, f"load profile of {len(row.profile.entries)}, below", "", ""]]
    cells = [["", *_value_cells(value), ""] for value in row.all_values]
    cells[0][0], cells[0][-1] = address, _meaning(row) or ""
    return cells


def _meaning(row: Row) -> str | None:
    return meaning_of(row.address, row.values[0].unit)


def _value_cells(value: Value) -> list[str]:
    return [printable(value.value.strip()), printable(value.unit or "")]


def _show_profile(output: Output, row: Row) -> None:
    profile = row.profile
    if profile is None:
        return
    output.line()
    columns = [">number"]
    columns += [f">{printable(address)} {printable(unit)}" for address, unit in profile.channels]
    lines = [
        [str(number), *(printable(str(value).strip()) for value in entry)]
        for number, entry in enumerate(profile.entries)
    ]
    title = (
        f"{printable(row.address)} from {printable(profile.start)}, every "
        f"{profile.period_min} min, status {printable(profile.status)}"
    )
    output.table(columns, lines, title=title)


def _document(shown: Shown) -> dict[str, Any]:
    identity = None if shown.identity is None else identity_document(shown.identity)
    return {
        "identity": identity,
        "mode": _mode(shown),
        "speed": shown.speed,
        "check": _check(shown),
        "rows": [_row_document(row) for row in shown.block.rows],
        "not_understood": [
            {"line": left.line, "text": left.text} for left in shown.block.leftovers
        ],
    }


def _row_document(row: Row) -> dict[str, Any]:
    profile = row.profile
    return {
        "address": row.address,
        "register": row.register,
        "history": row.history,
        "meaning": _meaning(row),
        "values": [_value_document(value) for value in row.values],
        "further": [[_value_document(value) for value in line] for line in row.further],
        "profile": None
        if profile is None
        else {
            "start": profile.start,
            "status": profile.status,
            "period_min": profile.period_min,
            "channels": [{"address": a, "unit": u} for a, u in profile.channels],
            "entries": [[value.value for value in entry] for entry in profile.entries],
        },
    }


def _value_document(value: Value) -> dict[str, Any]:
    said: dict[str, Any] = {"value": value.value, "unit": value.unit}
    if value.joined:
        said["joined"] = [{"value": part.value, "unit": part.unit} for part in value.joined]
    return said


def _csv(shown: list[Shown]) -> str:
    """Return all values, one a line; ``position`` counts those of an address from 1.

    ``meaning`` is the last column, at an address' first value: older scripts count columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["telegram", "address", "position", "value", "unit", "meaning"])
    for number, each in enumerate(shown, 1):
        for row in each.block.rows:
            for position, value in enumerate(row.all_values, 1):
                meaning = (_meaning(row) or "") if position == 1 else ""
                writer.writerow(
                    [number, row.address, position, value.value, value.unit or "", meaning]
                )
    return text.getvalue()

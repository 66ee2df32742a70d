"""``vtc07 companion probe``: draft a companion from what a meter answers."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from vtc07.carrier.companion_file import load_companion
from vtc07.carrier.endpoint import perform, wait
from vtc07.carrier.events import (
    Break,
    CommandFailed,
    CommandRefused,
    Identified,
    Identify,
    Read,
    RegistersRead,
)
from vtc07.carrier.exchange.blocks import ReadoutBlock, parse_block
from vtc07.carrier.exchange.events import (
    Accepted,
    BrokenOff,
    Data,
    ErrorAnswered,
    ExchangeFailed,
    ExchangeFailure,
    Order,
    ReadOut,
    SignedOn,
    SignOff,
    SignOn,
)
from vtc07.carrier.exchange.settings import CheckCharacter, Compatibility, Purpose
from vtc07.cli.exchange_connection import (
    ExchangeConnection,
    ExchangeOptions,
    exchange_options,
    failed,
)
from vtc07.cli.failure import Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option

if TYPE_CHECKING:
    from vtc07.cli.companion_draft import DirectFindings, Draft, Findings, Tried

_COMMA = re.compile(r" *[+-]?[0-9]+,[0-9]+ *")
_COMMANDS: Final = ("R1", "R5")
#: So many reads in succession that come to nothing at all, and no more are tried.
_HOPELESS: Final = 3


@click.command(
    "probe",
    epilog=examples(
        "vtc07 companion probe /dev/ttyUSB0 --out my-meter.toml",
        "vtc07 companion probe tcp://192.168.1.20:8000 --timeout 8",
        "vtc07 companion check my-meter.toml",
    ),
)
@exchange_options
@click.option(
    "--most",
    type=click.IntRange(0, 10_000),
    default=200,
    show_default=True,
    help="How many registers are read singly at most.",
)
@click.option("--out", metavar="FILE", help="Write the draft there; by default to stdout.")
@json_option
@click.pass_obj
def probe(output: Output, *, exchange: ExchangeOptions, most: int, out: str | None) -> None:
    """Draft a companion of the meter at ADDRESS from what it answers.

    It signs on, takes the readout, tries programming mode and reads what the readout showed; a
    direct VTC07 port is asked for its registers. Nothing is ever written to the meter: no
    password, no value, no token. What comes out passes vtc07 companion check, says what was
    guessed, and what a person must decide.
    """
    if out is not None and os.path.lexists(out):
        raise Failure(f"{out} exists already; choose another name")
    with ExchangeConnection(exchange) as connection:
        kind, drafted, flag, identification = _probe(output, connection, exchange, most)
    if out is not None:
        with open(out, "x", encoding="utf-8") as file:  # noqa: PTH123 - x: never over another
            file.write(drafted.text)
    if output.as_json:
        output.document(
            {
                "address": connection.address,
                "sign_on": kind,
                "flag": flag,
                "identification": identification,
                "registers": drafted.registers,
                "guessed": list(drafted.guessed),
                "decide": list(drafted.decide),
                "file": out,
                "companion": drafted.text,
            }
        )
        return
    if out is None:
        output.line(drafted.text.rstrip("\n"))
    for line in drafted.decide:
        output.note(f"to be decided, {line}")
    if out is not None:
        output.note(f"{out}: a draft with {drafted.registers} registers")


def _probe(
    output: Output, connection: ExchangeConnection, options: ExchangeOptions, most: int
) -> tuple[str, Draft, str, str]:
    """Return how the meter signs on, its draft, FLAG letters and identification."""
    from vtc07.cli.companion_draft import draft, draft_direct  # noqa: PLC0415 - tables of words

    heard = _read_out(output, connection, options)
    if isinstance(heard, ReadOut):
        found = _findings(output, connection, options, heard, most)
        identity = found.identity
        return "mode-c", draft(found), identity.flag, identity.identification
    output.progress("no readout; asked as a direct VTC07 port")
    direct = _direct(connection, options)
    if direct is None:
        raise failed(heard, connection.address)
    return "direct", draft_direct(direct), direct.flag, direct.identification


# --- mode C -------------------------------------------------------------------------------------


def _read_out(
    output: Output, connection: ExchangeConnection, options: ExchangeOptions
) -> ReadOut | ExchangeFailed:
    """Take the readout; a check that is always wrong is tried in the other ways of meters."""
    given = connection.compatibility
    ways = [
        given,
        replace(given, check=CheckCharacter.SUM),
        replace(given, no_readout_bcc=True),
    ]
    first: ExchangeFailed | None = None
    for way in dict.fromkeys(ways):
        if way != given:
            output.progress("only damaged answers; another kind of check is tried")
            connection.restart(way)
        event = connection.perform(SignOn(options.meter_address, speed=options.highest_speed))
        if isinstance(event, ReadOut):
            return event
        assert isinstance(event, ExchangeFailed)
        first = first or event
        if event.failure is not ExchangeFailure.DAMAGED:
            break
    assert first is not None
    return first


def _findings(
    output: Output,
    connection: ExchangeConnection,
    options: ExchangeOptions,
    heard: ReadOut,
    most: int,
) -> Findings:
    """Look at the readout, and try programming mode."""
    from vtc07.cli.companion_draft import Findings  # noqa: PLC0415 - as above

    compat, block = _deviations(heard, connection.compatibility)
    output.progress(f"a readout of {len(block.rows)} rows at {heard.speed} Bd")
    event = connection.perform(
        SignOn(options.meter_address, Purpose.PROGRAMMING, options.highest_speed)
    )
    if not isinstance(event, SignedOn):
        output.progress("programming mode is not entered")
        return Findings(heard.identity, block, compat)
    output.progress(f"programming mode at {event.speed} Bd")
    addresses = [row.address for row in block.rows if row.history is None and row.profile is None]
    wanted = [each for each in dict.fromkeys(addresses) if each and "!" not in each][:most]
    tried, compat = _read_singly(connection, wanted, compat)
    connection.perform(SignOff())
    answered = sum(1 for each in tried.values() if each.error is None)
    output.progress(f"{answered} of {len(wanted)} registers could be read singly")
    return Findings(heard.identity, block, compat, True, event.operand, tried)  # noqa: FBT003 - named there


def _deviations(heard: ReadOut, compat: Compatibility) -> tuple[Compatibility, ReadoutBlock]:
    """Return the deviations that a readout shows, and what is in it."""
    if b"\n" in heard.chars and b"\r" not in heard.chars:
        compat = replace(compat, lf_line_ends=True)
    if not heard.checked:
        compat = replace(compat, no_readout_bcc=True)
    block = parse_block(heard.chars)
    values = [value.value for row in block.rows for value in row.all_values]
    if any(_COMMA.fullmatch(value) for value in values):
        compat = replace(compat, decimal_comma=True)
    return compat, parse_block(heard.chars, compat)


def _read_singly(
    connection: ExchangeConnection, addresses: list[str], compat: Compatibility
) -> tuple[dict[str, Tried], Compatibility]:
    """Read each address by R1, or by R5 where R1 does nothing; say what each came to."""
    from vtc07.cli.companion_draft import Tried  # noqa: PLC0415 - as above

    tried: dict[str, Tried] = {}
    commands = list(_COMMANDS)
    hopeless = 0
    for address in addresses:
        for code in tuple(commands):
            event = connection.perform(Order(code, f"{address}()"))
            if isinstance(event, Data):
                tried[address] = Tried(code)
                commands = [code]  # what works for one register works for the others
                compat = _echoed(event, compat)
                break
            if isinstance(event, ErrorAnswered):
                tried[address] = Tried(code, event.text)
            elif isinstance(event, BrokenOff):
                return tried, compat
            elif not isinstance(event, Accepted):  # an ACK in place of data: another command
                hopeless += 1
        hopeless = 0 if address in tried else hopeless
        if hopeless >= _HOPELESS:
            break
    return tried, compat


def _echoed(event: Data, compat: Compatibility) -> Compatibility:
    """Return the deviations that an answer shows."""
    if event.chars.endswith(b"\n"):
        compat = replace(compat, crlf_before_etx=True)
    if event.data_sets and not event.data_sets[0].address:
        compat = replace(compat, address_not_echoed=True)
    return compat


# --- a direct port ------------------------------------------------------------------------------


def _direct(connection: ExchangeConnection, options: ExchangeOptions) -> DirectFindings | None:
    """Ask a direct VTC07 port who it is, and for the registers of the shipped companion."""
    from vtc07.cli.companion_draft import DirectFindings  # noqa: PLC0415 - as above

    asking = load_companion("electricity")
    run = connection.direct(asking)
    event: Any = run(perform(Identify(options.meter_address)))
    if not isinstance(event, Identified):
        return None
    identity = event.identity
    numbers: dict[str, int] = {}
    answered: list[str] = []
    refused: dict[str, str] = {}
    failures = 0
    for register in asking.table:
        if register.read_level is None or (register.name[-1:].isdigit() and "." in register.name):
            continue  # a series is not read one by one
        read: Any = run(perform(Read(register)))
        if isinstance(read, RegistersRead):
            answered.append(register.name)
            value = read.values[0].value
            if isinstance(value, int):
                numbers[register.name] = value
        elif isinstance(read, CommandRefused):
            refused[register.name] = read.error_text
        else:
            assert isinstance(read, CommandFailed)
            failures += 1
            if failures >= _HOPELESS:
                break
    run(wait(asking.reaction_ns))
    run(perform(Break()))
    return DirectFindings(
        identity.flag,
        identity.baud_identification,
        identity.identification,
        numbers,
        answered,
        refused,
    )

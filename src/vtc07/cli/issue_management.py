"""``vtc07 token issue``: the tokens that manage one meter (class 2)."""

from __future__ import annotations

import click

from vtc07.cli import parameters
from vtc07.cli.describe import CLEARABLE
from vtc07.cli.failure import Failure
from vtc07.cli.issuing import IssuingOptions, issuing_options
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output
from vtc07.tokens import (
    ClearCredit,
    ClearTamperCondition,
    ExtendedTokenSet,
    SetMaximumPhasePowerUnbalanceLimit,
    SetMaximumPowerLimit,
    SetTariffRate,
    SetWaterMeterFactor,
    decode_amount,
    encode_amount,
)


def _say_what_is_carried(output: Output, watts: int) -> None:
    carried = decode_amount(encode_amount(watts))
    if carried != watts:
        output.warning(
            f"the token carries {carried} W: the next limit from {watts} W on that it can hold"
        )


@click.command("power-limit", epilog=examples("vtc07 token issue power-limit 5000 --test-key"))
@click.argument("watts", type=parameters.WHOLE)
@issuing_options
@click.pass_obj
def power_limit(output: Output, watts: int, options: IssuingOptions) -> None:
    """Issue a token that sets the maximum power to WATTS; 0 means no limit."""
    issuing = options.begin(output)
    _say_what_is_carried(output, watts)
    issuing.token(SetMaximumPowerLimit(issuing.rnd, int(issuing.tid), watts))


@click.command(
    "phase-unbalance-limit",
    epilog=examples("vtc07 token issue phase-unbalance-limit 2000 --test-key"),
)
@click.argument("watts", type=parameters.WHOLE)
@issuing_options
@click.pass_obj
def unbalance(output: Output, watts: int, options: IssuingOptions) -> None:
    """Issue a token that sets the maximum unbalance between phases to WATTS; 0 means no limit."""
    issuing = options.begin(output)
    _say_what_is_carried(output, watts)
    issuing.token(SetMaximumPhasePowerUnbalanceLimit(issuing.rnd, int(issuing.tid), watts))


@click.command(
    "clear-credit",
    epilog=examples(
        "vtc07 token issue clear-credit --test-key",
        "vtc07 token issue clear-credit all --test-key",
    ),
)
@click.argument("register", default="electricity")
@issuing_options
@click.pass_obj
def clear_credit(output: Output, register: str, options: IssuingOptions) -> None:
    """Issue a token that sets a credit REGISTER to 0.

    REGISTER is electricity, water, gas, time, one of these with -currency, all, or a number.
    """
    number = CLEARABLE.get(register.lower())
    if number is None:
        if not (register.isascii() and register.isdigit() and len(register) <= 5):
            raise Failure(
                f"{register!r} is no credit register: write one of {', '.join(CLEARABLE)}, or a "
                "number"
            )
        number = int(register)
    issuing = options.begin(output)
    issuing.token(ClearCredit(issuing.rnd, int(issuing.tid), number))


@click.command("clear-tamper", epilog=examples("vtc07 token issue clear-tamper --test-key"))
@issuing_options
@click.pass_obj
def clear_tamper(output: Output, options: IssuingOptions) -> None:
    """Issue a token that clears the tamper condition."""
    issuing = options.begin(output)
    issuing.token(ClearTamperCondition(issuing.rnd, int(issuing.tid)))


@click.command("tariff-rate", epilog=examples("vtc07 token issue tariff-rate 3 --test-key"))
@click.argument("rate", type=parameters.WHOLE)
@issuing_options
@click.pass_obj
def tariff_rate(output: Output, rate: int, options: IssuingOptions) -> None:
    """Issue a token with a tariff RATE, 0 to 65535; the standard reserves it."""
    issuing = options.begin(output)
    issuing.token(SetTariffRate(issuing.rnd, int(issuing.tid), rate))


@click.command("water-factor", epilog=examples("vtc07 token issue water-factor 10 --test-key"))
@click.argument("factor", type=parameters.WHOLE)
@issuing_options
@click.pass_obj
def water_factor(output: Output, factor: int, options: IssuingOptions) -> None:
    """Issue a token with a water meter's FACTOR, 0 to 65535; the standard reserves it."""
    issuing = options.begin(output)
    issuing.token(SetWaterMeterFactor(issuing.rnd, int(issuing.tid), factor))


@click.command(epilog=examples("vtc07 token issue extended 2 100 --test-key"))
@click.argument("index", type=parameters.WHOLE)
@click.argument("value", type=parameters.WHOLE)
@issuing_options
@click.pass_obj
def extended(output: Output, index: int, value: int, options: IssuingOptions) -> None:
    """Issue an extended token set: INDEX 0 to 63, VALUE 0 to 1023."""
    issuing = options.begin(output)
    issuing.token(ExtendedTokenSet(issuing.rnd, int(issuing.tid), index, value))

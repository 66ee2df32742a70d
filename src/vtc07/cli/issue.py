"""``vtc07 token issue``: credit, and the tokens for any meter (classes 0 and 1)."""

from __future__ import annotations

import click

from vtc07.cli import parameters
from vtc07.cli.describe import UNITS, money, tenths
from vtc07.cli.failure import Failure
from vtc07.cli.issuing import IssuingOptions, issue_token, issuing_options
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.tokens import (
    METER_TESTS,
    ExtendedRead,
    InitiateMeterTest,
    MfrCode,
    Service,
    TransferCredit,
    TransferCurrency,
    decode_amount,
    decode_currency,
    encode_amount,
    encode_currency,
)


@click.command(
    epilog=examples(
        "vtc07 token issue credit 25.0 --test-key",
        "vtc07 token issue credit 4.5 --service water --vending-key-file vk.hex \\",
        "    --pan 600727111111111153 --sgc 201457",
    )
)
@click.argument("amount", type=parameters.TENTHS)
@click.option(
    "--service",
    type=parameters.SERVICE,
    default=Service.ELECTRICITY,
    show_default="electricity",
    help="electricity (kWh), water (m3), gas (m3) or time (minutes).",
)
@issuing_options
@click.pass_obj
def credit(output: Output, amount: int, service: Service, options: IssuingOptions) -> None:
    """Issue a credit token over AMOUNT kWh, m3 or minutes, with one decimal.

    An amount that the token cannot hold exactly is rounded up.
    """
    issuing = options.begin(output, gives_credit=True)
    carried = decode_amount(encode_amount(amount))
    if carried != amount:
        output.note(
            f"the token carries {tenths(carried)} {UNITS[service]}: the next amount from "
            f"{tenths(amount)} on that it can hold"
        )
    issuing.token(TransferCredit(service, issuing.rnd, int(issuing.tid), amount))


@click.command(
    context_settings={"ignore_unknown_options": True},  # an amount may begin with a minus
    epilog=examples("vtc07 token issue currency 120.50 --test-key"),
)
@click.argument("amount", type=parameters.MONEY)
@click.option(
    "--service",
    type=parameters.SERVICE,
    default=Service.ELECTRICITY,
    show_default="electricity",
    help="electricity, water, gas or time.",
)
@issuing_options
@click.pass_obj
def currency(output: Output, amount: int, service: Service, options: IssuingOptions) -> None:
    """Issue a credit token in money: AMOUNT of the base currency, up to five decimals.

    Meters with a virtual token carrier do not serve such tokens.
    """
    issuing = options.begin(output, gives_credit=True)
    carried = decode_currency(*encode_currency(amount))
    if carried != amount:
        output.note(
            f"the token carries {money(carried)}: the next amount from {money(amount)} on that it "
            "can hold"
        )
    issuing.token(TransferCurrency(service, int(issuing.tid), amount))


@click.command(
    "meter-test",
    epilog=examples(
        "vtc07 token issue meter-test all",
        "vtc07 token issue meter-test 1 7 18 --mfr-code 96",
    )
    + "\n\n\b\nTests:\n"
    + "\n".join(f"  {number:2d}  {name}" for number, name in METER_TESTS.items()),
)
@click.argument("tests", nargs=-1, metavar="[TEST]...")
@click.option(
    "--mfr-code",
    type=parameters.MAKER,
    default=MfrCode("00"),
    show_default="00, every maker",
    help="Maker, 2 or 4 digits; the length decides the token's subclass.",
)
@json_option
@click.pass_obj
def meter_test(output: Output, tests: tuple[str, ...], mfr_code: MfrCode) -> None:
    """Issue a token for tests and displays, by number; all of them by default. Needs no key."""
    numbers = [0 if test.lower() == "all" else _test_number(test) for test in tests or ("all",)]
    token = InitiateMeterTest.of_tests(
        numbers, mfr_code=mfr_code.number, four_digit_mfr_code=mfr_code.is_four_digit
    )
    issue_token(token, None, output)


def _test_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise Failure(
            f"{text!r} is no meter test: give numbers from 0 to 36, or all; vtc07 token issue "
            "meter-test --help lists them"
        )
    return int(text)


@click.command(
    "extended-read",
    epilog=examples(
        "vtc07 token issue extended-read 3", "vtc07 token issue extended-read 3 --value 7"
    ),
)
@click.argument("index", type=parameters.WHOLE)
@click.option(
    "--value",
    type=parameters.WHOLE,
    default=0,
    show_default="0",
    help="The 30 bits of Control behind the index.",
)
@json_option
@click.pass_obj
def extended_read(output: Output, index: int, value: int) -> None:
    """Issue an extended read of INDEX, 0 to 63. Needs no key."""
    if index > 63:
        raise Failure(f"index {index} is out of range: 0 to 63 are possible")
    if value >> 30:
        raise Failure(f"--value {value} is out of range: 0 to {(1 << 30) - 1} are possible")
    issue_token(ExtendedRead(index << 30 | value), None, output)

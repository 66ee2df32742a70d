"""``vtc07 token``: issuing and decoding, without a meter."""

from __future__ import annotations

import click

from vtc07.cli.lazy import LazyGroup, examples

_ISSUE = "vtc07.cli.issue:"
_MANAGE = "vtc07.cli.issue_management:"


@click.group(
    cls=LazyGroup,
    members={
        "issue": ("vtc07.cli.token:issue", "Issue a token of any kind."),
        "keychange": ("vtc07.cli.keychange:keychange", "Issue the tokens of a key change."),
        "decode": ("vtc07.cli.decode:decode_command", "Say what tokens mean."),
    },
    epilog=examples(
        "vtc07 token issue credit 25.0 --test-key",
        "vtc07 token keychange --test-key --to-krn 2",
        'vtc07 token decode "0000 0002 2002 4800 7208"',
    ),
)
def token() -> None:
    """Issue and decode tokens (IEC 62055-41).

    Keys come from files, from the environment or from a hidden prompt, never from arguments.
    """


@click.group(
    cls=LazyGroup,
    members={
        "credit": (_ISSUE + "credit", "Credit for electricity, water, gas or time."),
        "currency": (_ISSUE + "currency", "Credit in money."),
        "meter-test": (_ISSUE + "meter_test", "Tests and displays, for any meter."),
        "extended-read": (_ISSUE + "extended_read", "Extended read, for any meter."),
        "power-limit": (_MANAGE + "power_limit", "Set the maximum power."),
        "phase-unbalance-limit": (_MANAGE + "unbalance", "Set the maximum phase unbalance."),
        "clear-credit": (_MANAGE + "clear_credit", "Set a credit register to 0."),
        "clear-tamper": (_MANAGE + "clear_tamper", "Clear the tamper condition."),
        "tariff-rate": (_MANAGE + "tariff_rate", "Set a tariff rate (reserved)."),
        "water-factor": (_MANAGE + "water_factor", "Set a water meter's factor (reserved)."),
        "extended": (_MANAGE + "extended", "Extended token set."),
    },
    epilog=examples(
        "vtc07 token issue credit 25.0 --test-key",
        "vtc07 token issue meter-test all",
        "vtc07 token issue power-limit 5000 --test-key --at 2026-03-01T12:30",
    ),
)
def issue() -> None:
    """Issue one token of any kind.

    The 20 digits go to stdout, what they mean to stderr, so that a shell can pass them on.
    Class 1 (meter-test, extended-read) needs no key.
    """

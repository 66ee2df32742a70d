"""``vtc07 route``: many meters, one after another."""

from __future__ import annotations

import click

from vtc07.cli.lazy import LazyGroup, examples


@click.group(
    cls=LazyGroup,
    members={
        "check": ("vtc07.cli.route_check:check", "Check a route before the day begins."),
        "run": ("vtc07.cli.route_run:run", "Do what a route has for the meter that is there."),
        "report": ("vtc07.cli.route_report:report", "Tell what was done: CSV, JSON or HTML."),
    },
    epilog=examples(
        "vtc07 route check monday.csv",
        "vtc07 route run monday.csv /dev/ttyUSB0",
        "vtc07 route report monday.csv --html monday.html",
    ),
)
def route() -> None:
    """Work through a route: meters, and what is to be done at each.

    A route is a CSV or JSON file; what was done stands in the journal.
    """

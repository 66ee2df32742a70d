"""``vtc07 route check``: what is wrong with a route, before the day begins."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click

from vtc07.carrier.companion_file import load_companion
from vtc07.cli.failure import Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, is_coloured, json_option
from vtc07.hhu.route.check import Counts, RouteCheck
from vtc07.hhu.route.file import place
from vtc07.hhu.route.findings import Finding, Severity
from vtc07.hhu.texts import counted

#: So many findings of one kind are shown; of a column that is spoiled as a whole there are as many
#: as lines.
_SHOWN_OF_A_KIND: Final = 20
_COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.command(
    epilog=examples(
        "vtc07 route check monday.csv",
        "vtc07 route check monday.csv --companion electricity --companion water",
        "vtc07 route check monday.json --json",
    )
)
@json_option
@click.option(
    "--companion",
    "names",
    multiple=True,
    metavar="NAME|FILE",
    help="Companion of meters of the route, whose registers are compared; can be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Every finding, however many of a kind.")
@click.argument("route", type=click.Path(path_type=Path))
@click.pass_obj
def check(output: Output, route: Path, *, names: tuple[str, ...], everything: bool) -> None:
    """Check the route in the file ROUTE, CSV or JSON: everything that is wrong, at once.

    An error is what cannot be done as it stands; the stop it stands at is not worked on. A warning
    is what was probably not meant. Without --companion, registers that no shipped companion has
    are warnings.

    Exit code 0 without errors, else 2.
    """
    checking = RouteCheck(route, [load_companion(name) for name in names])
    if output.as_json:
        found = [_document(finding, checking) for finding in checking.findings()]
        output.document({**_summary(checking), "findings": found})
    else:
        _show(output, checking, everything=everything)
    if errors := checking.counts.found[Severity.ERROR]:
        raise Failure(
            str(
                counted(
                    "{name} has {count} error: mend it before the day begins",
                    "{name} has {count} errors: mend them before the day begins",
                    errors,
                    name=str(route),
                )
            )
        )


def _show(output: Output, checking: RouteCheck, *, everything: bool) -> None:
    kinds: Counter[str] = Counter()
    for finding in checking.findings():
        kinds[finding.kind] += 1
        if everything or kinds[finding.kind] <= _SHOWN_OF_A_KIND:
            _show_finding(output, finding, checking)
    for kind, times in kinds.items():
        if not everything and times > _SHOWN_OF_A_KIND:
            more = times - _SHOWN_OF_A_KIND
            output.note(f"{more} more findings of the kind {kind}; --all shows every one")
    output.line(_counted(checking.counts))


def _show_finding(output: Output, finding: Finding, checking: RouteCheck) -> None:
    label = finding.severity.value
    if is_coloured(sys.stdout):
        label = click.style(label, fg=_COLOURS[finding.severity], bold=True)
    where = place(finding.line, is_json=checking.is_json)
    output.line(f"{where}: {label}: {finding.what}")
    advice = str(finding.advice)
    lines = textwrap.wrap(advice, 74) if sys.stdout.isatty() else [advice]
    for line in lines:
        output.line(f"    {line}")


def _counted(counts: Counts) -> str:
    said = [
        counted("{count} stop", "{count} stops", counts.stops),
        counted("{count} meter", "{count} meters", counts.meters),
        counted("{count} token", "{count} tokens", counts.tokens),
        counted("{count} key change", "{count} key changes", counts.key_changes),
        counted("{count} error", "{count} errors", counts.found[Severity.ERROR]),
        counted("{count} warning", "{count} warnings", counts.found[Severity.WARNING]),
    ]
    return ", ".join(map(str, said))


def _summary(checking: RouteCheck) -> dict[str, Any]:
    counts = checking.counts
    return {
        "route": checking.name,
        "format": "json" if checking.is_json else "csv",
        "digest": checking.digest,
        "stops": counts.stops,
        "meters": counts.meters,
        "tokens": counts.tokens,
        "key_changes": counts.key_changes,
        "writes": counts.writes,
        "reads": counts.reads,
        "errors": counts.found[Severity.ERROR],
        "warnings": counts.found[Severity.WARNING],
        "notes": counts.found[Severity.NOTE],
    }


def _document(finding: Finding, checking: RouteCheck) -> dict[str, Any]:
    return {
        "line" if not checking.is_json else "stop": finding.line,
        "severity": finding.severity.value,
        "kind": finding.kind,
        "what": str(finding.what),
        "advice": str(finding.advice),
    }

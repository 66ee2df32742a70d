"""``vtc07 hhu verify``: whether a journal, or an export, is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vtc07.cli.failure import Failure
from vtc07.cli.journalling import JournalOptions, journal_option
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.parameters import Parsed
from vtc07.cli.percent import percent
from vtc07.hhu.journal.check import expected_digest
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.journal.verify import Verification
from vtc07.hhu.journal.verify import verify as verify_file

_DIGEST = Parsed("DIGEST", expected_digest)


@click.command(
    epilog=examples(
        "vtc07 hhu verify",
        "vtc07 hhu verify --expect 3f0c6a9d41e2b875",
        "vtc07 hhu verify monday.jsonl --journal deliveries.journal",
    )
)
@journal_option
@click.option(
    "--expect",
    "expected",
    type=_DIGEST,
    metavar="DIGEST",
    help="A digest that was noted elsewhere, as in a report; at least its first 16 digits.",
)
@json_option
@click.argument("file", required=False)
@click.pass_obj
def verify(
    output: Output, journal: JournalOptions, *, expected: str | None, file: str | None
) -> None:
    """Check that the journal, or FILE, is as it was written; also while it is in use.

    FILE is an export or a copy; it is compared with the journal too where that is named.
    Without a digest that was noted elsewhere nobody can see that the end was cut off, or that
    everything was written anew from some entry on.
    """
    path = journal.path if file is None else Path(file)
    if file is not None and not path.exists():
        raise Failure(f"there is no file {file}; name a journal, a copy, or an export")
    with percent(output, "checking") as told:
        if file is not None and journal.file is not None:
            with open_for_reading(journal.path) as against:
                found = verify_file(path, expected=expected, against=against, on_checked=told)
        else:
            found = verify_file(path, expected=expected, on_checked=told)
    if output.as_json:
        output.document(verification_document(found))
    else:
        output.pairs(verification_rows(found))
        for finding in found.findings:
            where = "" if finding.entry is None else f"entry {finding.entry}: "
            output.warning(f"{where}{finding.said}")
        for note in found.notes:
            output.note(str(note))
    if not found.good:
        wrong = len(found.findings) + found.more
        raise Failure(
            f"{found.name} is not as it was written: {wrong} thing{'s' * (wrong > 1)} found; keep "
            "the file as it is, and go back to a copy that is in order"
        )


def verification_rows(found: Verification) -> list[tuple[str, str]]:
    """Return what a verification came to, for people."""
    what = (
        f"export, version {found.version}" if found.export else f"journal, version {found.version}"
    )
    what += "" if found.whole else ", a part of a journal"
    what += ", masked" if found.masked else ""
    rows = [("file", found.name), ("what it is", what), ("entries", str(found.entries))]
    if found.begin is not None and found.end is not None:
        rows.append(("from", found.begin.astimezone().isoformat(" ", "seconds")))
        rows.append(("to", found.end.astimezone().isoformat(" ", "seconds")))
    if found.whole:
        still_open = f", {found.open_deliveries} open" if found.open_deliveries else ""
        rows.append(("deliveries", f"{found.deliveries}{still_open}"))
    if found.entries:
        rows.append(("last entry", str(found.head.number)))
        rows.append(("its digest", found.head.digest.hex()))
    if found.expected_at is not None:
        rows.append(("noted digest", f"that of entry {found.expected_at}"))
    return [*rows, ("verified", "yes" if found.good else "no")]


def verification_document(found: Verification) -> dict[str, Any]:
    """Return what a verification came to, for programs."""
    return {
        "file": found.name,
        "export": found.export,
        "version": found.version,
        "whole": found.whole,
        "masked": found.masked,
        "entries": found.entries,
        "deliveries": found.deliveries if found.whole else None,
        "open_deliveries": found.open_deliveries if found.whole else None,
        "last_entry": found.head.number,
        "digest": found.head.digest.hex(),
        "from": None if found.begin is None else found.begin.isoformat(),
        "to": None if found.end is None else found.end.isoformat(),
        "hidden_secrets": found.hidden,
        "expected_at": found.expected_at,
        "verified": found.good,
        "findings": [{"entry": f.entry, "text": str(f.said)} for f in found.findings],
        "more_findings": found.more,
        "notes": [str(note) for note in found.notes],
    }

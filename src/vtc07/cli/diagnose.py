"""``vtc07 diagnose``: what is wrong with a meter, and why it refused a token."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import click

from vtc07.cli import parameters
from vtc07.cli.connection import Connection
from vtc07.cli.failure import Failure
from vtc07.cli.gathering import gathering
from vtc07.cli.identify import meter_document
from vtc07.cli.journalling import JournalOptions, journal_options, now, opened_if_possible
from vtc07.cli.language import texts_for
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.hhu.diagnosis.document import document_of, entry_of, masked, said_of, seconds_ago
from vtc07.hhu.diagnosis.facts import Finding, Receipt
from vtc07.hhu.diagnosis.meter import span
from vtc07.hhu.diagnosis.run import Diagnosis
from vtc07.hhu.diagnosis.run import diagnose as diagnosed
from vtc07.hhu.history.token_masking import value_without_tokens
from vtc07.hhu.journal.deliveries import Delivery, JournalError, JournalMissing
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.journal.reading import open_for_reading
from vtc07.hhu.key_change.state import KeyChangeState, key_change_state, require_set
from vtc07.hhu.texts import Texts
from vtc07.hhu.values import text_for_people
from vtc07.tokens import KRN, KT, SGC, TI, BaseDate, MeterPAN, TokenData

_DIGITS: Final = 20
_LAST_TOKENS: Final = 5


def _receipt(values: Any) -> Receipt:
    pan: MeterPAN | None = values["issued_for"]
    sgc: SGC | None = values["sgc"]
    ti: TI | None = values["ti"]
    krn: KRN | None = values["krn"]
    kt: KT | None = values["kt"]
    base: BaseDate | None = values["base_date"]
    issued: datetime | None = values["issued_at"]
    return Receipt(
        meter=None if pan is None else pan.digits,
        sgc=None if sgc is None else sgc.digits,
        krn=None if krn is None else krn.number,
        kt=None if kt is None else int(kt),
        ti=None if ti is None else ti.digits,
        issued=issued,
        base_date=None if base is None else base.code,
    )


receipt_options = gathering(
    "receipt",
    ("issued_for", "sgc", "krn", "kt", "ti", "issued_at", "base_date"),
    _receipt,
    (
        click.option("--base-date", type=parameters.BASE, help="Base date on the receipt."),
        click.option("--issued-at", type=parameters.INSTANT, help="When the token was issued."),
        click.option("--ti", type=parameters.TARIFF_INDEX, help="Tariff index on the receipt."),
        click.option("--kt", type=parameters.KEY_TYPE, help="Key type on the receipt."),
        click.option("--krn", type=parameters.KEY_REVISION, help="Key revision on the receipt."),
        click.option("--sgc", type=parameters.SUPPLY_GROUP, help="Supply group on the receipt."),
        click.option(
            "--issued-for", type=parameters.PAN, help="MeterPAN or DRN on the token's receipt."
        ),
    ),
)


@click.command(
    epilog=examples(
        "vtc07 diagnose /dev/ttyUSB0",
        'vtc07 diagnose /dev/ttyUSB0 "1234 5678 9012 3456 7890"',
        "vtc07 diagnose sim:kitchen.meter 12345678901234567890 --sgc 123456 --krn 1 --ti 01 \\",
        "    --issued-for 600727111111111153 --issued-at 2026-03-01T12:30",
        "vtc07 diagnose tcp://127.0.0.1:4059 TOKEN1 TOKEN2 TOKEN3 TOKEN4",
    ),
)
@link_options
@journal_options
@json_option
@receipt_options
@click.option("--mask", is_flag=True, help="Show only the last four digits of tokens.")
@click.option("--language", metavar="CODE", help="en, fr, pt, ...; else by your environment.")
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...")
@click.pass_obj
def diagnose(
    output: Output,
    link: LinkOptions,
    journal: JournalOptions,
    receipt: Receipt,
    *,
    tokens: tuple[str, ...],
    mask: bool,
    language: str | None,
) -> None:
    """Say what is wrong with the meter at ADDRESS, and why it refused TOKEN.

    Everything that a support desk asks for is read and explained, without keys; nothing is changed.
    Without TOKEN the newest token is explained if the meter refused it. What stands on its receipt
    can be given, and is compared with the meter. Several TOKENs are a key change set: how far it
    has come, and which one to enter next.

    Exit codes: 0 the meter was diagnosed, whatever is wrong with it; 1, 2, 3 as everywhere.
    """
    texts = texts_for(language, os.environ)
    words = _tokens(tokens)
    if len(words) > 1:
        try:
            require_set(words)
        except ValueError as error:
            raise Failure(f"several tokens are taken for a key change set: {error}") from None
    state: KeyChangeState | None = None
    with (
        Progressing(output) as progress,
        opened_if_possible(journal, output) as kept,
        Connection(link, output, progress.heard, journal=kept) as connection,
        _deliveries(kept, journal, output) as deliveries,
    ):
        connection.greet(compare=False)
        session = connection.session
        if len(words) > 1:
            state = connection.run(key_change_state(session, words))
        else:
            receipt = _with_token(receipt, words)
        found = connection.run(
            diagnosed(session, receipt, wall_clock=now, deliveries=lambda: deliveries)
        )
        connection.sign_off()
        if kept is not None:
            with _warned(output):
                kept.record(entry_of(found, now()))
    if output.as_json:
        meter = meter_document(link.address, found.examined.meter, found.examined.companion.name)
        output.document({**meter, **document_of(found, mask=mask), **_set_document(state)})
        return
    _show(output, found, state, texts, mask=mask)


def _tokens(words: Sequence[str]) -> list[str]:
    """Return the tokens, where groups of digits may be words of their own; one that is none too."""
    joined = re.sub(r"[ -]", "", "".join(words))
    several = joined.isascii() and joined.isdigit() and len(joined) > _DIGITS
    if several and len(joined) % _DIGITS == 0:
        return [joined[at : at + _DIGITS] for at in range(0, len(joined), _DIGITS)]
    return [" ".join(words)] if words else []


def _with_token(receipt: Receipt, words: Sequence[str]) -> Receipt:
    return replace(receipt, token=words[0]) if words else receipt


@contextlib.contextmanager
def _deliveries(
    kept: FileJournal | None, options: JournalOptions, output: Output
) -> Iterator[Iterable[Delivery]]:
    """Yield the deliveries of the journal, also of one that another program is writing to."""
    if kept is not None:
        yield kept.each_delivery()
        return
    with contextlib.ExitStack() as stack:
        found: Iterable[Delivery] = ()
        if options.wanted:
            try:
                found = stack.enter_context(open_for_reading(options.path)).each_delivery()
            except JournalMissing:
                pass
            except JournalError as error:
                output.warning(str(error))
        yield found


@contextlib.contextmanager
def _warned(output: Output) -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        output.warning(f"the diagnosis could not be written into the journal: {error}")


# --- for people -----------------------------------------------------------------------------------


def _show(
    output: Output, found: Diagnosis, state: KeyChangeState | None, texts: Texts, *, mask: bool
) -> None:
    examined = found.examined
    if state is not None:
        output.line(state.said.words(texts))
        output.line()
    if found.token is not None:
        shown = masked(found.token) if mask else TokenData.from_digits(found.token).grouped
        output.line(f"token {shown}")
    for finding in found.of_token:
        _show_finding(output, finding, texts, mask=mask)
    output.line(f"meter {examined.meter.meter_pan or found.examined.meter.identity.flag}")
    for finding in found.of_meter:
        _show_finding(output, finding, texts, mask=mask)
    output.line()
    output.pairs(
        [
            (value.register.name, _value_text(found, value.register.name, mask=mask))
            for value in examined.registers
        ]
    )
    entries = () if examined.tokens is None else examined.tokens.entries[:_LAST_TOKENS]
    if entries:
        output.line()
        describe = examined.companion.token_entry.status.describe
        output.table(
            [">number", "token", "class", "result", ">powered time ago"],
            [
                [
                    str(entry.sequence),
                    masked(entry.token) if mask else TokenData.from_digits(entry.token).grouped,
                    entry.kind or "",
                    describe(entry.status),
                    "" if (ago := seconds_ago(examined, entry)) is None else span(ago),
                ]
                for entry in entries
            ],
        )


def _show_finding(output: Output, finding: Finding, texts: Texts, *, mask: bool) -> None:
    weight, certainty = texts(finding.weight.value), texts(finding.certainty.value)
    what = said_of(finding.what, mask=mask, texts=texts)
    output.line(f"  {weight} ({certainty}) {finding.code}: {what}")
    if finding.advice is not None:
        output.line(f"    -> {said_of(finding.advice, mask=mask, texts=texts)}")


def _value_text(found: Diagnosis, name: str, *, mask: bool) -> str:
    examined = found.examined
    register, value = examined.companion.table.named(name), examined.values[name]
    if mask and name == "lastToken" and isinstance(value, str):
        return masked(value) or "none"
    if mask:
        value = value_without_tokens(register, value)
    return text_for_people(register, value, examined.companion)


# --- for programs ---------------------------------------------------------------------------------


def _set_document(state: KeyChangeState | None) -> dict[str, Any]:
    if state is None:
        return {}
    least, most = state.expires_in_s or (None, None)
    return {
        "key_change": {
            "stage": state.stage.name.lower().replace("_", "-"),
            "held": list(state.held),
            "results": [None if s is None else s.value for s in state.statuses],
            "next_token": None if state.next_place is None else state.next_place + 1,
            "forgotten_in_s_at_least": least,
            "forgotten_in_s_at_most": most,
            "text": str(state.said),
        }
    }

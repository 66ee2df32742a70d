"""``vtc07 send``: tokens into a meter, each exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from vtc07.cli import parameters
from vtc07.cli.connection import Connection
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.journalling import JournalOptions, journal_option, now, opened
from vtc07.cli.lazy import examples
from vtc07.cli.link_options import LinkOptions, link_options
from vtc07.cli.output import Output, json_option
from vtc07.cli.progress import Progressing
from vtc07.hhu.delivery import SendReport, TokenToSend
from vtc07.hhu.delivery import send as send_tokens
from vtc07.hhu.journal.deliveries import Delivery, delivered_before
from vtc07.hhu.journal.file import FileJournal
from vtc07.hhu.outcome import (
    EXPLANATIONS,
    Delivered,
    Meaning,
    NotSent,
    Outcome,
    Refused,
    Unresolved,
)
from vtc07.hhu.progress import Progress, Resolved
from vtc07.hhu.session import AnotherMeter, SignOnRefused
from vtc07.hhu.session import NoLink as NoSession
from vtc07.tokens import TokenData

#: The exit code of what a delivery came to.
EXIT_CODES: Final = {
    Meaning.DONE: ExitCode.DONE,
    Meaning.REFUSED: ExitCode.REFUSED,
    Meaning.NO_LINK: ExitCode.NO_LINK,
    Meaning.UNRESOLVED: ExitCode.UNRESOLVED,
}


@click.command(
    epilog=examples(
        'vtc07 send sim:kitchen.meter "1234 5678 9012 3456 7890"',
        'vtc07 send /dev/ttyUSB0 "$(vtc07 token issue credit 25.0 --test-key)"',
        "vtc07 send tcp://127.0.0.1:4059 12345678901234567890 09876543210987654321",
    )
)
@link_options
@journal_option
@json_option
@click.option(
    "--resend-if-refusable",
    is_flag=True,
    help="For meters that do not tell what became of a token: send a credit token again where "
    "no answer came; the meter refuses a second one.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where an earlier run ended: tokens that the journal knows as delivered to this "
    "meter are not entered again.",
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@click.pass_obj
def send(
    output: Output,
    link: LinkOptions,
    journal: JournalOptions,
    *,
    tokens: tuple[str, ...],
    resend_if_refusable: bool,
    resume: bool,
) -> None:
    """Send tokens to the meter at ADDRESS, in this order, up to the first not accepted.

    Each is delivered exactly once, whatever the line does: what was sent and what is known stands
    in the journal, and whatever was left open there is looked into first.
    """
    datas = parameters.tokens_of(tokens)
    to_send = [TokenToSend(data.digits, has_tid=data.token_class == 0) for data in datas]
    progress = Progressing(output, len(datas))
    watched = _Watched(progress)
    settled: frozenset[int] = frozenset()
    with (
        progress,
        opened(journal, output) as kept,
        Connection(link, output, watched.heard, journal=kept) as connection,
    ):
        try:
            settled = _settled(kept, datas)
            _greet(connection)
            report = connection.run(
                send_tokens(
                    connection.session,
                    kept,
                    to_send,
                    wall_clock=now,
                    resend_if_refusable=resend_if_refusable,
                    resume=resume,
                )
            )
            delivered = delivered_before(
                kept.deliveries(connection.meter_pan),
                connection.meter_pan or "",
                [d.digits for d in datas],
            )
            meter_pan = connection.meter_pan
            connection.sign_off()
        except KeyboardInterrupt:
            raise _interrupted(watched, datas, kept, connection.meter_pan, settled) from None
        unavailable = connection.unavailable
    _show(output, report, datas, meter_pan)
    for problem in report.problems:
        output.warning(problem)
    code = EXIT_CODES[report.meaning]
    if code is not ExitCode.DONE:
        sentence = _first_bad(report, datas)
        if code is ExitCode.UNRESOLVED or (len(datas) > 1 and delivered and not resume):
            sentence += "; to go on where this ended, run the same command with --resume"
        raise Failure(f"{sentence} ({unavailable})" if unavailable else sentence, code)


def _greet(connection: Connection) -> None:
    try:
        connection.greet(compare=False)
    except (NoSession, AnotherMeter) as error:
        reached = isinstance(error, AnotherMeter | SignOnRefused)
        code = ExitCode.REFUSED if reached else ExitCode.NO_LINK
        raise Failure(f"nothing was sent: {error}", code) from None


class _Watched:
    """Keeps the outcomes that were told, for an interruption."""

    def __init__(self, progress: Progressing) -> None:
        self._progress = progress
        self.outcomes: list[Outcome] = []

    def heard(self, progress: Progress) -> None:
        """Take a step."""
        if isinstance(progress, Resolved) and progress.place is not None:
            self.outcomes.append(progress.outcome)
        self._progress.heard(progress)


def _show(
    output: Output, report: SendReport, datas: Sequence[TokenData], meter_pan: str | None
) -> None:
    pairs = list(zip(datas, report.outcomes, strict=True))
    if output.as_json:
        output.document(
            {
                "meter_pan": meter_pan,
                "tokens": [
                    {"token": data.digits, **outcome_document(outcome)} for data, outcome in pairs
                ],
                "earlier": [
                    {
                        "delivery": earlier.delivery.number,
                        "token": earlier.delivery.token,
                        **outcome_document(earlier.outcome),
                    }
                    for earlier in report.earlier
                ],
                "exit_code": int(EXIT_CODES[report.meaning]),
            }
        )
        return
    rows = [
        [f"earlier {earlier.delivery.number}", _grouped(earlier.delivery), str(earlier.outcome)]
        for earlier in report.earlier
    ]
    rows += [
        [f"{place}", data.grouped, str(outcome)] for place, (data, outcome) in enumerate(pairs, 1)
    ]
    output.table([">", "token", "outcome"], rows)


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a document."""
    status = getattr(outcome, "status", None)
    reason = getattr(outcome, "reason", None)
    return {
        "outcome": type(outcome).__name__,
        "meaning": outcome.meaning.value,
        "text": str(outcome),
        "status": None if status is None else status.value,
        "explanation": explanation(outcome),
        "sequence": getattr(outcome, "sequence", None),
        "reason": None if reason is None else reason.name.lower().replace("_", " "),
    }


def explanation(outcome: Outcome) -> str | None:
    """Return what a meter's result means, for results that do not speak for themselves."""
    status = outcome.status if isinstance(outcome, Delivered | Refused) else None
    return None if status is None else EXPLANATIONS.get(status)


def _first_bad(report: SendReport, datas: Sequence[TokenData]) -> str:
    """Return the sentence that says what stopped the delivery."""
    gravest = report.meaning
    for earlier in report.earlier:
        if isinstance(earlier.outcome, Unresolved):
            return f"delivery {earlier.delivery.number} of an earlier run: {earlier.outcome}"
    for place, outcome in enumerate(report.outcomes, 1):
        if outcome.meaning is gravest and not isinstance(outcome, NotSent):
            said = f"{outcome}: {why}" if (why := explanation(outcome)) else str(outcome)
            return f"token {place} of {len(datas)}: {said}" if len(datas) > 1 else said
    return str(report.outcomes[0])


def _grouped(delivery: Delivery) -> str:
    return TokenData.from_digits(delivery.token).grouped


def _settled(journal: FileJournal, datas: Sequence[TokenData]) -> frozenset[int]:
    """Return the deliveries of these tokens that have a result."""
    made = (delivery for data in datas for delivery in journal.deliveries_of(data.digits))
    return frozenset(delivery.number for delivery in made if delivery.ended is not None)


def _interrupted(
    watched: _Watched,
    datas: Sequence[TokenData],
    journal: FileJournal,
    meter_pan: str | None,
    settled: frozenset[int],
) -> Failure:
    """Say what is known after Ctrl-C, and how to go on.

    ``settled``: deliveries that had a result before this command. What the journal has taken since
    counts, although nobody was told of it any more.
    """
    digits = {data.digits for data in datas}
    still_open = [d for d in journal.unresolved(meter_pan) if d.token in digits]
    meanings = [outcome.meaning for outcome in watched.outcomes]
    told = [str(outcome) for outcome in watched.outcomes]
    for data in datas[len(told) : len(told) + 1]:
        made = [d for d in journal.deliveries_of(data.digits) if d.number not in settled]
        if made and (ended := made[-1].ended) is not None:
            meanings.append(ended.meaning)
            told.append(ended.text)
    known = [f"token {place}: {outcome}" for place, outcome in enumerate(told, 1)]
    said = f"interrupted; {'; '.join(known) if known else 'no token has a result yet'}"
    if still_open:
        return Failure(
            f"{said}; delivery {still_open[0].number} is open and stands in the journal "
            f"{journal.path}; to go on, run the same command with --resume: it is resolved first, "
            "and nothing is entered twice",
            ExitCode.UNRESOLVED,
        )
    rest = len(datas) - len(told)
    left = f", {rest} of {len(datas)} tokens were not sent" if rest else ""
    unresolved = Meaning.UNRESOLVED in meanings
    return Failure(
        f"{said}; nothing is open{left}",
        ExitCode.UNRESOLVED if unresolved else ExitCode.INTERRUPTED,
    )

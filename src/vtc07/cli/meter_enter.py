"""``vtc07 meter enter``: tokens at a virtual meter's keypad."""

from __future__ import annotations

from typing import Any

import click

from vtc07.carrier.status import ErrorCode, TokenStatus
from vtc07.cli import parameters
from vtc07.cli.failure import ExitCode, Failure
from vtc07.cli.lazy import examples
from vtc07.cli.output import Output, json_option
from vtc07.cli.power import switch_off, work
from vtc07.cli.stores import open_store, store_key_option
from vtc07.meter import Meter, SQLiteStore, TokenExecuted
from vtc07.tokens import TCT, TokenData

#: More timers than this without a result would be a defect.
_STEPS = 1000


@click.command(
    epilog=examples(
        'vtc07 meter enter kitchen.meter "1234 5678 9012 3456 7890"',
        'vtc07 meter enter kitchen.meter "$(vtc07 token issue credit 25.0 --test-key)"',
    )
)
@click.argument("store", metavar="STORE")
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@store_key_option
@json_option
@click.pass_obj
def enter(
    output: Output, *, store: str, tokens: tuple[str, ...], store_key_file: str | None
) -> None:
    """Enter tokens at the keypad of the meter in STORE, up to the first not accepted.

    The keypad is another carrier (numeric, TCT 02) with a lockout of its own. The meter must not
    be served meanwhile.
    """
    datas = parameters.tokens_of(tokens)
    with open_store(store, store_key_file, output) as opened:
        results = _enter(opened, datas, output)
    documents: list[dict[str, Any]] = []
    for data, result in zip(datas, results, strict=False):
        taken = isinstance(result, TokenStatus) and result.taken
        documents.append({"token": data.digits, "accepted": taken, "result": result.value})
    if output.as_json:
        not_entered = [data.digits for data in datas[len(results) :]]
        output.document({"tokens": documents, "not_entered": not_entered})
    else:
        rows = [
            [data.grouped, document["result"]]
            for data, document in zip(datas, documents, strict=False)
        ]
        rows += [[data.grouped, "not entered"] for data in datas[len(results) :]]
        output.table(["token", "result"], rows)
    last = documents[-1]
    if not last["accepted"]:
        place = f"token {len(documents)} of {len(datas)}: " if len(datas) > 1 else ""
        raise Failure(f"{place}the meter refused the token: {last['result']}", ExitCode.REFUSED)


def _enter(
    store: SQLiteStore, datas: list[TokenData], output: Output
) -> list[TokenStatus | ErrorCode]:
    meter = Meter(store.companion(), store, now_ns=0)
    now = 0
    results: list[TokenStatus | ErrorCode] = []
    for data in datas:
        error = meter.enter(data.digits, TCT.NUMERIC, now)
        if error is not None:
            results.append(error)
            break
        now, status = _executed(meter, now)
        results.append(status)
        if not (isinstance(status, TokenStatus) and status.taken):
            break
    switch_off(meter, meter, now, output)
    return results


def _executed(meter: Meter, now: int) -> tuple[int, TokenStatus | ErrorCode]:
    """Let the meter's time pass until the token came to its end."""
    for _ in range(_STEPS):
        work(meter, now)
        while (event := meter.next_event()) is not None:
            if isinstance(event, TokenExecuted):
                return now, ErrorCode.STORE_FAULT if event.status is None else event.status
        timer = meter.next_timer()
        assert timer is not None
        now = max(now, timer)
        meter.handle_timer(now)
    raise AssertionError("a token's execution does not end")
